"""The paper's studies of images: slots on CIFAR-10, and augmentation along them."""

from symflow.reproduction import Study

from .arms import arm_study
from .page import page as page
from .slots import slot_study

STUDIES = {
    "images": {"slots": Study("slots on CIFAR-10 beside their controls", 1_200.0, slot_study)},
    "augmentation": {"cifar10": Study("classifiers of CIFAR-10", 900.0, arm_study)},
}

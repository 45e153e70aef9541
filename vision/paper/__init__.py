"""The paper's studies of images: slots on CIFAR-10, and augmentation along them."""

from symflow.reproduction import Study

from .arms import arm_study
from .page import figures as figures
from .page import page as page
from .scales import folder_of_images
from .slots import slot_study

STUDIES = {
    "images": {"slots": Study("slots on CIFAR-10 beside their controls", 1_300.0, slot_study, folder_of_images)},
    "augmentation": {"cifar10": Study("classifiers of CIFAR-10", 300.0, arm_study, folder_of_images)},
}

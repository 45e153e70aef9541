"""Classifiers, and which augmentation trains better ones."""

from .classifiers import accuracy as accuracy
from .classifiers import train as train
from .comparison import ClassifierTrainings as ClassifierTrainings
from .comparison import Comparison as Comparison
from .comparison import compare as compare

"""Classifiers, and which augmentation trains better ones."""

from symflow.learning import distributed as distributed

from .classifiers import accuracy as accuracy
from .classifiers import train as train
from .comparison import NETWORKS as NETWORKS
from .comparison import Comparison as Comparison
from .comparison import compare as compare

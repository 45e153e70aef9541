"""Group classification: for which functions and numbers in an equation the algebra is larger than for all."""

from .classify import Case as Case
from .classify import Classification as Classification
from .classify import classify as classify

"""A discovery of one's own: from a residual of moved data to the vector fields that keep it."""

from .clouds import distribution as distribution
from .discovery import discover as discover
from .found import Found as Found
from .found import load_result as load_result
from .problem import Problem as Problem
from .problem import equivariance as equivariance
from .problem import invariance as invariance

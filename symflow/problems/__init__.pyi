from .clouds import distribution as distribution
from .discovery import discover as discover
from .found import Found as Found
from .found import load_result as load_result
from .problem import Problem as Problem
from .problem import equivariance as equivariance
from .problem import invariance as invariance

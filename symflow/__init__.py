"""Learns the continuous symmetries of data and names them in closed form, with proof.

Fields and flows work in normalised units; `Coordinates` converts. Domains are in `symflow.pde` and `symflow.vision`.
"""

import warnings

import lazy_loader

from symflow._version import namesake

if _problem := namesake():
    warnings.warn(_problem, RuntimeWarning, stacklevel=2)

# What can be imported from here stands in __init__.pyi; it is loaded when it is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

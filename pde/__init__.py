"""Symmetries of partial differential equations: data, scores, discovery.

>>> from symflow import pde
>>> data = pde.generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
>>> pde.discover(data, network="none").rank
2
"""

import lazy_loader

# What can be imported from here stands in __init__.pyi; it is loaded when it is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

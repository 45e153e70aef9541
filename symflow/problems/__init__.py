"""A discovery of one's own: from a residual of moved data to the vector fields that keep it."""

import lazy_loader

# What can be imported from here stands in __init__.pyi; it is loaded when it is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

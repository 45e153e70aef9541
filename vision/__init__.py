"""Images: data, networks, generators of the pixel plane, augmentation and what it is worth."""

import lazy_loader

# What can be imported from here stands in __init__.pyi; it is loaded when it is asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

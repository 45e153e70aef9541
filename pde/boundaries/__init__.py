"""Walls, initial times and periods from text, and which symmetries keep them."""

from .boundary import Boundary as Boundary
from .boundary import Wall as Wall
from .keeping import keeps as keeps
from .keeping import kept as kept

"""From trajectories or an equation to named and proven symmetries."""

from . import words as words
from .discovery import discover as discover
from .evidence import collect as collect
from .many import discover_many as discover_many
from .many import read_equations as read_equations
from .many import table as table
from .result import Generator as Generator
from .result import Result as Result
from .result import load_result as load_result
from .sources import asked_of as asked_of

"""From trajectories or an equation to named and proven symmetries."""

from .discovery import discover as discover
from .evidence import collect as collect
from .result import Generator as Generator
from .result import Result as Result
from .result import load_result as load_result

"""Solutions made by solvers: on a periodic line, in boxes, between walls, orbits."""

from .generation import generate as generate
from .generation import random_waves as random_waves
from .solvers import Budget as Budget
from .solvers import solve as solve

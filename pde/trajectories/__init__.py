"""Solutions on a grid: made by solvers, read from files, differentiated."""

from .data import UNIFORM as UNIFORM
from .data import Balance as Balance
from .data import Trajectories as Trajectories
from .data import data_coordinates as data_coordinates
from .data import difference_weights as difference_weights
from .data import filtered as filtered
from .data import generate as generate
from .data import random_waves as random_waves
from .files import AUGMENTATION as AUGMENTATION
from .files import FORMAT as FORMAT
from .files import UnknownEquation as UnknownEquation
from .files import lay_out as lay_out
from .files import load as load
from .files import reason as reason
from .files import save as save

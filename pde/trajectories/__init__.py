"""Solutions on a grid: made by solvers, read from files, differentiated."""

from .data import MISLABELLED as MISLABELLED
from .data import UNIFORM as UNIFORM
from .data import BothSides as BothSides
from .data import Trajectories as Trajectories
from .data import data_coordinates as data_coordinates
from .derivatives import difference_weights as difference_weights
from .derivatives import filtered as filtered
from .derivatives import interpolated as interpolated
from .files import AUGMENTATION as AUGMENTATION
from .files import FORMAT as FORMAT
from .files import UnknownEquation as UnknownEquation
from .files import lay_out as lay_out
from .files import load as load
from .files import reason as reason
from .files import save as save
from .generation import generate as generate
from .generation import random_waves as random_waves

"""Solutions on a grid: made by solvers, read from files, differentiated."""

from .axes import UNIFORM as UNIFORM
from .axes import Axis as Axis
from .data import MISLABELLED as MISLABELLED
from .data import Trajectories as Trajectories
from .data import data_coordinates as data_coordinates
from .derivatives import difference_weights as difference_weights
from .derivatives import filtered as filtered
from .derivatives import interpolated as interpolated
from .files import AUGMENTATION as AUGMENTATION
from .files import UnknownEquation as UnknownEquation
from .files import lay_out as lay_out
from .files import load as load
from .files import save as save
from .generation import generate as generate
from .generation import random_waves as random_waves
from .inventory import Inventory as Inventory
from .inventory import describe as describe
from .layouts import FORMAT as FORMAT
from .layouts.reading import reason as reason
from .seams import joined as joined
from .seams import meets as meets
from .seams import tears as tears
from .sides import BothSides as BothSides

"""Vector fields and the coordinates they live in: neural, tabulated and symbolic ones, and truncated series."""

from .coordinates import Coordinates as Coordinates
from .field import Field as Field
from .field import dtype_of as dtype_of
from .grid import GridField as GridField
from .grid import Table as Table
from .neural import Network as Network
from .neural import NeuralField as NeuralField
from .series import Series as Series
from .series import Truncation as Truncation
from .series import total_degree as total_degree
from .symbolic import SymbolicField as SymbolicField

"""Subspaces of fields, their brackets and structure constants, and what these say of a Lie algebra."""

from .brackets import complete as complete
from .geometry import bracket as bracket
from .geometry import principal_angles as principal_angles
from .geometry import subspace_angles as subspace_angles
from .liealgebra import describe as describe
from .readout import ClosedForm as ClosedForm
from .readout import structure_constants as structure_constants

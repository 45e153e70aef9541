"""Subspaces of fields, their brackets and structure constants, and what these say of a Lie algebra."""

from .brackets import sample_brackets as sample_brackets
from .closure import complete_algebra as complete_algebra
from .constants import measured_structure_constants as measured_structure_constants
from .description import Description as Description
from .description import describe as describe
from .geometry import bracket as bracket
from .geometry import principal_angles as principal_angles
from .geometry import span_basis as span_basis
from .geometry import subspace_angles as subspace_angles
from .readout import ClosedForm as ClosedForm
from .readout import structure_constants as structure_constants
from .simplification import is_zero as is_zero
from .simplification import simplest as simplest
from .simplification import simplified as simplified

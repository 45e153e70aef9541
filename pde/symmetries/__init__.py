"""The symmetries of an equation: prolongation, libraries of functions, null spaces, closed forms and proofs."""

from .algebra import Symmetries as Symmetries
from .algebra import symmetries as symmetries
from .library import Library as Library
from .library import polynomial_library as polynomial_library
from .nullspace import NullSpace as NullSpace
from .nullspace import complexity as complexity
from .nullspace import condition as condition
from .nullspace import gap_rank as gap_rank
from .prolongation import SOFTENING as SOFTENING
from .prolongation import complete_jets as complete_jets
from .prolongation import determining_equations as determining_equations
from .prolongation import needed as needed
from .prolongation import relative_coefficients as relative_coefficients
from .prolongation import row_factors as row_factors
from .prolongation import solution_lines as solution_lines
from .prolongation import term_scale as term_scale
from .superposition import Superposition as Superposition

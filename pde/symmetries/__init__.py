"""The symmetries of an equation: prolongation, libraries of functions, null spaces, closed forms and proofs."""

from .algebra import Symmetries as Symmetries
from .algebra import symmetries as symmetries
from .defect import by_trajectory as by_trajectory
from .defect import defects as defects
from .defect import displacement as displacement
from .first_order import FirstOrder as FirstOrder
from .first_order import first_order_symmetries as first_order_symmetries
from .library import Library as Library
from .library import polynomial_library as polynomial_library
from .nullspace import NullSpace as NullSpace
from .nullspace import complexity as complexity
from .nullspace import condition as condition
from .nullspace import gap_rank as gap_rank
from .prolongation import SOFTENING as SOFTENING
from .prolongation import complete_jets as complete_jets
from .prolongation import determining_coefficients as determining_coefficients
from .prolongation import determining_equations as determining_equations
from .prolongation import jet_order as jet_order
from .prolongation import needed as needed
from .prolongation import relative_coefficients as relative_coefficients
from .prolongation import row_factors as row_factors
from .prolongation import solution_lines as solution_lines
from .prolongation import term_scale as term_scale
from .superposition import Superposition as Superposition

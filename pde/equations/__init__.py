"""Equations from their text, the variables of their jet space, and points on their manifold."""

from .catalogue import CATALOGUE as CATALOGUE
from .catalogue import Entry as Entry
from .catalogue import entry as entry
from .catalogue import lookup as lookup
from .complex_unknowns import complex_form as complex_form
from .equation import Equation as Equation
from .equation import derivative_order as derivative_order
from .equation import derivative_symbol as derivative_symbol
from .equation import highest_derivative as highest_derivative
from .equation import t as t
from .equation import total_derivative_x as total_derivative_x
from .equation import u as u
from .equation import x as x
from .jets import Index as Index
from .jets import Jets as Jets
from .jets import JetSample as JetSample
from .jets import JetSpace as JetSpace
from .jets import choices as choices
from .jets import derivative as derivative
from .jets import difference as difference
from .jets import divisors as divisors
from .jets import raised as raised
from .jets import variable as variable
from .manifold import BOXES as BOXES
from .manifold import Manifold as Manifold
from .manifold import completed as completed

"""Rows of the weak form: laws against test functions, on any axes and for any unknowns."""

from .axes import FEWEST_STEPS as FEWEST_STEPS
from .axes import OVERLAP as OVERLAP
from .axes import bump as bump
from .axes import widths as widths
from .parts import Parts as Parts
from .parts import movable as movable
from .parts import moved as moved
from .rows import HalfWidths as HalfWidths
from .rows import WeakRows as WeakRows
from .rows import rows_on_axes as rows_on_axes
from .rows import rows_on_ladder as rows_on_ladder
from .samples import FUNCTIONS as FUNCTIONS
from .samples import Samples as Samples
from .smoothing import SIGNAL as SIGNAL
from .smoothing import Smoothed as Smoothed
from .smoothing import smooth as smooth
from .terms import law as law
from .weak_form import Rows as Rows
from .weak_form import Widths as Widths
from .weak_form import weak_ladder as weak_ladder
from .weak_form import weak_rows as weak_rows

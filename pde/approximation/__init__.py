"""Fields that are nearly symmetries of what data show: their defects, closed forms, intervals and reach."""

from .approximate import Approximate as Approximate
from .approximate import Search as Search
from .approximate import approximate as approximate
from .measure import Measure as Measure
from .words import sentences as sentences

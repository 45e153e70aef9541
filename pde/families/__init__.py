"""Families: symmetries that depend on arbitrary functions, found, proved and told apart."""

from .family import Family as Family
from .functions import Functions as Functions
from .search import families as families
from .search import hodographs as hodographs
from .search import superposed as superposed
from .spans import Spans as Spans
from .whole import Whole as Whole
from .whole import whole_algebra as whole_algebra

"""Families: symmetries that depend on arbitrary functions, found, proved and told apart."""

from .family import Family as Family
from .functions import Functions as Functions
from .reading import family_of as family_of
from .search import families as families
from .search import hodographs as hodographs
from .search import proved as proved
from .search import superposed as superposed
from .spans import Spans as Spans
from .whole import Whole as Whole
from .whole import accounted as accounted
from .whole import beside as beside
from .whole import whole_algebra as whole_algebra

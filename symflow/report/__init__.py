"""The page of a result: what all domains share; what is said of a result is in the ``report`` of its domain."""

from .page import Card as Card
from .page import Page as Page
from .page import Picture as Picture
from .page import open_run as open_run
from .write import page_of as page_of
from .write import write_comparison as write_comparison
from .write import write_report as write_report

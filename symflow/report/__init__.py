"""The page of a result: what all domains share; what is said of a result is in the ``report`` of its domain."""

from .page import Page as Page
from .page import Picture as Picture
from .page import open_run as open_run
from .write import write_report as write_report

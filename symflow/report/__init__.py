"""The page of a result: what all domains share; what is said of a result is in the ``report`` of its domain."""

from .page import Picture as Picture
from .page import save_picture as save_picture
from .page import write_page as write_page
from .write import write_report as write_report

"""The studies of the paper, by domain: carried out one by one, kept as records, shown beside the published figures."""

from .page import NOT_RUN as NOT_RUN
from .page import table as table
from .page import write_page as write_page
from .reproduce import find as find
from .reproduce import reproduce as reproduce
from .study import GROUPS as GROUPS
from .study import Record as Record
from .study import Size as Size
from .study import Study as Study
from .study import Tell as Tell
from .study import read_records as read_records
from .study import results as results
from .study import studies as studies

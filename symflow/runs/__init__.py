"""Directories of runs, files written whole or not at all, and how work is spread over threads and processes."""

from .processes import available as available
from .runs import CONFIG as CONFIG
from .runs import METRICS as METRICS
from .runs import REPORT as REPORT
from .runs import RESULT as RESULT
from .runs import Run as Run
from .runs import load_field as load_field
from .runs import load_tensors as load_tensors
from .runs import read_json as read_json
from .runs import replacing as replacing
from .runs import save_field as save_field
from .runs import save_tensors as save_tensors
from .runs import write_json as write_json
from .threads import one_thread as one_thread

"""Directories of runs, the files in them and the records they hold; work spread over threads and processes."""

from .directory import CONFIG as CONFIG
from .directory import METRICS as METRICS
from .directory import REPORT as REPORT
from .directory import RESULT as RESULT
from .directory import Run as Run
from .directory import command as command
from .directory import read_config as read_config
from .directory import read_metrics as read_metrics
from .files import read_json as read_json
from .files import replacing as replacing
from .files import write_json as write_json
from .processes import available as available
from .records import ASIDE as ASIDE
from .records import As as As
from .records import Figure as Figure
from .records import Mismatch as Mismatch
from .records import from_json as from_json
from .records import read_record as read_record
from .records import refusing as refusing
from .records import to_json as to_json
from .records import write_record as write_record
from .tensors import load_field as load_field
from .tensors import load_tensors as load_tensors
from .tensors import save_field as save_field
from .tensors import save_tensors as save_tensors
from .threads import one_thread as one_thread

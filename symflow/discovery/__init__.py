"""Discovery: which vector fields keep the data of a problem valid, as named stages over one state."""

from .load import kind_of as kind_of
from .load import load_result as load_result
from .result import Approximate as Approximate
from .result import Family as Family
from .result import Generator as Generator
from .result import OneSpaceResult as OneSpaceResult
from .result import Result as Result
from .result import Spectrum as Spectrum
from .result import load_as as load_as
from .stages import Context as Context
from .stages import Kept as Kept
from .stages import Progress as Progress
from .stages import Stage as Stage
from .stages import Tell as Tell
from .stages import known as known
from .stages import replaced as replaced
from .stages import run_stages as run_stages
from .verdicts import DataVerdict as DataVerdict
from .verdicts import DomainVerdict as DomainVerdict
from .verdicts import EquationVerdict as EquationVerdict
from .verdicts import Statement as Statement
from .verdicts import Verdicts as Verdicts
from .verdicts import lines as lines
from .verdicts import statements as statements
from .verdicts import symmetries as symmetries

"""The law that data obey: its weak form fitted, identified, followed in windows, and what it certifies."""

from .certificates import Certificate as Certificate
from .certificates import Certificates as Certificates
from .certificates import certify as certify
from .confidence import Interval as Interval
from .confidence import OverConfidenceSet as OverConfidenceSet
from .confidence import over_confidence_set as over_confidence_set
from .drift import Drift as Drift
from .drift import drifts as drifts
from .held_out import held_out as held_out
from .held_out import parts as parts
from .identified import load_identified as load_identified
from .identify import identify as identify
from .prolonged_law import COMPONENTS as COMPONENTS
from .prolonged_law import Prolonged as Prolonged
from .prolonged_law import jet_order as jet_order
from .prolonged_law import prolong as prolong
from .region import Region as Region

"""Do data solve the equation that they claim? A word for the file, each trajectory and each coefficient."""

from .audit import DataAudit as DataAudit
from .audit import audit_data as audit_data
from .gate import gate as gate
from .verdict import OUTLIERS as OUTLIERS
from .verdict import SOLVES as SOLVES
from .verdict import Coefficient as Coefficient
from .verdict import Gate as Gate

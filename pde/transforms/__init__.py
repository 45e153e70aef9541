"""A user's function: is it a symmetry?"""

from .audit import TransformAudit as TransformAudit
from .audit import audit_transform as audit_transform
from .audit import load_function as load_function

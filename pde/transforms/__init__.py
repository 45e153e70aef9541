"""A user's function: is it a symmetry?"""

from .audit import audit_transform as audit_transform
from .user_function import load_function as load_function
from .verdicts import TransformAudit as TransformAudit

"""Symmetries of partial differential equations: data, scores, discovery.

>>> from symflow import pde
>>> data = pde.generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
>>> pde.discover(data, steps=0).rank
2
"""

from .audit import DataAudit as DataAudit
from .audit import audit_data as audit_data
from .augmentation import AugmentedTrajectories as AugmentedTrajectories
from .augmentation import TrajectoryAugment as TrajectoryAugment
from .catalogue import ENTRIES as CATALOGUE
from .certificates import Certificates as Certificates
from .certificates import certify as certify
from .comparison import OperatorComparison as OperatorComparison
from .comparison import compare_operators as compare_operators
from .data import Trajectories as Trajectories
from .data import generate as generate
from .discovery import discover as discover
from .equation import Equation as Equation
from .files import UnknownEquation as UnknownEquation
from .files import load as load
from .files import save as save
from .identify import identify as identify
from .identify import load_identified as load_identified
from .jets import Jets as Jets
from .local import LocalScore as LocalScore
from .operators import Operator as Operator
from .operators import Task as Task
from .result import Generator as Generator
from .result import Result as Result
from .result import load_result as load_result
from .scores import InfinitesimalScore as InfinitesimalScore
from .scores import JetScore as JetScore
from .scores import Score as Score
from .transforms import TransformAudit as TransformAudit
from .transforms import audit_transform as audit_transform
from .transforms import load_function as load_function

__all__ = [
    "CATALOGUE",
    "AugmentedTrajectories",
    "Certificates",
    "DataAudit",
    "Equation",
    "Generator",
    "InfinitesimalScore",
    "JetScore",
    "Jets",
    "LocalScore",
    "Operator",
    "OperatorComparison",
    "Result",
    "Score",
    "Task",
    "Trajectories",
    "TrajectoryAugment",
    "TransformAudit",
    "UnknownEquation",
    "audit_data",
    "audit_transform",
    "certify",
    "compare_operators",
    "discover",
    "generate",
    "identify",
    "load",
    "load_function",
    "load_identified",
    "load_result",
    "save",
]

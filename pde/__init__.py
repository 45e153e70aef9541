"""Symmetries of partial differential equations: data, scores, discovery.

>>> from symflow import pde
>>> data = pde.generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
>>> pde.discover(data, steps=0).rank
2
"""

from .augmentation import AugmentedTrajectories as AugmentedTrajectories
from .augmentation import TrajectoryAugment as TrajectoryAugment
from .discovery import Generator as Generator
from .discovery import Result as Result
from .discovery import discover as discover
from .discovery import load_result as load_result
from .equations import ENTRIES as CATALOGUE
from .equations import Equation as Equation
from .equations import Jets as Jets
from .laws import Certificates as Certificates
from .laws import DataAudit as DataAudit
from .laws import audit_data as audit_data
from .laws import certify as certify
from .laws import identify as identify
from .laws import load_identified as load_identified
from .operators import Operator as Operator
from .operators import OperatorComparison as OperatorComparison
from .operators import Task as Task
from .operators import compare_operators as compare_operators
from .scores import InfinitesimalScore as InfinitesimalScore
from .scores import JetScore as JetScore
from .scores import LocalScore as LocalScore
from .scores import Score as Score
from .symmetries import FirstOrder as FirstOrder
from .symmetries import first_order_symmetries as first_order_symmetries
from .trajectories import Trajectories as Trajectories
from .trajectories import UnknownEquation as UnknownEquation
from .trajectories import generate as generate
from .trajectories import load as load
from .trajectories import save as save
from .transforms import TransformAudit as TransformAudit
from .transforms import audit_transform as audit_transform
from .transforms import load_function as load_function

__all__ = [
    "CATALOGUE",
    "AugmentedTrajectories",
    "Certificates",
    "DataAudit",
    "Equation",
    "FirstOrder",
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
    "first_order_symmetries",
    "generate",
    "identify",
    "load",
    "load_function",
    "load_identified",
    "load_result",
    "save",
]

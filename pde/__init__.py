"""Symmetries of partial differential equations: data, scores, discovery.

>>> from symflow import pde
>>> data = pde.generate("ckdv", samples=2, seed=0, steps=60, keep=20, end=10.0)
>>> pde.discover(data, steps=0).rank
2
"""

from .catalogue import ENTRIES as CATALOGUE
from .data import Jets as Jets
from .data import Trajectories as Trajectories
from .data import generate as generate
from .discovery import discover as discover
from .equation import Equation as Equation
from .files import load as load
from .files import save as save
from .local import LocalScore as LocalScore
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
    "Equation",
    "Generator",
    "InfinitesimalScore",
    "JetScore",
    "Jets",
    "LocalScore",
    "Result",
    "Score",
    "Trajectories",
    "TransformAudit",
    "audit_transform",
    "discover",
    "generate",
    "load",
    "load_function",
    "load_result",
    "save",
]

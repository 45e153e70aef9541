"""Learns the continuous symmetries of data and names them in closed form, with proof.

Fields and flows work in normalised units; `Coordinates` converts. Domains are in `symflow.pde` and `symflow.vision`.
"""

from importlib.metadata import version as _version

from symflow.algebra import bracket as bracket
from symflow.algebra import principal_angles as principal_angles
from symflow.discovery import load_result as load_result
from symflow.errors import UserError as UserError
from symflow.fields import Coordinates as Coordinates
from symflow.fields import Field as Field
from symflow.fields import GridField as GridField
from symflow.fields import NeuralField as NeuralField
from symflow.fields import SymbolicField as SymbolicField
from symflow.ops import flow as flow
from symflow.ops import flow_warp as flow_warp
from symflow.ops import jet_flow as jet_flow
from symflow.ops import resample as resample
from symflow.ops import scatter as scatter
from symflow.ops import warp as warp
from symflow.problems import Problem as Problem
from symflow.problems import discover as discover
from symflow.problems import distribution as distribution
from symflow.problems import equivariance as equivariance
from symflow.problems import invariance as invariance

__version__ = _version("symflow")

"""Learns the continuous symmetries of data and names them in closed form, with proof.

Fields and flows work in normalised units; `Coordinates` converts. Domains are in `symflow.pde` and `symflow.vision`.
"""

from importlib.metadata import version as _version

from symflow._flow import flow as flow
from symflow._flow_warp import flow_warp as flow_warp
from symflow._jet_flow import jet_flow as jet_flow
from symflow._resample import resample as resample
from symflow._resample import scatter as scatter
from symflow._warp import warp as warp
from symflow.coordinates import Coordinates as Coordinates
from symflow.errors import UserError as UserError
from symflow.fields import Field as Field
from symflow.fields import NeuralField as NeuralField
from symflow.fields import SymbolicField as SymbolicField
from symflow.geometry import bracket as bracket
from symflow.geometry import principal_angles as principal_angles
from symflow.grid import GridField as GridField

__version__ = _version("symflow")

"""The operations on tensors: compiled kernels with their derivatives, and the references they are measured against.

One module per operation, from its public function to its reference. What others may use is listed here.
"""

from symflow.ops._arguments import check_is_field as check_is_field
from symflow.ops._ext import built as built
from symflow.ops._resample_ref import LEAST_ROWS as LEAST_ROWS
from symflow.ops._resample_ref import resample_ref as resample_ref
from symflow.ops._resample_ref import scatter_ref as scatter_ref
from symflow.ops.etdrk4 import etdrk4 as etdrk4
from symflow.ops.flow import flow as flow
from symflow.ops.flow import flow_kernel as flow_kernel
from symflow.ops.flow import flow_ref as flow_ref
from symflow.ops.flow import grid_flow_kernel as grid_flow_kernel
from symflow.ops.flow import grid_flow_ref as grid_flow_ref
from symflow.ops.flow import has_kernel as has_kernel
from symflow.ops.flow_warp import flow_warp as flow_warp
from symflow.ops.flow_warp import flow_warp_kernel as flow_warp_kernel
from symflow.ops.flow_warp import flow_warp_ref as flow_warp_ref
from symflow.ops.flow_warp import pixel_points as pixel_points
from symflow.ops.jet_flow import jet_flow as jet_flow
from symflow.ops.jet_flow import jet_flow_kernel as jet_flow_kernel
from symflow.ops.jet_flow import jet_flow_ref as jet_flow_ref
from symflow.ops.resample import resample as resample
from symflow.ops.resample import resample_kernel as resample_kernel
from symflow.ops.resample import scatter as scatter
from symflow.ops.resample import scatter_kernel as scatter_kernel
from symflow.ops.warp import warp as warp
from symflow.ops.warp import warp_kernel as warp_kernel
from symflow.ops.warp import warp_ref as warp_ref

"""The compiled operators as torch sees them (meta kernels, derivatives, batching) and their plain references."""

from symflow.ops.flow import flow_kernel as flow_kernel
from symflow.ops.flow import flow_ref as flow_ref

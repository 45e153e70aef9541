"""How symmetries act on solutions: characteristics on the grid."""

from __future__ import annotations

import torch
from torch import Tensor

from symflow.fields import Field
from symflow.runs import one_thread

from ..trajectories import Trajectories


@one_thread()
def characteristics(field: Field, data: Trajectories) -> Tensor:
    """The action of K generators on every solution: ``Q_k = phi_k - xi_k u_x - tau_k u_t``, ``[S, K, T, X]``.

    ``u + eps Q`` is to first order the solution moved along the generator for the time eps (Olver, section 5.1). u_x is
    spectral, u_t that of the equation. Physical units, float64; every Q is divided by its root mean square over the
    data, so that all generators count alike.

    Args:
        field: in (x, t, u); of any precision.
        data: solutions of an evolution equation.

    >>> from symflow import Coordinates, SymbolicField
    >>> from symflow.pde.generation import generate
    >>> data = generate("kdv", samples=1, seed=0, steps=20, keep=4, end=2.0, resolution=64)
    >>> c = Coordinates(("x", "t", "u"), periods=(data.length, None, None))
    >>> Q = characteristics(SymbolicField(c, [{"dx": "1"}]), data)
    >>> u_x = data.derivatives(1)[1]
    >>> bool(torch.allclose(Q[:, 0], -u_x / u_x.square().mean().sqrt()))
    True
    """
    derivatives = data.derivatives(max(data.equation.order, 1))
    t, x = torch.meshgrid(data.t, data.x, indexing="ij")
    points = torch.stack([x.expand_as(data.u), t.expand_as(data.u), data.u], -1)
    u_t = -data.equation.residual(points[..., 0], points[..., 1], list(derivatives), torch.zeros_like(data.u))
    dtype = next((p.dtype for p in getattr(field, "parameters", list)()), torch.float64)
    with torch.no_grad():
        vectors = field(field.coordinates.to_normalised(points).to(dtype)).double()
    xi, tau, phi = field.coordinates.vectors_to_physical(vectors).unbind(-1)  # [S, T, X, K]
    Q = phi - xi * derivatives[1][..., None] - tau * u_t[..., None]
    Q = Q / Q.square().mean((0, 1, 2)).sqrt().clamp_min(1e-300)
    return Q.movedim(-1, 1).contiguous()

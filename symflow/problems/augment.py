"""Data of a problem moved along the fields that were found to keep them valid."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symflow.errors import UserError, check_integer
from symflow.fields import Field
from symflow.ops.flow import flow
from symflow.runs import one_thread

from .problem import stream

STEPS = 16  # of the flow
DEPENDENT = 1e-10  # of the largest eigenvalue: fields below it are combinations of the others on these points


@one_thread()
@torch.no_grad()
def moved(field: Field, data: Tensor, strength: float, seed: int) -> Tensor:
    """Each datum moved along its own random combination of K fields.

    ``w = G^(-1/2) b`` with b uniform in the ball of radius `strength` in R^K and ``G_kl = mean V_k . V_l`` over the
    points, in units in which each axis has a standard deviation of 1: the root mean square displacement of a point is
    at most `strength`, to first order, whatever the basis of the fields.

    Args:
        field: K vector fields.
        data: physical points, ``[B, d]`` or ``[B, n, d]``.
        strength: at least 0.
        seed: of the combinations.

    Raises:
        UserError: an argument is out of range or of another shape, or the flow leaves the numbers.
    """
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength < math.inf:
        raise UserError(f"`strength` must be a finite number of at least 0, got {strength!r}")
    check_integer("seed", seed, 0, 2**31 - 1)
    c = field.coordinates
    if not isinstance(data, Tensor) or data.dim() not in (2, 3) or data.shape[-1] != c.dimension or not len(data):
        got = list(data.shape) if isinstance(data, Tensor) else type(data).__name__
        raise UserError(f"`data` must be points [B, {c.dimension}] or [B, n, {c.dimension}], got {got}")
    if not bool(torch.isfinite(data).all()):
        raise UserError("`data` must be finite numbers, got some that are not")
    points = data.double().cpu().reshape(len(data), -1, c.dimension)
    start = c.to_normalised(points)
    spread = points.reshape(-1, c.dimension).std(0, correction=0)
    unit = torch.where(spread > 0, spread, torch.ones_like(spread))
    vectors = c.vectors_to_physical(field(start)).flatten(0, 1) / unit  # [B n, K, d]
    values, basis = torch.linalg.eigh(torch.einsum("nkd,nld->kl", vectors, vectors) / len(vectors))
    kept = values > DEPENDENT * values[-1]
    whitener = basis[:, kept] * values[kept].rsqrt()
    generator = stream("augmentation", seed)
    count = int(kept.sum())
    direction = torch.randn(len(data), count, dtype=torch.float64, generator=generator)
    radius = torch.rand(len(data), 1, dtype=torch.float64, generator=generator) ** (1 / count)
    b = strength * radius * torch.nn.functional.normalize(direction, dim=1)
    end = c.to_physical(flow(field, start, b @ whitener.T, steps=STEPS))
    if not bool(torch.isfinite(end).all()):
        raise UserError(f"`strength` must be so small that points stay finite, got {strength!r}")
    return end.reshape(data.shape).to(data)

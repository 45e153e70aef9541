"""Fields as geometric objects: inner products under the data measure, spans and their angles, brackets."""

from __future__ import annotations

import torch
from torch import Tensor

from symflow.arrays import takes_arrays
from symflow.fields import Field
from symflow.runs import one_thread


@one_thread()
def span_basis(values: Tensor) -> Tensor:
    """An orthonormal basis of the span of K fields from their values, ``[N, K, d]`` to ``[N d, K]``.

    Raises:
        ValueError: the fields are linearly dependent on the points, or not finite there.
    """
    columns = values.detach().double().transpose(1, 2).flatten(0, 1)  # [N d, K]
    bad = (~columns.isfinite().all(0)).nonzero()[:, 0].tolist()
    if bad:
        raise ValueError(f"the fields must be finite on the points, got others from those of index {bad}")
    columns = columns / columns.norm(dim=0).clamp_min(torch.finfo(torch.float64).tiny)
    basis: Tensor
    basis, triangle = torch.linalg.qr(columns)
    if triangle.diagonal().abs().min() < 1e-12:
        raise ValueError("the fields must be linearly independent on the points, got a dependent set")
    return basis


@one_thread()
def subspace_angles(values_a: Tensor, values_b: Tensor) -> Tensor:
    """Principal angles between two spans of fields from their values ``[N, K, d]`` on the same points.

    Computed from sines (``arcsin`` of the singular values of ``(1 - P_A) B``) where they are small and from cosines
    where they are large, so that angles far below the square root of the rounding unit are right (Bjorck and Golub,
    1973).

    Returns:
        ``min(K_a, K_b)`` angles in radians, ascending, float64.
    """
    a, b = span_basis(values_a), span_basis(values_b)
    if a.shape[1] < b.shape[1]:
        a, b = b, a
    overlap = a.T @ b
    cosines = torch.linalg.svdvals(overlap).clamp(0, 1)  # descending: ascending angles
    sines = torch.linalg.svdvals(b - a @ overlap).clamp(0, 1).flip(0)
    return torch.where(sines < 0.5, torch.arcsin(sines), torch.arccos(cosines))


@one_thread()
@takes_arrays
def principal_angles(field_a: Field, field_b: Field, points: Tensor) -> Tensor:
    """Principal angles between the spans of two fields under the uniform measure of the points.

    The angles between the subspaces spanned by ``V_1 ... V_K`` as functions on the points, with the inner product
    ``<V, W> = mean over points of V . W`` in normalised units.

    Args:
        field_a, field_b: fields on the same coordinates, with K_a and K_b generators.
        points: ``[N, d]``, normalised; take them fresh, not those the fields were learned on.

    Returns:
        ``min(K_a, K_b)`` angles in radians, ascending, float64.

    Raises:
        ValueError: the generators of one field are linearly dependent on the points, or not finite there.

    >>> from symflow import Coordinates, SymbolicField
    >>> plane = Coordinates(("x", "y"))
    >>> horizontal, oblique = [SymbolicField(plane, [form]) for form in ({"dx": "1"}, {"dx": "1", "dy": "1"})]
    >>> principal_angles(horizontal, oblique, torch.rand(9, 2))  # an eighth of a turn
    tensor([0.7854], dtype=torch.float64)
    """
    with torch.no_grad():
        return subspace_angles(field_a(points), field_b(points))


def jacobian(field: Field, points: Tensor) -> Tensor:
    """Derivatives ``d_j V^i`` of K fields at points ``[N, d]``: ``[N, K, d, d]``, j last; differentiable."""
    columns = [
        torch.func.jvp(field, (points,), (direction.expand_as(points),))[1]
        for direction in torch.eye(points.shape[-1], dtype=points.dtype, device=points.device)
    ]
    return torch.stack(columns, -1)


@takes_arrays
def bracket(field_a: Field, field_b: Field, points: Tensor) -> Tensor:
    """Lie brackets of all pairs: ``[V, W]^i = V^j d_j W^i - W^j d_j V^i`` (Olver, section 1.4).

    Args:
        field_a, field_b: fields on the same coordinates, with K_a and K_b generators.
        points: ``[N, d]``, normalised.

    Returns:
        ``[N, K_a, K_b, d]``, normalised; differentiable.
    """
    a, b = field_a(points), field_b(points)
    return torch.einsum("nkj,nlij->nkli", a, jacobian(field_b, points)) - torch.einsum(
        "nlj,nkij->nkli", b, jacobian(field_a, points)
    )

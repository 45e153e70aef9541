"""Images moved along vector fields of the pixel plane, in one operation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from symflow.fields import Field
from symflow.ops._flow import check_alike, check_floating_point, check_steps, flow, has_kernel
from symflow.ops._warp import warp
from symflow.ops.flow_warp import flow_warp_kernel, pixel_points
from symflow.ops.warp import LONGEST_SIDE, PADDINGS


def flow_warp(
    field: Field,
    images: Tensor,
    weights: Tensor,
    *,
    steps: int = 8,
    padding: str = "zeros",
    size: Sequence[int] | None = None,
) -> Tensor:
    """Moves images along vector fields: ``warp(images, flow(field, pixels, weights))`` in one operation.

    ``result[b, g, :, i, j]`` is image b at the end of the flow of ``sum_k weights[(b,) g, k] V_k`` that starts at the
    centre of pixel (i, j), by bilinear interpolation. So the image moves against the field: the pull-back along it.

    Convention: the field is two-dimensional with coordinates ``(x, y)`` of the pixel plane, normalised: -1 and 1 are
    the centres of the outermost pixels, x along W and y along H, and the one pixel of an axis of length 1 is at 0.
    ``padding`` says what is outside the image: zeros, the nearest edge ("border"), or the image reflected at the
    centres of its outermost pixels. With a ``size`` the result has so many rows and columns on the same plane, whatever
    the images have. ``B``, ``C`` or ``G = 0`` are allowed. Non-contiguous tensors are accepted.

    A `NeuralField` or `GridField` in float32 or float64 on the CPU runs in the compiled kernels, which keep neither
    coordinates nor states: they move as many pixels as fit a cache and sample there. They have first derivatives by
    reverse mode, the exact ones of the discrete flow and of the interpolation, for images, weights and the field's
    parameters; those of the images take the memory of the coordinates while they are computed. All results have the
    same bits for any number of threads, and an image's do not depend on the others. Anything else, on a
    GPU too, is the composition of `symflow.flow` and `symflow.warp`, with its derivatives.

    Args:
        field: K vector fields on R^2.
        images: ``[B, C, H, W]``, H and W at least 1.
        weights: ``[G, K]``, every image moved by every row, or ``[B, G, K]``, own rows for each image.
        steps: of the classical Runge-Kutta method of order 4, at least 1.
        padding: "zeros", "border" or "reflection".
        size: rows and columns of the result, at least 1; by default H and W.

    Returns:
        ``[B, G, C, *size]``.

    Raises:
        TypeError: ``images`` or ``weights`` is no floating-point tensor, or ``steps`` no integer.
        ValueError: the field is not two-dimensional, or a shape, dtype, device, number of steps, padding or size does
            not fit.
        NotImplementedError: a derivative is asked for that the kernels do not have: forward mode, second order. The
            composition ``symflow.warp(images, symflow.flow(...))`` has those of warp.

    >>> import torch
    >>> from symflow import Coordinates, GridField
    >>> right = torch.tensor([1.0, 0.0]).expand(1, 2, 2, 2)
    >>> field = GridField(Coordinates(("x", "y")), right, (-1.0, -1.0), (1.0, 1.0))
    >>> image = torch.tensor([[1.0, 2.0, 3.0]]).expand(1, 1, 3, 3)
    >>> flow_warp(field, image, torch.tensor([[1.0], [-1.0]]))[0, :, 0, 1].tolist()
    [[2.0, 3.0, 0.0], [0.0, 1.0, 2.0]]
    """
    _check(field, images, weights, steps, padding, size)
    sets = weights[None] if weights.dim() == 2 else weights
    if images.device.type == "cpu" and has_kernel(field, images):
        return flow_warp_kernel(field, images, sets, steps, padding, size)
    points, rows = pixel_points(images, size), sets.flatten(0, 1)
    ends = flow(field, points.view(1, -1, 2).expand(len(rows), -1, -1), rows, steps=steps)
    return warp(images, ends.view(*weights.shape[:-1], *points.shape), padding=padding)


def _check(field: Field, images: Tensor, weights: Tensor, steps: int, padding: str, size: Sequence[int] | None) -> None:
    check_floating_point(images=images, weights=weights)
    if field.coordinates.dimension != 2:
        raise ValueError(f"`field` must have the 2 coordinates of the pixel plane, got {field.coordinates.dimension}")
    sides = images.shape[2:]
    if images.dim() != 4 or 0 in sides or max(sides) > LONGEST_SIDE:
        raise ValueError(
            f"`images` must have shape [B, C, H, W] with H and W from 1 to {LONGEST_SIDE}, got {list(images.shape)}"
        )
    batch, generators = images.shape[0], field.generators
    if weights.dim() not in (2, 3) or weights.shape[-1] != generators or weights.shape[:-2] not in ((), (batch,)):
        raise ValueError(
            f"`weights` must have shape [G, K] or [B, G, K] with K = {generators} and B = {batch}, "
            f"got {list(weights.shape)}"
        )
    check_alike(field, "images", images, weights)
    check_steps(steps)
    if padding not in PADDINGS:
        raise ValueError(f"`padding` must be one of {', '.join(PADDINGS)}, got {padding!r}")
    if size is not None and (len(size) != 2 or not all(type(n) is int and 1 <= n <= LONGEST_SIDE for n in size)):
        raise ValueError(f"`size` must be rows and columns, each from 1 to {LONGEST_SIDE}, got {size!r}")

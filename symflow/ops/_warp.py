"""Images seen through coordinates: the one operation that moves pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from symflow.ops import _ext
from symflow.ops.warp import LONGEST_SIDE, PADDINGS, warp_kernel, warp_ref

KERNEL_DTYPES = (torch.float32, torch.float64)


def warp(images: Tensor, grid: Tensor, *, padding: str = "zeros") -> Tensor:
    """Samples images at the points of grids, bilinearly: every image at every grid.

    ``out[b, g, c, i, j] = sum_pixels A[g, i, j, pixel] images[b, c, pixel]`` with ``A`` the weights of the four pixels
    around ``grid[g, i, j]``. No image and no coordinate is copied per pair.

    Convention: ``grid[..., 0]`` is x along the width, ``grid[..., 1]`` is y along the height, and -1 and 1 are the
    centres of the outermost pixels (``align_corners=True`` of `torch.nn.functional.grid_sample`); along a side of one
    pixel every coordinate is at that pixel. ``padding`` says what lies beyond: ``"zeros"``; ``"border"``, the nearest
    pixel; ``"reflection"``, the image mirrored at the centres of its outermost pixels. An infinite coordinate counts
    as beyond for the first two and gives NaN with reflection; a NaN coordinate gives NaN, and adds nothing to the
    gradient of the images. Empty batches, channels and grids are allowed, empty images are not. Non-contiguous tensors
    are accepted.

    float32 and float64 on the CPU, and on a GPU where its kernels were built, run in the compiled kernels: derivatives
    in images and grid by reverse mode, by forward mode and by one over the other, that is, everything of second order
    except forward over forward. The
    result is linear between the lines of pixel centres and has kinks there: the derivative in the grid is then that
    of the side of larger coordinates, as in torch; where border and reflection turn a coordinate back, at and (border)
    beyond the outermost centres, it is zero. All results and gradients have the same bits for any number of threads,
    and those of an image do not depend on the other images. Anything else runs in `symflow.ops.warp_ref`, the same in
    plain torch.

    Args:
        images: ``[B, C, H, W]``, each side at most 16,777,216.
        grid: ``[G, H', W', 2]``, shared by all images, or ``[B, G, H', W', 2]``, one set per image; of the images'
            dtype and device.
        padding: "zeros", "border" or "reflection".

    Returns:
        ``[B, G, C, H', W']``.

    Raises:
        TypeError: ``images`` or ``grid`` is no floating-point tensor.
        ValueError: a shape, dtype, device or the padding does not fit.
        NotImplementedError: a derivative is asked for that the kernels do not have.

    >>> image = torch.tensor([[[[0.0, 1.0], [2.0, 3.0]]]])
    >>> points = torch.tensor([[[[0.0, 0.0], [1.0, -0.5]]]])
    >>> warp(image, points).tolist()
    [[[[[1.5, 1.5]]]]]
    """
    _check(images, grid, padding)
    if grid.dim() == 4:
        grid = grid[None]
    device = images.device.type
    compiled = _ext.built if device == "cpu" else _ext.cuda and device == "cuda"
    return (warp_kernel if compiled and images.dtype in KERNEL_DTYPES else warp_ref)(images, grid, padding)


def _check(images: Tensor, grid: Tensor, padding: str) -> None:
    for name, tensor in (("images", images), ("grid", grid)):
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"`{name}` must be a floating-point tensor, got {got}")
    if images.dim() != 4:
        raise ValueError(f"`images` must have shape [B, C, H, W], got {list(images.shape)}")
    if grid.dim() not in (4, 5) or grid.shape[-1] != 2:
        raise ValueError(f"`grid` must have shape [G, H', W', 2] or [B, G, H', W', 2], got {list(grid.shape)}")
    if grid.dim() == 5 and grid.shape[0] != images.shape[0]:
        raise ValueError(
            f"`grid` must have one set of grids for each of the {images.shape[0]} images, got {grid.shape[0]}"
        )
    if not 1 <= min(images.shape[2:]) <= max(images.shape[2:]) <= LONGEST_SIDE:
        raise ValueError(f"`images` must have sides of 1 to {LONGEST_SIDE} pixels, got {list(images.shape[2:])}")
    if grid.dtype != images.dtype or grid.device != images.device:
        raise ValueError(
            f"`images` and `grid` must have one dtype and device, got {images.dtype} on {images.device} and "
            f"{grid.dtype} on {grid.device}"
        )
    if padding not in PADDINGS:
        raise ValueError(f"`padding` must be one of {', '.join(PADDINGS)}, got {padding!r}")

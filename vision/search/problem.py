"""Images as a problem of `symflow.discover`: which motions of the pixel plane leave features as they are.

What the discovery in images has beyond it, and why that stays its own: a bilinear warp has two slopes at every pixel
centre, one to each side, which the symmetric differences of `form.sensitivities` take as one; and the displacement of
a network's features is compared with that of patches out of step, not with random affine fields, because a network
notices every motion a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.functional import grid_sample

from symflow.problems import Problem

from ..features import Features
from .plane import PLANE, pixel_centres


def feature_problem(features: Features | Sequence[Features], images: Tensor) -> Problem:
    """The problem whose residual is ``H(f o theta)``, the features of moved images.

    Images are interpolated by cubics, whose slope at a pixel centre is one; beyond their border they are 0.

    Args:
        features: H, ``[B, C, H, W]`` to ``[B, F]``; several, of networks that were trained anew, are replicates: a
            network alone keeps no motion exactly, and its count is 0.
        images: ``[B, C, H, W]``.

    >>> import torch
    >>> r = pixel_centres(12, 12).norm(dim=-1)
    >>> rings = [torch.exp(-8 * (r - k) ** 2) for k in (0.0, 0.3, 0.6, 0.9)]
    >>> def features(images):
    ...     return torch.stack([(images * ring).sum((1, 2, 3)) for ring in rings], 1)
    >>> problem = feature_problem(features, torch.rand(8, 1, 12, 12))
    >>> problem.residual(lambda points: points, problem.data).shape
    torch.Size([8, 4])
    """
    several = list(features) if isinstance(features, Sequence) else [features]
    centres = pixel_centres(*images.shape[2:]).to(images)

    def moved_features(own: Features) -> Any:
        def residual(move: Any, batch: Tensor) -> Tensor:
            grid = move(centres.expand(len(batch), -1, -1, -1))
            return own(grid_sample(batch, grid, mode="bicubic", padding_mode="zeros", align_corners=True))

        return residual

    first, *others = map(moved_features, several)
    return Problem(first, images, coordinates=PLANE, replicates=tuple(others))

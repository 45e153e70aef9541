"""Validity scores of images: how far the features of a moved image are from its own.

`FeatureAngle` moves images by finite flows of a field on the pixel plane (the paper's score), `FeatureDerivative` is
its derivative variant, and `ColourAngle` moves colours by a field on the space of colours. Each is called with a field
and images and gives one number per generator, differentiable in the field's parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.fields import Coordinates, Field
from symflow.ops import flow, flow_warp, pixel_points, warp

from ..features import Features

ALMOST_EQUAL = 1 - 1e-6  # where the arc cosine stops: its slope is infinite at 1

COLOURS = Coordinates(("r", "g", "b"))
"""The space of colours: red, green and blue from 0 to 1."""


def angles(a: Tensor, b: Tensor) -> Tensor:
    """Angles between unit vectors ``[..., F]``: ``arccos(min(<a, b>, 1 - 1e-6))``, at least .0014 (paper, section 4.2).

    >>> angles(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))
    tensor(1.5708)
    """
    return torch.arccos((a * b).sum(-1).clamp_max(ALMOST_EQUAL))


@dataclass(frozen=True)
class FeatureAngle:
    """``mean over images of arccos <H(f), H(f o theta_s)>``: the score of the paper.

    Every generator moves every image by one flow length s; images and coordinates are shared by the kernels.

    Args:
        features: H, to unit vectors (`features.Normalised`, `features.Whitened`).
        length: s, of the flow, in units of the field.
        steps: of RK4.
        padding: what lies beyond the images, as for `symflow.warp`; the paper: "zeros".
    """

    features: Features
    length: float
    steps: int = 8
    padding: str = "zeros"

    def each(self, field: Field, images: Tensor, weights: Tensor | None = None) -> Tensor:
        """The angles of every image and generator, ``[B, K]``.

        Args:
            field: on the pixel plane.
            images: ``[B, C, H, W]``.
            weights: what each generator is multiplied by, ``[K]``; ones by default.
        """
        unit = images.new_ones(field.generators) if weights is None else weights
        moved = flow_warp(field, images, torch.diag(self.length * unit), steps=self.steps, padding=self.padding)
        with torch.no_grad():
            before = self.features(images)
        after = self.features(moved.flatten(0, 1)).unflatten(0, moved.shape[:2])
        return angles(before[:, None], after)

    def __call__(self, field: Field, images: Tensor, weights: Tensor | None = None) -> Tensor:
        """The score of each generator, ``[K]``."""
        return self.each(field, images, weights).mean(0)


@dataclass(frozen=True)
class FeatureDerivative:
    """``log sum over images of |d/de H(f o theta_{s + e})|^2`` at e = 0: the derivative variant of the official code.

    The speed of the features along the flow, ``J_H (dw/dz . V)``, by forward mode through the network and the warp;
    its gradient goes through both once more, and so takes the second derivative of the warp.

    Args:
        features: H, to unit vectors, with forward-mode derivatives.
        sigma: standard deviation of the flow lengths at which the speed is taken.
        steps: of RK4.
        padding: as for `symflow.warp`.
    """

    features: Features
    sigma: float = 0.01
    steps: int = 2
    padding: str = "zeros"

    def __call__(self, field: Field, images: Tensor, lengths: Tensor) -> Tensor:
        """The score of each generator, ``[K]``, at the flow ``sigma lengths_k``; draw ``lengths [K]`` from N(0, 1)."""
        K = field.generators
        points = pixel_points(images)
        start = points.view(1, -1, 2).expand(K, -1, -1)
        ends = flow(field, start, torch.diag(self.sigma * lengths), steps=self.steps)
        own = torch.arange(K, device=images.device)
        velocity = torch.stack([field.slot(k)(ends[k])[:, 0] for k in own.tolist()])

        def along(grid: Tensor) -> Tensor:
            moved = warp(images, grid.view(K, *points.shape), padding=self.padding)
            found: Tensor = self.features(moved.flatten(0, 1)).unflatten(0, moved.shape[:2])
            return found

        speed: Tensor = torch.func.jvp(along, (ends,), (velocity,))[1]  # [B, K, F]
        return speed.square().sum((0, 2)).clamp_min(torch.finfo(speed.dtype).tiny).log()


@dataclass(frozen=True)
class ColourAngle:
    """`FeatureAngle` for colours: ``f`` becomes ``theta_s o f``, every pixel's colour moved by the flow of a field.

    Args:
        features: H, to unit vectors.
        mean, std: with which the network's images were normalised, per channel; the field sees colours from 0 to 1.
        length: s, of the flow.
        steps: of RK4.
    """

    features: Features
    mean: tuple[float, ...]
    std: tuple[float, ...]
    length: float
    steps: int = 8

    def __call__(self, field: Field, images: Tensor, weights: Tensor | None = None) -> Tensor:
        """The score of each generator of a field on `COLOURS`, ``[K]``."""
        K, (B, C, H, W) = field.generators, images.shape
        unit = images.new_ones(K) if weights is None else weights
        mean, std = (images.new_tensor(v) for v in (self.mean, self.std))
        colours = images.permute(0, 2, 3, 1) * std + mean
        start = colours.reshape(1, -1, C).expand(K, -1, -1)
        moved = (flow(field, start, torch.diag(self.length * unit), steps=self.steps) - mean) / std
        after = self.features(moved.view(K * B, H, W, C).permute(0, 3, 1, 2)).unflatten(0, (K, B))
        with torch.no_grad():
            before = self.features(images)
        return angles(before, after).mean(1)

"""Whitened units: the data have mean 0 and unit covariance, so that no count depends on a linear change of units."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.errors import UserError

DEGENERATE = 1e-10  # of the largest variance, after each axis has unit variance: data that fill fewer dimensions


@dataclass(frozen=True)
class Frame:
    """Affine coordinates w of a space in which the points have mean 0 and unit covariance, ``z = mean + root w``.

    ``mean [d]``, ``root [d, d]`` and its inverse, float64.
    """

    mean: Tensor
    root: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, points: Tensor) -> Frame:
        """The frame of points ``[N, d]``.

        A direction in which the points do not vary keeps the length of a direction in which they do.

        Raises:
            UserError: the points are all the same.
        """
        mean = points.mean(0)
        centred = points - mean
        spread = centred.square().mean(0).sqrt()
        if not bool((spread > 0).any()):
            raise UserError("`data` must vary, got one and the same point everywhere")
        spread = torch.where(spread > 0, spread, spread.max())
        variances, axes = torch.linalg.eigh((centred / spread).T @ (centred / spread) / len(points))
        variances = torch.where(variances > DEGENERATE * variances[-1], variances, 1.0)
        root = spread[:, None] * axes * variances.sqrt()
        return cls(mean, root, (axes / variances.sqrt()).T / spread)

    @property
    def dimension(self) -> int:
        """The number of axes."""
        return len(self.mean)

    def whiten(self, points: Tensor) -> Tensor:
        """Points ``[..., d]`` from z to w."""
        return (points - self.mean) @ self.inverse.T

    def whiten_vectors(self, vectors: Tensor) -> Tensor:
        """Vectors ``[..., d]`` from z to w."""
        return vectors @ self.inverse.T

    def vectors(self, whitened: Tensor) -> Tensor:
        """Vectors ``[..., d]`` from w to z."""
        return whitened @ self.root.T

    def whiten_gradients(self, gradients: Tensor) -> Tensor:
        """Derivatives with respect to z, ``[..., d]``, as those with respect to w."""
        return gradients @ self.root

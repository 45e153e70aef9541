"""The region of laws that data allow: Hotelling's ellipsoid, widened by the doubts of the grid."""

from __future__ import annotations

from dataclasses import dataclass

import sympy
import torch
from torch import Tensor

from .intervals import ellipsoid_radius
from .regression import Coefficients


@dataclass(frozen=True)
class Region:
    """``theta = estimate + L z + s_1 d_1 + s_2 d_2`` with ``|z| <= 1``, ``|s_i| <= 1``, J coefficients.

    Attributes:
        terms: the m_j of the law.
        theta: the estimate, ``[J]``.
        root: L, ``[J, J]``.
        doubt: the d, ``[2, J]``.
    """

    terms: tuple[sympy.Expr, ...]
    theta: Tensor
    root: Tensor
    doubt: Tensor

    @staticmethod
    def of(fit: Coefficients, alpha: float) -> Region:
        """The region that holds all coefficients at once with probability ``1 - alpha``.

        Raises:
            UserError: fewer degrees of freedom than coefficients.
        """
        radius = ellipsoid_radius(len(fit.terms), fit.degrees, alpha)
        # L L^T is the covariance, also where that is nearly singular
        scale = fit.covariance.diagonal().clamp_min(1e-300).sqrt()
        values, vectors = torch.linalg.eigh(fit.covariance / scale / scale[:, None])
        root = radius * scale[:, None] * vectors * values.clamp_min(0).sqrt()
        return Region(fit.terms, fit.theta, root, fit.doubt)

    @property
    def half(self) -> Tensor:
        """How far each coefficient may be from its estimate, ``[J]``."""
        found: Tensor = self.root.norm(dim=1) + self.doubt.abs().sum(0)
        return found

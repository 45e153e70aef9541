"""The pixel plane: its points, its affine vector fields, and the smooth fields among which symmetries are sought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial import legendre
from torch import Tensor

from symflow.fields import Coordinates, GridField, SymbolicField

PLANE = Coordinates(("x", "y"))
"""``[-1, 1]^2``: -1 and 1 are the centres of the outermost pixels, x along the width, y along the height, downwards."""

AFFINE_FORMS = ({"dx": "1"}, {"dy": "1"}, {"dx": "x"}, {"dy": "y"}, {"dx": "y"}, {"dy": "x"})  # the paper's order

AFFINE = SymbolicField(PLANE, AFFINE_FORMS)
"""A basis of the affine vector fields."""


def pixel_centres(height: int, width: int) -> Tensor:
    """The centres of the pixels, ``[height, width, 2]`` float64.

    >>> pixel_centres(1, 3)[0].tolist()
    [[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    """
    x, y = ((2 * torch.arange(n, dtype=torch.float64) - n + 1) / max(n - 1, 1) for n in (width, height))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)


def orthonormal(values: Tensor, measure: Tensor) -> Tensor:
    """The same span with an orthonormal basis: ``[N, K, d]`` under ``<V, W> = sum_n measure_n V(z_n) . W(z_n)``."""
    weighted = (values * measure.sqrt()[:, None, None]).transpose(1, 2).flatten(0, 1)  # [N d, K]
    triangle = torch.linalg.qr(weighted)[1]
    basis: Tensor = torch.linalg.solve_triangular(triangle, values.transpose(1, 2), upper=True, left=False)
    return basis.transpose(1, 2)


def uniform(height: int, width: int) -> Tensor:
    """The uniform measure on the pixels, ``[height width]`` float64, with sum 1."""
    return torch.full((height * width,), 1.0 / (height * width), dtype=torch.float64)


def affine_products(values: Tensor, points: Tensor, measure: Tensor) -> Tensor:
    """``<V_k, A_j> / |V_k|`` with an orthonormal basis ``A_j`` of the affine fields, ``[K, 6]``.

    The rows' norms are the affine-ness: the norm of the orthogonal projection of a field of unit norm, at most 1.

    Args:
        values: of the fields, ``[N, K, 2]``.
        points: ``[N, 2]``.
        measure: ``[N]``, with sum 1.
    """
    values, points = values.double(), points.double()
    basis = orthonormal(AFFINE(points), measure)
    norms = torch.einsum("nkd,nkd,n->k", values, values, measure).sqrt()
    return torch.einsum("nkd,njd,n->kj", values, basis, measure) / norms[:, None]


def affineness(values: Tensor, points: Tensor, measure: Tensor) -> Tensor:
    """How much of each field is affine: the norm of its orthogonal projection over its norm, ``[K]``, from 0 to 1.

    >>> points = pixel_centres(9, 9).flatten(0, 1)
    >>> field = SymbolicField(PLANE, [{"dx": "-y", "dy": "x"}, {"dx": "x*y"}])
    >>> [round(a, 6) for a in affineness(field(points), points, uniform(9, 9)).tolist()]
    [1.0, 0.0]
    """
    share: Tensor = affine_products(values, points, measure).norm(dim=1)
    return share.clamp_max(1.0)


@dataclass(frozen=True)
class Basis:
    """Smooth fields on the plane: products of polynomials in x and y up to a total degree, in either component.

    Attributes:
        points: the pixel centres, ``[N, 2]``.
        values: there, ``[N, m, 2]``, orthonormal under the uniform measure.
        gradients: ``d V_i / d z_j``, ``[N, m, 2, 2]``.
    """

    points: Tensor
    values: Tensor
    gradients: Tensor

    @classmethod
    def polynomials(cls, height: int, width: int, degree: int) -> Basis:
        """Legendre polynomials, made orthonormal on the pixel grid: ``m = (degree + 1)(degree + 2)`` fields.

        Raises:
            ValueError: the degree is negative, or not below the number of pixels along a side.
        """
        if not 0 <= degree < min(height, width):
            raise ValueError(f"`degree` must be from 0 to {min(height, width) - 1}, got {degree}")
        points = pixel_centres(height, width).flatten(0, 1)
        x, y = points.numpy().T
        (p, dp), (q, dq) = _legendre(x, degree), _legendre(y, degree)
        pairs = [(i, n - i) for n in range(degree + 1) for i in range(n + 1)]
        rows = [(p[i] * q[j], dp[i] * q[j], p[i] * dq[j]) for i, j in pairs]
        functions = torch.from_numpy(np.array(rows)).permute(1, 2, 0)  # [3, N, s]: values, d/dx, d/dy
        triangle = torch.linalg.qr(functions[0] / len(x) ** 0.5)[1]
        functions = torch.linalg.solve_triangular(triangle, functions, upper=True, left=False)
        one = torch.eye(2, dtype=torch.float64)
        values = torch.einsum("ns,cd->nscd", functions[0], one)
        gradients = torch.einsum("jns,cd->nscdj", functions[1:], one)
        return cls(points, values.flatten(1, 2), gradients.flatten(1, 2))

    @property
    def energy(self) -> Tensor:
        """``L``: the mean over the pixels of products of gradients (Frobenius), ``[m, m]``."""
        flat = self.gradients.flatten(2)
        return torch.einsum("nad,nbd->ab", flat, flat) / len(flat)

    def gram(self, measure: Tensor) -> Tensor:
        """``<V_a, V_b> = sum_n measure_n V_a(z_n) . V_b(z_n)`` of the basis, ``[m, m]``."""
        return torch.einsum("nad,nbd,n->ab", self.values, self.values, measure)

    def fields(self, coefficients: Tensor) -> Tensor:
        """The values of combinations ``[m, K]`` of the basis, ``[N, K, 2]``."""
        return torch.einsum("nmd,mk->nkd", self.values, coefficients)

    @property
    def mirror(self) -> Tensor:
        """What the mirror image of a field, ``x -> -x``, has for coefficients, ``[m, m]``, orthogonal."""
        width = int((self.points[:, 1] == self.points[0, 1]).sum())
        mirrored = self.values.unflatten(0, (-1, width)).flip(1).flatten(0, 1) * self.values.new_tensor([-1.0, 1.0])
        return torch.einsum("nad,nbd->ab", self.values, mirrored) / len(self.points)

    def brackets(self, coefficients: Tensor) -> Tensor:
        """``[V_a, V_b]^i = V_a^j d_j V_b^i - V_b^j d_j V_a^i`` of combinations ``[m, K]``, ``[N, K, K, 2]``."""
        values = self.fields(coefficients)
        gradients = torch.einsum("nmij,mk->nkij", self.gradients, coefficients)
        along = torch.einsum("naj,nbij->nabi", values, gradients)
        return along - along.transpose(1, 2)


def _legendre(z: np.ndarray, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Values and derivatives of the Legendre polynomials, each ``[degree + 1, N]``."""
    one = np.eye(degree + 1)
    return (
        np.stack([legendre.legval(z, c) for c in one]),
        np.stack([legendre.legval(z, legendre.legder(c)) for c in one]),
    )


def grid_field(values: Tensor, height: int, width: int) -> GridField:
    """Fields with values ``[H W, K, 2]`` at the pixel centres, as a float32 table that flows in the kernels."""
    table = values.unflatten(0, (height, width)).permute(2, 1, 0, 3)  # x is the first axis of a table
    return GridField(PLANE, table.float(), (-1.0, -1.0), (1.0, 1.0))

"""A span of fields by one linear solve: random features that stay as they are, a last layer that is solved for.

A field is ``V_c = sum_f a_cf h_f`` over ``h_f(z) = silu(w_f . e(z) + b_f)`` with w and b drawn once, and the constant
(Huang, Zhu and Siew, 2006; Rahimi and Recht, 2008). Where a violation is linear in the field, the fields of least
``|R a| / |H a|`` are singular vectors; nothing is trained.

What is small on the points of the solve may be large between them. So the values that decide how many fields there are
come from other points: the lowest candidates are compared there (the method of Rayleigh and Ritz), once they are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.errors import check_integer
from symflow.fields import Coordinates, NeuralField
from symflow.fields.neural import embed
from symflow.learning.subspace import Eigenfields
from symflow.runs import one_thread

FEATURES = 300
SLOPES = (0.3, 3.0)  # |w|, log-uniform: steeper features have null fields between the points
CUT = 1e-14  # of the largest singular value of the features: what is below is rounding
CANDIDATES = 24
ROWS_PER_UNKNOWN = 3  # fewer leave null fields between the points
IDENTITY = 40.0  # silu(z + 40) = z + 40 to the last bit of 40


@dataclass(frozen=True)
class RandomLayer:
    """Features ``silu(w . e(z) + b)`` of normalised points, e the embedding of periodic axes.

    Attributes:
        coordinates: of the points.
        weights: w, ``[F, e]``.
        bias: b, ``[F]``.
    """

    coordinates: Coordinates
    weights: Tensor
    bias: Tensor

    @property
    def field(self) -> NeuralField:
        """A network of one generator whose last hidden layer is this one and whose last layer is zero.

        The trunk passes its input on: ``silu(z + 40) = z + 40`` up to rounding while z stays above -4. So the compiled
        kernels run it.
        """
        count, e = self.weights.shape
        field = NeuralField(self.coordinates, 1, width=e, head_width=count).double().requires_grad_(False)
        for name, value in (
            ("trunk0_weight", torch.eye(e)),
            ("trunk0_bias", torch.full((e,), IDENTITY)),
            ("trunk1_weight", torch.eye(e)),
            ("trunk1_bias", torch.zeros(e)),
            ("head_weight", self.weights[None]),
            ("head_bias", (self.bias - IDENTITY * self.weights.sum(1))[None]),
            ("out_weight", torch.zeros(1, self.coordinates.dimension, count)),
            ("out_bias", torch.zeros(1, self.coordinates.dimension)),
        ):
            getattr(field, name).copy_(value)
        return field


def random_layer(
    coordinates: Coordinates, points: Tensor, seed: int, count: int = FEATURES, without: Sequence[str] = ()
) -> RandomLayer:
    """Features that fill the box of some points.

    The direction of w is normal with each input left out with probability 1/2, ``|w|`` log-uniform in .3 ... 3, and
    ``b = -w . z0`` with ``z0`` uniform in the box.

    Args:
        coordinates: of the points; periodic axes enter by cosine and sine.
        points: ``[N, d]``, normalised.
        seed: of the draw.
        count: F.
        without: coordinates that the features do not depend on.

    >>> layer = random_layer(Coordinates(("x", "u")), torch.rand(10, 2, dtype=torch.float64), seed=0, count=5)
    >>> layer.weights.shape, layer.field(torch.zeros(1, 2, dtype=torch.float64)).tolist()
    (torch.Size([5, 2]), [[[0.0, 0.0]]])
    """
    check_integer("count", count, 1, 1 << 16)
    inputs = embed(points.double(), coordinates.normalised_periods)
    low, high = inputs.amin(0), inputs.amax(0)
    owners = [
        n for n, p in zip(coordinates.names, coordinates.periods, strict=True) for _ in range(1 + (p is not None))
    ]
    allowed = torch.tensor([i for i, name in enumerate(owners) if name not in without])
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    directions = torch.randn(count, len(allowed), generator=generator, dtype=torch.float64)
    kept = uniform(count, len(allowed)) < 0.5
    kept[torch.arange(count), torch.randint(len(allowed), (count,), generator=generator)] |= ~kept.any(1)
    directions = directions * kept
    steepness = torch.exp(math.log(SLOPES[0]) + math.log(SLOPES[1] / SLOPES[0]) * uniform(count, 1))
    w = torch.zeros(count, len(owners), dtype=torch.float64)
    w[:, allowed] = directions / directions.norm(dim=1, keepdim=True) * steepness
    return RandomLayer(coordinates, w, -(w * (low + (high - low) * uniform(count, len(owners)))).sum(1))


@dataclass(frozen=True)
class Family:
    """Fields that are known to be infinitely many, such as superposed solutions: others are compared modulo them.

    Attributes:
        violation: ``[n, k]``: rows of k fields that span them.
        size: by component, their values ``[N, k_c]`` where fields are measured; of other components nothing.
    """

    violation: Tensor
    size: Mapping[int, Tensor]


@dataclass(frozen=True)
class Condition:
    """A condition that is linear in the field, on a sample of points.

    Attributes:
        violation: ``[n, d, m]``: its n rows for each component and feature.
        size: ``[N, m]``: the features where fields are measured; ``|V|`` is the root mean square over these.
        family: modulo which fields are small, and of which size.
    """

    violation: Tensor
    size: Tensor
    family: Family | None = None

    @property
    def rows(self) -> Tensor:
        """The rows, ``[n, d, m]``, without what a field of the family could take away."""
        if self.family is None:
            return self.violation
        return _without(self.violation.flatten(1), self.family.violation).view_as(self.violation)

    def features(self, component: int) -> Tensor:
        """What the features are in a component modulo the family, ``[N, m]``."""
        known = None if self.family is None else self.family.size.get(component)
        return self.size if known is None else _without(self.size, known)


def _without(columns: Tensor, known: Tensor) -> Tensor:
    basis = torch.linalg.qr(known)[0]
    for _ in range(2):
        columns = columns - basis @ (basis.T @ columns)
    return columns


@one_thread()
def solve(condition: Condition, fresh: Condition, candidates: int = CANDIDATES) -> Eigenfields:
    """The fields of smallest relative violation, ``RMS(R a) / RMS(H a)``, ascending as they are on fresh points.

    QR of the features and SVD of the triangle, of which what lies above rounding is whitened; QR and SVD of the rows.
    ``R^T R`` is never formed, so that values down to rounding are seen. The lowest singular vectors are the candidates;
    on the fresh sample they are solved again among themselves, which gives the values and the combinations.

    Args:
        condition: on the points of the solve, ``n >= 3 d m`` rows, float64.
        fresh: the same condition on other points; rows in the same units.
        candidates: how many fields are kept.

    Returns:
        at most so many fields, of unit size on the fresh points.

    Raises:
        ValueError: there are fewer rows than three per unknown.

    >>> z = torch.linspace(0.1, 1, 40, dtype=torch.float64)[:, None]
    >>> sample = Condition(torch.stack([0 * z, z], -1), torch.cat([torch.ones_like(z), z], 1))  # R = the second feature
    >>> (solve(sample, sample).values < 1e-12).tolist()  # the first of them, the constant, leaves nothing
    [True, False]
    """
    n, d, m = condition.violation.shape
    if n < ROWS_PER_UNKNOWN * d * m:
        raise ValueError(f"`condition` must have {ROWS_PER_UNKNOWN} rows for each of {d * m} unknowns, got {n}")
    rows = torch.linalg.qr(condition.rows.flatten(1), mode="r")[1].unflatten(1, (d, m)).unbind(1)
    plain = None if condition.family is not None else _whitener(condition.features(0))
    whiteners = [_whitener(condition.features(c)) if plain is None else plain for c in range(d)]
    whitened = torch.cat([r @ w for r, w in zip(rows, whiteners, strict=True)], 1)
    lowest = torch.linalg.svd(whitened)[2][-candidates:].T
    parts = lowest.split([w.shape[1] for w in whiteners])
    return compare(fresh, torch.stack([w @ part for w, part in zip(whiteners, parts, strict=True)]))


def _whitener(features: Tensor) -> Tensor:
    """Combinations ``[m, k]`` of features that are orthonormal, all that are above rounding."""
    _, sizes, right = torch.linalg.svd(torch.linalg.qr(features, mode="r")[1], full_matrices=False)
    held = sizes > CUT * sizes[0]
    whitener: Tensor = right[held].T / sizes[held]
    return whitener


def compare(fresh: Condition, fields: Tensor) -> Eigenfields:
    """Fields ``[d, m, L]`` solved among themselves on a fresh sample: values ascending, and their combinations."""
    rows = torch.einsum("ndm,dml->nl", fresh.rows, fields) / len(fresh.violation) ** 0.5
    size = torch.cat([fresh.features(c) @ fields[c] for c in range(len(fields))]) / len(fresh.size) ** 0.5
    triangle = torch.linalg.qr(size, mode="r")[1]
    whitened = torch.linalg.solve_triangular(triangle, rows, upper=True, left=False)
    _, values, right = torch.linalg.svd(torch.linalg.qr(whitened, mode="r")[1])
    mix = torch.linalg.solve_triangular(triangle, right.flip(0).T, upper=True)
    return Eigenfields(values.flip(0), fields @ mix)

"""Trajectories against test functions of compact support: a row per centre of a lattice, no derivative of the data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError

from ..trajectories import Trajectories
from .axes import OVERLAP
from .parts import moved
from .rows import rows_on_ladder
from .samples import Samples

CLUSTERS = 64  # with fewer trajectories, each is cut into blocks


@dataclass(frozen=True)
class Widths:
    """Half-widths of the test functions, in steps of the grid."""

    x: int
    t: int

    def narrower(self) -> tuple[Widths, Widths]:
        """The next narrower ones in x, and in t."""
        return Widths(round(self.x / 1.5), self.t), Widths(self.x, round(self.t / 1.5))


@dataclass(frozen=True)
class Rows:
    """The weak form of data: ``values[..., 0] + sum_j theta_j values[..., j]`` vanishes for the law of the data.

    ``values`` and ``noise``, ``[S, centres in t, centres in x, 1 + terms]``: the rows of the test functions and of
    those times the checkerboard; ``t`` and ``x``: the centres, physical; ``sigma [S]``: the noise of u.
    """

    values: Tensor
    noise: Tensor
    t: Tensor
    x: Tensor
    sigma: Tensor
    widths: Widths

    def of(self, terms: Sequence[int]) -> Rows:
        """With some of the terms only."""
        columns = [0, *(j + 1 for j in terms)]
        return replace(self, values=self.values[..., columns], noise=self.noise[..., columns])

    def residual(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """``y + Z theta`` and ``d + D theta``, ``[S, centres in t, centres in x]``."""
        weights = torch.cat([torch.ones(1, dtype=torch.float64), theta])
        return self.values @ weights, self.noise @ weights

    def clusters(self) -> Tensor:
        """Gram matrices without the noise's, ``[clusters, 1 + terms, 1 + terms]``."""
        S, n_t, n_x, _ = self.values.shape
        wanted = math.ceil(CLUSTERS / S)
        # a block is at least a test function wide: 2 half-widths, of OVERLAP centres each
        in_x = min(wanted, max(n_x // (2 * OVERLAP), 1))
        in_t = min(math.ceil(wanted / in_x), max(n_t // (2 * OVERLAP), 1))
        grams = []
        for rows, noise in zip(_blocks(self.values, in_t, in_x), _blocks(self.noise, in_t, in_x), strict=True):
            grams.append(rows.mT @ rows - noise.mT @ noise)
        return torch.cat(grams)


def _blocks(rows: Tensor, in_t: int, in_x: int) -> list[Tensor]:
    return [block.flatten(1, 2) for strip in rows.tensor_split(in_t, 1) for block in strip.tensor_split(in_x, 2)]


def weak_rows(data: Trajectories, terms: Sequence[sympy.Expr], widths: Widths) -> Rows:
    """The rows of every test function on the lattice of centres, for each of the terms (`rows.weak_rows`).

    Args:
        data: trajectories.
        terms: the m_j, expressions in x, t, u and x-derivatives of u.
        widths: of the test functions.

    Raises:
        UserError: the data have too few times or points for the widths, or a term is not finite on them.
    """
    return weak_ladder(data, terms, [widths])[0]


def weak_ladder(data: Trajectories, terms: Sequence[sympy.Expr], ladder: Sequence[Widths]) -> list[Rows]:
    """The same for several widths, the last of which measure the noise."""
    data.require_line("a fit of coefficients")
    samples = Samples.of(data, terms)
    columns = [moved(m, samples.space) for m in (samples.space.symbol(0, (1, 0)), *terms)]
    rungs = rows_on_ladder(samples, columns, [(w.t, w.x) for w in ladder], changes=False)
    if not all(bool(found.plain.isfinite().all()) for found in rungs):
        raise UserError(f"the terms {', '.join(map(str, terms))} must be finite on the data, got values that are not")
    return [
        Rows(found.plain, found.noise, found.centres[0], found.centres[1], found.sigma[:, 0], widths)
        for found, widths in zip(rungs, ladder, strict=True)
    ]

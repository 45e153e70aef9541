"""Which of many terms explain a leading one: the best few of each number, and how many are needed.

All is done on the Gram matrices of weak rows less those of their noise. From one term to the most, the term that leaves
least is added, and terms are exchanged for others as long as that leaves less; from all terms, those are left out that
leave least; of each number the better of the two is kept. How many are needed is asked of the rows with their noise, n
of them independent: k of J terms that leave R, to which what grid and rounding explain is added, have

    n log R + k (log n + 2 log J),

and the least is wanted (extended BIC: Chen and Chen, Biometrika 95, 2008).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..weak import WeakRows
from .fits import sharp

MOST_TERMS = 12
BETTER = 0.99  # of the energy that is left: an exchange that leaves more is none
TINY = 1e-13  # square of the part of a column that no other carries: rounding
ERRORS = 3.0  # times those of the grid: what is left below them is no reason for a term
ROUNDING = 1e-14  # of the energy of the terms


@dataclass(frozen=True)
class Grams:
    """Of the leading column and the candidates, columns of unit size.

    Attributes:
        total: without noise, ``[1 + J, 1 + J]``.
        noise: of the noise rows.
        changes: of what every second node of each axis changes beyond the noise, ``[axes, 1 + J, 1 + J]``.
        sizes: of the columns, ``[1 + J]``; 0 for one that noise explains.
        independent: test functions.
    """

    total: Tensor
    noise: Tensor
    changes: Tensor
    sizes: Tensor
    independent: float

    @staticmethod
    def of(rows: WeakRows) -> Grams:
        """From the rows of the leading term and of all candidates."""

        def gram(some: Tensor) -> Tensor:
            flat = some.flatten(0, -2)
            return flat.T @ flat

        noise = gram(rows.noise)
        total = gram(rows.plain) - noise
        sizes = total.diagonal().clamp_min(0).sqrt()
        unit = torch.where(sizes > 0, sizes, torch.inf)
        scaled = unit[:, None] * unit
        changes = [(gram(c) - noise) / scaled for c in rows.change]
        stacked = torch.stack(changes) if changes else torch.zeros(0, *noise.shape, dtype=torch.float64)
        return Grams(total / scaled, noise / scaled, stacked, sizes, float(rows.independent.sum()))

    def root(self) -> Tensor:
        """Columns ``[n, 1 + J]`` with the Gram matrix, as far as it is definite."""
        values, vectors = torch.linalg.eigh(self.total)
        found: Tensor = values.clamp_min(0).sqrt()[:, None] * vectors.T
        return found

    def left(self, support: Sequence[int]) -> tuple[float, float]:
        """The energy that terms leave of the leading column, the noise's included, and what the grid explains.

        Infinite where the terms cannot be told apart.
        """
        places, chosen = [0, *support], list(support)
        inner, b = self.total[chosen][:, chosen], self.total[chosen, 0]
        if not bool(torch.linalg.eigvalsh(inner)[0] > TINY):
            return math.inf, math.inf
        w = torch.cat([torch.ones(1, dtype=torch.float64), -torch.linalg.solve(inner, b)])
        seen = (self.total + self.noise)[places][:, places]
        d = ((self.changes[:, places][:, :, places] @ w) @ w).clamp_min(0).sqrt()
        return max(float(w @ seen @ w), 0.0), (ERRORS * float(sharp(d).sum())) ** 2 + ROUNDING


def needed(grams: Grams, supports: Sequence[Sequence[int]]) -> list[float]:
    """The extended BIC of supports, columns from 1; infinite where terms cannot be told apart.

    What the grid explains of the one that is left least with is allowed to all of them: where that is more than what
    they leave, the fewest terms win.
    """
    n, J = max(grams.independent, 2.0), int((grams.sizes[1:] > 0).sum())
    left = [grams.left(s) for s in supports]
    grid = min(left, key=sum, default=(0.0, ROUNDING))[1]
    price = math.log(n) + 2 * math.log(max(J, 1))
    return [
        n * math.log(energy + grid) + price * len(s) if energy < math.inf else math.inf
        for (energy, _), s in zip(left, supports, strict=True)
    ]


def proposed(grams: Grams, most: int = MOST_TERMS) -> list[list[int]]:
    """Supports: the one that is needed first, then the others."""
    ways = best_of_each_number(grams, most)
    return [s for cost, s in sorted(zip(needed(grams, ways), ways, strict=True)) if math.isfinite(cost)]


def best_of_each_number(grams: Grams, most: int) -> list[list[int]]:
    """Of 1, 2, ... terms those that leave least of the leading column, as far as exchanges of one find them."""
    root = grams.root()
    there = [j for j in range(1, root.shape[1]) if float(grams.sizes[j]) > 0]
    best: dict[int, tuple[float, list[int]]] = {}

    def offer(support: list[int]) -> None:
        support = _exchanged(root, support, there)
        energy = _energy(root, support)
        if len(support) not in best or energy < BETTER * best[len(support)][0]:
            best[len(support)] = energy, sorted(support)

    for fewer in _without(root, there, most):
        offer(fewer)
    more: list[int] = []
    while len(more) < min(most, len(there)):
        gains = _gains(root, more, there)
        j = max(there, key=lambda j: gains[j])
        if gains[j] <= 0:
            break
        more = _exchanged(root, [*more, j], there)
        offer(more)
    return [best[n][1] for n in sorted(best)]


def _rest(root: Tensor, support: Sequence[int]) -> Tensor:
    """The parts of all columns that those of a support do not carry."""
    if not support:
        return root
    q, r = torch.linalg.qr(root[:, list(support)])
    q = q[:, r.diagonal().abs() > math.sqrt(TINY)]
    found: Tensor = root - q @ (q.T @ root)
    return found


def _energy(root: Tensor, support: Sequence[int]) -> float:
    return float(_rest(root, support)[:, 0].square().sum())


def _gains(root: Tensor, support: Sequence[int], there: Sequence[int]) -> dict[int, float]:
    """What each further column takes of what is left."""
    rest = _rest(root, support)
    size = rest.square().sum(0)
    gains = torch.where(size > TINY, (rest.T @ rest[:, 0]).square() / size.clamp_min(TINY), 0.0).tolist()
    return {j: 0.0 if j in support else gains[j] for j in there}


def _exchanged(root: Tensor, support: Sequence[int], there: Sequence[int]) -> list[int]:
    """A support none of whose terms can be exchanged for another one that leaves less."""
    found, energy = list(support), _energy(root, support)
    changed = len(found) > 1
    while changed:
        changed = False
        for place in range(len(found)):
            others = [*found[:place], *found[place + 1 :]]
            gains = _gains(root, others, there)
            j = max(there, key=lambda j: gains[j])
            if j != found[place] and (new := _energy(root, [*others, j])) < BETTER * energy:
                found, energy, changed = [*others, j], new, True
    return found


def _without(root: Tensor, there: Sequence[int], most: int) -> list[list[int]]:
    """From all terms down: each time the one is left out that leaves least."""
    support: list[int] = []
    for j in there:  # simple ones first: a combination of those before gives way
        if float(_rest(root, support)[:, j].square().sum()) > 1e3 * TINY:
            support.append(j)
    found = []
    while support:
        if len(support) <= most:
            found.append(list(support))
        matrix = root[:, support]
        inverse = torch.linalg.pinv(matrix.T @ matrix, rtol=TINY, hermitian=True)
        theta = inverse @ (matrix.T @ root[:, 0])
        cost = theta.square() / inverse.diagonal().clamp_min(1e-300)
        support.pop(int(cost.argmin()))
    return found

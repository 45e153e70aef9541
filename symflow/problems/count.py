"""How many symmetries: the violations of the fields against what is not known of them.

A true symmetry has a violation of the size of its noise: rounding, the residual's own size on valid data, the spread of
replicates, or the sampling error of a mean. The rank is the number of fields that cannot be told from one. Whether it
is clear is a second question: the next field must stand far above, and fresh data must say the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

LEARNED = 1e-4  # violations that a network leaves to symmetries, in the unit

Kind = Literal["rounding", "floor", "replicates", "sampling", "network"]
"""Where the noise comes from."""


@dataclass(frozen=True)
class Rule:
    """Thresholds of a kind of noise, chosen on one half of the bench and checked on the other (`docs/problems.md`).

    Attributes:
        sure: a violation of at most so many times its noise is that of a symmetry.
        within: one between `sure` and this may be, and counts where the widest gap is above it; it is never clear.
        ceiling: what counts violates by at most so much of the unit.
        beyond: the next must be so many times its noise, for the count to be clear.
        gap: and so many times the last violation that counts, or its noise where that is larger.
        unit: and at least so much of the unit, unless it is a thousand times the noise: nearly symmetric fields hide
            at a coarse resolution.
    """

    sure: float
    within: float
    ceiling: float
    beyond: float
    gap: float
    unit: float


RULES: dict[Kind, Rule] = {
    "rounding": Rule(sure=100.0, within=100.0, ceiling=0.05, beyond=1e4, gap=100.0, unit=0.0),
    "floor": Rule(sure=10.0, within=100.0, ceiling=0.02, beyond=30.0, gap=10.0, unit=0.05),
    "replicates": Rule(sure=4.0, within=8.0, ceiling=0.15, beyond=6.0, gap=5.0, unit=0.3),
    "sampling": Rule(sure=1.5, within=2.0, ceiling=1.0, beyond=5.0, gap=3.0, unit=0.0),
    "network": Rule(sure=10.0, within=30.0, ceiling=0.01, beyond=30.0, gap=10.0, unit=0.05),
}
MEASURED: dict[Kind, tuple[int, int]] = {
    "rounding": (238, 0),
    "floor": (51, 0),
    "replicates": (12, 1),
    "sampling": (18, 0),
}
"""Of the clear counts on the bench, how many there are and how many are wrong; networks are not on the bench."""
FAR = 1e3  # times the noise: no near symmetry, whatever the unit


@dataclass(frozen=True)
class Count:
    """The rank and how sure it is.

    Attributes:
        rank: how many fields cannot be told from symmetries.
        clear: whether nothing speaks against it.
        why: what speaks against it, one sentence each.
        source: of the noise.
    """

    rank: int
    clear: bool
    why: tuple[str, ...]
    source: Kind


def error_rate(source: Kind) -> float | None:
    """At most this share of clear counts is wrong, with 95 % confidence, as measured on the bench.

    The upper end of the one-sided interval of Clopper and Pearson (Biometrika 26, 1934); ``None`` where none was
    measured.

    >>> error_rate("network") is None
    True
    """
    clear, wrong = MEASURED.get(source, (0, 0))
    if not clear:
        return None

    def tail(p: float) -> float:
        """The probability of at most so many wrong ones."""
        return sum(math.comb(clear, k) * p**k * (1 - p) ** (clear - k) for k in range(wrong + 1))

    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail(middle) > 0.05 else (low, middle)
    return high


def count(values: Tensor, noise: Tensor, fresh: Tensor, fresh_noise: Tensor, kind: Kind) -> Count:
    """Counts fields sorted by violation.

    Args:
        values: violations, ascending, in the unit.
        noise: of each, what a true symmetry would show.
        fresh, fresh_noise: of the same fields on data that had no part in choosing them.
        kind: of noise.
    """
    rule = RULES[kind]
    quotients = (values / noise).tolist()
    sizes = values.tolist()
    allowed = [_leading(quotients, sizes, most, rule.ceiling) for most in (rule.sure, rule.within)]
    gaps = _gaps(sizes, noise.tolist())
    rank = max(range(allowed[0], allowed[1] + 1), key=lambda k: gaps[k])
    why = []
    if rank > allowed[0]:
        k = allowed[0]
        why.append(
            f"field {k + 1} violates by {sizes[k]:.2g}, {quotients[k]:.2g} times what was expected of a symmetry"
        )
    if rank < len(sizes):
        above = sizes[rank]
        if quotients[rank] < rule.beyond or gaps[rank] < rule.gap:
            why.append(
                f"field {rank + 1} violates by {above:.2g}, {quotients[rank]:.2g} times what a symmetry would show: "
                "too near to tell"
            )
        elif above < rule.unit and quotients[rank] < FAR:
            why.append(f"field {rank + 1} violates by {above:.2g} of the unit only: nearly a symmetry")
    doubtful = (fresh[:rank] / fresh_noise[:rank]).tolist()
    if doubtful and max(doubtful) > 3 * rule.within:
        worst = doubtful.index(max(doubtful))
        why.append(f"field {worst + 1} violates by {float(fresh[worst]):.2g} on fresh data: it fits these data only")
    return Count(rank, not why, tuple(why), kind)


def _leading(quotients: Sequence[float], sizes: Sequence[float], most: float, ceiling: float) -> int:
    """How many fields, from the first on, are within a limit."""
    inside = [q <= most and s <= ceiling for q, s in zip(quotients, sizes, strict=True)]
    return inside.index(False) if False in inside else len(inside)


def _gaps(sizes: Sequence[float], noise: Sequence[float]) -> list[float]:
    """For every rank, the next violation over the last that counts, neither below its noise; last comes the unit."""
    at_least = [max(s, n) for s, n in zip(sizes, noise, strict=True)]
    below = [noise[0] if noise else 1.0, *at_least]
    above = [*at_least, max([1.0, *at_least])]
    return [a / b if b else math.inf for a, b in zip(above, below, strict=True)]

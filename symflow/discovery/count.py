"""How many symmetries: the violations of the fields against what is not known of them.

A true symmetry has a violation of the size of its noise: rounding, the residual's own size on valid data, the spread of
replicates, or the sampling error of a mean. The rank is the number of fields that cannot be told from one. Whether it
is clear is a second question: the next field must stand far above, and fresh data must say the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

LEARNED = 1e-4  # violations that a network leaves to symmetries, in the unit

Kind = Literal["rounding", "floor", "replicates", "sampling", "network"]
"""Where the noise comes from."""


@dataclass(frozen=True)
class Rule:
    """Thresholds of a kind of noise, chosen on the problems of one half of the bench (`benchmarks/problems.py`).

    Attributes:
        within: a violation of at most so many times its noise is that of a symmetry.
        beyond: the next must be so many times the noise, for the count to be clear.
        gap: and so many times the last violation that counts, or the noise where that is larger.
        unit: and at least so much of the unit; nearly symmetric fields stand below.
    """

    within: float
    beyond: float
    gap: float
    unit: float


RULES: dict[Kind, Rule] = {
    "rounding": Rule(within=100.0, beyond=1e4, gap=1e3, unit=1e-6),
    "floor": Rule(within=10.0, beyond=30.0, gap=10.0, unit=0.05),
    "replicates": Rule(within=3.0, beyond=6.0, gap=3.0, unit=0.2),
    "sampling": Rule(within=2.0, beyond=5.0, gap=3.0, unit=0.0),
    "network": Rule(within=10.0, beyond=30.0, gap=10.0, unit=0.05),
}


@dataclass(frozen=True)
class Count:
    """The rank and how sure it is.

    Attributes:
        rank: how many fields cannot be told from symmetries.
        clear: whether nothing speaks against it.
        why: what the count rests on, or what speaks against it, one sentence each.
        gap: the first violation that does not count over the last that does, at least its noise.
    """

    rank: int
    clear: bool
    why: tuple[str, ...]
    gap: float


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
    rank = next((k for k, q in enumerate(quotients) if q > rule.within), len(quotients))
    why = []
    last = max(float(values[rank - 1]), float(noise[rank - 1])) if rank else float(noise[0]) if len(noise) else 0.0
    above = float(values[rank]) if rank < len(values) else math.inf
    gap = above / last if last else math.inf
    if rank < len(values):
        if above < rule.beyond * float(noise[rank]) or gap < rule.gap:
            why.append(
                f"field {rank + 1} violates by {above:.2g}, {above / float(noise[rank]):.2g} times what a symmetry "
                "would show: too near to tell"
            )
        if above < rule.unit:
            why.append(f"field {rank + 1} violates by {above:.2g} of the unit only: nearly a symmetry")
    if rank and bool((fresh[:rank] > 3 * rule.within * fresh_noise[:rank]).any()):
        worst = int((fresh[:rank] / fresh_noise[:rank]).argmax())
        why.append(f"field {worst + 1} violates by {float(fresh[worst]):.2g} on fresh data: it fits these data only")
    return Count(rank, not why, tuple(why), gap)

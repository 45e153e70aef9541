"""Wrong spacings by name: coefficients that are off as those of a grid counted with one node too many or too few."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product

import torch
from torch import Tensor

from ..weak import Axis
from .claims import Law

AGREE = 2e-3  # relative: as far as coefficients may be off


def wrong_spacing(laws: Sequence[Law], axes: Sequence[Axis], ratios: Sequence[Tensor], halves: Sequence[Tensor]) -> str:
    """Which axes must be stretched for all coefficients to agree, and by how much; an empty text if none do.

    Where stored coordinates of axis a are s_a times the right ones, ``theta_j/c_j = prod_a s_a^(n_ja - n_0a)``, n the
    derivatives of term j and of the leading term along a. Tried are ``n/(n + 1)``, ``n/(n - 1)`` and their inverses,
    for the n nodes of each axis, the fewest axes first. Where a factor is a symmetry of the equation, coefficients do
    not see it, and nothing is named.

    Args:
        laws: the equations.
        axes: of the data.
        ratios: for each law, fitted over claimed coefficients.
        halves: the half-lengths of their intervals.
    """
    known = [bool(half.isfinite().all()) for half in halves]
    if not all(known) or any(m.has(*law.space.variables[: len(axes)]) for law in laws for m in law.terms):
        return ""
    exponents = [
        torch.tensor(
            [[n - o for n, o in zip(law.derivatives(m), law.derivatives(law.leading), strict=True)] for m in law.terms],
            dtype=torch.float64,
        )
        for law in laws
    ]
    uniform = [i for i, axis in enumerate(axes) if axis.uniform and len(axis) > 2]
    for count in range(1, len(uniform) + 1):
        fitting = []
        for chosen in combinations(uniform, count):
            factors = [
                sorted({n / (n + 1), n / (n - 1), (n + 1) / n, (n - 1) / n}) for n in (len(axes[i]) for i in chosen)
            ]
            for stretch in product(*factors):
                logs = torch.zeros(len(axes), dtype=torch.float64)
                logs[list(chosen)] = torch.tensor(stretch, dtype=torch.float64).log()
                expected = [torch.exp(e @ logs) for e in exponents]
                misses = [(r / e - 1).abs() - h / e for r, e, h in zip(ratios, expected, halves, strict=True)]
                worst = max(float(m.max()) for m in misses)
                if worst <= AGREE:
                    fitting.append((worst, chosen, stretch))
        if fitting:
            _, chosen, stretch = min(fitting)
            parts = [
                f"the spacing of {axes[i].name} were {1 / s:.6g} times what is stored"
                for i, s in zip(chosen, stretch, strict=True)
            ]
            return "every coefficient would agree if " + " and ".join(parts)
    return ""

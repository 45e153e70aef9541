"""Wrong spacings by name: coefficients that are off as those of a grid counted with one node too many or too few."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations, product

import sympy
import torch
from torch import Tensor

from ..laws.claims import Law
from ..trajectories import Axis

AGREE = 2e-3  # relative: as far as coefficients may be off


def wrong_spacing(laws: Sequence[Law], axes: Sequence[Axis], ratios: Sequence[Tensor], halves: Sequence[Tensor]) -> str:
    """Which axes must be stretched for all coefficients to agree, and by how much; an empty text if none do.

    Where stored coordinates of axis a are s_a times the right ones, ``theta_j/c_j = prod_a s_a^(n_ja - n_0a)``, n the
    derivatives of term j and of the leading term along a. Tried are ``n/(n + 1)``, ``n/(n - 1)`` and their inverses,
    for the n nodes of each axis, the fewest axes first. Where a factor is a symmetry of the equation, coefficients do
    not see it, and nothing is named; other axes may then explain what they see as well, and are named, too.

    Args:
        laws: the equations.
        axes: of the data.
        ratios: for each law, fitted over claimed coefficients.
        halves: the half-lengths of their intervals.
    """
    known = [bool(half.isfinite().all()) for half in halves]
    if not all(known) or _holds_axes(laws):
        return ""
    exponents = [torch.tensor(_exponents(law), dtype=torch.float64) for law in laws]
    uniform = _uniform(axes)
    refused = sum(int(((r - 1).abs() > h + AGREE).sum()) for r, h in zip(ratios, halves, strict=True))
    found: list[str] = []
    used: set[int] = set()
    for count in range(1, min(refused, len(uniform)) + 1):  # more spacings than coefficients explain anything
        fitting = []
        for chosen in combinations(uniform, count):
            for stretch in product(*(_miscounted(axes[i]) for i in chosen)):
                worst = _missed(exponents, dict(zip(chosen, stretch, strict=True)), ratios, halves)
                if worst <= AGREE:
                    fitting.append((worst, chosen, stretch))
        for _, chosen, stretch in sorted(fitting):
            if not used & {*chosen}:
                parts = [
                    f"the spacing of {axes[i].name} were {1 / s:.6g} times what is stored"
                    for i, s in zip(chosen, stretch, strict=True)
                ]
                found.append(" and ".join(parts))
                used |= {*chosen}
    found = found if blind(laws, axes) else found[:1]
    return f"every coefficient would agree if {', or if '.join(found)}" if found else ""


def open_spacings(
    laws: Sequence[Law], axes: Sequence[Axis], ratios: Sequence[Tensor], halves: Sequence[Tensor]
) -> tuple[str, ...]:
    """In words, the axes whose spacing may be that of a node more or less, as far as coefficients with intervals say.

    Those of which no coefficient tells anything are left to `blind`. The arguments are those of `wrong_spacing`.
    """
    if _holds_axes(laws):
        return ()
    exponents = [torch.tensor(_exponents(law), dtype=torch.float64) for law in laws]
    names = []
    for i in _uniform(axes):
        seen = any(bool(e[:, i].any()) for e in exponents if len(e))
        if seen and any(_missed(exponents, {i: s}, ratios, halves) <= AGREE for s in _miscounted(axes[i])):
            names.append(f"a spacing of {axes[i].name} that counts a node too many or too few is not excluded")
    return tuple(names)


def _uniform(axes: Sequence[Axis]) -> list[int]:
    return [i for i, axis in enumerate(axes) if axis.uniform and len(axis) > 2]


def _miscounted(axis: Axis) -> list[float]:
    """What spacings are off by where a node more or less was counted."""
    n = len(axis)
    return sorted({n / (n + 1), n / (n - 1), (n + 1) / n, (n - 1) / n})


def _missed(
    exponents: Sequence[Tensor], stretch: Mapping[int, float], ratios: Sequence[Tensor], halves: Sequence[Tensor]
) -> float:
    """By how much, beyond its interval, a coefficient is off that of stretched axes; the worst of them."""
    found = [-math.inf]
    for e, r, h in zip(exponents, ratios, halves, strict=True):
        if len(e):
            logs = torch.zeros(e.shape[1], dtype=torch.float64)
            for i, s in stretch.items():
                logs[i] = math.log(s)
            expected = torch.exp(e @ logs)
            found.append(float(((r / expected - 1).abs() - h / expected).max()))
    return max(found)


def blind(laws: Sequence[Law], axes: Sequence[Axis]) -> tuple[str, ...]:
    """In words, the wrong spacings that no coefficient shows: those that a scaling symmetry with u fixed makes right.

    Stretching axis a by ``lambda^d_a`` changes no coefficient if ``sum_a d_a (n_ja - n_0a) = 0`` for every term.

    >>> from symflow.pde.equations import JetSpace
    >>> space = JetSpace(("t", "x"), ("u",))
    >>> u_t, u_xx = space.symbol(0, (1, 0)), space.symbol(0, (0, 2))
    >>> axes = [Axis(name, torch.arange(9.0)) for name in "tx"]
    >>> blind([Law.of(u_t - u_xx, space)], axes)
    ('a spacing of t that is wrong by a factor a**2 and of x by a factor a would not show',)
    """
    rows = [row for law in laws for row in _exponents(law)]
    if _holds_axes(laws):
        return ()
    sentences = []
    for found in sympy.Matrix(len(rows), len(axes), lambda i, j: rows[i][j]).nullspace():
        whole = found * sympy.ilcm(*(entry.q for entry in found))
        whole = whole / sympy.igcd(*whole)
        powers = {axis.name: int(p) for axis, p in zip(axes, whole, strict=True) if p}
        parts = [
            f"of {name} {'that is wrong ' * (not n)}by a factor {_power(p)}"
            for n, (name, p) in enumerate(powers.items())
        ]
        sentences.append(f"a spacing {' and '.join(parts)} would not show")
    return tuple(sentences)


def _power(n: int) -> str:
    return "a" if n == 1 else f"a**{n}" if n > 0 else f"1/{_power(-n)}"


def _holds_axes(laws: Sequence[Law]) -> bool:
    """Whether terms hold the independent variables themselves."""
    return any(m.has(*law.space.variables[: len(law.space.independent)]) for law in laws for m in law.terms)


def _exponents(law: Law) -> list[list[int]]:
    """Derivatives of each term along each axis, less those of the leading one."""
    leading = law.derivatives(law.leading)
    return [[n - o for n, o in zip(law.derivatives(m), leading, strict=True)] for m in law.terms]

"""Integration by parts on jet space: the total derivatives, in any variables, that a test function can take over."""

from __future__ import annotations

from functools import lru_cache

import sympy

from ..equations import Index, JetSpace, raised

Parts = tuple[tuple[Index, sympy.Expr], ...]


@lru_cache(maxsize=4096)
def moved(expression: sympy.Expr, space: JetSpace) -> Parts:
    """``(k, f_k), ...`` with ``expression = sum_k D^k f_k``, so many derivatives taken out as can be.

    A summand ``a w_(J + i)``, linear in its highest derivative, is ``D_i A - (D_i A - a w_(J + i))`` with ``A = int a
    dw_J``. The step is taken only if the rest is lower, by order and then by the place of the unknown: so it ends, and
    ``v u_x`` does not turn into ``u v_x`` and back. What cannot be moved keeps its derivatives.

    >>> space = JetSpace(("t", "x"), ("u",))
    >>> u, u_x, u_xx = (space.symbol(0, (0, n)) for n in range(3))
    >>> moved(u * u_x, space)
    (((0, 1), u**2/2),)
    >>> moved(u * u_xx, space)
    (((0, 0), -u_x**2), ((0, 2), u**2/2))
    """
    parts: dict[Index, sympy.Expr] = {}
    pending = [(sympy.expand(expression), (0,) * len(space.independent))]
    while pending:
        whole, k = pending.pop()
        for summand in sympy.Add.make_args(whole):
            step = _step(summand, space)
            if step is None:
                parts[k] = parts.get(k, sympy.S.Zero) + summand
                continue
            i, A, rest = step
            pending.append((A, raised(k, i)))
            if rest != 0:
                pending.append((rest, k))
    collected = {k: sympy.expand(f) for k, f in parts.items()}
    return tuple((k, collected[k]) for k in sorted(collected) if collected[k] != 0)


def movable(parts: Parts, space: JetSpace) -> bool:
    """Whether no derivative is left in the factors."""
    return all(_rank(f, space) == (0, 0) for _, f in parts)


def _rank(expression: sympy.Expr, space: JetSpace) -> tuple[int, int]:
    """Order and unknown of the highest derivative, ``(0, 0)`` without any."""
    return max(((sum(index), a) for a, index in space.indices(expression) if sum(index)), default=(0, 0))


def _step(summand: sympy.Expr, space: JetSpace) -> tuple[int, sympy.Expr, sympy.Expr] | None:
    rank = _rank(summand, space)
    if rank == (0, 0):
        return None
    highest = [(a, index) for a, index in space.indices(summand) if (sum(index), a) == rank]
    for a, index in highest:
        top = space.symbol(a, index)
        factor = sympy.diff(summand, top)
        if factor.has(top):
            continue
        for i, n in enumerate(index):
            if n == 0:
                continue
            below = space.symbol(a, (*index[:i], n - 1, *index[i + 1 :]))
            A = sympy.integrate(factor, below)
            if A.has(sympy.Integral):
                continue
            rest = sympy.expand(summand - space.total_derivative(A, i))
            if rest == 0 or _rank(rest, space) < rank:
                return i, sympy.expand(A), rest
    return None

"""What an equation claims of data: its terms with their coefficients, and to be without the neighbouring terms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

import sympy

from symflow.errors import UserError

from ..equations import Index, JetSpace
from ..weak import Parts, movable, moved

HIGHEST = 5  # derivatives of the linear neighbours
MOST_CUBED = 2  # unknowns, of which all cubic terms are neighbours


@dataclass(frozen=True)
class Law:
    """One equation ``leading + sum_j c_j m_j = 0``.

    Attributes:
        space: the variables, the independent ones in the order of the axes of the data.
        leading: the term with coefficient 1, the highest derivative in time.
        terms: the m_j.
        claimed: the c_j.
        neighbours: terms with claimed coefficient 0: if the data need one of them, the equation is not theirs.
    """

    space: JetSpace
    leading: sympy.Expr
    terms: tuple[sympy.Expr, ...]
    claimed: tuple[float, ...]
    neighbours: tuple[sympy.Expr, ...]

    @staticmethod
    def of(residual: sympy.Expr, space: JetSpace) -> Law:
        """From ``F = 0``.

        Raises:
            UserError: F has no term that is linear in a derivative, with a number before it.

        >>> space = JetSpace(("t", "x"), ("u",))
        >>> u, u_t, u_x = (space.symbol(0, k) for k in ((0, 0), (1, 0), (0, 1)))
        >>> law = Law.of(2*u_t + 6*u*u_x, space)
        >>> law.leading, law.terms, law.claimed
        (u_t, (u*u_x,), (3.0,))
        """
        found: dict[sympy.Expr, float] = {}
        for summand in sympy.Add.make_args(sympy.expand(residual)):
            number, monomial = summand.as_independent(*summand.free_symbols, as_Add=False)
            found[monomial] = found.get(monomial, 0.0) + float(number)
        time = space.independent.index("t") if "t" in space.independent else 0
        ranks = {m: (index[time], -sum(index)) for m in found for _, index in _own(m, space) if sum(index)}
        if not ranks:
            raise UserError(f"an equation must have a derivative by itself, such as u_t, got {residual} = 0")
        leading = max(sorted(ranks, key=str), key=lambda m: ranks[m])
        unit = found.pop(leading)
        terms = sorted(found, key=lambda m: (_order(m, space), str(m)))
        claimed = tuple(found[m] / unit for m in terms)
        return Law(space, leading, tuple(terms), claimed, _neighbours(leading, terms, space))

    @property
    def whole(self) -> sympy.Expr:
        """The left side as one expression, to be moved as one: ``h u_x + u h_x`` is ``D_x(h u)``."""
        return self.leading + sum(sympy.Float(c, 17) * m for c, m in zip(self.claimed, self.terms, strict=True))

    def columns(self) -> list[Parts]:
        """Of the leading term, the terms, the neighbours and the whole, in this order."""
        return [moved(m, self.space) for m in (self.leading, *self.terms, *self.neighbours, self.whole)]

    def smoothed(self) -> bool:
        """Whether a term keeps derivatives that have to be taken of the data."""
        return not all(movable(moved(m, self.space), self.space) for m in self.terms)

    def derivatives(self, term: sympy.Expr) -> Index:
        """How often a term differentiates along each axis, its factors together.

        >>> space = JetSpace(("t", "x"), ("u",))
        >>> u, u_t, u_xx = (space.symbol(0, k) for k in ((0, 0), (1, 0), (0, 2)))
        >>> Law.of(u_t - u_xx, space).derivatives(u * u_xx**2)
        (0, 4)
        """
        total = [0] * len(self.space.independent)
        for factor, power in term.as_powers_dict().items():
            located = self.space.locate(factor) if factor.is_Symbol else None
            for i, n in enumerate(located[1] if located else ()):
                total[i] += n * int(power)
        return tuple(total)


def _own(term: sympy.Expr, space: JetSpace) -> list[tuple[int, Index]]:
    """The unknown and index of a term that is a derivative by itself."""
    located = space.locate(term) if term.is_Symbol else None
    return [located] if located else []


def _order(term: sympy.Expr, space: JetSpace) -> int:
    return max((sum(index) for _, index in space.indices(term)), default=0)


def _neighbours(leading: sympy.Expr, terms: Sequence[sympy.Expr], space: JetSpace) -> tuple[sympy.Expr, ...]:
    """Linear terms up to one order above the equation's, products in conservation form, and terms that drift in t."""
    time = space.independent.index("t") if "t" in space.independent else None
    unknowns = [space.symbol(a, (0,) * len(space.independent)) for a in range(len(space.dependent))]
    ((_, lead),) = _own(leading, space)
    highest = max(_order(m, space) for m in (leading, *terms))
    in_space = [k for k in space.up_to(min(highest + 1, HIGHEST)) if time is None or k[time] == 0]
    found = [space.symbol(a, k) for a in range(len(unknowns)) for k in in_space]
    found += [a * b for a, b in combinations_with_replacement(unknowns, 2)]
    slopes = [(a, space.symbol(n, k)) for n, a in enumerate(unknowns) for k in in_space if sum(k) == 1]
    found += [a * slope for a, slope in slopes]
    if len(unknowns) <= MOST_CUBED:
        found += [sympy.Mul(*factors) for factors in combinations_with_replacement(unknowns, 3)]
    if len(unknowns) == 1:
        found += [a**2 * slope for a, slope in slopes]
    if time is not None:
        lower = lead[time] - 1
        found += [space.symbol(a, (*lead[:time], lower, *lead[time + 1 :])) for a in range(len(unknowns)) if lower]
        clock = space.variables[time]
        found += [clock * m for m in terms if not m.has(clock)]
    kept = (m for m in dict.fromkeys(found) if m != leading and m not in terms and movable(moved(m, space), space))
    return tuple(kept)

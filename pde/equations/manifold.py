"""Random points on the solution manifold of an equation: what can be asked of it when nothing is simulated.

In units in which the terms of the equation are of one size, variables are uniform on short intervals where roots and
logarithms exist, derivatives are normal, and the principal derivatives follow from the equation. Every such point is
the jet of some local solution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import sympy
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.fields import Coordinates, series
from symflow.formulas import expressions

from .equation import Equation
from .jets import JetSample

# Where variables are drawn, in units of their scale: independent ones, unknowns. Later rows are for equations whose
# functions do not exist on the first.
BOXES = (
    ((0.25, 2.25), (0.25, 1.75)),
    ((0.25, 2.25), (1.25, 2.75)),
    ((0.05, 0.65), (0.05, 0.65)),
    ((-2.25, -0.25), (-1.75, -0.25)),
)
LARGEST = 1e6  # of a principal derivative: points near a pole of the solved equation are left out
SHARES = (0.5, 0.03)  # of the points that must exist on a box: of most equations, of those whose functions seldom do
SURE = 0.9  # and where there are roots or logarithms of derivatives of any sign; else they are of one


@dataclass(frozen=True)
class _Place:
    """Where jets are drawn: a box, the sign of derivatives under roots (0: any), and the share that must exist."""

    box: int
    sign: int
    share: float


@dataclass(frozen=True)
class Manifold:
    """The solution manifold of an equation with the units and the box in which it is sampled."""

    equation: Equation

    @cached_property
    def scale(self) -> tuple[float, ...]:
        """The size of each coordinate: terms of the equation are then as equal as monomials of sizes can make them.

        A term ``c x^k u^m u_xt`` is of size ``c X^(k-1) U^(m+1) / T``: linear in logarithms, by least squares. The
        lengths over which the equation's own functions change are kept.
        """
        space = self.equation.space
        d, p = len(space.names), len(space.independent)
        rows, sizes = [], []
        for F in self.equation.residuals:
            terms = [_exponents(term, space.variables, self.equation) for term in sympy.Add.make_args(F)]
            mean_size = sum(size for size, _ in terms) / len(terms)
            mean_row = [sum(row[i] for _, row in terms) / len(terms) for i in range(d)]
            for size, row in terms:
                rows.append([a - b for a, b in zip(row, mean_row, strict=True)])
                sizes.append(mean_size - size)
        for i, symbol in enumerate(space.variables):
            length = _own_length(self.equation, symbol, i < p)
            if length is not None:
                rows.append([10.0 * (i == j) for j in range(d)])
                sizes.append(10.0 * math.log(length))
        A, b = torch.tensor(rows, dtype=torch.float64), torch.tensor(sizes, dtype=torch.float64)
        solution = torch.linalg.lstsq(A, b[:, None], driver="gelsd").solution[:, 0]
        return tuple(2.0 ** round(v / math.log(2.0)) for v in solution.clamp(-40, 40).tolist())

    def sample(self, count: int, seed: int) -> JetSample:
        """Points with all derivatives up to one order more than the equation's.

        Raises:
            UserError: the equation has no value at most points of every box.
        """
        place = self._place
        tries = (replace(place, share=place.share / more) for more in (1, 2, 8))
        found = next((jets for try_ in tries if (jets := self._on_box(try_, count, seed)) is not None), None)
        if found is None:
            raise UserError(
                f"the equation must have finite values where its variables are of size 1, got {self.equation.text!r}"
            )
        return found

    @property
    def box(self) -> int:
        """Which of `BOXES` the equation exists on."""
        return self._place.box

    @cached_property
    def _place(self) -> _Place:
        boxes, roots = range(len(BOXES)), bool(self._under_roots)
        places = [_Place(box, 0, SURE if roots else SHARES[0]) for box in boxes]
        places += [_Place(box, sign, SHARES[0]) for box in boxes for sign in (1, -1) if roots]
        places += [_Place(box, 0, SHARES[1]) for box in boxes]
        return next((place for place in places if self._on_box(place, 64, 0) is not None), _Place(0, 0, SHARES[0]))

    @cached_property
    def _under_roots(self) -> frozenset[sympy.Symbol]:
        """Derivatives of which the equation has a power that is no whole one, or a logarithm."""
        found: set[sympy.Symbol] = set()
        for F in (*self.equation.residuals, *self.equation.rules.values()):
            inside = [p.base for p in F.atoms(sympy.Pow) if not p.exp.is_Integer]
            inside += [f.args[0] for f in F.atoms(sympy.log)]
            found |= {s for e in inside for s in e.free_symbols if self.equation.space.locate(s)}
        return frozenset(found - {*self.equation.space.variables, *self.equation.rules})

    @property
    def coordinates(self) -> Coordinates:
        """Normalised units: the box is a unit cube."""
        p = len(self.equation.space.independent)
        sides = [BOXES[self.box][i >= p] for i in range(len(self.scale))]
        offset = [low * s for (low, _), s in zip(sides, self.scale, strict=True)]
        scale = [(high - low) * s for (low, high), s in zip(sides, self.scale, strict=True)]
        return Coordinates(self.equation.space.names, offset=offset, scale=scale)

    def _on_box(self, place: _Place, count: int, seed: int) -> JetSample | None:
        equation, space = self.equation, self.equation.space
        p = len(space.independent)
        drawn = int(count / place.share) + 16
        generator = torch.Generator().manual_seed(seed)
        uniform = torch.rand(len(space.names), drawn, generator=generator, dtype=torch.float64)
        values = {}
        for i, symbol in enumerate(space.variables):
            low, high = BOXES[place.box][i >= p]
            values[symbol] = self.scale[i] * (low + (high - low) * uniform[i])
        for index in space.up_to(equation.order + 1)[1:]:
            unit = math.prod(self.scale[i] ** n for i, n in enumerate(index))
            for a in range(len(space.dependent)):
                normal = torch.randn(drawn, generator=generator, dtype=torch.float64)
                symbol = space.symbol(a, index)
                if place.sign and symbol in self._under_roots:
                    normal = place.sign * normal.abs()
                values[symbol] = self.scale[p + a] / unit * normal
        found, good = completed(equation, values, self.scale)
        if int(good.sum()) < count:
            return None
        return JetSample(space, found)[good.nonzero()[:count, 0]]


def completed(
    equation: Equation, values: Mapping[sympy.Symbol, Tensor], scale: Sequence[float]
) -> tuple[dict[sympy.Symbol, Tensor], Tensor]:
    """Values of jets with the principal derivatives that the equation gives, and where these exist, bool ``[N]``.

    Args:
        equation: solved for its principal derivatives.
        values: of the variables, and of the derivatives in the equation and in what it is solved by, ``[N]`` each.
        scale: the size of each coordinate: where a principal derivative is a million times as large, it is near a pole.
    """
    space, found = equation.space, dict(values)
    p = len(space.independent)
    zero = torch.zeros_like(found[space.variables[0]])
    good = torch.ones(len(zero), dtype=torch.bool)
    for symbol, rule in equation.rules.items():
        a, index = space.locate(symbol)  # type: ignore[misc]
        unit = scale[p + a] / math.prod(scale[i] ** n for i, n in enumerate(index))
        found[symbol] = zero + expressions.evaluate(rule, found, series.FUNCTIONS)
        good &= (found[symbol] / unit).abs() < LARGEST  # false where it is not a number
    for F in equation.residuals:
        for s in F.free_symbols:
            partial = zero + expressions.evaluate(sympy.diff(F, s), found, series.FUNCTIONS)
            good &= torch.isfinite(partial)
    return found, good


def _exponents(term: sympy.Expr, variables: tuple[sympy.Symbol, ...], equation: Equation) -> tuple[float, list[float]]:
    """``log |c|`` of a term and the exponent of each coordinate's size in it; functions count as 1."""
    number, rest = term.as_coeff_Mul()
    space = equation.space
    p, row = len(space.independent), [0.0] * len(variables)
    size = math.log(abs(float(number)))
    for factor in sympy.Mul.make_args(rest):
        base, exponent = factor.as_base_exp()
        if not exponent.is_number:
            continue
        if base.is_number:
            size += float(exponent) * math.log(abs(float(base)))
        elif base in variables and (where := space.locate(base)) is None:
            row[variables.index(base)] += float(exponent)
        elif base.is_Symbol and (where := space.locate(base)) is not None:
            a, index = where
            row[p + a] += float(exponent)
            for i, n in enumerate(index):
                row[i] -= float(exponent) * n
    return size, row


def _own_length(equation: Equation, symbol: sympy.Symbol, independent: bool) -> float | None:
    """Over which length of a coordinate the equation's own functions of it change by a factor of e, if there are any.

    Sums such as ``t + 1`` set a length as well: there the variable is comparable to a number.
    """
    lengths: list[float] = []
    for F in equation.residuals:
        for part in sympy.preorder_traversal(F):
            if part.free_symbols != {symbol} or part.is_Symbol:
                continue
            if part.is_Function or (part.is_Pow and part.exp.has(symbol)):
                argument = part.exp if part.is_Pow else part.args[0]
                slope = sympy.diff(argument, symbol)
                if slope.is_number and slope != 0:
                    lengths.append(1.0 / abs(float(slope)))
            elif part.is_Add:
                constant = part.as_independent(symbol, as_Add=True)[0]
                slope = sympy.diff(part, symbol)
                if slope.is_number and slope != 0 and constant != 0:
                    lengths.append(abs(float(constant) / float(slope)))
    if not lengths:
        return None
    return math.exp(sum(map(math.log, lengths)) / len(lengths))

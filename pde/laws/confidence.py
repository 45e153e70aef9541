"""Symmetries over all equations that data allow: which hold for each of them, and which need a coefficient's value.

The equations are ``u_t + sum_j c_j m_j = 0`` over a dictionary: the terms that the law has and nearby ones that the
data only bound. The determining equations of a generator, with the c_j as symbols, are polynomials in them; collected
in x, t, u and its derivatives, each must vanish: these are conditions on the c_j, exact. A generator whose coefficients
go with those of the law (``c_1 t dx + du``) is asked in that form, as long as it is proved for any value of them.

A condition that fails does not mean that a symmetry less is there: another field may take its place. So the algebra is
computed again with each of the terms that may be absent, one by one and all at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import sympy
import torch
from torch import Tensor

from symflow.algebra import ClosedForm, readout
from symflow.formulas import expressions
from symflow.runs import one_thread

from ..equations import Equation
from ..symmetries import determining_equations, symmetries
from ..weak import law

POINTS = 7  # more than unknown functions, for each determining equation
RANK = 1e-9
OTHER = "5/4"  # a coefficient of the law is multiplied by it where its value matters
SOME = (sympy.Rational(3, 7), sympy.Rational(5, 11), sympy.Rational(4, 13), sympy.Rational(6, 17))


@dataclass(frozen=True)
class Interval:
    """What data allow for the coefficient of a term."""

    term: str
    lower: float
    upper: float


@dataclass(frozen=True)
class Condition:
    """What must hold of the coefficients for a generator to be a symmetry.

    Attributes:
        of: the term whose coefficient must have a value, or a combination, ``[m]`` the coefficient of m.
        value: that it must have.
        within: by how much it may differ from that over the intervals.
    """

    of: str
    value: str
    within: float


@dataclass(frozen=True)
class OverConfidenceSet:
    """Symmetries over the equations that data allow.

    Attributes:
        intervals: of the coefficients, all at once.
        conditions: for each generator; none where it holds for all of the equations.
        dimensions: of the algebra, by what is changed in the law: "nothing", a term that is added, the coefficient of a
            term, "all of these".
        undetermined: nearby terms of which the data tell nothing; the equations are without them.
    """

    intervals: list[Interval]
    conditions: list[list[Condition]]
    dimensions: dict[str, int]
    undetermined: list[str]

    @property
    def smallest(self) -> int:
        """Of the dimensions."""
        return min(self.dimensions.values())

    @property
    def largest(self) -> int:
        """Of the dimensions."""
        return max(self.dimensions.values())

    def lines(self, formulas: Sequence[str]) -> list[str]:
        """In words, a line for each generator."""
        lines = ["over all equations that the data allow:"]
        for formula, conditions in zip(formulas, self.conditions, strict=True):
            parts = [
                _sentence([c for c in conditions if c.value == v]) for v in dict.fromkeys(c.value for c in conditions)
            ]
            lines.append(
                f"  {formula} only if {'; and if '.join(parts)}" if parts else f"  {formula} holds for all of them"
            )
        sizes = f"from {self.smallest} to {self.largest}" if self.smallest < self.largest else f"{self.largest}"
        lines.append(f"  dimension of the algebra: {sizes}")
        if self.undetermined:
            lines.append(f"  of {', '.join(self.undetermined)} the data tell nothing; it is taken to be absent")
        return lines


@one_thread()
def over_confidence_set(
    equation: Equation,
    intervals: Sequence[Interval],
    forms: Sequence[Mapping[str, str]],
    *,
    without: Sequence[str] = (),
    undetermined: Sequence[str] = (),
) -> OverConfidenceSet:
    """What generators of an equation need of its coefficients, where these are known to intervals.

    Determinism: the same equation and intervals give the same answer.

    Args:
        equation: an evolution equation, a point of the set.
        intervals: of the coefficients of the dictionary, the terms of the equation among them.
        forms: generators in closed form, as text.
        without: coordinates that generators must not depend on, those of periodic axes.
        undetermined: terms to be named as left out.

    >>> terms = [Interval("u*u_x", 0.999, 1.001), Interval("u_xxx", 0.999, 1.001), Interval("u_xx", -1e-4, 2e-4)]
    >>> boost, scaling = {"dx": "t", "dt": "0", "du": "1"}, {"dx": "x", "dt": "3*t", "du": "-2*u"}
    >>> found = over_confidence_set(Equation("u_t + u*u_x + u_xxx = 0"), terms, [boost, scaling])
    >>> print("\\n".join(found.lines(["t dx + du", "x dx + 3*t dt - 2*u du"])))
    over all equations that the data allow:
      t dx + du holds for all of them
      x dx + 3*t dt - 2*u du only if the coefficient of u_xx is 0, which it is within 2.0e-04
      dimension of the algebra: from 3 to 4
    >>> found.dimensions
    {'nothing': 4, 'u_xx': 3}
    """
    own = {str(m): sympy.Rational(repr(c)) for m, c in law(equation).items()}
    nearby = [i.term for i in intervals if i.term not in own]
    known = {i.term: i for i in intervals}
    symbols = {v.name: v for v in equation.space.variables}
    plain = [{key: expressions.parse(f, symbols) for key, f in form.items()} for form in forms]
    by_name = _by_name(own, plain, without)
    whole, names = _with_symbols({**own, **dict.fromkeys(nearby, sympy.Integer(0))})
    conditions, fixed = [], set()
    for form, named in zip(plain, by_name, strict=True):
        found = determining_equations(whole, form if named is None else named, general=True)
        if named is not None:  # it goes with the coefficients of the law, so only the others matter
            values = {s: own[names[s]] for s in names if names[s] in own}
            found = [sympy.expand(e.subs(values)) for e in found]
        relations = _relations(found, names)
        conditions.append([_condition(r, names, known) for r in relations])
        fixed |= {names[s] for r in relations for s in r.free_symbols if names[s] in own}
    return OverConfidenceSet(
        list(intervals), conditions, _dimensions(own, nearby, sorted(fixed), without), list(undetermined)
    )


def _with_symbols(terms: Mapping[str, sympy.Expr]) -> tuple[Equation, dict[sympy.Symbol, str]]:
    """``u_t + sum k_j m_j = 0`` with its parameters, and the term of each."""
    text = " + ".join(["u_t", *(f"k{j}*({m})" for j, m in enumerate(terms))])
    equation = Equation(f"{text} = 0", None, None, **{f"k{j}": float(c) for j, c in enumerate(terms.values())})
    found = {s.name: s for F in equation.general for s in F.free_symbols}
    return equation, {found[f"k{j}"]: m for j, m in enumerate(terms)}


def _by_name(
    own: Mapping[str, sympy.Expr], forms: Sequence[ClosedForm], without: Sequence[str]
) -> list[ClosedForm | None]:
    """The generators with the coefficients of the law by name, where they are proved for any value of them."""
    algebra = symmetries(_with_symbols(own)[0], without=without)
    named = {
        tuple(form.values()): by_name
        for form, by_name in zip(algebra.forms, algebra.named, strict=True)
        if by_name != form
    }
    return [named.get(tuple(form.values())) for form in forms]


def _relations(equations: Sequence[sympy.Expr], names: Mapping[sympy.Symbol, str]) -> list[sympy.Expr]:
    """Expressions in the coefficients that must vanish, simple ones alone where that follows: ``k_3``, ``k_1 - 1/2``.

    An equation is ``sum_m g_m(x, t, u) m``, m monomials in the coefficients. For the monomials that values at points
    allow, the reduced echelon form of ``g_m`` at points is the smallest set of relations that hold everywhere.
    """
    polynomials = [sympy.Poly(e, *names) for e in equations if e != 0]
    monomials = sorted({m for p in polynomials for m in p.monoms()}, key=lambda m: (-sum(m), m))
    if not monomials:
        return []
    coordinates = sorted({s for p in polynomials for c in p.coeffs() for s in c.free_symbols}, key=str)
    generator = torch.Generator().manual_seed(0)
    points = 0.5 + torch.rand(
        len(monomials) + POINTS, max(len(coordinates), 1), generator=generator, dtype=torch.float64
    )
    rows = []
    for p in polynomials:
        block = torch.zeros(len(points), len(monomials), dtype=torch.float64)
        for m, g in p.terms():
            value = sympy.lambdify(coordinates, g, "numpy")(*points[:, : len(coordinates)].T.numpy())
            block[:, monomials.index(m)] = torch.as_tensor(value, dtype=torch.float64)
        rows.append(block / block.norm(dim=1, keepdim=True).clamp_min(1e-300))
    matrix, absent = torch.cat(rows), torch.zeros(len(monomials), dtype=torch.bool)
    while True:
        _, values, right = torch.linalg.svd(torch.where(absent, 0.0, matrix), full_matrices=False)
        basis = right[values > RANK * max(float(values.max()), 1.0)]
        found = [_relation(row, monomials, list(names)) for row in _echelon(basis)]
        zero = [list(names).index(r) for r in found if r.is_Symbol]
        more = torch.tensor([any(m[j] for j in zero) and sum(m) > 1 for m in monomials]) & ~absent
        if not bool(more.any()):
            return sorted(found, key=lambda r: (len(r.free_symbols), str(r)))
        absent |= more


def _echelon(basis: Tensor) -> Tensor:
    return readout.sparse_basis(basis, torch.ones(basis.shape[1], dtype=torch.float64)) if len(basis) else basis


def _relation(row: Tensor, monomials: Sequence[tuple[int, ...]], symbols: Sequence[sympy.Symbol]) -> sympy.Expr:
    total = sympy.Integer(0)
    for m, value in zip(monomials, row.tolist(), strict=True):
        if value:
            number = readout.rational(value)
            factors = (s**n for s, n in zip(symbols, m, strict=True))
            total += (sympy.Float(value, 8) if number is None else number) * sympy.Mul(*factors)
    return total


def _condition(relation: sympy.Expr, names: Mapping[sympy.Symbol, str], known: Mapping[str, Interval]) -> Condition:
    symbols = sorted(relation.free_symbols, key=str)
    ends = [(known[names[s]].lower, known[names[s]].upper) for s in symbols]
    # over the corners and the middle: exact for what is linear in each coefficient
    corners = product(*((low, (low + high) / 2, high) for low, high in ends))
    value = sympy.lambdify(symbols, relation, "numpy")
    within = max(abs(float(value(*corner))) for corner in corners)
    if len(symbols) == 1 and sympy.degree(relation, symbols[0]) == 1:
        return Condition(names[symbols[0]], str(sympy.solve(relation, symbols[0])[0]), within)
    return Condition(str(relation.subs({s: sympy.Symbol(f"[{names[s]}]") for s in symbols})), "0", within)


def _sentence(conditions: Sequence[Condition]) -> str:
    """Conditions of one value."""
    of, value = [c.of for c in conditions], conditions[0].value
    within = ", ".join(f"{c.within:.1e}" for c in conditions)
    if len(of) == 1:
        return f"the coefficient of {of[0]} is {value}, which it is within {within}"
    return f"the coefficients of {', '.join(of[:-1])} and {of[-1]} are {value}, which they are within {within}"


def _dimensions(
    own: Mapping[str, sympy.Expr], nearby: Sequence[str], fixed: Sequence[str], without: Sequence[str]
) -> dict[str, int]:
    """Of the algebra, at coefficients that are not special."""
    changes = {m: {m: SOME[j % len(SOME)] / (1 + j // len(SOME))} for j, m in enumerate(nearby)}
    changes |= {f"another coefficient of {m}": {m: own[m] * sympy.Rational(OTHER)} for m in fixed}
    cases = {"nothing": {}, **changes}
    if len(changes) > 1:
        cases["all of these"] = {m: c for change in changes.values() for m, c in change.items()}
    found = {}
    for name, change in cases.items():
        text = " + ".join(["u_t", *(f"({c})*({m})" for m, c in {**own, **change}.items())])
        found[name] = len(symmetries(Equation(f"{text} = 0"), without=without).forms)
    return found

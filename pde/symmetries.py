"""The symmetry algebra of an equation, complete over its library and proven: nothing is simulated, no data are needed.

The library grows, degree by degree, until the dimension of the null space is stable. What grows for ever is told apart:
with ``f(x, t) h(u) d/du`` a symmetry for every solution f of one linear equation, solutions can be superposed, and the
finite part of the algebra is what is left without them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sympy
import torch
from torch import Tensor

from symflow import readout
from symflow.algebra import complete
from symflow.coordinates import Coordinates
from symflow.errors import UserError
from symflow.readout import ClosedForm, structure_constants

from . import prolongation
from ._threads import one_thread
from .equation import Equation
from .library import Library, Rate, own_functions, own_units, polynomial_library, rates
from .nullspace import Condition, complexity, condition, echelon, gap_rank
from .sampling import Manifold

RESOLUTION, CEILING = 1e-13, 1e-9  # of violations that are exact up to rounding
LEAST_DEGREE = 3  # up to which the library always grows
MOST_DEGREE = 6
MOST_UNKNOWNS = 1_600  # to which the library grows by itself
LARGEST = 4_000  # unknowns: a gigabyte or two
RATE_POINTS = 1_000
SPARE = 1.5  # equations per unknown
LATER = 1.25  # by what parameters are multiplied to see how the generators depend on them


@dataclass(frozen=True)
class Superposition:
    """Solutions of a linear equation that make symmetries: ``f h(u) d/du`` for every f with ``condition = 0``.

    Attributes:
        factor: h, a function of the unknowns.
        condition: the linear equations for f, in the symbols ``f, f_x, f_t, ...``; for a system also g.
    """

    factor: sympy.Expr
    condition: tuple[sympy.Expr, ...]

    def to_dict(self) -> dict[str, Any]:
        """As text, for files."""
        return {"factor": str(self.factor), "condition": [f"{e} = 0" for e in self.condition]}


@dataclass(frozen=True)
class Symmetries:
    """The algebra of an equation.

    Attributes:
        equation: whose algebra it is.
        coordinates: units in which the random jets lie in a unit cube.
        condition: the determining condition over the library the generators were read from.
        values: its singular values, ascending.
        rank: of the null space; superposed solutions are in it where they could not be looked for apart.
        forms: a basis of the finite part, in closed form.
        verified: which of them are proven.
        named: the same with parameters by name, where it is proven for every value of them; else as in `forms`.
        superposition: what makes the algebra infinite, or ``None``.
        counts: by degree of the library, the dimension of the finite part.
    """

    equation: Equation
    coordinates: Coordinates
    condition: Condition
    values: Tensor
    rank: int
    forms: tuple[ClosedForm, ...]
    verified: tuple[bool, ...]
    named: tuple[ClosedForm, ...]
    superposition: Superposition | None
    counts: dict[int, int]

    @property
    def stable(self) -> bool:
        """Whether the dimension stopped growing with the library: if not, the algebra may be infinite."""
        last = list(self.counts.values())[-2:]
        return len(last) == 2 and last[0] == last[1]


@one_thread()
def symmetries(
    equation: Equation, *, without: Sequence[str] = (), degree: int | None = None, seed: int = 0
) -> Symmetries:
    """The point symmetries of an equation, from random jets on its manifold.

    Args:
        equation: any.
        without: coordinates that generators must not depend on: those of periodic axes.
        degree: of the library's polynomials; by default as high as needed until the dimension is stable.
        seed: of the jets.

    Raises:
        UserError: the library of that degree is too large, or the equation has no finite values to draw from.

    >>> [form["dt"] for form in symmetries(Equation("u_tt - u_xx + sin(u) = 0")).forms]
    [0, 1, x]
    """
    search = _Search(equation, tuple(without), seed)
    superposition = _superposition(equation, [sympy.Integer(1)])
    found = search.rates(linear=superposition is not None)
    special = search.own() + [f for rate in found for f in rate.functions]
    superposition = superposition or _superposition(equation, _factors(equation, found))
    late = superposition.factor if superposition is not None else None
    counts: dict[int, int] = {}
    stable = False
    if degree is None:
        degree = LEAST_DEGREE
        counts[degree] = search.step(special, degree, late).finite
        while not stable and degree < MOST_DEGREE and search.unknowns(special, degree + 1) <= MOST_UNKNOWNS:
            degree += 1
            counts[degree] = search.step(special, degree, late).finite
            stable = counts[degree] == counts[degree - 1]
        target = counts[degree] if stable else counts[LEAST_DEGREE]
        # read from the smallest library that holds them all
        degree = next(n for n in range(degree + 1) if search.step(special, n, late).finite >= target)
    step = search.step(special, degree, late)
    counts.setdefault(degree, step.finite)
    rows = step.rows
    functions, units = step.library.functions, own_units(equation)
    read = [readout.combination(row, functions, search.components, units) for row in rows]
    named = _named(equation, rows, tuple(without), degree, late, seed) if equation.parameters else None
    pairs = sorted(zip(read, named or read, strict=True), key=lambda pair: complexity(pair[0]))
    forms = [form for form, _ in pairs]
    named = [by_name if _parameters(by_name) else form for form, by_name in pairs]
    verified = tuple(prolongation.is_symmetry(equation, form) for form in forms)
    if (
        forms and stable and all(verified) and structure_constants(forms) is None
    ):  # a bracket of symmetries is one, also where the library does not hold it
        closed, _ = complete(forms, lambda form: prolongation.is_symmetry(equation, form))
        forms, named = closed, [*named, *closed[len(forms) :]]
        verified = (True,) * len(forms)
    return Symmetries(
        equation,
        search.manifold.coordinates,
        step.condition,
        step.values,
        step.rank,
        tuple(forms),
        verified,
        tuple(named),
        superposition,
        dict(sorted(counts.items())),
    )


@dataclass(frozen=True)
class _Step:
    """The null space over the library of one degree; `finite` is its dimension without superposed solutions."""

    library: Library
    condition: Condition
    values: Tensor
    rank: int
    late: Tensor | None
    finite: int

    @property
    def rows(self) -> list[Tensor]:
        """The coefficients ``[d, functions]`` of a basis of the finite part."""
        return echelon(self.condition, self.rank, self.late) if self.rank else []


@dataclass(frozen=True)
class _Search:
    """Steps of one equation, on jets drawn once for all of them."""

    equation: Equation
    without: tuple[str, ...]
    seed: int

    @property
    def manifold(self) -> Manifold:
        return Manifold(self.equation)

    @property
    def components(self) -> list[str]:
        return ["d" + name for name in self.equation.space.names]

    def unknowns(self, special: Sequence[sympy.Expr], degree: int) -> int:
        return len(self.components) * len(polynomial_library(self.equation, degree, special, self.without))

    def exists(self, function: sympy.Expr) -> bool:
        """Whether a function of the coordinates has values where jets are drawn: roots need not."""
        variables = self.equation.space.variables
        points = self.manifold.sample(64, self.seed).points
        return bool(torch.isfinite(Library(variables, ((0,) * len(variables),), (function,))(points)).all())

    def own(self) -> list[sympy.Expr]:
        """`own_functions` that exist."""
        return [f for f in own_functions(self.equation) if self.exists(f)]

    def rates(self, linear: bool) -> list[Rate]:
        """Of every coordinate in which the equation, linear or not, allows translation or scaling."""
        equation, manifold = self.equation, self.manifold
        sample, scale = manifold.sample(RATE_POINTS, self.seed), manifold.coordinates.scale
        found = []
        for z in equation.space.variables:
            if z.name in self.without:
                continue
            for scaling in (False, True):
                form = dict.fromkeys(self.components, sympy.Integer(0)) | {
                    f"d{z.name}": z if scaling else sympy.Integer(1)
                }
                if prolongation.is_symmetry(equation, form):
                    solutions = linear and z.name in equation.space.independent
                    found += rates(equation, sample, z, scale, scaling, solutions)
        return found

    def homogeneous(self, factor: sympy.Expr) -> bool:
        """Whether ``w h(u) d/du`` with ``dw/du = 1/h`` is a symmetry: w, which solves a linear equation, may be scaled.

        The algebra is then graded by the degree in w. Solutions are of degree -1, the finite part is of degree 0, so
        they can be looked for one without the other.
        """
        equation = self.equation
        form = dict.fromkeys(self.components, sympy.Integer(0))
        for z in equation.space.variables[len(equation.space.independent) :]:
            w = z if factor == 1 else sympy.integrate(1 / factor, z)
            form["d" + z.name] = sympy.simplify(w * factor)
        return prolongation.is_symmetry(equation, form)

    def step(self, special: Sequence[sympy.Expr], degree: int, factor: sympy.Expr | None) -> _Step:
        """The null space over polynomials of a degree; `factor` is that of superposed solutions."""
        equation, manifold = self.equation, self.manifold
        library = polynomial_library(equation, degree, special, self.without)
        d = len(self.components)
        if d * len(library) > LARGEST:
            raise UserError(
                f"`degree` must make a library of at most {LARGEST} unknowns, got {d * len(library)} for {degree}"
            )
        count = int(SPARE * d * len(library) / len(equation.residuals)) + 100
        reduced = condition(equation, manifold.sample(count, self.seed), library, manifold.coordinates)
        values = reduced.null_space().values
        rank = gap_rank(values, RESOLUTION, CEILING)
        if factor is None:
            return _Step(library, reduced, values, rank, None, rank)
        unknowns = set(equation.space.variables[len(equation.space.independent) :])
        free = torch.tensor([not (f / factor).free_symbols & unknowns for f in library.functions])
        late = torch.zeros(d, len(library), dtype=torch.bool)
        late[len(equation.space.independent) :] = free
        if self.homogeneous(factor):
            reduced = replace(reduced, columns=reduced.columns & ~late)
            values = reduced.null_space().values
            rank = gap_rank(values, RESOLUTION, CEILING)
            return _Step(library, reduced, values, rank, None, rank)
        superposed = (
            gap_rank(reduced.null_space(late).values, RESOLUTION, CEILING)
            if bool((late & reduced.columns).any())
            else 0
        )
        return _Step(library, reduced, values, rank, late, rank - superposed)


# ---------------------------------------------------------------- superposition


def _factors(equation: Equation, found: Sequence[Rate]) -> list[sympy.Expr]:
    """Functions of one unknown."""
    unknowns = equation.space.variables[len(equation.space.independent) :]
    return [f for rate in found if rate.z in unknowns and rate.turn == 0 for f in rate.functions]


def _superposition(equation: Equation, factors: Sequence[sympy.Expr]) -> Superposition | None:
    """Tries ``f(x, t) h(u) d/du`` with an arbitrary function f."""
    space = equation.space
    p = len(space.independent)
    independent, unknowns = space.variables[:p], space.variables[p:]
    functions = [sympy.Function(name)(*independent) for name in ("f", "g")[: len(unknowns)]]
    for factor in factors:
        form = dict.fromkeys(("d" + name for name in space.names), sympy.Integer(0))
        form |= {"d" + z.name: f * factor for z, f in zip(unknowns, functions, strict=True)}
        equations = [sympy.expand(e / factor) for e in prolongation.determining_equations(equation, form)]
        linear = [_linear(e, functions, independent) for e in equations]
        if any(e is None for e in linear) or not _as_few(linear, space.variables, len(unknowns)):  # type: ignore[arg-type]
            continue
        chosen: list[sympy.Expr] = []
        for row in linear:
            e = _normal(row)  # type: ignore[arg-type]
            if not e.free_symbols & set(unknowns) and e not in chosen:
                chosen.append(e)
        if chosen:
            return Superposition(factor, tuple(chosen[: len(unknowns)]))
    return None


def _normal(row: dict[sympy.Symbol, sympy.Expr]) -> sympy.Expr:
    """A linear equation with the coefficient 1 before its highest derivative in time, or else its highest one."""
    first = max(row, key=lambda s: (s.name.count("t"), len(s.name), s.name))
    return sympy.expand(sum((sympy.simplify(c / row[first]) * s for s, c in row.items()), sympy.Integer(0)))


def _linear(
    expression: sympy.Expr, functions: Sequence[sympy.Expr], independent: Sequence[sympy.Symbol]
) -> dict[sympy.Symbol, sympy.Expr] | None:
    """The coefficients of ``f, f_x, f_t, ...`` in a linear expression of arbitrary functions; ``None`` for others."""
    symbols: dict[sympy.Symbol, sympy.Expr] = {}
    replaced = expression
    derivatives = sorted(expression.atoms(sympy.Derivative), key=lambda e: -sum(n for _, n in e.variable_count))
    for e in [*derivatives, *functions]:
        name = (e.expr if isinstance(e, sympy.Derivative) else e).func.__name__
        counts = dict(e.variable_count) if isinstance(e, sympy.Derivative) else {}
        letters = "".join(z.name * int(counts.get(z, 0)) for z in independent)
        symbol = sympy.Symbol(f"{name}_{letters}" if letters else name, real=True)
        replaced = replaced.subs(e, symbol)
        symbols[symbol] = e
    replaced = sympy.expand(replaced)
    row = {s: replaced.coeff(s) for s in symbols if replaced.has(s)}
    if sympy.expand(replaced - sum((c * s for s, c in row.items()), sympy.Integer(0))) != 0:
        return None
    return row


def _as_few(rows: Sequence[dict[sympy.Symbol, sympy.Expr]], variables: Sequence[sympy.Symbol], most: int) -> bool:
    """Whether linear equations, in derivatives of arbitrary functions, are no more than the functions."""
    names = sorted({s for row in rows for s in row}, key=lambda s: s.name)
    if not any("_" in s.name for s in names):
        return False
    generator = np.random.default_rng(0)
    at = {
        z: sympy.Rational(int(n), 97)
        for z, n in zip(variables, generator.integers(30, 150, len(variables)), strict=True)
    }
    jets = sorted({s for row in rows for c in row.values() for s in c.free_symbols} - set(variables), key=str)
    matrix = []
    for _ in range(4):  # the functions depend neither on the unknowns nor on derivatives: each value gives equations
        here = at | {z: sympy.Rational(int(generator.integers(30, 150)), 97) for z in (*variables[-most:], *jets)}
        matrix += [[float(row.get(s, sympy.Integer(0)).subs(here)) for s in names] for row in rows]
    return int(np.linalg.matrix_rank(np.array(matrix), tol=1e-9)) <= most


# ---------------------------------------------------------------- parameters


def _named(
    equation: Equation,
    rows: Sequence[Tensor],
    without: tuple[str, ...],
    degree: int,
    factor: sympy.Expr | None,
    seed: int,
) -> list[ClosedForm] | None:
    """The generators with parameters by name, proven for all values; ``None`` where that does not succeed.

    Coefficients are taken for ``r a^m b^n ...`` with rational r and half-integer exponents, found from how they change
    when the parameters are changed one by one.
    """
    names = list(equation.parameters)
    generic = {n: v * (1 + (k + 1) / 16) for k, (n, v) in enumerate(equation.parameters.items())}
    runs = []
    for changed in [None, *names]:
        values = {n: v * (LATER if n == changed else 1.0) for n, v in generic.items()}
        try:
            search = _Search(Equation(equation.text, **values), without, seed)
        except ValueError:
            return None
        found = search.rates(linear=factor == 1)
        special = search.own() + [f for rate in found for f in rate.functions]
        step = search.step(special, degree, factor)
        runs.append((found, special, step, step.rows))
    found, special, step, first = runs[0]
    alike = all(
        len(r[0]) == len(found)
        and len(r[2].library) == len(step.library)
        and len(r[3]) == len(rows)
        and all(torch.equal(a != 0, b != 0) for a, b in zip(r[3], first, strict=True))
        for r in runs
    )
    # the rows must be those of the equation itself: they are told apart by the columns that lead them
    alike = alike and [_leading(row) for row in rows] == [_leading(row) for row in first]
    if not alike:
        return None
    symbols = {s.name: s for F in equation.general for s in F.free_symbols if s.name in names}

    def monomial(numbers: Sequence[float]) -> sympy.Expr | None:
        if all(n == 0 for n in numbers):
            return sympy.Integer(0)
        if any(n == 0 for n in numbers):
            return None
        expression, rest = sympy.Integer(1), numbers[0]
        for name, number in zip(names, numbers[1:], strict=True):
            if number / numbers[0] <= 0:
                return None
            exponent = 2 * math.log(number / numbers[0]) / math.log(LATER)
            if abs(exponent - round(exponent)) > 1e-5:
                return None
            if round(exponent):
                power = sympy.Rational(round(exponent), 2)
                expression *= symbols[name] ** power
                rest /= abs(generic[name]) ** float(power)
        factor = readout.rational(rest)
        return None if factor is None else factor * expression

    search = _Search(equation, without, seed)
    general = zip(own_functions(equation, equation.general), own_functions(equation), strict=False)
    by_name: list[sympy.Expr] = [named for named, f in general if search.exists(f)]
    for k, rate in enumerate(found):
        growth = monomial([float(r[0][k].growth) for r in runs])
        turn = monomial([float(r[0][k].turn) for r in runs])
        if growth is None or turn is None:
            return None
        by_name += Rate(rate.z, growth, turn, rate.scaling).functions
    values = {symbols[n]: sympy.Rational(repr(v)) for n, v in generic.items() if n in symbols}
    if len(by_name) != len(special) or any(
        sympy.simplify(a.subs(values) - b) != 0 for a, b in zip(by_name, special, strict=True)
    ):
        return None
    library = polynomial_library(equation, degree, by_name, without)
    if len(library) != len(step.library):
        return None
    forms: list[ClosedForm] = []
    for k in range(len(first)):
        form: ClosedForm = {}
        for c, component in enumerate("d" + name for name in equation.space.names):
            total = sympy.Integer(0)
            for f in range(len(library)):
                coefficient = monomial([float(r[3][k][c, f]) for r in runs])
                if coefficient is None:
                    return None
                total += coefficient * library.functions[f]
            form[component] = total
        forms.append(_without_fractions(form))
    if not all(prolongation.is_symmetry(equation, form, general=True) for form in forms):
        return None
    return forms


def _leading(row: Tensor) -> tuple[int, int]:
    """The simplest function of a row, and its component."""
    f, c = row.T.nonzero()[0].tolist()
    return f, c


def _without_fractions(form: ClosedForm) -> ClosedForm:
    """A multiple of a form in which numbers and parameters do not divide and have no common factor."""
    terms = [sympy.together(f).as_numer_denom() for f in form.values() if f != 0]
    constants = [d.as_independent(*_coordinates(form), as_Add=False)[0] for _, d in terms]
    factor = sympy.lcm_list(constants)
    return {key: readout.simplest(sympy.expand(f * factor)) for key, f in form.items()}


def _parameters(form: ClosedForm) -> bool:
    """Whether a form holds other symbols than coordinates."""
    return any(s.name not in {key[1:] for key in form} for f in form.values() for s in f.free_symbols)


def _coordinates(form: ClosedForm) -> list[sympy.Symbol]:
    names = {key[1:] for key in form}
    return [s for f in form.values() for s in f.free_symbols if s.name in names]

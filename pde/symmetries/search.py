"""Steps of the search for symmetries: the null space of the determining condition over the library of one degree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, combinations_with_replacement, islice, product

import sympy
import torch
from torch import Tensor

from symflow.algebra import simplified
from symflow.errors import UserError

from ..equations import Equation, Manifold
from . import prolongation
from .library import (
    MOST_PRODUCTS,
    Library,
    bases,
    integral,
    own_functions,
    polynomial_library,
    reciprocals,
    simple_functions,
    with_products,
)
from .nullspace import Budget, Condition, condition, echelon, gap_rank
from .rates import RATE_DEGREE, Rate, rates

RESOLUTION, CEILING = 1e-13, 1e-9  # of violations that are exact up to rounding
JUMP, MOST_RANKS = 10.0, 2  # of values that may be no zeros, and how often fewer of them are tried
LARGEST = 4_000  # unknowns: a gigabyte or two
RATE_POINTS = 1_000
RATE_DEGREES = (RATE_DEGREE, 1)  # a low degree beside functions that polynomials of a high one nearly are
SPARE = 1.5  # equations per unknown


@dataclass(frozen=True)
class Step:
    """The null space over the library of one degree.

    Attributes:
        library: its functions.
        condition: the determining condition over them.
        values: its singular values, ascending.
        rank: of the null space.
        late: what is left to superposed solutions, ``[d, functions]``, where these are in the null space too.
        finite: its dimension without superposed solutions.
    """

    library: Library
    condition: Condition
    values: Tensor
    rank: int
    late: Tensor | None
    finite: int

    @property
    def ranks(self) -> list[int]:
        """The rank, and smaller ones at the next largest jumps of the values, as long as these are jumps."""
        values = self.values[: self.rank].clamp_min(RESOLUTION)
        jumps = values[1:] / values[:-1]
        order = jumps.argsort(descending=True)[:MOST_RANKS].tolist()
        return [self.rank, *(k + 1 for k in order if jumps[k] > JUMP)]

    @property
    def rows(self) -> list[Tensor]:
        """The coefficients ``[d, functions]`` of a basis of the finite part."""
        return echelon(self.condition, self.rank, self.late) if self.rank else []


@dataclass(frozen=True)
class Search:
    """Steps of one equation, on jets of one seed.

    Attributes:
        equation: any.
        without: coordinates that generators must not depend on.
        seed: of the jets.
        budget: for decompositions beside those of the steps.
    """

    equation: Equation
    without: tuple[str, ...]
    seed: int
    budget: Budget = field(default_factory=Budget, compare=False)

    @cached_property
    def manifold(self) -> Manifold:
        """Where the jets of the equation lie."""
        return Manifold(self.equation)

    @property
    def components(self) -> list[str]:
        """The names of a generator's components."""
        return ["d" + name for name in self.equation.space.names]

    def unknowns(self, special: Sequence[sympy.Expr], degree: int) -> int:
        """How many coefficients the library of a degree has."""
        return len(self.components) * len(polynomial_library(self.equation, degree, special, self.without))

    def exists(self, function: sympy.Expr) -> bool:
        """Whether a function of the coordinates has values where jets are drawn: roots need not."""
        variables = self.equation.space.variables
        points = self._some_points
        return bool(torch.isfinite(Library(variables, ((0,) * len(variables),), (function,))(points)).all())

    @cached_property
    def _some_points(self) -> Tensor:
        return self.manifold.sample(64, self.seed).points

    def own(self) -> list[sympy.Expr]:
        """`own_functions` that exist."""
        return [f for f in own_functions(self.equation) if self.exists(f)]

    def simple(self) -> list[sympy.Expr]:
        """`simple_functions` that exist."""
        return [f for f in simple_functions(self.equation) if self.exists(f)]

    def special(self, found: Sequence[Rate], factor: sympy.Expr | None = None) -> list[sympy.Expr]:
        """The functions that polynomials are multiplied by: own ones, those of rates, and products of them.

        Of superposed solutions ``f h(u) d/du`` there are h and ``w h`` too, with ``dw/du = 1/h``.
        """
        functions = [f for rate in found for f in rate.functions]
        special = with_products(self.own(), functions, self.simple() if found else [], self.equation.space)
        return [*special, *self.of_solutions(factor)]

    def few(self, found: Sequence[Rate], factor: sympy.Expr | None = None) -> list[sympy.Expr]:
        """`special` without the powers and logarithms that the formula only suggests: they may hide those of rates."""
        functions = [f for rate in found for f in rate.functions]
        simple = self.simple()
        return [*with_products(simple, functions, simple, self.equation.space), *self.of_solutions(factor)]

    def wide(self, found: Sequence[Rate], factor: sympy.Expr | None = None) -> list[sympy.Expr]:
        """`few`, powers of what stands in denominators, unknowns included, and the products of two of them."""
        few = [f for f in self.few(found, factor) if f != 1]
        alone = [*few, *(f for f in reciprocals(self.equation) if f not in few and self.exists(f))]
        powers = (f**n for f in alone if f not in few for n in (2, 3, 4))
        pairs = (sympy.expand(f * g) for f, g in combinations_with_replacement(alone, 2))
        more = dict.fromkeys(f for f in chain(powers, pairs) if f not in {*alone, sympy.Integer(1)})
        return [*alone, *islice(more, MOST_PRODUCTS)]

    def of_solutions(self, factor: sympy.Expr | None) -> list[sympy.Expr]:
        """h and ``w h``, but for polynomials and where they do not exist."""
        if factor is None or factor == 1 or len(self.equation.space.dependent) > 1:
            return []
        w = integral(simplified(1 / factor), self.equation.space.variables[-1])
        found = [factor] if w is None else [factor, simplified(w * factor)]
        return [f for f in found if not f.is_polynomial(*self.equation.space.variables) and self.exists(f)]

    def rates(self, linear: bool) -> tuple[list[Rate], tuple[str, ...]]:
        """Of every coordinate in which the equation, linear or not, allows translation or scaling.

        Returns:
            The rates, and the coordinates in which not all that were near were tried (`rates`).
        """
        equation, manifold = self.equation, self.manifold
        sample, scale = manifold.sample(RATE_POINTS, self.seed), manifold.coordinates.scale
        special = self.simple()
        found: list[Rate] = []
        cut: list[str] = []
        for z in equation.space.variables:
            if z.name in self.without:
                continue
            solutions = linear and z.name in equation.space.independent
            degrees = RATE_DEGREES if len(special) > 1 else RATE_DEGREES[:1]
            for base, degree in product(self._bases(z), degrees):
                some, whole = rates(equation, sample, z, scale, base, solutions, special, degree)
                found += some
                cut += [] if whole else [z.name]
        return list(dict.fromkeys(found)), tuple(dict.fromkeys(cut))

    def _bases(self, z: sympy.Symbol) -> list[sympy.Expr | None]:
        """What powers are taken of: z where it may be scaled, and of what the formula has them; None, exponentials."""

        def allowed(component: sympy.Expr) -> bool:
            form = dict.fromkeys(self.components, sympy.Integer(0)) | {f"d{z.name}": component}
            return prolongation.is_symmetry(self.equation, form)

        found: list[sympy.Expr | None] = [None] if allowed(sympy.Integer(1)) else []
        found += [z] if allowed(z) else []
        if z.name in self.equation.space.independent:
            found += [base for base in bases(self.equation, self.equation.residuals, z) if self.exists(sympy.log(base))]
        return list(dict.fromkeys(found))

    def homogeneous(self, factor: sympy.Expr) -> bool:
        """Whether ``w h(u) d/du`` with ``dw/du = 1/h`` is a symmetry: w, which solves a linear equation, may be scaled.

        The algebra is then graded by the degree in w. Solutions are of degree -1, the finite part is of degree 0, so
        they can be looked for one without the other.
        """
        equation = self.equation
        form = dict.fromkeys(self.components, sympy.Integer(0))
        for z in equation.space.variables[len(equation.space.independent) :]:
            w = z if factor == 1 else integral(simplified(1 / factor), z)
            if w is None:
                return False
            form["d" + z.name] = simplified(w * factor)
        return prolongation.is_symmetry(equation, form)

    def step(self, special: Sequence[sympy.Expr], degree: int, factor: sympy.Expr | None) -> Step:
        """The null space over polynomials of a degree, times special functions.

        Args:
            special: functions by which polynomials are multiplied.
            degree: of the polynomials.
            factor: h of superposed solutions ``f h(u) d/du``, which do not count as finite; ``None`` without them.

        Raises:
            UserError: the library of that degree is too large.
        """
        equation, manifold = self.equation, self.manifold
        library = polynomial_library(equation, degree, special, self.without)
        d = len(self.components)
        if d * len(library) > LARGEST:
            raise UserError(
                f"`degree` must make a library of at most {LARGEST} unknowns, got {d * len(library)} for {degree}"
            )
        count = int(SPARE * d * len(library) / len(equation.residuals)) + 100
        reduced = condition(equation, manifold.sample(count, self.seed), library, manifold.coordinates)
        reduced = replace(reduced, budget=self.budget)
        values = reduced.values()
        rank = gap_rank(values, RESOLUTION, CEILING)
        if factor is None:
            return Step(library, reduced, values, rank, None, rank)
        unknowns = set(equation.space.variables[len(equation.space.independent) :])
        free = torch.tensor([not (f / factor).free_symbols & unknowns for f in library.functions])
        late = torch.zeros(d, len(library), dtype=torch.bool)
        late[len(equation.space.independent) :] = free
        if self.homogeneous(factor):
            reduced = replace(reduced, columns=reduced.columns & ~late)
            values = reduced.values()
            rank = gap_rank(values, RESOLUTION, CEILING)
            return Step(library, reduced, values, rank, None, rank)
        superposed = gap_rank(reduced.values(late), RESOLUTION, CEILING) if bool((late & reduced.columns).any()) else 0
        return Step(library, reduced, values, rank, late, rank - superposed)

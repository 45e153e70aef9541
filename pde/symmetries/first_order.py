"""Which symmetries of the leading part of an equation survive to first order in a small parameter, with their change.

The approximate symmetries ``V0 + eps V1`` of Baikov, Gazizov and Ibragimov (`perturbation`). V0 is a combination of the
proven symmetries of the leading part; V1 is looked for in a library, by least squares on random jets, and read out in
closed form; what is stated is proved by exact algebra. A V0 that has no V1 in the library is called unstable, which is
found and not proved. ``eps V0`` is one for every symmetry V0 of the leading part: these are trivial.

Fushchich and Shtelen (J. Phys. A 22, 1989, L887) perturb the unknown instead, ``u = u0 + eps u1``, and take the exact
symmetries of the system for u0 and u1; the two notions do not contain each other.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import sympy
import torch
from torch import Tensor

from symflow.algebra import ClosedForm, readout, simplest
from symflow.fields import series
from symflow.formulas import expressions, format_generator
from symflow.runs import one_thread

from ..equations import Equation, JetSample, Manifold
from .algebra import LEAST_DEGREE, MOST_DEGREE, MOST_UNKNOWNS, symmetries
from .library import Library, own_functions, polynomial_library
from .nullspace import DeterminingRows, determining_rows, gap_rank
from .perturbation import Perturbation
from .prolongation import term_scale
from .rates import own_units
from .search import CEILING, RESOLUTION, SPARE, Search

SOLVED = 1e-9  # relative rest of a least-squares problem that has a solution
DROPPED = 1e-12  # singular values of columns of unit size below it are rounding


@dataclass(frozen=True)
class Stable:
    """A symmetry of the leading part that survives: ``V0 + eps V1``.

    Attributes:
        leading: V0, ``{"dx": ..., "dt": ..., "du": ...}``.
        correction: V1.
        verified: whether exact algebra proves ``pr(V0 + eps V1)(F) = O(eps^2)`` on solutions.
        exact: whether it is a symmetry at every value of the parameter, also proved.
    """

    leading: dict[str, str]
    correction: dict[str, str]
    verified: bool
    exact: bool

    def formula(self, parameter: str) -> str:
        """On one line, for example ``t dx + du + eps (-t**2/2 dx - t du)``."""
        V0, V1 = format_generator(self.leading), format_generator(self.correction)
        return V0 if V1 == "0" else f"{V0} + {parameter} ({V1})"


@dataclass(frozen=True)
class FirstOrder:
    """What becomes of the symmetries of the leading part ``F0 = 0`` of ``F0 + eps F1 = 0``.

    Attributes:
        parameter: eps, by name.
        leading: the leading part, as text.
        stable: a basis of the symmetries of the leading part that have a V1.
        unstable: symmetries of the leading part that complete that basis: no V1 was found for these, nor for any
            combination of them.
        trivial: all symmetries V0 of the leading part: ``eps V0`` is an approximate symmetry, and says nothing new.
        degree: of the polynomials of the library in which V1 was looked for.
        infinite: whether the leading part may have more symmetries than are listed, which were not asked.
    """

    parameter: str
    leading: str
    stable: list[Stable]
    unstable: list[dict[str, str]]
    trivial: list[dict[str, str]]
    degree: int
    infinite: bool

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """What was found, a line for each symmetry."""
        eps, of = self.parameter, f"{len(self.stable)} of {len(self.trivial)}"
        lines = [f"to first order in {eps}, {of} symmetries of {self.leading} survive:"]
        for s in self.stable:
            word = f"exact at every {eps}" if s.exact else "proved" if s.verified else "not proved"
            lines.append(f"  {s.formula(eps)}  ({word})")
        for form in self.unstable:
            lines.append(f"  {format_generator(form)} does not: no V1 of degree up to {self.degree} was found")
        if self.infinite:
            lines.append("  the leading part may have infinitely many more, which were not asked")
        return lines

    def verify(self, equation: Equation) -> list[bool]:
        """Proves every stable symmetry again, from its text."""
        split = Perturbation.of(equation, self.parameter)
        symbols = {v.name: v for v in equation.space.variables}

        def read(form: dict[str, str]) -> ClosedForm:
            return {key: expressions.parse(f, symbols) for key, f in form.items()}

        return [split.is_symmetry(read(s.leading), read(s.correction)) for s in self.stable]


@one_thread()
def first_order_symmetries(equation: Equation, parameter: str, *, seed: int = 0) -> FirstOrder:
    """The symmetries of the leading part of an equation that survive to first order in a small parameter.

    All ``V0 + eps V1`` with ``pr(V0 + eps V1)(F0 + eps F1) = O(eps^2)`` on solutions, V0 in the finite part of the
    algebra of ``F0 = 0`` and V1 in a library of polynomials times special functions, which grows until the count is
    stable; modulo ``eps V0``, which are trivial. Determinism: the same equation gives the same result.

    Args:
        equation: in which the parameter stands; its value plays no part.
        parameter: the name.
        seed: of the random jets.

    Raises:
        UserError: there is no such parameter, or there is no leading part in the same variables (`Perturbation.of`).

    >>> from symflow.pde import Equation
    >>> print(first_order_symmetries(Equation("u_t + u*u_x + u_xxx = eps*u_xx", eps=0.01), "eps"))
    to first order in eps, 3 of 4 symmetries of u_t + u*u_x + u_xxx = 0 survive:
      dx  (exact at every eps)
      dt  (exact at every eps)
      t dx + du  (exact at every eps)
      x dx + 3*t dt - 2*u du does not: no V1 of degree up to 4 was found
    """
    split = Perturbation.of(equation, parameter)
    leading = split.leading
    algebra = symmetries(leading, seed=seed)
    forms = [form for form, proved in zip(algebra.forms, algebra.verified, strict=True) if proved]
    obstructions = [split.obstruction(form) for form in forms]
    search = Search(leading, (), seed)
    own = own_functions(leading, [*leading.residuals, *split.first])
    special = [*algebra.condition.library.special, *(f for f in own if search.exists(f))]
    special = list(dict.fromkeys(special))
    counts: list[int] = []
    degree = LEAST_DEGREE
    while True:
        problem = _Problem.of(split, polynomial_library(leading, degree, special), obstructions, seed)
        combinations = problem.solvable()
        counts.append(len(combinations))
        if counts[-1] == len(forms) or counts[-2:] == [counts[-1]] * 2:
            break
        if degree == MOST_DEGREE or search.unknowns(special, degree + 1) > MOST_UNKNOWNS:
            break
        degree += 1
    found = {int(row.nonzero()[0, 0]): _stable(split, forms, problem, row) for row in combinations}
    stable = {k: one for k, one in found.items() if one is not None}
    return FirstOrder(
        parameter,
        leading.text,
        list(stable.values()),
        [_text(form) for k, form in enumerate(forms) if k not in stable],
        [_text(form) for form in forms],
        degree,
        algebra.superposition is not None or not algebra.stable,
    )


def _text(form: ClosedForm) -> dict[str, str]:
    return {key: str(f) for key, f in form.items()}


def _stable(split: Perturbation, forms: Sequence[ClosedForm], problem: _Problem, row: Tensor) -> Stable | None:
    """A combination of the symmetries of the leading part with its change in closed form, and the proof.

    ``None`` where the change was an accident: of many symmetries that nearly coincide some combination nearly has one.
    """
    units = own_units(split.leading)

    def number(value: float) -> sympy.Expr:
        found = readout.exact_number(value, units)
        return sympy.Float(value, 8) if found is None else found[0] * found[1]

    def combination(weights: Sequence[float], fields: Sequence[ClosedForm]) -> ClosedForm:
        kept = [(number(w) * factor, f) for w, f in zip(weights, fields, strict=True) if w != 0.0]
        return {key: simplest(sympy.expand(sum((w * f[key] for w, f in kept), sympy.Integer(0)))) for key in forms[0]}

    ratios = [number(w) for w in row.tolist() if w != 0.0]
    factor = sympy.ilcm(1, *(w.q for w in ratios)) if all(w.is_Rational for w in ratios) else sympy.Integer(1)
    first = next(f for f in combination(row.tolist(), forms).values() if f != 0)
    if str(first).startswith("-"):  # what is written first is positive
        factor = -factor
    change = problem.simplest(row)
    if change is None:
        return None
    zero = dict.fromkeys(forms[0], sympy.Integer(0))
    columns = [{**zero, key: f} for key in zero for f in problem.library.functions]
    V0, V1 = combination(row.tolist(), forms), combination(change.flatten().tolist(), columns)
    return Stable(_text(V0), _text(V1), split.is_symmetry(V0, V1), split.is_exact(V0, V1))


@dataclass(frozen=True)
class _Problem:
    """``sum_k a_k H_k + R b = 0``: a over symmetries of the leading part, b over the columns of a library for V1."""

    library: Library
    rows: DeterminingRows
    scale: Tensor  # [d], physical size of a normalised component
    wanted: Tensor  # [E N, K], the H_k

    @staticmethod
    def of(split: Perturbation, library: Library, obstructions: Sequence[Sequence[sympy.Expr]], seed: int) -> _Problem:
        """On random jets of the leading part."""
        leading, manifold = split.leading, Manifold(split.leading)
        scale = manifold.coordinates.scale
        count = int(SPARE * len(scale) * len(library) / len(leading.residuals)) + 100
        sample = manifold.sample(count, seed)
        sizes = term_scale(leading, sample, scale)
        rows = determining_rows(leading, sample, library, manifold.coordinates, sizes)
        values = _with_higher(manifold, sample, [e for H in obstructions for e in H], seed)
        wanted = torch.zeros(len(sizes), count, len(obstructions), dtype=torch.float64)
        for k, H in enumerate(obstructions):
            for e, (expression, w) in enumerate(zip(H, sizes, strict=True)):
                wanted[e, :, k] = expressions.evaluate(expression, values, series.FUNCTIONS) / w / count**0.5
        return _Problem(library, rows, torch.tensor(scale, dtype=torch.float64), wanted.flatten(0, 1))

    def solvable(self) -> list[Tensor]:
        """A basis of the a, ``[K]`` each, for which there is a b; simple symmetries lead."""
        size = self.wanted.norm(dim=0)
        size = torch.where(size > 0, size, 1.0)
        left, values, _ = torch.linalg.svd(self._whitened(), full_matrices=False)
        image = left[:, : len(values) - gap_rank(values.flip(0), RESOLUTION, CEILING)]
        rest = self.wanted / size
        for _ in range(2):
            rest = rest - image @ (image.T @ rest)
        _, values, right = torch.linalg.svd(rest, full_matrices=False)
        vectors = right[values < SOLVED] / size
        return list(readout.sparse_basis(vectors, size)) if len(vectors) else []

    def _whitened(self) -> Tensor:
        """R over functions that are orthonormal on the points."""
        triangle = torch.linalg.qr(self.rows.functions / len(self.rows.functions) ** 0.5, mode="r")[1]
        blocks = self.rows.violation.unflatten(1, (len(self.scale), -1))
        whitened: Tensor = torch.linalg.solve_triangular(triangle, blocks, upper=True, left=False)
        return whitened.flatten(1)

    def simplest(self, a: Tensor) -> Tensor | None:
        """b for one a as physical coefficients ``[d, functions]``, over as few and as simple columns as will do."""
        d, kept = len(self.scale), len(self.rows.kept)
        found = torch.zeros(d, len(self.library), dtype=torch.float64)
        wanted = self.wanted @ a
        parts = self.wanted.norm(dim=0) @ a.abs()
        if float(wanted.norm()) <= SOLVED * float(parts):  # they cancel each other
            return found
        order = torch.arange(d * kept).view(d, kept).T.flatten().tolist()  # function by function, simple ones first
        triangle = torch.linalg.qr(torch.cat([self.rows.violation, wanted[:, None]], 1), mode="r")[1]
        R, h = triangle[:, :-1], triangle[:, -1:]

        def solved(columns: list[int]) -> Tensor | None:
            if not columns:
                return None
            size = R[:, columns].norm(dim=0).clamp_min(DROPPED)
            b = torch.linalg.lstsq(R[:, columns] / size, -h, rcond=DROPPED, driver="gelsd").solution
            rest = h + R[:, columns] / size @ b
            return b[:, 0] / size if float(rest.norm()) < SOLVED * float(h.norm()) else None

        fewest = bisect_left(range(len(order)), True, key=lambda n: solved(order[:n]) is not None)
        columns = order[:fewest]
        for column in reversed(columns):
            without = [c for c in columns if c != column]
            if solved(without) is not None:
                columns = without
        b = solved(columns)
        if b is None:
            return None
        for column, value in zip(columns, b.tolist(), strict=True):
            c, f = divmod(column, kept)
            f = self.rows.kept[f]
            found[c, f] = value * self.scale[c] / self.rows.size[f]
        return found


def _with_higher(
    manifold: Manifold, sample: JetSample, obstructions: Sequence[sympy.Expr], seed: int
) -> dict[sympy.Symbol, Tensor]:
    """Values of jets, with those of derivatives that only the perturbation has: free, so drawn."""
    space, values = sample.space, dict(sample.values)
    generator = torch.Generator().manual_seed(seed + 1)
    missing = {s for e in obstructions for s in e.free_symbols} - values.keys()
    for symbol in sorted(missing, key=lambda s: s.name):
        a, index = space.locate(symbol)  # type: ignore[misc]
        unit = math.prod(manifold.scale[i] ** n for i, n in enumerate(index))
        normal = torch.randn(len(sample), generator=generator, dtype=torch.float64)
        values[symbol] = manifold.scale[len(space.independent) + a] / unit * normal
    return values

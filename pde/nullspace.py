"""Symmetries as the null space of the determining condition over a library of coefficient functions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import sympy
import torch
from torch import Tensor

from symflow import expressions, readout, series
from symflow.coordinates import Coordinates
from symflow.errors import UserError
from symflow.readout import ClosedForm
from symflow.series import Series

from .data import Jets
from .equation import Equation, t, u, x
from .prolongation import determining_coefficients, row_factors, solution_lines, term_scale

COLLINEAR = 1e-9  # a library function closer than this to the span of simpler ones is dropped
EXACT = 1e-11  # relative violations below this are the rounding unit's; a dropped true column costs more (COLLINEAR)


@dataclass(frozen=True)
class Library:
    """Functions of (x, t, u), from simple to complex; every component of a field is a combination of them."""

    functions: tuple[sympy.Expr, ...]

    def on_series(self, points: Series) -> Tensor:
        """Values on truncated polynomials of physical points, ``[C, N, 3]`` to ``[C, N, functions]``."""
        values = dict(zip((x, t, u), _columns(points), strict=True))
        zero = Series(points.truncation, torch.zeros_like(points.coefficients[..., 0]))
        return torch.stack(
            [(zero + expressions.evaluate(f, values, series.FUNCTIONS)).coefficients for f in self.functions], -1
        )

    def __call__(self, points: Tensor) -> Tensor:
        """Values on physical points, ``[N, 3]`` to ``[N, functions]``."""
        return self.on_series(Series(series.line(0), points[None]))[0]


def _columns(points: Series) -> list[Series]:
    return [Series(points.truncation, column) for column in points.coefficients.unbind(-1)]


def time_functions(equation: Equation) -> list[sympy.Expr]:
    """Functions of t that the equation itself suggests, beginning with 1, from simple to complex.

    ``exp(a t)`` in the equation suggests ``exp(a t), exp(-a t)``; a power of ``t + c`` suggests its square root and
    the reciprocal of that, the functions by which such factors are transformed away.
    """
    found = [sympy.Integer(1)]
    for atom in sympy.preorder_traversal(equation.K):
        if isinstance(atom, sympy.exp) and atom.free_symbols == {t}:
            found += [atom, 1 / atom]
        elif isinstance(atom, sympy.Pow) and atom.base.free_symbols == {t} and not atom.exp.free_symbols:
            base = atom.base / sympy.LC(atom.base, t) if atom.base.is_polynomial(t) else atom.base
            found += [sympy.sqrt(base), 1 / sympy.sqrt(base)]
    return list(dict.fromkeys(found))


def polynomial_library(equation: Equation, degree: int, periodic: bool) -> Library:
    """Monomials in x, t, u up to a degree, times the equation's own functions of t.

    Args:
        equation: its functions of t are added.
        degree: the highest total degree of the monomials.
        periodic: leave out x, because a periodic polynomial in x is a constant.
    """
    exponents = sorted(product(range(degree + 1), repeat=3), key=lambda e: (sum(e), e[2], e[1]))
    monomials = [x**i * t**j * u**k for i, j, k in exponents if i + j + k <= degree and not (periodic and i)]
    return Library(tuple(m * f for m in monomials for f in time_functions(equation)))


@dataclass(frozen=True)
class NullSpace:
    """The singular value decomposition of the determining condition over a library.

    ``values`` are ``|R c| / |B c|`` ascending: R the relative violation, B the field's RMS in normalised units.
    ``vectors [3, functions, values]`` are the library coefficients, physical, of each right singular vector.
    """

    library: Library
    values: Tensor
    vectors: Tensor

    def fields(self, points: Tensor, count: int, coordinates: Coordinates) -> Tensor:
        """Normalised values ``[N, count, 3]`` of the first fields at normalised points ``[N, 3]``."""
        functions = self.library(coordinates.to_physical(points))
        physical = torch.einsum("nf,cfk->nkc", functions, self.vectors[..., :count])
        return coordinates.vectors_to_normalised(physical)


@dataclass(frozen=True)
class Condition:
    """The determining condition over a library, reduced to triangles: its null space follows without the points.

    Columns are (component, function) pairs of unit normalised components and of functions of unit RMS.
    """

    library: Library
    columns: Tensor  # bool [3, functions]: what the triangles hold; functions collinear with simpler ones are out
    violation: Tensor  # [rows, 3 kept]: R, component-major
    gram: Tensor  # [kept, kept] upper triangular: the QR factor of the functions
    size: Tensor  # [functions]: RMS of each function on the data
    scale: Tensor  # [3]: physical size of a normalised component

    def null_space(self, columns: Tensor | None = None) -> NullSpace:
        """Minimises ``|R c| / |B c|`` over some of the columns (bool ``[3, functions]``), all by default.

        By QR of B and SVD of ``R B^-1``: no normal equations, so singular values down to the rounding unit are seen.
        """
        columns = self.columns if columns is None else columns & self.columns
        kept = self.columns[0].nonzero()[:, 0]
        R = self.violation.view(-1, 3, len(kept))
        whitened, triangles = [], []
        for c in range(3):
            chosen = columns[c, kept]
            triangle = torch.linalg.qr(self.gram[:, chosen], mode="r")[1]
            triangles.append(triangle)
            whitened.append(torch.linalg.solve_triangular(triangle, R[:, c, chosen], upper=True, left=False))
        _, values, right = torch.linalg.svd(torch.cat(whitened, 1), full_matrices=False)
        vectors = right.new_zeros(3, len(self.size), len(values))
        parts = right.T.split([t.shape[0] for t in triangles])
        for c, (triangle, part) in enumerate(zip(triangles, parts, strict=True)):
            solution = torch.linalg.solve_triangular(triangle, part, upper=True)
            vectors[c, columns[c]] = solution * self.scale[c] / self.size[columns[c], None]
        return NullSpace(self.library, values.flip(0), vectors.flip(-1))

    def support(self, rank: int) -> Tensor:
        """The simplest columns, bool ``[3, functions]``, over which the null space keeps its dimension.

        Columns are left out one by one, from complex to simple, as long as `rank` values stay at the rounding unit.
        Over what remains the problem is well conditioned, also where the functions nearly coincide on the data.
        """
        columns = self.columns.clone()
        for f in reversed(range(len(self.size))):
            for c in reversed(range(3)):
                if columns[c, f] and int(columns.sum()) > rank:
                    columns[c, f] = False
                    values = self.null_space(columns).values
                    if len(values) < rank or values[rank - 1] > EXACT:
                        columns[c, f] = True
        return columns


def condition(equation: Equation, jets: Jets, library: Library, coordinates: Coordinates) -> Condition:
    """The determining condition of fields over a library on jets (`prolongation.jet_order` says of which order).

    Raises:
        UserError: there are fewer points than unknowns.
    """
    lines = solution_lines(equation, jets)
    functions = library.on_series(lines)  # [C, N, f]
    n, unknowns = len(jets), 3 * len(library.functions)
    if n < unknowns:
        raise UserError(f"the null space over {unknowns} unknowns needs at least as many points, got {n}")
    size = functions[0].square().mean(0).sqrt()
    keep = _independent(functions[0] / size)
    functions = functions[..., keep] / size[keep]
    derivatives = functions * functions.new_tensor(row_factors(lines.truncation))[:, None, None]
    scale = functions.new_tensor(coordinates.scale)
    C = determining_coefficients(equation, jets) / term_scale(equation, jets, coordinates.scale)
    R = torch.einsum("crn,rnf->ncf", C * scale[:, None, None], derivatives) / n**0.5
    columns = torch.zeros(3, len(library.functions), dtype=torch.bool)
    columns[:, keep] = True
    return Condition(
        library,
        columns,
        torch.linalg.qr(R.flatten(1), mode="r")[1],
        torch.linalg.qr(functions[0] / n**0.5, mode="r")[1],
        size,
        scale,
    )


def _independent(columns: Tensor) -> list[int]:
    """Which columns are not combinations of earlier ones (Gram-Schmidt, twice)."""
    basis = columns.new_zeros(columns.shape[0], 0)
    keep = []
    for i, column in enumerate(columns.unbind(1)):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        if rest.norm() > COLLINEAR * column.norm():
            basis = torch.cat([basis, (rest / rest.norm())[:, None]], 1)
            keep.append(i)
    return keep


def gap_rank(values: Tensor, resolution: float, ceiling: float) -> int:
    """The rank of a null space: where ascending values make their largest jump, as a ratio, from below `ceiling`.

    Values under `resolution` count as equal to it. 0 when no value is under the ceiling.
    """
    values = values.double().clamp_min(resolution)
    below = int((values < ceiling).sum())
    if below == 0:
        return 0
    padded = torch.cat([values, values.new_tensor([ceiling])])  # so that all values may lie below the gap
    return int((padded[1 : below + 1] / values[:below]).argmax()) + 1


def closed_forms(condition: Condition, rank: int) -> list[ClosedForm]:
    """The null space as generators in closed form, simple ones first.

    The reduced echelon basis over the supporting columns, with functions from simple to complex
    (`readout.sparse_basis`).
    """
    columns = condition.support(rank)
    vectors = condition.null_space(columns).vectors[..., :rank]  # [3, f, k]
    size = condition.size[:, None] / condition.scale  # [f, 3] of a physical coefficient
    rows = readout.sparse_basis(vectors.permute(2, 1, 0).flatten(1), size.flatten())
    functions = condition.library.functions
    forms = [readout.combination(row.view(-1, 3).T, functions, ("dx", "dt", "du")) for row in rows]
    return sorted(forms, key=lambda form: sum(1 + sympy.count_ops(f) for f in form.values() if f != 0))

"""Symmetries as the null space of the determining condition over a library of coefficient functions."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import sympy
import torch
from torch import Tensor

from symflow.algebra import ClosedForm, readout
from symflow.errors import UserError
from symflow.fields import Coordinates

from ..equations import Equation, JetSample
from .library import Library
from .prolongation import determining_coefficients, row_factors, solution_lines, term_scale

COLLINEAR = 1e-9  # a library function closer than this to the span of simpler ones is dropped
EXACT = 1e-11  # relative violations below this are the rounding unit's; a dropped true column costs more (COLLINEAR)
MOST_WORK = 20_000_000_000  # columns cubed, summed over the decompositions of a search
MANY = 64  # columns that are left out at a time, where most can be
ABSENT = 1e-6  # share of a column in the null space below which it is tried to do without all such columns at once


@dataclass(frozen=True)
class NullSpace:
    """The singular value decomposition of the determining condition over a library.

    ``values`` are ``|R c| / |B c|`` ascending: R the relative violation, B the field's RMS in normalised units.
    ``vectors [d, functions, values]`` are the library coefficients, physical, of each right singular vector.
    """

    library: Library
    values: Tensor
    vectors: Tensor

    def fields(self, points: Tensor, count: int, coordinates: Coordinates) -> Tensor:
        """Normalised values ``[N, count, d]`` of the first fields at normalised points ``[N, d]``."""
        functions = self.library(coordinates.to_physical(points))
        physical = torch.einsum("nf,cfk->nkc", functions, self.vectors[..., :count])
        return coordinates.vectors_to_normalised(physical)


@dataclass
class Budget:
    """What the decompositions of a search may cost: a count, so that an answer does not depend on the machine's load.

    Attributes:
        left: columns cubed.
    """

    left: int = MOST_WORK

    def pays(self, columns: int) -> bool:
        """Takes off a decomposition of so many columns; whether there was enough for it."""
        self.left -= columns**3
        return self.left >= 0


@dataclass(frozen=True)
class Condition:
    """The determining condition over a library, reduced to triangles: its null space follows without the points.

    Columns are (component, function) pairs of unit normalised components and of functions of unit RMS.
    """

    library: Library
    columns: Tensor  # bool [d, functions]: what the triangles hold; functions collinear with simpler ones are out
    violation: Tensor  # [rows, d kept]: R, component-major
    gram: Tensor  # [kept, kept] upper triangular: the QR factor of the functions
    size: Tensor  # [functions]: RMS of each function on the data
    scale: Tensor  # [d]: physical size of a normalised component
    budget: Budget = field(default_factory=Budget, compare=False)  # of a search for a support

    def null_space(self, columns: Tensor | None = None) -> NullSpace:
        """Minimises ``|R c| / |B c|`` over some of the columns (bool ``[d, functions]``), all by default.

        By QR of B and SVD of ``R B^-1``: no normal equations, so singular values down to the rounding unit are seen.
        """
        columns = self.columns if columns is None else columns & self.columns
        whitened, triangles = self._whitened(columns)
        _, values, right = torch.linalg.svd(whitened, full_matrices=False)
        vectors = right.new_zeros(len(self.scale), len(self.size), len(values))
        parts = right.T.split([t.shape[0] for t in triangles])
        for c, (triangle, part) in enumerate(zip(triangles, parts, strict=True)):
            solution = torch.linalg.solve_triangular(triangle, part, upper=True)
            vectors[c, columns[c]] = solution * self.scale[c] / self.size[columns[c], None]
        return NullSpace(self.library, values.flip(0), vectors.flip(-1))

    def values(self, columns: Tensor | None = None) -> Tensor:
        """Those of `null_space` alone, for a fifth of its cost."""
        whitened, _ = self._whitened(self.columns if columns is None else columns & self.columns)
        values: Tensor = torch.linalg.svdvals(whitened)
        return values.flip(0)

    def _whitened(self, columns: Tensor) -> tuple[Tensor, list[Tensor]]:
        """``R B^-1`` over some of the columns, and the triangles of B."""
        kept = self.columns[0].nonzero()[:, 0]
        R = self.violation.view(-1, len(self.scale), len(kept))
        whitened, triangles = [], []
        for c in range(len(self.scale)):
            chosen = columns[c, kept]
            triangle = torch.linalg.qr(self.gram[:, chosen], mode="r")[1]
            triangles.append(triangle)
            whitened.append(torch.linalg.solve_triangular(triangle, R[:, c, chosen], upper=True, left=False))
        return torch.cat(whitened, 1), triangles

    def shares(self, null: NullSpace, rank: int) -> Tensor:
        """How large each column is in the null space, ``[d, functions]``, in units of the field's size."""
        vectors = null.vectors[..., :rank] * (self.size / self.scale[:, None])[..., None]
        sizes: Tensor = vectors.norm(dim=-1)
        return sizes

    def support(self, rank: int) -> Tensor:
        """The simplest columns, bool ``[d, functions]``, over which the null space keeps its dimension.

        Columns are left out from complex to simple, as long as `rank` values stay at the rounding unit: first all that
        the null space hardly holds, then one by one. Over what remains the problem is well conditioned, also where
        the functions nearly coincide on the data. The values only grow with what is left out, but for rounding, so
        columns go many at a time where they can; where the budget is spent they stay.
        """

        def enough(columns: Tensor) -> bool:
            if not self.budget.pays(int(columns.sum())):
                return False
            values = self.values(columns)
            return len(values) >= rank and float(values[rank - 1]) <= EXACT

        def without(columns: Tensor, some: Tensor) -> Tensor:
            """The columns less those of some (component, function) pairs that can go, the first before the others."""
            fewer = columns.clone()
            fewer[some[:, 0], some[:, 1]] = False
            if enough(fewer):
                return fewer
            if len(some) == 1:
                return columns
            for part in some.split(-(-len(some) // 2)):
                columns = without(columns, part)
            return columns

        columns, at_once = self.columns & (self.shares(self.null_space(), rank) > ABSENT), 1
        if not enough(columns):
            columns, at_once = self.columns, MANY
        order = sorted(columns.T.nonzero().tolist(), key=lambda pair: (-pair[0], pair[1]))  # function, component
        for some in torch.tensor([[c, f] for f, c in order]).split(at_once):
            columns = without(columns, some)
        return columns


def condition(
    equation: Equation,
    sample: JetSample,
    library: Library,
    coordinates: Coordinates,
    *,
    weights: JetSample | None = None,
    multiplier: Library | None = None,
) -> Condition:
    """The determining condition of fields over a library on jets.

    Args:
        equation: whose condition it is.
        sample: jets of solutions; off solutions a `multiplier` is needed.
        library: of the components.
        coordinates: of the fields.
        weights: jets for `term_scale`; the sample's own by default.
        multiplier: functions lambda of the coordinates: what ``sum_j lambda_ij F_j`` can cancel is projected out.

    Raises:
        UserError: there are fewer points than unknowns.
    """
    sizes = term_scale(equation, sample if weights is None else weights, coordinates.scale)
    rows = determining_rows(equation, sample, library, coordinates, sizes)
    R, functions, keep, size = rows.violation, rows.functions, rows.kept, rows.size
    n, d = len(sample), len(coordinates.names)
    if multiplier is not None:
        factors = multiplier(sample.points)  # [N, f]
        left = [F for F, _ in equation.terms(sample.values)]
        parts = []
        for rows_of, w in zip(R.split(n), sizes, strict=True):  # every equation may take a multiple of every other
            known = torch.linalg.qr(torch.cat([(F / w)[:, None] * factors for F in left], 1))[0]
            for _ in range(2):
                rows_of = rows_of - known @ (known.T @ rows_of)
            parts.append(rows_of)
        R = torch.cat(parts)
    columns = torch.zeros(d, len(library), dtype=torch.bool)
    columns[:, keep] = True
    return Condition(
        library,
        columns,
        torch.linalg.qr(R, mode="r")[1],
        torch.linalg.qr(functions / n**0.5, mode="r")[1],
        size,
        functions.new_tensor(coordinates.scale),
    )


@dataclass(frozen=True)
class DeterminingRows:
    """The determining condition over a library, a row for each equation and point.

    Attributes:
        violation: ``[E N, d kept]``, columns as of `Condition`, divided by the root of N.
        functions: ``[N, kept]``, of unit RMS.
        kept: functions that are no combinations of simpler ones on the points.
        size: ``[functions]``, RMS of each.
    """

    violation: Tensor
    functions: Tensor
    kept: list[int]
    size: Tensor


def determining_rows(
    equation: Equation, sample: JetSample, library: Library, coordinates: Coordinates, sizes: Tensor
) -> DeterminingRows:
    """The rows of ``pr V(F)``, divided by ``sizes [E, N]``, for every column of a library (`condition`).

    Raises:
        UserError: there are fewer points than unknowns.
    """
    coefficients = determining_coefficients(equation, sample) / sizes[:, None, None]
    coefficients = coefficients * coefficients.new_tensor(coordinates.scale)[:, None, None]
    lines = solution_lines(equation, sample)
    functions = library.on_series(lines)  # [C, N, f]
    n, unknowns = len(sample), len(coordinates.names) * len(library)
    if n * len(equation.residuals) < unknowns:
        raise UserError(f"the null space over {unknowns} unknowns needs at least as many points, got {n}")
    exist = functions.isfinite().flatten(0, 1).all(0)  # with their derivatives; the others are left out
    functions = torch.where(exist, functions, math.nan)
    size = functions[0].square().mean(0).sqrt()
    polynomials = torch.tensor([j == 0 for _, j in library.products])
    keep = _independent(functions[0] / size, polynomials)
    functions = functions[..., keep] / size[keep]
    derivatives = functions * functions.new_tensor(row_factors(lines.truncation))[:, None, None]
    R = torch.einsum("ecrn,rnf->encf", coefficients, derivatives).flatten(0, 1) / n**0.5
    return DeterminingRows(R.flatten(1), functions[0], keep, size)


def _independent(columns: Tensor, first: Tensor) -> list[int]:
    """Which columns are not combinations of earlier ones (Gram-Schmidt, twice); those marked bool `first` go first."""
    basis = columns.new_zeros(columns.shape[0], columns.shape[1])
    keep: list[int] = []
    for i in torch.argsort(~first, stable=True).tolist():
        column = columns[:, i]
        known = basis[:, : len(keep)]
        rest = column - known @ (known.T @ column)
        rest = rest - known @ (known.T @ rest)
        if rest.norm() > COLLINEAR * column.norm():
            basis[:, len(keep)] = rest / rest.norm()
            keep.append(i)
    return sorted(keep)


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


def echelon(condition: Condition, rank: int, last: Tensor | None = None) -> list[Tensor]:
    """The null space as a reduced echelon basis over the supporting columns, simple functions leading.

    Args:
        condition: over a library.
        rank: of its null space.
        last: columns, bool ``[d, functions]``, that come after all others; rows that they lead are left out.

    Returns:
        Physical coefficients ``[d, functions]``, the leading one 1.
    """
    columns = condition.support(rank)
    d, f = columns.shape
    vectors = condition.null_space(columns).vectors[..., :rank]  # [d, f, k]
    size = (condition.size[:, None] / condition.scale).flatten()  # [f d] of a physical coefficient
    late = torch.zeros(f, d, dtype=torch.bool) if last is None else last.T
    order = torch.cat([(~late).flatten().nonzero()[:, 0], late.flatten().nonzero()[:, 0]])
    found = readout.sparse_basis(vectors.permute(2, 1, 0).flatten(1)[:, order], size[order])
    first = int((~late).sum())
    rows = []
    for row in found:
        if bool(row[:first].any()):
            unsorted = torch.zeros_like(row)
            unsorted[order] = row
            rows.append(unsorted.view(f, d).T)
    return rows


def closed_forms(condition: Condition, rank: int) -> list[ClosedForm]:
    """The null space as generators in closed form, simple ones first (`echelon`)."""
    names = ["d" + v.name for v in condition.library.variables]
    rows = echelon(condition, rank) if rank else []
    return sorted((readout.combination(row, condition.library.functions, names) for row in rows), key=complexity)


def complexity(form: ClosedForm) -> int:
    """The length of a generator, by which a list of them is sorted."""
    return sum(1 + sympy.count_ops(f) for f in form.values() if f != 0)

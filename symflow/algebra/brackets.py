"""Brackets of any fields: structure constants with errors, closure, what is missing from a span and what is too much.

`algebra.liealgebra` says what follows from the constants; `algebra.readout` has the exact ones of closed forms.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy
import torch
from torch import Tensor, nn

from symflow.algebra import geometry, rational
from symflow.algebra.liealgebra import Description, describe_measured, jacobiator
from symflow.algebra.readout import ClosedForm, exact_bracket
from symflow.fields import Coordinates, Field, GridField, Network, Table
from symflow.runs import one_thread

DEPENDENT = 1e-9  # relative distance to a span at which closed forms, evaluated in double precision, lie in it
ALONE = 1e-12  # smallest share of a combination of generators outside a block of points that is no rounding
MOST_REMOVALS = 20_000  # subsets that `suspects` tries


# ---- generators and brackets on points ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sample:
    """K generators and their brackets on N points, float64, all that this module needs of fields.

    ``values [N, K, d]``, ``brackets [N, K, K, d]`` antisymmetric, ``slopes [K]`` the RMS size of each generator's
    derivatives. ``coarse`` is the same with every other node of the tables among the fields, ``None`` without tables.
    """

    values: Tensor
    brackets: Tensor
    slopes: Tensor
    coarse: Sample | None = None

    @property
    def generators(self) -> int:
        """The number K."""
        return self.values.shape[1]

    @property
    def sizes(self) -> Tensor:
        """``[K]``: RMS size of each generator over the points."""
        return self.values.square().sum(-1).mean(0).sqrt()


Fields = Field | Sequence[Field]


@one_thread()
def sample(fields: Fields, points: Tensor) -> Sample:
    """The generators of one field or of several, in their order, and all their brackets.

    Derivatives are exact for neural and symbolic fields. A table is only piecewise smooth: its derivatives are central
    differences at the nodes, interpolated like its values, so that brackets are right to second order in the spacing
    (`Table.derivative`); the interpolation's own slopes would be right in the mean of a cell only.

    Args:
        fields: on the same coordinates, of any kinds.
        points: ``[N, d]``, normalised, drawn from the data: their distribution is the measure of all inner products.
            Where neighbours are alike (a trajectory), keep them together: errors come from consecutive points.

    Raises:
        ValueError: the fields differ in coordinates, the points do not fit them, or lie outside the box of a table.
    """
    parts = _parts(fields)
    if points.dim() != 2 or points.shape[1] != parts[0].coordinates.dimension or not len(points):
        raise ValueError(f"`points` must have shape [N, {parts[0].coordinates.dimension}], got {list(points.shape)}")
    points = points.detach().double()
    tables = [part for part in parts if isinstance(part, Table)]
    for table in tables:
        _inside(table, points)
    with torch.no_grad():
        fine = _sample(parts, points)
        if not tables:
            return fine
        coarse = _sample([part.coarse() if isinstance(part, Table) else part for part in parts], points)
    return Sample(fine.values, fine.brackets, fine.slopes, coarse)


def _parts(fields: Fields) -> list[Field]:
    parts = list(fields) if isinstance(fields, Sequence) else [fields]
    if not parts:
        raise ValueError("`fields` must hold at least one field, got none")
    for part in parts[1:]:
        if part.coordinates != parts[0].coordinates:
            raise ValueError(
                f"`fields` must be on the same coordinates, got {parts[0].coordinates} and {part.coordinates}"
            )
    return [part.table if isinstance(part, GridField) else part for part in parts]


def _inside(table: Table, points: Tensor) -> None:
    for axis, name in enumerate(table.coordinates.names):
        z, low, high = points[:, axis], table.lower[axis], table.upper[axis]
        slack = 1e-6 * (high - low)
        if table.coordinates.periods[axis] is None and not ((z >= low - slack) & (z <= high + slack)).all():
            raise ValueError(
                f"`points` must lie in the box of the table, {low:g} to {high:g} on {name}, "
                f"got {z.min().item():g} to {z.max().item():g}"
            )


def _sample(parts: Sequence[Field], points: Tensor) -> Sample:
    values, slopes = [], []
    for part in parts:
        own = points.to(_dtype(part))
        values.append(part(own).double())
        if isinstance(part, Table):
            columns = [part.derivative(axis)(own) for axis in range(points.shape[-1])]
            slopes.append(torch.stack(columns, -1).double())
        else:
            slopes.append(geometry.jacobian(part, own).double())
    v, derivatives = torch.cat(values, 1), torch.cat(slopes, 1)
    along = torch.einsum("nkj,nlij->nkli", v, derivatives)
    return Sample(v, along - along.transpose(1, 2), derivatives.square().sum((-1, -2)).mean(0).sqrt())


def _dtype(field: Field) -> torch.dtype:
    if isinstance(field, Network):
        return field.layers[0].dtype
    return next(iter(field.parameters())).dtype if isinstance(field, nn.Module) else torch.float64


def sample_forms(forms: Sequence[Mapping[str, sympy.Expr]]) -> Sample:
    """Closed forms and their exact brackets on fixed random points with coordinates in [0.5, 1.5].

    Symbols that are no coordinate are parameters and take one random value each. In physical units.

    Raises:
        ValueError: there is no form, or the forms have different components.
    """
    if not forms or any(list(form) != list(forms[0]) for form in forms):
        raise ValueError(f"`forms` must be at least one, all with the same components, got {[list(f) for f in forms]}")
    count, k, names = 8 * len(forms) + 8, len(forms), list(forms[0])
    values = _evaluate(forms, count)
    table = torch.zeros(count, k, k, len(names), dtype=torch.float64)
    brackets = [exact_bracket(forms[i], forms[j]) for i, j in _pairs(k)]
    for (i, j), v in zip(_pairs(k), _evaluate(brackets, count).unbind(1), strict=True):
        table[:, i, j], table[:, j, i] = v, -v
    slopes = torch.zeros(k, dtype=torch.float64)
    for name in names:
        derivative = [{n: sympy.diff(f, _symbol(f, name[1:])) for n, f in form.items()} for form in forms]
        slopes += _evaluate(derivative, count).square().sum(-1).mean(0)
    return Sample(values, table, slopes.sqrt())


def _symbol(expression: sympy.Expr, name: str) -> sympy.Symbol:
    return next((s for s in expression.free_symbols if s.name == name), sympy.Symbol(name))


def _evaluate(forms: Sequence[Mapping[str, sympy.Expr]], count: int) -> Tensor:
    """``[count, K, d]``; the same points for all calls with the same count and coordinates."""
    if not forms:
        return torch.zeros(count, 0, 0, dtype=torch.float64)
    coordinates = [name[1:] for name in forms[0]]
    symbols = sorted(
        {s for form in forms for f in form.values() for s in sympy.sympify(f, strict=True).free_symbols}, key=str
    )
    generator = torch.Generator().manual_seed(0)
    points = 0.5 + torch.rand(count, len(coordinates), generator=generator, dtype=torch.float64)

    def argument(symbol: sympy.Symbol) -> np.ndarray:
        if symbol.name in coordinates:
            return points[:, coordinates.index(symbol.name)].numpy()
        own = torch.Generator().manual_seed(zlib.crc32(symbol.name.encode()))
        return (0.5 + torch.rand(1, generator=own, dtype=torch.float64)).expand(count).numpy()

    arguments = [argument(s) for s in symbols]

    def column(expression: sympy.Expr) -> Tensor:
        return torch.as_tensor(sympy.lambdify(symbols, expression, "numpy")(*arguments), dtype=torch.float64).expand(
            count
        )

    return torch.stack([torch.stack([column(f) for f in form.values()], -1) for form in forms], 1)


def _pairs(k: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(k), 2))


# ---- structure constants --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class StructureConstants:
    """``[V_i, V_j] = sum_k c_ijk V_k + rest``, as measured; float64.

    Args:
        constants: ``[K, K, K]``, exactly antisymmetric in i and j.
        errors: ``[K, K, K]``, standard errors.
        closure: ``[K, K]``, the RMS size of the rest relative to ``|V_i| |V_j|``: what leaves the span, per normalised
            unit of length; 0 for an algebra.
        closure_errors: ``[K, K]``, standard errors.
        jacobi: the largest RMS size of ``[[V_i, V_j], V_k] + cyclic``, by the constants, relative to
            ``|V_i| |V_j| |V_k|``.
        orthonormal: constants and errors in an orthonormal basis of the span, where they can be compared. Its errors
            include what leaves the span: brackets that are wrong by so much outside are no better inside.
    """

    constants: Tensor
    errors: Tensor
    closure: Tensor
    closure_errors: Tensor
    jacobi: float
    orthonormal: tuple[Tensor, Tensor]

    def describe(self) -> Description:
        """The algebra as far as the errors tell (`liealgebra.describe_measured`).

        Raises:
            ValueError: the constants violate the Jacobi identity by more than their errors: they are of no algebra.
        """
        constants, errors = self.orthonormal
        return describe_measured(constants.numpy(), errors.numpy())


@one_thread()
def structure_constants(
    brackets: Sample, blocks: int = 20, uncertainty: float | Sequence[float] = 0.0
) -> StructureConstants:
    """Structure constants of a span of fields by least squares over points, with standard errors.

    Three errors are added in squares. The jackknife over blocks of consecutive points (Efron and Stein, 1981). For
    tables ``|w_k| |d| / 3``, with d the change of the bracket's part in the span when every other node is left out (a
    third of it is the error of a second-order rule, after Richardson) and ``w_k`` the dual basis. And the error of the
    generators themselves, to first order: ``V_i + dV_i`` with ``|dV_i| = e_i |V_i|`` and derivatives of the same size
    per normalised unit of length, those of different generators independent, changes c_ijk by at most

        |w_k| sqrt(E_ij^2 + E_ji^2 + sum_m (c_ijm e_m |V_m|)^2),   E_ij = e_i |V_i| (|V_j| + |dV_j/dz|),

    The rounding of fields in single precision is not among them; state it as an uncertainty of 1e-7 where it matters.
    For fields that are no algebra the constants are those of the brackets' projection onto the span, and ``closure``
    says how much they leave out.

    Args:
        brackets: from `sample` or `sample_forms`.
        blocks: at least 2 and at most the number of points.
        uncertainty: e_i, relative; one number for all or one per generator.

    Raises:
        ValueError: the generators are linearly dependent on the points, or on those outside one of the blocks, or an
            argument does not fit.

    >>> from symflow import Coordinates, SymbolicField
    >>> plane = Coordinates(("x", "y"))
    >>> motions = SymbolicField(plane, [{"dx": "1"}, {"dy": "1"}, {"dx": "-y", "dy": "x"}])
    >>> found = structure_constants(sample(motions, torch.rand(50, 2)))
    >>> found.constants[0, 2].round(decimals=9).abs().tolist()  # [d/dx, rotation] = d/dy
    [0.0, 1.0, 0.0]
    """
    count, k = brackets.values.shape[:2]
    if not 2 <= blocks <= count:
        raise ValueError(f"`blocks` must be from 2 to the number of points {count}, got {blocks}")
    relative = torch.as_tensor(uncertainty, dtype=torch.float64)
    if relative.shape not in ((), (k,)) or not (relative.isfinite() & (relative >= 0)).all():
        raise ValueError(f"`uncertainty` must be one or {k} finite numbers, not negative, got {uncertainty}")
    fit = _fit(brackets, blocks)
    sizes, dual, triangle = brackets.sizes, fit.dual, fit.triangle

    def in_generators(constants: Tensor) -> Tensor:
        return torch.einsum("...m,km->...k", constants, dual)

    def in_orthonormal(constants: Tensor) -> Tensor:
        return torch.einsum("ia,jb,...ijm->...abm", dual, dual, constants)

    constants = in_generators(fit.constants)
    shares, leaving = torch.zeros_like(fit.rest), torch.zeros_like(fit.rest)
    if brackets.coarse is not None:
        other = _fit(brackets.coarse, blocks)
        change = constants - torch.einsum("...m,km->...k", other.constants, other.dual)
        shares, leaving = (change @ triangle.T).norm(dim=-1) / 3, (fit.rest - other.rest) / 3

    reach = relative * sizes
    shift = reach[:, None] * (sizes + brackets.slopes)  # of [V_i, V_j] by dV_i
    squares = shift.square() + shift.T.square() + (constants * reach).square().sum(-1)
    squares = squares * (1.0 - torch.eye(k, dtype=torch.float64)) + shares.square()
    squares_orthonormal = torch.einsum("ia,jb,ij->ab", dual.square(), dual.square(), squares)
    outside = torch.einsum("ia,jb,nij->nab", dual, dual, _both(fit.outside, k, -1.0))
    squares_orthonormal = squares_orthonormal + outside.square().sum(0)

    def errors(transform: Callable[[Tensor], Tensor], own: Tensor) -> Tensor:
        replicates = transform(fit.replicates)
        spread = (replicates - replicates.mean(0)).square().sum(0) * (blocks - 1) / blocks
        return (spread + own).sqrt()

    scale = sizes[:, None] * sizes
    defect = torch.as_tensor(jacobiator(constants.numpy())) @ triangle.T
    return StructureConstants(
        constants=constants,
        errors=errors(in_generators, squares[..., None] * dual.square().sum(1)),
        closure=fit.rest / scale,
        closure_errors=(fit.rest_errors.square() + leaving.square()).sqrt() / scale,
        jacobi=float((defect.norm(dim=-1) / (scale[..., None] * sizes)).max()),
        orthonormal=(in_orthonormal(fit.constants), errors(in_orthonormal, squares_orthonormal[..., None])),
    )


@dataclass(frozen=True)
class _Fit:
    """Brackets in an orthonormal basis W of the span, ``V = W triangle``, and what lies outside of it."""

    triangle: Tensor  # [K, K], upper
    dual: Tensor  # its inverse
    constants: Tensor  # [K, K, K], the last index in W
    replicates: Tensor  # [blocks, K, K, K], each without one block of points
    rest: Tensor  # [K, K], RMS
    rest_errors: Tensor
    outside: Tensor  # [N d, K (K - 1) / 2], divided by sqrt(N)


def _fit(brackets: Sample, blocks: int = 0) -> _Fit:
    """Over the points; without blocks there are no replicates, and the errors are 0."""
    count, k, d = brackets.values.shape
    pairs = _pairs(k)
    sizes = brackets.sizes
    if not (sizes > 0).all():
        raise ValueError("the generators must be linearly independent on the points, got one that vanishes there")
    columns = (brackets.values / sizes[:, None]).transpose(1, 2).reshape(count * d, k) / math.sqrt(count)
    w, triangle = torch.linalg.qr(columns)
    if triangle.diagonal().abs().min() < 1e-10:
        raise ValueError("the generators must be linearly independent on the points, got a dependent set")
    triangle = triangle * sizes
    chosen = brackets.brackets[:, [i for i, _ in pairs], [j for _, j in pairs]]
    wanted = chosen.transpose(1, 2).reshape(count * d, len(pairs)) / math.sqrt(count)
    constants = w.T @ wanted
    outside = wanted - w @ constants
    outside = outside - w @ (w.T @ outside)  # once more, for what cancelled

    replicates, rests = [], []
    total = outside.square().sum(0)
    ends = [round(b * count / blocks) * d for b in range(1, blocks)]
    for rows in torch.arange(count * d).tensor_split(ends) if blocks else ():
        own, theirs = w[rows], wanted[rows]
        # the normal equations of all points, less those of the block
        left = torch.eye(k, dtype=torch.float64) - own.T @ own
        if not float(torch.linalg.eigvalsh(left)[0]) > ALONE:
            raise ValueError(
                f"the generators must be linearly independent on the points outside each of the {blocks} blocks, got a "
                "set that depends on one of them; take more points, or more blocks"
            )
        replicates.append(torch.linalg.solve(left, constants - own.T @ theirs))
        rests.append(((total - outside[rows].square().sum(0)) * count / (count - len(rows) / d)).clamp_min(0.0).sqrt())
    rest_errors = torch.zeros_like(total)
    if blocks:
        deleted = torch.stack(rests)
        rest_errors = ((deleted - deleted.mean(0)).square().sum(0) * (blocks - 1) / blocks).sqrt()
    return _Fit(
        triangle=triangle,
        dual=torch.linalg.solve_triangular(triangle, torch.eye(k, dtype=torch.float64), upper=True),
        constants=_both(constants, k, -1.0).movedim(0, -1),
        replicates=_both(torch.stack(replicates or [constants]), k, -1.0).movedim(1, -1),
        rest=_both(total.sqrt(), k, 1.0),
        rest_errors=_both(rest_errors, k, 1.0),
        outside=outside,
    )


def _both(values: Tensor, k: int, sign: float) -> Tensor:
    """Values of pairs ``[..., K (K - 1) / 2]`` to ``[..., K, K]``, symmetric or antisymmetric."""
    full = values.new_zeros(*values.shape[:-1], k, k)
    for index, (i, j) in enumerate(_pairs(k)):
        full[..., i, j], full[..., j, i] = values[..., index], sign * values[..., index]
    return full


# ---- what is missing ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proposals:
    """M new vector fields from the brackets outside a span, as a function of the point.

    Each has unit size, and they are orthogonal to the span and to each other over the points they were found on.

    Args:
        fields: those whose brackets they come from.
        weights: ``[M, K, K]``, of the brackets.
        corrections: ``[M, K]``, of the generators.
        strengths: ``[M]``, descending: size outside the span per unit of generators, as `StructureConstants.closure`.
    """

    fields: tuple[Field, ...]
    weights: Tensor
    corrections: Tensor
    strengths: Tensor

    @property
    def coordinates(self) -> Coordinates:
        """The axes of the space."""
        return self.fields[0].coordinates

    @property
    def generators(self) -> int:
        """The number M of new fields."""
        return len(self.strengths)

    def __call__(self, points: Tensor) -> Tensor:
        """``points [N, d]`` to ``vectors [N, M, d]``, both normalised."""
        found = _sample(self.fields, points)
        return torch.einsum("mij,nijd->nmd", self.weights, found.brackets) + torch.einsum(
            "mk,nkd->nmd", self.corrections, found.values
        )


@one_thread()
def propose(fields: Fields, points: Tensor, tolerance: float) -> Proposals:
    """New fields from the brackets that leave a span, orthonormalised against it under the measure of the points.

    If all fields generate symmetries, so do these: one that does not says that a generator is wrong.

    Args:
        fields, points: as for `sample`.
        tolerance: strengths up to it are taken for errors of the generators; above 0.

    Raises:
        ValueError: as for `sample` and `structure_constants`, or ``tolerance`` is not positive.

    >>> from symflow import Coordinates, SymbolicField
    >>> plane = Coordinates(("x", "y"))
    >>> some = SymbolicField(plane, [{"dx": "1"}, {"dx": "-y", "dy": "x"}])
    >>> new = propose(some, torch.rand(50, 2), 1e-6)
    >>> new.generators, suspects(sample([some, new], torch.rand(9, 2))).sentence
    (1, 'the span is closed under brackets')
    """
    if not tolerance > 0:
        raise ValueError(f"`tolerance` must be positive, got {tolerance}")
    brackets = sample(fields, points)
    fit, k = _fit(brackets), brackets.generators
    pairs = _pairs(k)
    units = torch.tensor([float(brackets.sizes[i] * brackets.sizes[j]) for i, j in pairs], dtype=torch.float64)
    _, strengths, mixtures = torch.linalg.svd(fit.outside / units, full_matrices=False)
    kept = int((strengths > tolerance).sum())
    own = mixtures[:kept] / strengths[:kept, None] / units  # [M, pairs]
    weights = torch.zeros(kept, k, k, dtype=torch.float64)
    for index, (i, j) in enumerate(pairs):
        weights[:, i, j] = own[:, index]
    corrections = -torch.einsum("mij,ijn,kn->mk", weights, fit.constants, fit.dual)
    return Proposals(tuple(_parts(fields)), weights, corrections, strengths[:kept])


def complete(
    forms: Sequence[Mapping[str, sympy.Expr]],
    is_symmetry: Callable[[ClosedForm], bool],
    most: int = 32,
) -> tuple[list[ClosedForm], list[ClosedForm]]:
    """Closes a list of closed forms under brackets, with those brackets that pass a test.

    Brackets in the span, or in the span and one rejected form, are not tested again. Every new form is reduced by the
    span and has coefficients without a common factor. The result is closed under brackets when nothing was rejected and
    there are fewer than `most` forms; `readout.structure_constants` proves it.

    Args:
        forms: linearly independent.
        is_symmetry: the test of a new form.
        most: the number of forms at which the search ends: algebras need not have finite dimension.

    Returns:
        The forms with the new ones behind them, and the rejected ones. A rejected bracket of two symmetries does not
        exist: where there is one, a form of the list is no symmetry (`suspects`).

    Raises:
        ValueError: there are more than `most` forms to begin with.

    >>> x, y = sympy.symbols("x y", real=True)
    >>> shift, rotation = {"dx": sympy.S(1), "dy": sympy.S(0)}, {"dx": -y, "dy": x}
    >>> complete([shift, rotation], lambda form: True)[0][2]
    {'dx': 0, 'dy': 1}
    """
    if len(forms) > most:
        raise ValueError(f"`forms` must hold at most {most} forms, got {len(forms)}")
    found: list[ClosedForm] = [dict(form) for form in forms]
    rejected: list[ClosedForm] = []
    count = 8 * most + 16

    def column(form: ClosedForm) -> Tensor:
        return _evaluate([form], count).flatten()

    inner, outer = [column(form) for form in found], list[Tensor]()
    second = 1
    while second < len(found) < most:
        for first in range(second):
            new = exact_bracket(found[first], found[second])
            values = column(new)
            # a bracket that vanishes may be written as a sum that only rounding keeps from 0
            size = max(float(values.norm()), float(inner[first].norm() * inner[second].norm()) / count**0.5)
            spans = [inner, *([*inner, other] for other in outer)]
            if any(_in_span(values, span, size) for span in spans):
                continue
            new = _reduced(new, found)
            passed = is_symmetry(new)
            (found if passed else rejected).append(new)
            (inner if passed else outer).append(column(new))
            if len(found) == most:
                break
        second += 1
    return found, rejected


def _in_span(values: Tensor, span: Sequence[Tensor], size: float) -> bool:
    columns = torch.stack([v / v.norm() for v in span], 1)
    basis = torch.linalg.qr(columns)[0]
    rest = values - basis @ (basis.T @ values)
    return bool(rest.norm() <= DEPENDENT * size)


def _reduced(form: ClosedForm, forms: Sequence[ClosedForm]) -> ClosedForm:
    """The form less what the span can remove from it, scaled to integers: exact, or as it was when not rational."""
    terms: dict[tuple[str, sympy.Expr], int] = {}
    rows: list[dict[int, Fraction]] = []
    for f in [*forms, form]:
        row: dict[int, Fraction] = {}
        for name, expression in f.items():
            for term in sympy.Add.make_args(sympy.expand(expression)):
                number, function = term.as_coeff_Mul(rational=False)
                if number == 0:
                    continue
                if not isinstance(number, sympy.Rational):
                    return form
                row[terms.setdefault((name, function), len(terms))] = Fraction(int(number.p), int(number.q))
        rows.append(row)
    matrix = [[row.get(column, Fraction(0)) for column in range(len(terms))] for row in rows]
    basis, leading = rational.echelon(rational.integers(matrix[:-1]))
    reduced = np.array(matrix[-1], dtype=object)
    for vector, lead in zip(basis, leading, strict=True):
        reduced = reduced - reduced[lead] / Fraction(int(vector[lead])) * vector
    (whole,) = rational.integers([reduced])
    if next(v for v in whole if v) < 0:
        whole = -whole
    result: ClosedForm = {name: sympy.Integer(0) for name in form}
    for (name, function), v in zip(terms, whole, strict=True):
        result[name] += int(v) * function
    return result


# ---- what is too much -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Suspects:
    """Which generators a span must lose to be closed under brackets.

    Args:
        pairs: (i, j), i < j, whose bracket leaves the span; none when it is closed.
        removals: every smallest set of generators without which the rest is closed; more than one when the brackets do
            not tell which is wrong, none when no set was found among those tried.
        tried: the largest size of the sets that were all tried.
    """

    pairs: tuple[tuple[int, int], ...]
    removals: tuple[tuple[int, ...], ...]
    tried: int

    @property
    def sentence(self) -> str:
        """For a reader; generators are V1, V2, ..."""
        if not self.pairs:
            return "the span is closed under brackets"
        names = [" and ".join(f"V{k + 1}" for k in removal) for removal in self.removals]
        open_ones = ", ".join(f"[V{i + 1}, V{j + 1}]" for i, j in self.pairs)
        head = f"the span is not closed under brackets ({open_ones})"
        if not names:
            return f"{head}, and stays so without any {self.tried} of its generators"
        if len(names) == 1:
            return f"{head}: without {names[0]} it is closed"
        return (
            f"{head}, and the brackets do not tell which is wrong: it is closed without {', or without '.join(names)}"
        )


@one_thread()
def suspects(brackets: Sample, tolerance: float = 1e-8) -> Suspects:
    """The smallest sets of generators whose removal closes a span under brackets.

    All sets of one size are tried before the next size; the search ends after 20,000 sets.

    Args:
        brackets: from `sample` or `sample_forms`.
        tolerance: RMS size outside the span relative to ``|V_i| |V_j|`` up to which a bracket lies in it; choose it
            above the errors of the generators.

    Raises:
        ValueError: ``tolerance`` is not positive; the generators are linearly dependent on the points.

    >>> x = sympy.Symbol("x", real=True)
    >>> zero, one = sympy.Integer(0), sympy.Integer(1)
    >>> projective = [{"dx": one, "du": zero}, {"dx": x, "du": zero}, {"dx": x**2, "du": zero}]
    >>> suspects(sample_forms([*projective, {"dx": zero, "du": x}])).removals
    ((3,),)
    """
    if not tolerance > 0:
        raise ValueError(f"`tolerance` must be positive, got {tolerance}")
    fit, k = _fit(brackets), brackets.generators
    pairs, sizes = _pairs(k), brackets.sizes
    if not pairs:
        return Suspects((), (), 0)
    units = torch.tensor([float(sizes[i] * sizes[j]) for i, j in pairs], dtype=torch.float64)
    inner = torch.stack([fit.constants[i, j] for i, j in pairs], 1) / units  # brackets in W, [K, pairs]
    vectors = fit.triangle / sizes  # generators in W, [K, K], columns
    leaving = (fit.outside / units).norm(dim=0)

    def open_pairs(kept: Sequence[int]) -> list[int]:
        basis = torch.linalg.qr(vectors[:, kept])[0]
        chosen = [index for index, (i, j) in enumerate(pairs) if i in kept and j in kept]
        rest = inner[:, chosen] - basis @ (basis.T @ inner[:, chosen])
        size = (rest.square().sum(0) + leaving[chosen].square()).sqrt()
        return [index for index, large in zip(chosen, (size > tolerance).tolist(), strict=True) if large]

    failing = tuple(pairs[index] for index in open_pairs(range(k)))
    if not failing:
        return Suspects((), (), 0)
    for size in range(1, k):
        if sum(math.comb(k, r) for r in range(1, size + 1)) > MOST_REMOVALS:
            return Suspects(failing, (), size - 1)
        removals = tuple(
            removed
            for removed in itertools.combinations(range(k), size)
            if not open_pairs([i for i in range(k) if i not in removed])
        )
        if removals:
            return Suspects(failing, removals, size)
    raise AssertionError  # one generator alone is closed

"""The generator of a black box: its velocity at parameter 0, read as a closed form, beside the nearest symmetry."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import sympy
import torch
from torch import Tensor

from symflow.algebra import ClosedForm, readout, simplest
from symflow.fields import Coordinates, series
from symflow.formulas import expressions

from ..equations import Equation
from ..symmetries import complexity, polynomial_library
from .data_transform import Rates
from .point_transform import STILL, Move, rms

LEVELS = 6  # of the extrapolation to step 0
REACH = 0.05  # how far its largest step moves points, normalised
MOST_DEGREE = 4  # of the polynomials in a closed form
EXACT = 1e-9  # relative: what a closed form may leave of a velocity known to all digits
MARGIN = 30.0  # of the velocity's own accuracy
LEFT = 0.03  # of the rates of change of data, that a closed form must explain
ROUGH = 2e-3  # relative accuracy of coefficients read from data
SIMPLE = 200  # denominators of what is read from data
MOST_COMBINED = 3  # generators in a nearest symmetry


@dataclass(frozen=True)
class Velocity:
    """``V = d/d epsilon f(z, epsilon)`` at epsilon = 0.

    Attributes:
        points: ``[N, d]``, physical.
        values: ``[N, d]``, physical.
        accuracy: of the values, relative to their size, estimated by the extrapolation.
        size: RMS of the values, normalised: ``epsilon = length/size`` moves points by about a length.
    """

    points: Tensor
    values: Tensor
    accuracy: float
    size: float


def velocity(transform: Move, points: Tensor, coordinates: Coordinates) -> Velocity | None:
    """By central differences and Richardson's extrapolation; ``None`` where the transform moves nothing, or jumps.

    Args:
        transform: the identity at 0.
        points: ``[N, d]``, physical.
        coordinates: for sizes.
    """

    def displacement(epsilon: float) -> Tensor:
        return coordinates.vectors_to_normalised(transform(points, epsilon) - transform(points, -epsilon)) / 2

    def size(epsilon: float) -> float:
        lengths = displacement(epsilon).norm(dim=-1)
        finite = torch.isfinite(lengths)
        return rms(lengths[finite]) if float(finite.double().mean()) > 0.9 else math.inf

    step = 1e-3
    for _ in range(12):
        if (reach := size(step)) > REACH:
            step /= 10.0
        elif reach < 1e-6:
            step *= 10.0
        else:
            break
    reach = size(step)
    if reach < STILL or not math.isfinite(reach):
        return None
    step *= REACH / reach
    while size(step) > 4 * REACH and step > 1e-12:
        step /= 2.0
    table: list[list[Tensor]] = []
    best, error = None, math.inf
    finite = torch.ones(len(points), dtype=torch.bool)
    for level in range(LEVELS):
        h = step / 2**level
        row = [displacement(h) / h]
        finite &= torch.isfinite(row[0]).all(-1)
        for k in range(level):  # the error of central differences is even in h
            row.append(row[k] + (row[k] - table[-1][k]) / (4.0 ** (k + 1) - 1.0))
        if level:
            change = rms((row[-1] - table[-1][-1])[finite].norm(dim=-1))
            if change < error:
                best, error = row[-1], change
        table.append(row)
    if best is None:
        return None
    lengths = best[finite].norm(dim=-1)
    total = rms(lengths)
    if not total > 0.0:
        return None
    values = coordinates.vectors_to_physical(best[finite])
    return Velocity(points[finite], values, max(error / total, 1e-14), total)


# ---------------------------------------------------------------- the closed form


@dataclass(frozen=True)
class VelocityForm:
    """A velocity in closed form.

    Attributes:
        form: ``{"dx": ..., "dt": ..., "du": ...}``.
        factor: what the form is to be multiplied by; 1 where its coefficients are rational as they stand.
        exact: whether all coefficients were recognised as rational numbers.
    """

    form: ClosedForm
    factor: float
    exact: bool


def closed_form(
    equation: Equation, velocity: Velocity, coordinates: Coordinates, special: Sequence[sympy.Expr]
) -> VelocityForm | None:
    """The fewest and simplest functions of a library that a velocity is a combination of; ``None`` where it is none.

    The library is that of lowest degree over which the least-squares residual is rounding; functions are then left out
    one by one, from complex to simple, as long as it stays so.

    Args:
        equation: whose coordinates they are.
        velocity: at points.
        coordinates: for sizes.
        special: functions besides polynomials.
    """
    tolerance = max(EXACT, MARGIN * velocity.accuracy)
    values = coordinates.vectors_to_normalised(velocity.values) / velocity.size
    for degree in range(MOST_DEGREE + 1):
        library = polynomial_library(equation, degree, special)
        if 2 * len(library) > len(values):
            break
        columns = library(velocity.points)
        kept = torch.isfinite(columns).all(0)
        columns = torch.where(kept, columns, 0.0)
        size = columns.square().mean(0).sqrt()
        size = torch.where(size > 0, size, 1.0)
        triangle = torch.linalg.qr(torch.cat([columns / size, values], 1) / len(values) ** 0.5, mode="r")[1]
        A, b = triangle[:, : len(library)], triangle[:, len(library) :]
        if float((b - A @ _least_squares(A, b)).norm()) > tolerance:
            continue
        rows = torch.stack([_sparse(A, b[:, c], tolerance) for c in range(b.shape[1])])  # [d, functions]
        scale = rows.new_tensor(coordinates.scale)[:, None]
        rows = rows * scale * velocity.size / size
        return _read(rows, library.functions, ["d" + n for n in coordinates.names], max(readout.SNAP, tolerance))
    return None


def closed_form_of_rates(
    equation: Equation, found: Rates, special: Sequence[sympy.Expr]
) -> tuple[VelocityForm, float] | None:
    """The generator behind the rates of change of data, and what it leaves of them, RMS, relative.

    Data are few and transforms of them interpolate, so only short forms with simple coefficients are read, over the
    smallest of three libraries that explains the rates about as well as any; ``None`` where none explains them to
    `LEFT`.
    """
    names = ["d" + name for name in equation.space.names]
    size_of_rates = rms(found.values)
    fits = []
    for degree, own in ((1, ()), (1, special), (2, special)):
        library = polynomial_library(equation, degree, own)
        functions = library(found.points)
        functions = torch.where(torch.isfinite(functions).all(0), functions, 0.0)
        columns = (found.columns[:, :, None] * functions[:, None, :]).flatten(1)  # [N, d functions], component first
        if 2 * columns.shape[1] > len(columns):
            break
        size = columns.square().mean(0).sqrt()
        size = torch.where(size > 0, size, 1.0)
        both = torch.cat([columns / size, found.values[:, None] / size_of_rates], 1)
        triangle = torch.linalg.qr(both / len(both) ** 0.5, mode="r")[1]
        A, b = triangle[:, :-1], triangle[:, -1]
        left = float((b - A @ _least_squares(A, b[:, None])[:, 0]).norm())
        fits.append((left, library, A, b, size))
    best = min(left for left, *_ in fits)
    left, library, A, b, size = next(fit for fit in fits if fit[0] <= max(10 * best, ROUGH / 2))
    if left > LEFT:
        return None
    # from complex to simple over all components at once
    order = torch.arange(A.shape[1]).view(len(names), len(library)).T.flatten()
    row = torch.empty(A.shape[1], dtype=torch.float64)
    row[order] = _sparse(A[:, order], b, max(2 * left, ROUGH))
    rows = (row * size_of_rates / size).view(len(names), len(library))
    return _read(rows, library.functions, names, max(4 * left, ROUGH), SIMPLE), left


def velocity_of(generator: VelocityForm, points: Tensor, coordinates: Coordinates, accuracy: float) -> Velocity:
    """The velocity of a generator in closed form at points ``[N, d]``, physical."""
    names = ["d" + name for name in coordinates.names]
    values = generator.factor * on_points(generator.form, names, points, coordinates)
    kept = torch.isfinite(values).all(-1)
    size = rms(values[kept].norm(dim=-1))
    return Velocity(points[kept], coordinates.vectors_to_physical(values[kept]), accuracy, size)


def on_points(form: ClosedForm, names: Sequence[str], points: Tensor, coordinates: Coordinates) -> Tensor:
    """Normalised values ``[N, d]`` of a closed form at physical points ``[N, d]``."""
    values = {
        sympy.Symbol(n, real=True): column for n, column in zip(coordinates.names, points.unbind(-1), strict=True)
    }
    zero = torch.zeros_like(points[:, 0])
    columns = [zero + expressions.evaluate(form[name], values, series.FUNCTIONS) for name in names]
    return coordinates.vectors_to_normalised(torch.stack(columns, -1))


def _least_squares(A: Tensor, b: Tensor) -> Tensor:
    solution: Tensor = torch.linalg.lstsq(A, b, driver="gelsd").solution
    return solution


def _sparse(A: Tensor, b: Tensor, tolerance: float) -> Tensor:
    """Coefficients of the first columns of A that suffice for b."""

    def solved(kept: list[int]) -> tuple[Tensor, float]:
        if not kept:
            return A.new_zeros(0), float(b.norm())
        solution = _least_squares(A[:, kept], b[:, None])[:, 0]
        return solution, float((b - A[:, kept] @ solution).norm())

    kept = list(range(A.shape[1]))
    for column in reversed(range(A.shape[1])):
        fewer = [k for k in kept if k != column]
        if solved(fewer)[1] <= tolerance:
            kept = fewer
    row = A.new_zeros(A.shape[1])
    row[kept] = solved(kept)[0]
    return row


def _read(
    rows: Tensor,
    functions: Sequence[sympy.Expr],
    names: Sequence[str],
    snap: float,
    largest: int = readout.LARGEST_DENOMINATOR,
) -> VelocityForm:
    entries = [(c, f, float(rows[c, f])) for c in range(len(names)) for f in range(len(functions)) if rows[c, f] != 0.0]
    for factor in (1.0, abs(entries[0][2])):
        numbers = [readout.rational(v / factor, snap, largest) for _, _, v in entries]
        if all(n is not None for n in numbers):
            break
    exact = all(n is not None for n in numbers)
    if not exact:
        factor = 1.0
        numbers = [sympy.Float(v, 8) for _, _, v in entries]
    form = dict.fromkeys(names, sympy.Integer(0))
    for (c, f, _), number in zip(entries, numbers, strict=True):
        form[names[c]] += number * functions[f]
    return VelocityForm({name: simplest(f) for name, f in form.items()}, factor, exact)


# ---------------------------------------------------------------- the nearest symmetry


@dataclass(frozen=True)
class Nearest:
    """The symmetry to compare a generator with.

    Attributes:
        form: that agrees with the generator in as many components as any; else the nearest of the basis.
        agrees: whether it agrees in a component that is not 0.
        angle: of the generator to the span of all symmetries, radians, over the box the points are in.
    """

    form: ClosedForm
    agrees: bool
    angle: float


def nearest(
    velocity: Velocity,
    generator: VelocityForm | None,
    coordinates: Coordinates,
    forms: Sequence[ClosedForm],
) -> Nearest | None:
    """The nearest symmetry in the span of given ones; ``None`` where there are none.

    Args:
        velocity: at points.
        generator: its closed form, or ``None``.
        coordinates: for sizes.
        forms: a basis of the symmetries.
    """
    if not forms:
        return None
    names = ["d" + name for name in coordinates.names]
    basis = torch.stack([on_points(form, names, velocity.points, coordinates) for form in forms])  # [k, N, d]
    values = coordinates.vectors_to_normalised(velocity.values)
    finite = torch.isfinite(basis).all(0).all(-1)
    basis, values = basis[:, finite], values[finite]
    A, b = basis.flatten(1).T, values.flatten()
    rest = b - A @ _least_squares(A, b[:, None])[:, 0]
    angle = math.asin(min(1.0, float(rest.norm() / b.norm())))
    if generator is not None and (found := _agreeing(basis, values, generator, forms, names)) is not None:
        return Nearest(found, True, angle)
    cosines = (A.T @ b).abs() / A.norm(dim=0)
    return Nearest(forms[int(cosines.argmax())], False, angle)


def _agreeing(
    basis: Tensor, values: Tensor, generator: VelocityForm, forms: Sequence[ClosedForm], names: Sequence[str]
) -> ClosedForm | None:
    """A short combination of symmetries that is equal to the generator in as many components as possible."""
    form = generator.form
    moving = {c for c, name in enumerate(names) if form[name] != 0}
    for size in range(len(names), 0, -1):
        candidates: list[tuple[float, int, ClosedForm]] = []
        for count in range(1, min(MOST_COMBINED, len(forms)) + 1):
            for chosen in combinations(range(len(forms)), count):
                for same in combinations(range(len(names)), size):
                    if not moving & set(same):
                        continue
                    A = basis[list(chosen)][..., list(same)].flatten(1).T
                    b = values[:, list(same)].flatten()
                    solution = _least_squares(A, b[:, None])[:, 0]
                    if float((A @ solution - b).norm()) > EXACT * max(float(b.norm()), 1e-300):
                        continue
                    numbers = [readout.rational(v / generator.factor, 1e-7) for v in solution.tolist()]
                    if any(n is None or n == 0 for n in numbers):
                        continue
                    combined = {
                        name: simplest(
                            sympy.expand(
                                sum(
                                    (n * forms[k][name] for k, n in zip(chosen, numbers, strict=True)), sympy.Integer(0)
                                )
                            )
                        )
                        for name in names
                    }
                    apart = float((torch.einsum("k,knd->nd", solution, basis[list(chosen)]) - values).norm())
                    candidates.append((apart, complexity(combined), combined))
            if candidates:
                return min(candidates, key=lambda c: c[:2])[2]
    return None

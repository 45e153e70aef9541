"""What is asked of jets: null spaces over a library, angles to what is known, and the finite flow with its control."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import sympy
from torch import Tensor

from symflow.algebra import ClosedForm, subspace_angles
from symflow.discovery import Spectrum
from symflow.fields import Coordinates, Field, SymbolicField

from ..equations import Equation, JetSample, variable
from ..families import Family
from ..scores import InfinitesimalScore, JetScore, ObservedJets, observed, points_of, unit_weights
from ..symmetries import Library, NullSpace, Symmetries, condition, gap_rank, polynomial_library, prolongation
from .result import Generator, Observed
from .sources import Source

POINTS = 4_000  # of the null space
CEILING = 1e-6  # of a null space that is exact up to rounding
OBSERVED_CEILING = 1e-4  # of one with u_t from the data, which the differences in time limit
NULL_RESOLUTION = 1e-12
DATA_DEGREE = 2  # of the library on data, and more where the generators have more


def lost(plane: Symmetries, asked: Symmetries, periodic: Sequence[str], bounded: bool) -> list[ClosedForm]:
    """The generators that change the period of some axes, or that do not keep the boundary by themselves."""
    if bounded:
        return [form for form in plane.forms if form not in asked.forms]
    axes = {variable(name) for name in periodic}
    return [form for form in plane.forms if any(f.free_symbols & axes for f in form.values())]


def with_period(families: Sequence[Family], periodic: Sequence[str]) -> list[Family]:
    """Families that keep the period of some axes, if their functions have it."""
    axes = {variable(name) for name in periodic}
    return [family for family in families if not any(f.free_symbols & axes for f in family.form.values())]


def null_space(source: Source, algebra: Symmetries, sample: JetSample) -> tuple[NullSpace, int]:
    """The null space on the jets of data, over a library that holds all generators; the equation's without data."""
    if source.data is None:
        return algebra.condition.null_space(), algebra.rank
    sample = sample[:POINTS]
    library = _data_library(algebra, sample.points, source.periodic)
    null = condition(source.equation, sample, library, source.coordinates).null_space()
    return null, gap_rank(null.values, NULL_RESOLUTION, CEILING)


def _data_library(algebra: Symmetries, points: Tensor, periodic: Sequence[str]) -> Library:
    """Polynomials of as high a degree as the generators have, times the special functions that exist at the points."""
    library = algebra.condition.library
    alone = Library(library.variables, ((0,) * len(library.variables),), library.special)
    exist = alone(points).isfinite().all(0).tolist()
    special = [s for s, good in zip(library.special, exist, strict=True) if good]
    degree = max(DATA_DEGREE, max(map(sum, library.monomials)))
    return polynomial_library(algebra.equation, degree, special, periodic)


def observed_null_space(
    source: Source, algebra: Symmetries, jets: ObservedJets | None, fresh: Tensor, closed: Tensor | None
) -> Observed | None:
    """What jets with derivatives from the data show, if there are any."""
    if jets is None:
        return None
    library = _data_library(algebra, jets.observed.points, source.periodic)
    null = observed(jets[:POINTS], source.equation, library, source.coordinates)
    count = gap_rank(null.values, NULL_RESOLUTION, OBSERVED_CEILING)
    angles: list[float] = []
    if count and closed is not None:
        angles = subspace_angles(null.fields(fresh, count, source.coordinates), closed).tolist()
    return Observed(Spectrum(null.values.tolist(), count, NULL_RESOLUTION), angles)


def known_algebra(source: Source) -> SymbolicField | None:
    """The known algebra; its part without the axes that have a period, where there are any."""
    if source.symmetries is None:
        return None
    plane = SymbolicField(source.coordinates, source.symmetries)
    if not source.periodic:
        return plane
    axes = [variable(name) for name in source.periodic]
    free = [k for k, components in enumerate(plane.components) if not any(c.has(*axes) for c in components)]
    return SymbolicField(source.coordinates, [source.symmetries[k] for k in free])


def angles_to(values: Tensor, truth: SymbolicField, points: Tensor) -> list[float]:
    """Principal angles between fields, by values, and the known algebra; a right angle for each field too few."""
    known = truth(points)
    missing = [math.pi / 2] * abs(known.shape[1] - values.shape[1])
    return (subspace_angles(values, known).tolist() if values.shape[1] else []) + missing


def generators_of(
    algebra: Symmetries,
    coordinates: Coordinates,
    sample: JetSample,
    moved: JetScore,
    forms: Sequence[dict[str, str]],
) -> list[Generator]:
    """Every closed form with its proof, its finite-flow check, its floor and its control."""
    if not forms:
        return []
    equation = algebra.equation
    field = SymbolicField(coordinates, forms)
    points = points_of(sample, coordinates)
    roughly = replace(moved, steps=moved.steps // 2)
    coarse, scores = roughly(field).tolist(), moved(field).tolist()
    infinitesimal = InfinitesimalScore(equation, coordinates, sample)(field).tolist()
    spoiled = roughly(controls(field, points, equation.space.dependent[0])).tolist()
    generators = []
    for i, (form, exact) in enumerate(zip(forms, algebra.forms, strict=True)):
        floor = moved.floor + abs(coarse[i] - scores[i])
        factor = prolongation.multiplier(equation, exact) if algebra.verified[i] else None
        generators.append(
            Generator(
                name=f"V{i + 1}",
                closed_form=form,
                named={key: str(f) for key, f in algebra.named[i].items()},
                score=scores[i],
                floor=floor,
                verified=algebra.verified[i],
                multiplier=None if factor is None else str(factor),
                infinitesimal=infinitesimal[i],
                control=spoiled[i],
                in_complex=_as_written(equation, exact),
            )
        )
    return generators


def _as_written(equation: Equation, form: ClosedForm) -> dict[str, str] | None:
    if not equation.names.complex:
        return None
    i = sympy.Symbol("i")  # as it is written in equations
    return {key: str(f.subs(sympy.I, i)) for key, f in equation.in_complex(form).items()}


def controls(field: SymbolicField, points: Tensor, u: str) -> SymbolicField:
    """Each generator mixed in equal parts, by size on the points, with ``u^2 d/du`` of an unknown u."""
    spoiler = SymbolicField(field.coordinates, [{f"d{u}": f"{u}**2"}])
    ratios = (_size(field, points) / _size(spoiler, points)).tolist()
    forms = []
    for components, ratio in zip(field.components, ratios, strict=True):
        form = {f"d{name}": str(c) for name, c in zip(field.coordinates.names, components, strict=True)}
        forms.append(form | {f"d{u}": f"({form[f'd{u}']}) + {ratio!r}*{u}**2"})
    return SymbolicField(field.coordinates, forms)


def _size(field: Field, points: Tensor) -> Tensor:
    return 1.0 / unit_weights(field, points)

"""Audit of a transformation of the user's own: is it a symmetry of an equation? Nothing is trained.

A function of one of two kinds, told apart by trying it (`user_function.as_transform`):

A point transform maps coordinates elementwise, in the order of ``equation.space.names``, and a parameter::

    def boost(x, t, u, epsilon):
        return x + epsilon * t, t, u + epsilon

A data transform maps gridded data, ``x [X]``, ``t [T]``, ``u [T, X]``, as augmentation code does, to u or all three::

    def boost(x, t, u, epsilon):
        k = 2 * np.pi * np.fft.rfftfreq(len(x), x[1] - x[0])
        return np.fft.irfft(np.exp(-1j * k * epsilon * t[:, None]) * np.fft.rfft(u), len(x)) + epsilon

A point transform is judged on solution surfaces through random jets (`point_transform`), at several parameters; its
generator is read as a closed form (`infinitesimal`) and put into the determining equations by computer algebra. A data
transform is judged on solutions made for it (`data_transform`), on grids of three spacings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.runs import one_thread

from ..equations import Equation, Manifold, equation_of
from ..symmetries import symmetries
from . import data_transform
from .data_transform import REFINEMENTS
from .generators import MARGIN, _judge
from .infinitesimal import (
    closed_form_of_rates,
    velocity,
    velocity_of,
)
from .point_transform import GroupLaw, Move, Surfaces, group_law, moved, rms
from .user_function import DataTransform, PointTransform, as_transform
from .verdicts import GeneratorAudit, TransformAudit, Verdict

LENGTHS = (-0.2, -0.1, 0.1, 0.2)  # of the finite transforms, in units of the box the jets are in
COMPOSED = (0.1, 0.07)  # lengths that are composed
POINTS = 2_000  # at which the velocity is read
AT_FLOOR = 10.0  # times the floor: as good as not moved
INEXACT = 1e-8  # of the score: as good as exact, for functions that solve something numerically
CLOSE = 1e-3  # of the control: a function whose generator is proven may be that inexact at some points
SEEN = 100.0  # times the score: what the control must have
HOLDS, HOLDS_SINGLE = 1e-8, 1e-5  # of the group law, relative; or MARGIN times the floor
ROUGH_IDENTITY, ROUGH_GROUP = 1e-3, 0.05  # of the group law on data, where transforms interpolate


@one_thread()
def audit_transform(function: Callable[..., Any], equation: Equation | str, *, seed: int = 0) -> TransformAudit:
    """Whether a function is a symmetry of an equation.

    Args:
        function: a point transform ``(x, t, u, epsilon) -> (x, t, u)`` or a data transform (the module's head has an
            example of each), on numpy arrays or torch tensors. It is called as it is, many times, and gets copies.
        equation: any for point transforms, its name or formula; one ``u_t = ...`` in x, t and u for data transforms.
        seed: the same seed gives the same audit.

    Raises:
        UserError: the function raises an exception, returns something else than asked, nothing finite, or moves
            nothing; a data transform of an equation that cannot be solved on a period.

    >>> def boost(x, t, u, epsilon):
    ...     return x + epsilon * t, t, u - epsilon
    >>> audit = audit_transform(boost, Equation("u_t + u*u_x + u_xxx = 0"))
    >>> audit.verdict, audit.findings[1]
    ('not a symmetry', 'The nearest symmetry is t dx + du: du is -1, it must be 1.')
    """
    equation = equation_of(equation)
    transform = as_transform(function, equation)
    if isinstance(transform, PointTransform):
        return _audit_points(transform, equation, seed)
    return _audit_data(transform, equation, seed)


@dataclass(frozen=True)
class _Parameter:
    """A one-parameter family as a function of a number that is 0 at the identity: ``epsilon`` or ``log epsilon``."""

    transform: Callable[[Any, float], Any]
    multiplies: bool = False

    def __call__(self, value: Any, s: float) -> Any:
        return self.transform(value, self.outer(s))

    def outer(self, s: float) -> float:
        """What the function is given."""
        return math.exp(s) if self.multiplies else s


def _parametrised(
    transform: Callable[[Any, float], Any], moves: Callable[[float], float], tolerance: float
) -> tuple[_Parameter, bool, list[str]]:
    """The family with its identity at 0, whether it has one, and what is to be said; `moves` is how far it moves."""

    def still(epsilon: float) -> bool:
        try:
            return moves(epsilon) <= tolerance
        except UserError:  # a function of 1/epsilon, say
            return False

    if still(0.0):
        return _Parameter(transform), True, []
    if still(1.0):
        said = "epsilon = 1 is the identity, so epsilon multiplies: it is taken as exp(s)."
        return _Parameter(transform, multiplies=True), True, [said]
    said = "Neither epsilon = 0 nor epsilon = 1 is the identity: only the finite transform is judged."
    return _Parameter(transform), False, [said]


def _distance(before: Tensor, after: Tensor, surfaces: Surfaces) -> float:
    gap = surfaces.coordinates.vectors_to_normalised(after - before).norm(dim=-1)
    finite = torch.isfinite(gap)
    return rms(gap[finite]) if float(finite.double().mean()) > 0.5 else math.inf


def _audit_points(transform: PointTransform, equation: Equation, seed: int) -> TransformAudit:
    surfaces = Surfaces(equation, seed)
    points, coordinates = surfaces.sample.points, surfaces.coordinates
    single = _single(transform(points, 1e-3))
    tolerance = HOLDS_SINGLE if single else HOLDS
    family, at_identity, findings = _parametrised(
        transform, lambda epsilon: _distance(points, transform(points, epsilon), surfaces), tolerance
    )
    many = Manifold(equation).sample(POINTS, seed + 1).points
    speed = velocity(family, many, coordinates) if at_identity else None
    unit = 1.0 / speed.size if speed is not None else _unit(family, surfaces, transform.name) if at_identity else 1.0
    rows = [
        replace(moved(surfaces, family, unit * length, transform.name), epsilon=family.outer(unit * length))
        for length in LENGTHS
    ]
    group = None
    if at_identity:
        a, b = (unit * length for length in COMPOSED)
        group = group_law(family, points, coordinates, (a, b))
    generator: GeneratorAudit | None = None
    said: list[str] = []
    if speed is not None:
        generator, said = _judge(symmetries(equation, seed=seed), speed, coordinates)
    elif at_identity:
        said = ["The derivative in epsilon at the identity is 0: there is no generator to read."]
    findings += said
    finite = all(m.score <= max(AT_FLOOR * m.floor, INEXACT) for m in rows)
    seen = all(m.control >= SEEN * m.score for m in rows)
    verified = generator is not None and generator.verified is True
    is_group = group is not None and group.composition <= max(tolerance, MARGIN * max(m.floor for m in rows))
    if group is not None and not is_group:
        findings.append(_no_group(group, family))
    verdict: Verdict
    if not finite and verified and is_group and all(m.score <= CLOSE * m.control for m in rows):
        verdict = "undecided"
        findings.append("Its generator is a symmetry and the group law holds, but at some points it is not exact.")
    elif not finite:
        verdict = "not a symmetry"
        if verified:
            findings.append("Its generator is a symmetry, but it is right to first order in epsilon only.")
    elif not seen or (generator is not None and generator.verified is False):
        verdict = "undecided"
        findings.append("The numbers do not tell: the finite transform passes, but a check that must agree does not.")
    else:
        verdict = "symmetry"
    if single:
        findings.append("It computes in single precision, which is what the floor shows.")
    lost = min(m.share for m in rows)
    if lost < 1.0:
        findings.append(f"At {1 - lost:.0%} of the jets it has no smooth, finite values; they are left out.")
    return TransformAudit(
        transform.name, equation, "point", transform.arrays, verdict, verdict == "symmetry" and verified and is_group,
        group, tuple(rows), (), generator, tuple(findings), seed,
    )  # fmt: skip


def _no_group(group: GroupLaw, family: _Parameter) -> str:
    product = "f(a b)" if family.multiplies else "f(a + b)"
    apart = f"f(a) f(b) and {product} differ by {group.composition:.1e} of the way"
    return f"It is no one-parameter group in this parameter: {apart}."


def _single(values: Tensor) -> bool:
    finite = values[torch.isfinite(values)]
    return bool((finite == finite.float()).all())


def _unit(family: Move, surfaces: Surfaces, name: str) -> float:
    """The parameter that moves points by about 1, for a family whose velocity is 0 at the identity.

    Raises:
        UserError: none does.
    """
    points, s = surfaces.sample.points, 1e-3
    while s < 1e6:
        reach = _distance(points, family(points, s), surfaces)
        if reach >= max(LENGTHS):
            return s / max(LENGTHS)
        s *= 1.5
    raise UserError(f"{name!r} must move points, got the identity for every epsilon from 0.001 to 1e6")


def _audit_data(transform: DataTransform, equation: Equation, seed: int) -> TransformAudit:
    data = data_transform.trajectories(equation, seed)
    middle = data_transform.coarsened(data[0], REFINEMENTS[-1] // REFINEMENTS[1])
    family, at_identity, findings = _parametrised(
        transform, lambda epsilon: data_transform.change(middle, transform(middle, epsilon)), ROUGH_IDENTITY
    )
    reach = data_transform.parameter(family, middle) if at_identity else 1.0
    rows = [
        replace(r, epsilon=family.outer(r.epsilon))
        for r in data_transform.refined(family, equation, data, (-reach, -reach / 2, reach / 2, reach), transform.name)
    ]
    generator, group = None, None
    if at_identity:
        both = family(middle, reach * 0.7)
        apart = data_transform.change(both, family(family(middle, reach * 0.3), reach * 0.4))
        far = data_transform.change(middle, both)
        group = GroupLaw(data_transform.change(middle, family(middle, 0.0)), apart / far if far > 0 else 0.0)
        seen = data_transform.rates(family, data, reach / 10)
        algebra = symmetries(equation, seed=seed)
        read = closed_form_of_rates(equation, seen, algebra.condition.library.special) if seen is not None else None
        if group.composition > ROUGH_GROUP:
            findings.append(_no_group(group, family))
        if read is not None:
            found, left = read
            coordinates = Manifold(equation).coordinates
            points = Manifold(equation).sample(POINTS, seed + 1).points
            speed = velocity_of(found, points, coordinates, left)
            generator, said = _judge(algebra, speed, coordinates, found)
            findings += [
                said[0].replace("The generator is", "Read from how the data change, the generator is"),
                *said[1:],
            ]
        else:
            findings.append("No generator could be read from how the data change.")
    verdicts = {r.verdict for r in rows}
    verdict: Verdict = "not a symmetry" if False in verdicts else "undecided" if None in verdicts else "symmetry"
    approximate = any(r.scores[-1] > data_transform.AT_FLOOR * r.floors[-1] for r in rows)
    if verdict == "symmetry" and approximate:
        findings.append("What the transformed data violate falls with the grid: it is the transform's discretisation.")
    if verdict == "symmetry" and generator is not None and generator.verified is False:
        findings.append("The data pass, so what is left may be the error of reading the generator from them.")
    if verdict == "not a symmetry":
        findings.append(
            "What the transformed data violate does not fall with the grid: it is no matter of discretisation."
        )
    if verdict == "undecided":
        findings.append(
            "What the transformed data violate falls too slowly with the grid, or is too large, to judge it."
        )
    if (spoiled := max(r.spoiled for r in rows)) > 0.1:
        findings.append(
            f"Up to {spoiled:.0%} of the points are far worse than the rest: the ends of the window, perhaps."
        )
    findings.append("Judged on solutions at given parameters only, by their residual: this is evidence, not a proof.")
    return TransformAudit(
        transform.name, equation, "data", transform.arrays, verdict, False, group, (), tuple(rows), generator,
        tuple(findings), seed,
    )  # fmt: skip

"""Where the jets of a discovery come from: data, or an equation alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from symflow.errors import UserError
from symflow.fields import Coordinates

from ..equations import Equation, Index, JetSample, Manifold, entry, lookup
from ..settings import Domain
from ..symmetries import prolongation
from ..trajectories import Trajectories, data_coordinates

FEWEST_ROWS = 16
JETS = "what is seen in their jets: moved scores, certificates, approximate symmetries, learned fields"


@dataclass(frozen=True)
class Source:
    """Where jets come from: data, or an equation alone."""

    equation: Equation
    name: str | None
    symmetries: tuple[dict[str, str], ...] | None
    coordinates: Coordinates
    sample: Callable[[int, int, Sequence[Index]], JetSample]  # count, seed, derivatives
    data: Trajectories | None


def space_axes(equation: Equation) -> tuple[str, ...]:
    """The independent variables that may have a period."""
    return tuple(name for name in equation.space.independent if name != equation.time)


def domain_of(data: Trajectories | Equation | str) -> Domain:
    """What is asked by default: of data the fields with their periods, of all others any."""
    axes = data.axes if isinstance(data, Trajectories) else ()
    return "periodic" if axes and all(a.period is not None for a in axes) else "plane"


def source_of(data: Trajectories | Equation | str, domain: Domain) -> Source:
    """The jets of trajectories, completed by their equation; of an equation, or the name of one, random ones.

    Data of another shape than u on a periodic line, or of an equation without ``u_t = ...``, have random ones too.
    """
    if isinstance(data, str):
        data = Equation(data) if "=" in data else entry(data).equation
    if isinstance(data, Equation):
        return _of_equation(data, domain)
    if not isinstance(data, Trajectories):
        raise UserError(
            f"`data` must be trajectories, an equation or its name, got {type(data).__name__}; `pde.load` reads files, "
            "and `pde.Trajectories` holds arrays with their axes and equation"
        )
    equation = data.equation
    if not studied(data):
        return replace(_of_equation(equation, domain), data=data)
    known = lookup(equation)
    coordinates = data_coordinates(data, data.length if domain == "periodic" else None)

    def sample(count: int, seed: int, indices: Sequence[Index]) -> JetSample:
        indices = [*indices, (0, 0)]
        order = max(i + equation.order * j for i, j in indices)
        return prolongation.complete_jets(equation, data.jets(count, order, seed), indices)

    return Source(
        equation=equation,
        name=known[0] if known else None,
        symmetries=known[1].symmetries if known else None,
        coordinates=coordinates,
        sample=sample,
        data=data,
    )


def studied(data: Trajectories) -> bool:
    """Whether jets of such data can be studied at all: u on a periodic line, and an equation for u_t."""
    return data.on_line and data.equation.evolutionary


def lacking(data: Trajectories) -> str:
    """What data lack for their jets to be studied, in words; empty if nothing."""
    if not studied(data):
        return f"`data` must be one unknown u on a periodic line, with an equation u_t = ..., for {JETS}"
    rows = data.u.shape[0] * data.u.shape[1]
    if rows < FEWEST_ROWS:
        return f"`data` must hold at least {FEWEST_ROWS} profiles u(x) (samples times output times), got {rows}"
    if float(data.u.std()) == 0.0:
        return "`data` must vary, got one constant value of u"
    return ""


def _of_equation(equation: Equation, domain: Domain) -> Source:
    known = lookup(equation)
    manifold = Manifold(equation)
    plane = manifold.coordinates
    with_period = space_axes(equation) if domain == "periodic" else ()
    periods = [s if n in with_period else None for n, s in zip(plane.names, plane.scale, strict=True)]
    return Source(
        equation=equation,
        name=known[0] if known else None,
        symmetries=known[1].symmetries if known else None,
        coordinates=Coordinates(plane.names, periods, plane.offset, plane.scale),
        sample=lambda count, seed, indices: manifold.sample(count, seed),
        data=None,
    )

"""Where the jets of a discovery come from: data, or an equation alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from symflow.errors import UserError
from symflow.fields import Coordinates

from ..equations import Equation, Index, JetSample, Manifold, equation_of, lookup
from ..scores import ObservedJets, both_jets, jets_of
from ..settings import Domain
from ..symmetries import derivatives_in
from ..trajectories import Trajectories, boundary_of, data_coordinates, without_jets

FEWEST_ROWS = 16
JETS = "what is seen in their jets (moved scores, certificates, approximate symmetries, learned fields)"


@dataclass(frozen=True)
class Source:
    """Where jets come from: data, or an equation alone.

    Attributes:
        equation, name, symmetries: what it is, and what the catalogue knows of it.
        periodic: the axes of space whose period fields must have.
        coordinates: units of the points.
        sample: jets, by count, seed and derivatives.
        both: jets that the determining condition needs, and of data the same with their own derivatives.
        data: if there are any.
    """

    equation: Equation
    name: str | None
    symmetries: tuple[dict[str, str], ...] | None
    periodic: tuple[str, ...]
    coordinates: Coordinates
    sample: Callable[[int, int, Sequence[Index]], JetSample]
    both: Callable[[int, int], tuple[JetSample, ObservedJets | None]]
    data: Trajectories | None

    @property
    def alone(self) -> Source:
        """The equation, with the same periods."""
        return _of_equation(self.equation, self.periodic)


def asked_of(
    data: Trajectories | Equation | str, domain: Domain | None, boundary: str | None
) -> tuple[Domain, str | None]:
    """What is asked of fields by default: to keep the walls of data, or the periods that they have; else nothing."""
    axes = data.axes if isinstance(data, Trajectories) else ()
    if domain is None and boundary is None and isinstance(data, Trajectories):
        boundary = boundary_of(data)
    periodic = boundary is None and any(a.period is not None for a in axes)
    return domain or ("periodic" if periodic else "plane"), boundary


def source_of(data: Trajectories | Equation | str, domain: Domain) -> Source:
    """The jets of trajectories, completed by their equation; of an equation, or the name of one, random ones."""
    if isinstance(data, str):
        data = equation_of(data)
    if isinstance(data, Equation):
        space = tuple(name for name in data.space.independent if name != data.time)
        return _of_equation(data, space if domain == "periodic" else ())
    if not isinstance(data, Trajectories):
        raise UserError(
            f"`data` must be trajectories, an equation or its name, got {type(data).__name__}; `pde.load` reads files, "
            "and `pde.Trajectories` holds arrays with their axes and equation"
        )
    equation = data.equation
    known = lookup(equation)
    axes = [a.name for a in data.axes if a.period is not None and a.name in equation.space.independent]
    if domain == "periodic" and not axes:
        raise UserError("`domain` must be plane for data without a periodic axis, got periodic")
    return Source(
        equation=equation,
        name=known[0] if known else None,
        symmetries=known[1].symmetries if known else None,
        periodic=tuple(axes) if domain == "periodic" else (),
        coordinates=data_coordinates(data, periodic=domain == "periodic"),
        sample=lambda count, seed, indices: jets_of(data, count, seed, indices),
        both=lambda count, seed: both_jets(data, count, seed),
        data=data,
    )


def on_line(data: Trajectories) -> bool:
    """Whether these are values of u on a periodic line, with an equation ``u_t = ...``."""
    return data.on_line and data.equation.evolutionary


def lacking(data: Trajectories) -> str:
    """What data must be for their jets to be studied and are not, in words; empty if nothing."""
    wanted = [*derivatives_in(data.equation), *data.equation.space.up_to(data.equation.order)]
    if not on_line(data) and (sentence := without_jets(data, wanted)):
        return f"must have derivatives, but {sentence}"
    rows = data.u.shape[0] * data.u.shape[1]
    if rows < FEWEST_ROWS:
        return f"must hold at least {FEWEST_ROWS} profiles (samples times output times), got {rows}"
    if float(data.u.std()) == 0.0:
        return "must vary, got one constant value of u"
    return ""


def _of_equation(equation: Equation, periodic: tuple[str, ...]) -> Source:
    known = lookup(equation)
    manifold = Manifold(equation)
    plane = manifold.coordinates
    periods = [s if n in periodic else None for n, s in zip(plane.names, plane.scale, strict=True)]
    return Source(
        equation=equation,
        name=known[0] if known else None,
        symmetries=known[1].symmetries if known else None,
        periodic=periodic,
        coordinates=Coordinates(plane.names, periods, plane.offset, plane.scale),
        sample=lambda count, seed, indices: manifold.sample(count, seed),
        both=lambda count, seed: (manifold.sample(count, seed), None),
        data=None,
    )

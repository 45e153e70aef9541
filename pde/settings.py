"""What functions of this package and the commands above them can be told: one frozen dataclass each.

The command line reads these to print its help, so nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from symflow.errors import UserError, check_integer

Domain = Literal["periodic", "plane"]
"""Fields with the period of the data in space, or any."""
Network = Literal["solved", "trained", "none"]
"""How a span is found without a library, if at all."""
Score = Literal["infinitesimal", "local"]
WALLS = ("dirichlet", "neumann")
"""What an unknown may keep at the walls of generated data: its values, or a slope of 0."""

MOST_GENERATORS = 32
MOST_DEGREE = 6


def check_tolerance(tolerance: float | None) -> None:
    """Raises UserError unless a tolerance is ``None`` or a number above 0 and below 1."""
    if tolerance is None:
        return
    if isinstance(tolerance, bool) or not isinstance(tolerance, int | float) or not 0 < tolerance < 1:
        raise UserError(f"`tolerance` must be a number above 0 and below 1, got {tolerance!r}")


@dataclass(frozen=True)
class Generation:
    """What trajectories are made: initial waves, times, grid, accuracy.

    An equation that is not in the catalogue needs `length` and `end`, and takes 250 steps, the last 140 kept, and 10
    waves of l in {1, 2}.

    Attributes:
        seed: of the initial waves.
        length: the period in x; by default the catalogue's, which are the paper's, as are the others.
        end: the last time; the first is 0.
        steps: number of output times.
        keep: how many of the last output times to keep.
        waves: number of sine waves in the initial value.
        wavenumbers: from which they are drawn.
        amplitude: the largest amplitude of a wave.
        resolution: points of the stored grid; by default the catalogue's, on which the data are resolved.
        tolerance: relative error per output interval that the step is chosen for; by default the catalogue's, and 1e-9
            for other equations.
        shard: a part of the trajectories only, such as 3/8, to be made on another machine; `symflow merge` puts all
            parts together.
        boundary: periodic; or walls at 0 and `length` of the one axis x, where unknowns keep their values (dirichlet),
            which are 0 for the random initial ones, or a slope of 0 (neumann), all of them or by name, such as
            h=neumann,v=dirichlet. Between walls there are 129 points, both ends included, 101 times and 4 waves of l in
            {1, 2, 3}, half waves that fit.
    """

    seed: int = 0
    length: float | None = None
    end: float | None = None
    steps: int | None = None
    keep: int | None = None
    waves: int | None = None
    wavenumbers: tuple[int, ...] | None = None
    amplitude: float = 0.5
    resolution: int | None = None
    tolerance: float | None = None
    shard: str | None = None
    boundary: str = "periodic"

    @property
    def walls(self) -> str | dict[str, str] | None:
        """What unknowns keep at walls, as a word or by name; ``None`` without walls."""
        if self.boundary == "periodic":
            return None
        return (_pairs("boundary", self.boundary) or "") if "=" in self.boundary else self.boundary


@dataclass(frozen=True)
class Reading:
    """How a file of data is read, where its names and ends do not say it.

    Attributes:
        fields: names of the unknowns in the file, such as u=Vx,v=Vy.
        axes: names of the variables in the file, such as x=lon,t=time.
        boundary: periodic or open, for all axes of space, or by axis such as x=periodic,y=open; by default what the
            file says, and where it says nothing whether the ends of the data meet. Besides, or for an equation alone,
            what symmetries must keep, separated by semicolons: walls, conditions and periods, at places in the order of
            the independent variables: "u(0,t) = 0; u_x(1,t) = 0", "x = c*t", "u(x+1,t) = u(x,t)".
        group: of a file with several, such as valid; by default train, or the first.
        samples: how many trajectories to read, from the first; by default all, and of more than 128 MB, where a part
            is enough (audit, describe, discover), every n-th.

    Raises:
        UserError: a text is not of this form.
    """

    fields: str | None = None
    axes: str | None = None
    boundary: str | None = None
    group: str | None = None
    samples: int | None = None

    def __post_init__(self) -> None:
        self.names  # noqa: B018  raises
        self.ends  # noqa: B018

    @property
    def names(self) -> dict[str, dict[str, str] | None]:
        """`fields` and `axes` as mappings."""
        return {name: _pairs(name, getattr(self, name)) for name in ("fields", "axes")}

    @property
    def ends(self) -> str | dict[str, str] | None:
        """What `boundary` says of the ends of axes, as a word, or as a mapping."""
        text = ",".join(filter(_of_ends, _parts(self.boundary))) or None
        return text if text is None or "=" not in text else _pairs("boundary", text)

    @property
    def conditions(self) -> str | None:
        """What `boundary` asks of symmetries."""
        return "; ".join(part for part in _parts(self.boundary) if not _of_ends(part)) or None


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(";") if part.strip()]


def _of_ends(part: str) -> bool:
    """Whether a part of a boundary is of the ends of axes: no place in parentheses, and no formula for a wall."""
    return "(" not in part and all(piece.rpartition("=")[2].strip().isidentifier() for piece in part.split(","))


def _pairs(argument: str, text: str | None) -> dict[str, str] | None:
    """``u=Vx,v=Vy`` as a dictionary."""
    if text is None:
        return None
    found = {}
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if not name or not value:
            raise UserError(f"`{argument}` must be of the form name=name,name=name, got {text!r}")
        found[name] = value
    return found


@dataclass(frozen=True)
class Variables:
    """Names of a formula that it does not show by itself.

    Attributes:
        independent: the independent variables, such as "r, s"; x, y, z, t and x1, x2, ... show themselves.
        unknowns: the unknowns, such as "rho, p"; what is differentiated shows itself.
    """

    independent: str | None = None
    unknowns: str | None = None


@dataclass(frozen=True)
class Discovery:
    """How symmetries of data or of an equation are looked for.

    Attributes:
        domain: periodic, for fields with the period of the data in space; plane, for any. By default periodic for data,
            and plane for an equation alone, which has no domain.
        seed: of the sampled points and of the network.
        network: the span that is found without a library: solved for over random features, from data with their own u_t
            where there are data; trained, the features too, with u_t from the equation; none. By default solved for
            data, trained for the score local, and none for an equation alone.
        score: what a network is trained on: infinitesimal, the determining condition on jets; local, the paper's own
            route, slots scored by local interpolation of moved patches, which needs data and takes minutes.
        generators: fields that a network is trained for: more than there are symmetries, so that the gap shows; by
            default 7, and the paper's 4 for local.
        steps: of the training; by default 150, and 1,500 for local.
        degree: of the library's polynomials; by default as high as needed until the number of symmetries is stable.
        tolerance: the largest defect of an approximate symmetry that is looked for in data; by default 0.02, or what
            the data leave open for a proved one, where that is more.
        trust: do not ask whether the data solve their equation; the result says so.
        small: a parameter of the equation that is small, by name: which symmetries of the equation without it survive
            to first order in it is asked besides (`pde.first_order_symmetries`).

    Raises:
        UserError: a value is out of its range.
    """

    domain: Domain | None = None
    seed: int = 0
    network: Network | None = None
    score: Score = "infinitesimal"
    generators: int | None = None
    steps: int | None = None
    degree: int | None = None
    tolerance: float | None = None
    trust: bool = False
    small: str | None = None

    def __post_init__(self) -> None:
        if self.domain not in (None, *get_args(Domain)):
            raise UserError(f"`domain` must be periodic or plane, got {self.domain!r}")
        if self.score not in get_args(Score):
            raise UserError(f"`score` must be {' or '.join(get_args(Score))}, got {self.score!r}")
        check_integer("seed", self.seed, 0, 2**31 - 1)
        for name, least, most in (
            ("generators", 1, MOST_GENERATORS),
            ("steps", 1, 1_000_000),
            ("degree", 0, MOST_DEGREE),
        ):
            if getattr(self, name) is not None:
                check_integer(name, getattr(self, name), least, most)
        check_tolerance(self.tolerance)
        if self.network not in (None, *get_args(Network)):
            raise UserError(f"`network` must be {', '.join(get_args(Network))}, got {self.network!r}")
        if self.score == "local" and self.network == "solved":
            raise UserError("`network` must be trained, or none, for the score local, got solved")
        for name in ("generators", "steps"):
            if getattr(self, name) is not None and (span := self.span(alone=False)) != "trained":
                raise UserError(f"`{name}` is of a network that is trained, got it with `network` {span}")

    def span(self, alone: bool) -> Network:
        """`network` with its default filled in, for an equation alone or for data."""
        return self.network or ("trained" if self.score == "local" else "none" if alone else "solved")


@dataclass(frozen=True)
class Copies:
    """Which copies of trajectories are made.

    Attributes:
        copies: of each trajectory, itself included.
        strength: the largest root mean square displacement of a point, in units in which the data are of size 1.
        seed: of the displacements; shards of one augmentation take different ones.
        learned: move along the fields that the network of the run learned, not along its closed forms.
        unproved: move also along what is not valid for the data: learned fields, generators without a proof, and data
            that do not solve the equation or cannot tell.
    """

    copies: int = 16
    strength: float = 0.1
    seed: int = 0
    learned: bool = False
    unproved: bool = False


@dataclass(frozen=True)
class OperatorTrainings:
    """Which operators are trained, on what, and how they are compared.

    Attributes:
        arms: of none, fixed (no shifts in time), exact (the equation's symmetries), learned (those that a network finds
            in the training trajectories), slots (those that the paper's route finds there), wrong (no symmetry),
            penalty (equivariance under the learned ones, as a loss); changes refer to the first.
        trajectories: to train on.
        seeds: how many, from 0.
        points: of the operator's grid in x, which must divide that of the data; by default all, on the command line at
            most 128. Symmetries are found and trajectories are moved on the grid of the data.
        width: channels of the operator.
        modes: fourier modes that it keeps.
        layers: of the operator.
        steps: of training.
        batch: windows in a step.
        rate: the highest learning rate.
        bfloat16: compute pointwise layers in bfloat16; for GPUs.
        copies: of every trajectory, moved along symmetries, in augmented arms.
        strengths: candidates, the largest displacement of a point in normalised units.
        validation: trajectories where the strength is chosen.
        test: trajectories of the test.
        unproved: allow arms along what is not valid for the data: learned, slots, wrong and penalty, whose fields
            nothing proves, and exact where the data do not solve the equation or cannot tell.
    """

    arms: tuple[str, ...] = ("none", "exact")
    trajectories: int = 16
    seeds: int = 5
    points: int | None = None
    width: int = 32
    modes: int = 24
    layers: int = 4
    steps: int = 3_000
    batch: int = 16
    rate: float = 3e-3
    bfloat16: bool = False
    copies: int = 32
    strengths: tuple[float, ...] = (0.1, 0.2, 0.3)
    validation: int = 64
    test: int = 128
    unproved: bool = False

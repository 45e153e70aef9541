"""What every arm is trained on: its generators, its moved copies, its shifted test data."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from symflow.algebra import subspace_angles
from symflow.errors import UserError
from symflow.fields import Field, SymbolicField
from symflow.learning import Record, digest, distributed
from symflow.runs import load_field, one_thread, save_field

from ..augmentation import TrajectoryAugment, characteristics, keeping_grid, tabulated
from ..discovery import discover
from ..settings import Score
from ..symmetries import symmetries
from ..trajectories import Trajectories
from .operators import Operator, bootstrap, errors, train
from .outcome import OperatorComparison
from .windows import Penalty, Pool, Task

SHIFT = 0.5  # by which u of the shifted test data differs
PENALTY = 0.1  # the weight of the equivariance loss
STEPS = 2  # of the flow: displacements are a fifth of a unit at most
ROUNDS = 20  # of drawing a copy again whose valid rows hold no window


@dataclass(frozen=True)
class _Plan:
    """What all trainings of a comparison share: small enough to be sent to another process."""

    test: Trajectories
    task: Task
    sizes: OperatorComparison  # without arms yet
    rate: float
    bfloat16: bool
    copies: int
    folder: Path
    field: Field | None  # the learned generators, when they are given

    def train(self, job: _Job) -> tuple[list[Record], dict[str, float]]:
        """A training: what was recorded on the way, and its figures."""
        part, checked = job.part, job.checked or self.test
        with distributed() as device, one_thread():
            field, angle = self.generators(job)
            shape = (self.sizes.width, self.sizes.modes, self.sizes.layers)
            units = field_units(part)
            scale = float(part.u.std()) if units is None else 1.0
            operator = Operator(self.task, scale, *shape, job.seed, len(part.axes), len(part.fields)).to(device)
            penalty = None
            if field is not None and job.arm == "penalty":
                stride = len(part.x) // self.sizes.points
                penalty = Penalty(characteristics(field, part)[..., ::stride], PENALTY)
            history = train(
                operator,
                self.pool(job, field, units),
                self.task,
                steps=self.sizes.steps,
                seed=job.seed,
                batch=self.sizes.batch,
                rate=self.rate,
                penalty=penalty,
                bfloat16=self.bfloat16,
                checkpoint=job.checkpoint,
            )
            each = errors(operator, in_units(checked.coarsen(self.sizes.points).u, units), self.task)
            low, high = bootstrap(each)
            figures = {"error": float(each.mean()), "low": low, "high": high}
            if job.checked is None:
                shifted = boosted(self.test)
                if shifted is not None:
                    shifted = replace(self.test, u=shifted).coarsen(self.sizes.points).u
                    figures["shifted"] = float(errors(operator, shifted, self.task).mean())
            if angle is not None:
                figures["angle"] = angle
            return history, figures

    def generators(self, job: _Job) -> tuple[Field | None, float | None]:
        """The span that an arm moves along, and its largest angle to the exact one."""
        part = job.part
        if job.arm in ("none", "fixed"):
            return None, None
        exact = exact_field(part)
        if job.arm == "exact":
            return exact, None
        if job.arm == "wrong":
            return SymbolicField(exact.coordinates, [{f"d{part.equation.space.dependent[0]}": "1"}]), None
        field = self.field if job.arm != "slots" else None
        if field is None:
            name = "slots" if job.arm == "slots" else "generators"
            path = self.folder / f"{name}-{job.seed}.safetensors"
            if path.exists():
                field = load_field(path)
            else:
                score: Score = "local" if job.arm == "slots" else "infinitesimal"
                found = discover(
                    part, domain="periodic", seed=job.seed, network="trained", score=score, trust=True
                ).neural
                if found is None or found.field is None:
                    if job.arm == "slots":  # none is near the floor: there is nothing to move along
                        return None, math.pi / 2
                    raise UserError(f"the {len(part)} trajectories of seed {job.seed} show no symmetry to learn")
                field = found.field
                save_field(path, found.field)
        if field.generators != exact.generators:
            return field, math.pi / 2
        points = exact.coordinates.to_normalised(part.jets(2_000, 0, seed=1).points)
        same = field.coordinates.to_normalised(exact.coordinates.to_physical(points))
        with torch.no_grad():
            values = exact.coordinates.vectors_to_normalised(field.coordinates.vectors_to_physical(field(same)))
        return field, float(subspace_angles(values, exact(points))[-1])

    def pool(self, job: _Job, field: Field | None, units: Tensor | None) -> Pool:
        """What the windows of an arm are drawn from."""
        if field is None or job.arm == "penalty":
            u = in_units(job.part.coarsen(self.sizes.points).u, units)
            return Pool.of(u, self.task, every=self.task.inputs if job.arm == "fixed" else 1)
        strength = job.strength or 0.0
        with torch.random.fork_rng([]):
            torch.manual_seed(job.seed)
            along = tabulated(field, job.part) if job.part.on_line else field
            pool = moved_copies(job.part, along, strength, self.copies, self.task)
        stride = len(job.part.x) // self.sizes.points
        every = (slice(None), slice(None), slice(None), *[slice(None, None, stride)] * len(job.part.axes))
        return replace(pool, u=in_units(pool.u[every], units))


@dataclass(frozen=True)
class _Job:
    """One training: the arm, its strength, the seed, and what it trains on and is checked on (None: the test)."""

    arm: str
    strength: float | None
    seed: int
    part: Trajectories
    key: str
    checkpoint: Path | None
    checked: Trajectories | None = None


def field_units(data: Trajectories) -> Tensor | None:
    """Deviations of several fields, ``[F]``, in which they count alike; ``None`` for one."""
    return data.values.flatten(0, -2).std(0) if len(data.fields) > 1 else None


def in_units(u: Tensor, units: Tensor | None) -> Tensor:
    """Values in units of their fields."""
    return u if units is None else u / units.to(u)


def moved_copies(data: Trajectories, field: Field, strength: float, copies: int, task: Task) -> Pool:
    """Every trajectory moved along random elements of the span, `copies` times, with the windows that stay valid.

    A copy without a valid window is drawn again, and after `ROUNDS` times is the original. Draws come from torch's own
    generator.
    """
    S, T = data.u.shape[:2]
    try:
        augment = TrajectoryAugment(field, data, strength, steps=STEPS)
    except ValueError as error:  # generators that these data do not tell apart
        raise UserError(str(error)) from None
    augment.to(torch.float32)
    source = data.u.float().repeat_interleave(copies, 0)
    u, starts = source.clone(), task.starts(torch.ones(S * copies, T, dtype=torch.bool))
    waiting = torch.arange(S * copies)
    for _ in range(ROUNDS):
        values, valid = augment(source[waiting])
        allowed = task.starts(valid)
        good = allowed.any(-1)
        u[waiting[good]], starts[waiting[good]] = values[good], allowed[good]
        waiting = waiting[~good]
        if len(waiting) == 0:
            break
    return Pool(u.view(S, copies, *u.shape[1:]), starts.view(S, copies, T))


def exact_field(data: Trajectories) -> SymbolicField:
    """The generators of the equation that keep the grid, in closed form.

    Raises:
        UserError: there are none.
    """
    forms = symmetries(data.equation, without=tuple(a.name for a in data.axes if a.period is not None)).forms
    if not forms:
        raise UserError(f"{data.equation.text!r} has no symmetry that keeps the period, so there is none to move along")
    return keeping_grid([{key: str(f) for key, f in form.items()} for form in forms], data, repr(data.equation.text))


def boosted(data: Trajectories) -> Tensor | None:
    """Every trajectory moved along the exact boost so that u rises or falls by `SHIFT`, in turns, ``[S, T, X]``.

    The boost is a generator that moves x and adds to u the same everywhere; ``None`` where an equation has none, and
    for data that are not u on a line.
    """
    if not data.on_line:
        return None
    exact = exact_field(data)
    for k, (_, tau, phi) in enumerate(exact.components):
        if tau == 0 and phi.is_number and phi != 0:
            augment = TrajectoryAugment(exact.slot(k), data, 1.0)
            weights = torch.full((len(data), 1), SHIFT / float(phi), dtype=data.u.dtype)
            weights[1::2] *= -1
            return augment.move(data.u, weights)[0]
    return None


def _digest(field: Field) -> str:
    point = torch.linspace(0, 1, 32 * field.coordinates.dimension, dtype=torch.float64).view(32, -1)
    dtype = next((p.dtype for p in getattr(field, "parameters", list)()), torch.float64)
    with torch.no_grad():
        return digest(field(point.to(dtype)))

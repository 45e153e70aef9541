"""Neural operators trained on data with or without symmetries, compared on the same data, starts and batches.

The protocol: every arm trains the same network from the same initial parameters for the same number of steps, on the
same few trajectories, of which a step sees the same ones; seeds change all of these together, so arms are compared in
pairs, by the logarithm of the ratio of their errors. Augmented arms draw windows from copies that were moved along
random elements of the span of generators; their strength is chosen once, for the exact symmetries, on validation
trajectories. Test trajectories are the same for all and are used once per training.
"""

from __future__ import annotations

import io
import math
import os
import statistics as numbers
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from symflow._threads import one_thread
from symflow.comparison import Ledger, choose_strength, mean_interval
from symflow.errors import UserError
from symflow.fields import Field, SymbolicField
from symflow.geometry import subspace_angles
from symflow.runs import load_field, save_field
from symflow.training import digest, distributed

from ._processes import available
from .augmentation import TrajectoryAugment, tabulated
from .data import Trajectories
from .discovery import data_coordinates, discover
from .equivariance import characteristics
from .operators import Operator, Penalty, Pool, Task, bootstrap, errors, train
from .symmetries import symmetries

ARMS = ("none", "fixed", "exact", "learned", "wrong", "penalty")
STRENGTHS = (0.1, 0.2, 0.3)
"""Among which the strength is chosen: the largest RMS displacement of a point, in normalised units."""

SHIFT = 0.5  # by which u of the shifted test data differs
PENALTY = 0.1  # the weight of the equivariance loss
STEPS = 2  # of the flow: displacements are a fifth of a unit at most
ROUNDS = 20  # of drawing a copy again whose valid rows hold no window

Told = Callable[[str, int, int], None]
"""Called when a training is finished, with what it was, how many are and how many there will be."""


# ---------------------------------------------------------------- what comes out


@dataclass(frozen=True)
class Arm:
    """What was measured with one arm.

    Attributes:
        name: of `ARMS`.
        strength: of its augmentation, or the weight of its penalty.
        errors: normalised mean square errors on the test trajectories, one per seed from 0.
        bootstraps: for each an interval over the test trajectories.
        shifted: errors on the test trajectories moved along the exact boost, out of the distribution; may be empty.
        angles: the largest principal angle between the generators and the exact ones, radians, one per seed.
    """

    name: str
    strength: float | None = None
    errors: tuple[float, ...] = ()
    bootstraps: tuple[tuple[float, float], ...] = ()
    shifted: tuple[float, ...] = ()
    angles: tuple[float, ...] = ()


@dataclass(frozen=True)
class OperatorComparison:
    """Errors of a neural operator, arm by arm, with intervals over seeds.

    ``str`` gives a table, `to_dict` the same for a program.
    """

    equation: str
    trajectories: int
    test: int
    rows: tuple[int, int]  # inputs and outputs of the task
    points: int
    width: int
    modes: int
    layers: int
    steps: int
    batch: int
    validation: tuple[tuple[float, float], ...] = ()  # strengths and their errors
    arms: tuple[Arm, ...] = ()

    def change(self, arm: str, against: str) -> tuple[float, float, float]:
        """The change of the error relative to another arm: the geometric mean over seeds and its 95 % interval.

        ``exp(mean log(error / error')) - 1`` with the interval of Student's t for the mean of the logarithms, paired by
        seed: -0.6 means that the error is 60 % less.
        """
        values = [math.log(a / b) for a, b in zip(self._arm(arm).errors, self._arm(against).errors, strict=False)]
        mean, half = mean_interval(values)
        return math.expm1(mean), math.expm1(mean - half), math.expm1(mean + half)

    def _arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def to_dict(self) -> dict[str, Any]:
        """JSON values; a change is its mean and the ends of its interval, null where one seed gives none."""
        content = asdict(self)
        for entry, arm in zip(content["arms"], self.arms, strict=True):
            entry["mean"] = _geometric(arm.errors)
            entry["changes"] = {
                other.name: [v if math.isfinite(v) else None for v in self.change(arm.name, other.name)]
                for other in self.arms
                if other.name != arm.name and arm.errors and other.errors
            }
        return content

    def __str__(self) -> str:
        first = self.arms[0].name if self.arms else ""
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("arm")
        for column in ("strength", "seeds", "error", f"against {first}", "angle to exact", "error, shifted u"):
            table.add_column(column, justify="right")
        for arm in self.arms:
            change = "" if arm.name == first or not arm.errors else _percent(*self.change(arm.name, first))
            table.add_row(
                arm.name,
                "" if arm.strength is None else f"{arm.strength:g}",
                str(len(arm.errors)),
                _number(_geometric(arm.errors)),
                change,
                f"{max(arm.angles):.0e}" if arm.angles else "",
                _number(_geometric(arm.shifted)),
            )
        text = io.StringIO()
        Console(file=text, width=120, color_system=None).print(table)
        lines = [line.rstrip() for line in text.getvalue().splitlines() if line.strip()]
        headline = (
            f"{self.equation}: {self.rows[0]} times to {self.rows[1]} on {self.points} points, {self.trajectories} "
            f"trajectories, FNO of width {self.width}, {self.modes} modes, {self.layers} layers, {self.steps} steps"
        )
        note = (
            "Error: normalised mean square error on the test trajectories, geometric mean over seeds.\n"
            "Intervals: 95 %, Student's t on logarithms of ratios, seed by seed."
        )
        return "\n".join([headline, "", *lines, "", note])


def _geometric(values: Sequence[float]) -> float | None:
    return math.exp(numbers.mean(map(math.log, values))) if values else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2e}"


def _percent(mean: float, low: float, high: float) -> str:
    text = f"{100 * mean:+.0f} %"
    return f"{text} ({100 * low:+.0f} to {100 * high:+.0f})" if math.isfinite(high) else text


# ---------------------------------------------------------------- the trainings


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

    def train(self, job: _Job) -> dict[str, float]:
        """A training and its figures."""
        part, checked = job.part, job.checked or self.test
        with distributed() as device, one_thread():
            field, angle = self.generators(job)
            shape = (self.sizes.width, self.sizes.modes, self.sizes.layers)
            operator = Operator(self.task, float(part.u.std()), *shape, seed=job.seed).to(device)
            penalty = None
            if field is not None and job.arm == "penalty":
                stride = len(part.x) // self.sizes.points
                penalty = Penalty(characteristics(field, part)[..., ::stride], PENALTY)
            train(
                operator,
                self.pool(job, field),
                self.task,
                steps=self.sizes.steps,
                seed=job.seed,
                batch=self.sizes.batch,
                rate=self.rate,
                penalty=penalty,
                bfloat16=self.bfloat16,
                checkpoint=job.checkpoint,
            )
            each = errors(operator, checked.coarsen(self.sizes.points).u, self.task)
            low, high = bootstrap(each)
            figures = {"error": float(each.mean()), "low": low, "high": high}
            if job.checked is None:
                shifted = boosted(self.test)
                if shifted is not None:
                    shifted = replace(self.test, u=shifted).coarsen(self.sizes.points).u
                    figures["shifted"] = float(errors(operator, shifted, self.task).mean())
            if angle is not None:
                figures["angle"] = angle
            return figures

    def generators(self, job: _Job) -> tuple[Field | None, float | None]:
        """The span that an arm moves along, and its largest angle to the exact one."""
        part = job.part
        if job.arm in ("none", "fixed"):
            return None, None
        exact = exact_field(part)
        if job.arm == "exact":
            return exact, None
        if job.arm == "wrong":
            return SymbolicField(exact.coordinates, [{"du": "1"}]), None
        field = self.field
        if field is None:
            path = self.folder / f"generators-{job.seed}.safetensors"
            if path.exists():
                field = load_field(path)
            else:
                found = discover(part, domain="periodic", seed=job.seed).neural
                if found is None or found.field is None:
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

    def pool(self, job: _Job, field: Field | None) -> Pool:
        """What the windows of an arm are drawn from."""
        if field is None or job.arm == "penalty":
            u = job.part.coarsen(self.sizes.points).u
            return Pool.of(u, self.task, every=self.task.inputs if job.arm == "fixed" else 1)
        strength = job.strength or 0.0
        with torch.random.fork_rng([]):
            torch.manual_seed(job.seed)
            pool = moved_copies(job.part, tabulated(field, job.part), strength, self.copies, self.task)
        return replace(pool, u=pool.u[..., :: len(job.part.x) // self.sizes.points])


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


def moved_copies(data: Trajectories, field: Field, strength: float, copies: int, task: Task) -> Pool:
    """Every trajectory moved along random elements of the span, `copies` times, with the windows that stay valid.

    A copy without a valid window is drawn again, and after `ROUNDS` times is the original. Draws come from torch's own
    generator.
    """
    S, T, X = data.u.shape
    augment = TrajectoryAugment(field, data, strength, steps=STEPS)
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
    return Pool(u.view(S, copies, T, X), starts.view(S, copies, T))


def exact_field(data: Trajectories) -> SymbolicField:
    """The generators of the equation that keep the period, in closed form.

    Raises:
        UserError: there are none.
    """
    forms = symmetries(data.equation, without=("x",)).forms
    if not forms:
        raise UserError(f"{data.equation.text!r} has no symmetry that keeps the period, so there is none to move along")
    return SymbolicField(
        data_coordinates(data, data.length), [{key: str(f) for key, f in form.items()} for form in forms]
    )


def boosted(data: Trajectories) -> Tensor | None:
    """Every trajectory moved along the exact boost so that u rises or falls by `SHIFT`, in turns, ``[S, T, X]``.

    The boost is a generator that moves x and adds to u the same everywhere; ``None`` where an equation has none.
    """
    exact = exact_field(data)
    for k, (_, tau, phi) in enumerate(exact.components):
        if tau == 0 and phi.is_number and phi != 0:
            augment = TrajectoryAugment(exact.slot(k), data, 1.0)
            weights = torch.full((len(data), 1), SHIFT / float(phi), dtype=data.u.dtype)
            weights[1::2] *= -1
            return augment.move(data.u, weights)[0]
    return None


def compare_operators(
    data: Trajectories,
    out: str | os.PathLike[str] | None = None,
    *,
    arms: Sequence[str] = ("none", "exact", "learned"),
    trajectories: int = 16,
    seeds: int = 5,
    field: Field | None = None,
    points: int | None = None,
    width: int = 32,
    modes: int = 24,
    layers: int = 4,
    steps: int = 3_000,
    batch: int = 16,
    rate: float = 3e-3,
    bfloat16: bool = False,
    copies: int = 32,
    strengths: Sequence[float] = STRENGTHS,
    validation: int = 64,
    test: int = 128,
    workers: int | None = 1,
    resume: bool = False,
    replacing: bool = False,
    progress: Told | None = None,
) -> OperatorComparison:
    """Trains an operator with every arm and every seed, and compares their errors on the test trajectories.

    The first ``test`` trajectories of the data are for the test, the next ones for validation, and seed s trains on the
    s-th group of ``trajectories`` after them. "none" begins windows at any row, which is the shift in time
    already; "fixed" only at multiples of the number of input rows; "exact" draws from copies moved along the generators
    of the equation, "learned" along those that `discover`'s network finds in the training trajectories of the seed, or
    ``field``; "wrong" along ``du``, which is no symmetry; "penalty" adds equivariance along the learned ones to the
    loss (`pde.operators.Penalty`).

    Where there are several ``strengths``, each trains with the exact symmetries on the trajectories of seed 0 and is
    tested on those for validation; the best is that of all augmented arms.

    With ``out`` every finished training and checkpoints of the others are kept there. On a CPU every training takes one
    thread, and ``workers`` processes train side by side; a script that asks for more than one must guard its entry
    (``if __name__ == "__main__"``). Under ``torchrun`` the workers share every batch instead. Results do not depend on
    the number of processes.

    Args:
        data: at least ``seeds * trajectories + validation + test`` trajectories.
        out: a run directory; ``result.json`` in it is the comparison so far.
        arms: some of `ARMS`; the first is what changes refer to.
        trajectories: to train on.
        seeds: how many, from 0.
        field: learned generators for all seeds, in (x, t, u).
        points: of the operator's grid, which must divide that of the data; by default the data's. Symmetries are found
            and trajectories are moved on the grid of the data.
        width, modes, layers: of the operator.
        steps, batch, rate, bfloat16: of its training, as for `pde.operators.train`.
        copies: of every trajectory, in augmented arms.
        strengths: candidates.
        validation, test: trajectories.
        workers: processes; ``None``: one per processor, and one on a GPU.
        resume: continue the run in ``out``, with more arms or seeds if wanted.
        replacing: remove an earlier run there first.
        progress: called when a training is finished.

    Raises:
        UserError: a number is out of its range, too few trajectories or times, an unknown arm, no symmetry to move
            along, or a run that cannot be used.
    """
    network = {"width": width, "modes": modes, "layers": layers, "steps": steps, "batch": batch, "copies": copies}
    groups = {"trajectories": trajectories, "seeds": seeds, "validation": validation, "test": test}
    _check(data, arms, strengths, rate, groups | network)
    task = Task.of(data.equation)
    points = len(data.x) if points is None else points
    data[:1].coarsen(points)  # says whether it divides
    tested, checked, *parts = data.split(test, validation, *[trajectories] * seeds)
    if workers is None:
        workers = 1 if torch.cuda.is_available() else available()
    comparison = OperatorComparison(
        equation=data.equation.text,
        trajectories=trajectories,
        test=test,
        rows=(task.inputs, len(task.outputs)),
        points=points,
        width=width,
        modes=modes,
        layers=layers,
        steps=steps,
        batch=batch,
    )
    config = {
        "command": "train-operator",
        "data": digest(data.x, data.t, tested.u, checked.u),
        "equation": data.equation.text,
        "field": None if field is None else _digest(field),
        **{k: v for k, v in asdict(comparison).items() if k not in ("arms", "validation", "equation", "rows")},
        "rate": rate,
        "bfloat16": bfloat16,
        "copies": copies,
        "strengths": list(strengths),
        "validation": validation,
    }
    with _folder(out) as folder, distributed():
        ledger = Ledger(folder, config, resume, replacing)
        plan = _Plan(tested, task, comparison, rate, bfloat16, copies, folder, field)

        def job(arm: str, strength: float | None, seed: int, on: Trajectories | None = None) -> _Job:
            name = arm if strength is None else f"{arm} {strength:g}"
            key = f"{name}, {'validation' if on is not None else f'seed {seed}'}"
            return _Job(arm, strength, seed, parts[seed], key, ledger.checkpoint(key), on)

        moving = [arm for arm in arms if arm in ("exact", "learned", "wrong")]
        choosing = [job("exact", s, 0, checked) for s in strengths] if moving and len(strengths) > 1 else []
        total = len(choosing) + seeds * len(arms)

        def tell(before: int) -> Callable[[str, int], None]:
            return lambda what, done: progress(what, before + done, total) if progress is not None else None

        _carry_out(plan, choosing, ledger, workers, tell(0))
        strength: float | None = strengths[0]
        if choosing:
            found = {j.strength: -ledger.finished[j.key]["error"] for j in choosing}
            strength, pairs = choose_strength(lambda s: found[s], strengths)
            comparison = replace(comparison, validation=tuple((s, -e) for s, e in pairs))
        strength_of = {arm: strength if arm in moving else PENALTY if arm == "penalty" else None for arm in arms}
        jobs = [job(arm, strength_of[arm], seed) for seed in range(seeds) for arm in arms]

        def summary() -> OperatorComparison:
            return replace(comparison, arms=tuple(_arm(a, strength_of[a], jobs, ledger) for a in arms))

        _carry_out(plan, jobs, ledger, workers, tell(len(choosing)), lambda: ledger.publish(summary().to_dict()))
        ledger.publish(summary().to_dict())
        return summary()


def _arm(name: str, strength: float | None, jobs: Sequence[_Job], ledger: Ledger) -> Arm:
    figures = [ledger.finished[j.key] for j in jobs if j.arm == name and j.key in ledger.finished]
    return Arm(
        name,
        strength,
        errors=tuple(f["error"] for f in figures),
        bootstraps=tuple((f["low"], f["high"]) for f in figures),
        shifted=tuple(f["shifted"] for f in figures if "shifted" in f),
        angles=tuple(f["angle"] for f in figures if "angle" in f),
    )


def _carry_out(
    plan: _Plan,
    jobs: Sequence[_Job],
    ledger: Ledger,
    workers: int,
    tell: Callable[[str, int], None],
    after: Callable[[], None] = lambda: None,
) -> None:
    """Trains what the ledger does not know yet."""
    left = [job for job in jobs if job.key not in ledger.finished]
    done = len(jobs) - len(left)
    for job, figures in _trained(plan, left, 1 if dist.is_initialized() else min(workers, len(left))):
        ledger.note(job.key, **figures)
        after()
        done += 1
        tell(job.key, done)


def _trained(plan: _Plan, jobs: Sequence[_Job], workers: int) -> Iterator[tuple[_Job, dict[str, float]]]:
    if workers <= 1:
        for job in jobs:
            yield job, plan.train(job)
        return
    # Forked processes may not differentiate once their parent has.
    with get_context("spawn").Pool(workers) as pool:
        for number, figures in pool.imap_unordered(_Numbered(plan), list(enumerate(jobs))):
            yield jobs[number], figures


@dataclass(frozen=True)
class _Numbered:
    plan: _Plan

    def __call__(self, job: tuple[int, _Job]) -> tuple[int, dict[str, float]]:
        return job[0], self.plan.train(job[1])


@contextmanager
def _folder(out: str | os.PathLike[str] | None) -> Iterator[Path]:
    if out is not None:
        yield Path(out)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _digest(field: Field) -> str:
    point = torch.linspace(0, 1, 32 * field.coordinates.dimension, dtype=torch.float64).view(32, -1)
    dtype = next((p.dtype for p in getattr(field, "parameters", list)()), torch.float64)
    with torch.no_grad():
        return digest(field(point.to(dtype)))


def _check(
    data: Trajectories, arms: Sequence[str], strengths: Sequence[float], rate: float, sizes: Mapping[str, int]
) -> None:
    if not arms or len(set(arms)) != len(arms) or not set(arms) <= set(ARMS):
        raise UserError(f"`arms` must be some of {', '.join(ARMS)}, each once, got {', '.join(arms) or 'none'}")
    for name, value in sizes.items():
        least = 2 if name == "modes" else 1
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise UserError(f"`{name}` must be an integer of at least {least}, got {value!r}")
    for name, values in (("strengths", strengths), ("rate", (rate,))):
        if not values or not all(math.isfinite(v) and v > 0 for v in values):
            raise UserError(f"`{name}` must be positive, got {', '.join(map(str, values)) or 'none'}")
    needed = sizes["seeds"] * sizes["trajectories"] + sizes["validation"] + sizes["test"]
    if len(data) < needed:
        raise UserError(
            f"`data` must hold at least {needed} trajectories ({sizes['seeds']} seeds of {sizes['trajectories']}, "
            f"{sizes['validation']} for validation, {sizes['test']} for the test), got {len(data)}"
        )
    if not data.equation.evolutionary:
        raise UserError(f"`data` must solve one evolution equation, got {data.equation.text!r}")

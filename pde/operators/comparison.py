"""Neural operators trained on data with or without symmetries, compared on the same data, starts and batches.

The protocol: every arm trains the same network from the same initial parameters for the same number of steps, on the
same few trajectories, of which a step sees the same ones; seeds change all of these together, so arms are compared in
pairs, by the logarithm of the ratio of their errors. Augmented arms draw windows from copies that were moved along
random elements of the span of generators; their strength is chosen once, for the exact symmetries, on validation
trajectories. Test trajectories are the same for all and are used once per training.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch
import torch.distributed as dist

from symflow.errors import UserError, check_integer
from symflow.fields import Field
from symflow.learning import JobReport, Ledger, Record, choose_strength, digest, distributed
from symflow.runs import available, end_with
from symflow.settings import with_settings

from ..augmentation import UNLESS, check_solve
from ..settings import OperatorTrainings
from ..trajectories import Trajectories
from .arms import PENALTY, _digest, _Job, _Plan
from .outcome import Arm, OperatorComparison
from .windows import Task

ARMS = ("none", "fixed", "exact", "learned", "slots", "wrong", "penalty")
LEARNED = ("learned", "slots", "penalty")
UNPROVED = ("learned", "slots", "wrong", "penalty")  # their fields are proved by nothing
GROUPS = ("trajectories", "seeds", "validation", "test")

_Told = tuple[list[Record], dict[str, float]]
"""What was recorded on the way of a training, and its figures."""


@with_settings(OperatorTrainings)
def compare_operators(
    data: Trajectories,
    out: str | os.PathLike[str] | None = None,
    settings: OperatorTrainings = OperatorTrainings(),  # noqa: B008 - it is frozen
    *,
    field: Field | None = None,
    first: int = 0,
    workers: int | None = 1,
    resume: bool = False,
    replacing: bool = False,
    progress: JobReport | None = None,
) -> OperatorComparison:
    """Trains an operator with every arm and every seed, and compares their errors on the test trajectories.

    The first ``test`` trajectories of the data are for the test, the next ones for validation, and each seed trains on
    a group of ``trajectories`` after them. "none" begins windows at any row, which is the shift in time
    already; "fixed" only at multiples of the number of input rows; "exact" draws from copies moved along the generators
    of the equation, "learned" along those that `discover`'s network finds in the training trajectories of the seed, or
    ``field``; "slots" along those that the paper's route finds there by its local score, if any; "wrong" along
    ``du``, which is no symmetry; "penalty" adds equivariance along the learned ones to the loss
    (`pde.operators.Penalty`).

    Where there are several ``strengths``, each trains with the exact symmetries on the trajectories of the first seed
    and is tested on those for validation; the best is that of all augmented arms.

    With ``out`` every finished training and checkpoints of the others are kept there. On a CPU every training takes one
    thread, and ``workers`` processes train side by side; a script that asks for more than one must guard its entry
    (``if __name__ == "__main__"``). Under ``torchrun`` the workers share every batch instead. Results do not depend on
    the number of processes.

    Args:
        data: at least ``seeds * trajectories + validation + test`` trajectories.
        out: a run directory; ``result.json`` in it is the comparison so far.
        settings: its fields are arguments of this function.
        field: learned generators for all seeds, in (x, t, u).
        first: the first seed; it trains on the first group.
        workers: processes; ``None``: one per processor, and one on a GPU.
        resume: continue the run in ``out``, with more arms or seeds if wanted.
        replacing: remove an earlier run there first.
        progress: called when a training is finished.

    Raises:
        UserError: a number is out of its range, too few trajectories or times, an unknown arm, one along what is not
            valid for the data (``unproved``), no symmetry to move along, or a run that cannot be used.
    """
    _check(data, settings)
    check_integer("first", first, 0)
    arms, seeds, strengths = settings.arms, settings.seeds, settings.strengths
    task = Task.of(data.equation)
    points = len(data.x) if settings.points is None else settings.points
    data[:1].coarsen(points)  # says whether it divides
    tested, checked, *parts = data.split(settings.test, settings.validation, *[settings.trajectories] * seeds)
    if "exact" in arms and not settings.unproved:
        check_solve(data[settings.test + settings.validation :], data.equation)
    if workers is None:
        workers = 1 if torch.cuda.is_available() else available()
    comparison = OperatorComparison(
        equation=data.equation.text,
        rows=(task.inputs, len(task.outputs)),
        points=points,
        **{n: getattr(settings, n) for n in ("trajectories", "test", "width", "modes", "layers", "steps", "batch")},
    )
    config = {
        "command": "train-operator",
        "data": digest(*(axis.nodes for axis in data.axes), data.t, tested.u, checked.u),
        "equation": data.equation.text,
        "field": None if field is None else _digest(field),
        **{k: v for k, v in asdict(comparison).items() if k not in ("arms", "validation", "equation", "rows")},
        **{n: getattr(settings, n) for n in ("rate", "bfloat16", "copies", "validation")},
        "strengths": list(strengths),
    } | ({"first": first} if first else {})
    with _folder(out) as folder, distributed():
        ledger = Ledger(folder, config, resume, replacing)
        plan = _Plan(tested, task, comparison, settings.rate, settings.bfloat16, settings.copies, folder, field)

        def job(arm: str, strength: float | None, seed: int, on: Trajectories | None = None) -> _Job:
            name = arm if strength is None else f"{arm} {strength:g}"
            key = f"{name}, {'validation' if on is not None else f'seed {seed}'}"
            return _Job(arm, strength, seed, parts[seed - first], key, ledger.checkpoint(key), on)

        moving = [arm for arm in arms if arm in ("exact", "learned", "slots", "wrong")]
        choosing = [job("exact", s, first, checked) for s in strengths] if moving and len(strengths) > 1 else []
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
        jobs = [job(arm, strength_of[arm], seed) for seed in range(first, first + seeds) for arm in arms]

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
    for job, (history, figures) in _trained(plan, left, 1 if dist.is_initialized() else min(workers, len(left))):
        ledger.note(job.key, history, **figures)
        after()
        done += 1
        tell(job.key, done)


def _trained(plan: _Plan, jobs: Sequence[_Job], workers: int) -> Iterator[tuple[_Job, _Told]]:
    if workers <= 1:
        for job in jobs:
            yield job, plan.train(job)
        return
    # Forked processes may not differentiate once their parent has.
    with get_context("spawn").Pool(workers, end_with, (os.getpid(),)) as pool:
        for number, trained in pool.imap_unordered(_Numbered(plan), list(enumerate(jobs))):
            yield jobs[number], trained


@dataclass(frozen=True)
class _Numbered:
    plan: _Plan

    def __call__(self, job: tuple[int, _Job]) -> tuple[int, _Told]:
        return job[0], self.plan.train(job[1])


@contextmanager
def _folder(out: str | os.PathLike[str] | None) -> Iterator[Path]:
    if out is not None:
        yield Path(out)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _check(data: Trajectories, settings: OperatorTrainings) -> None:
    arms, s = settings.arms, settings
    if not arms or len(set(arms)) != len(arms) or not set(arms) <= set(ARMS):
        raise UserError(f"`arms` must be some of {', '.join(ARMS)}, each once, got {', '.join(arms) or 'none'}")
    if unproved := [arm for arm in arms if arm in UNPROVED and not s.unproved]:
        names = ", ".join(unproved)
        raise UserError(f"`arms` must be valid for the data, and nothing proves the fields of {names}; {UNLESS}")
    for name in (*GROUPS, "width", "modes", "layers", "steps", "batch", "copies"):
        check_integer(name, getattr(s, name), 2 if name == "modes" else 1)
    for name, values in (("strengths", s.strengths), ("rate", (s.rate,))):
        if not values or not all(math.isfinite(v) and v > 0 for v in values):
            raise UserError(f"`{name}` must be positive, got {', '.join(map(str, values)) or 'none'}")
    needed = s.seeds * s.trajectories + s.validation + s.test
    if len(data) < needed:
        raise UserError(
            f"`data` must hold at least {needed} trajectories ({s.seeds} seeds of {s.trajectories}, "
            f"{s.validation} for validation, {s.test} for the test), got {len(data)}"
        )
    _check_shape(data, arms)


def _check_shape(data: Trajectories, arms: Sequence[str]) -> None:
    """Periodic axes, nothing missing; what learns fields needs u on a line."""
    if not data.axes or any(axis.period is None for axis in data.axes) or data.missing is not None:
        raise UserError(f"an operator needs periodic axes and all values, got {data.laid_out}")
    learned = [arm for arm in arms if arm in LEARNED]
    if learned and not (data.on_line and data.equation.evolutionary):
        raise UserError(
            f"the arms {', '.join(learned)} learn fields from one unknown u with u_t = ... on a periodic line, got "
            f"{data.laid_out} and {data.equation.text!r}; leave them out"
        )

"""A discovery as a list of named stages over one state.

A stage is a name and a function from a state to a state; nothing is changed in place. One runner times the stages,
says how far they are, and leaves what a stage found in a run directory where asked, so that an interrupted discovery
continues instead of beginning again. What the state is, is the business of whoever writes the list: the lists of all
domains can be read side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Generic, TypeVar

from torch import Tensor

from symflow.errors import UserError, is_singular
from symflow.runs import Run, one_thread, together

State = TypeVar("State")
Found = TypeVar("Found")

Progress = Callable[[str, float, dict[str, float]], None]
"""Called with the stage, the fraction of it that is done, and figures worth showing."""

Tell = Callable[[float, dict[str, float]], None]
"""What a stage calls: the fraction of it that is done, and figures worth showing."""


@dataclass(frozen=True)
class Context:
    """What a stage may use beside the state.

    Attributes:
        tell: says how far the stage is; the runner itself tells 0 and 1.
        run: the run directory for checkpoints inside a stage (`symflow.learning.learn`), ``None`` without one.
    """

    tell: Tell
    run: Run | None = None


@dataclass(frozen=True)
class Kept(Generic[State]):
    """How the outcome of a stage is written to a run directory and read back.

    Attributes:
        write: from the state after the stage to tensors and JSON values.
        read: from the state before the stage, and these two, to the state after it, with the same bits.
    """

    write: Callable[[State], tuple[Mapping[str, Tensor], Mapping[str, Any]]]
    read: Callable[[State, Mapping[str, Tensor], Mapping[str, Any]], State]


@dataclass(frozen=True)
class Stage(Generic[State]):
    """One step of a discovery.

    Attributes:
        name: as people see it, and the key of its seconds.
        function: the work, from state to state.
        when: whether there is anything to do; a stage that is passed over is neither told nor timed.
        kept: for stages that take long; others are deterministic and quick, and simply run again.
    """

    name: str
    function: Callable[[State, Context], State]
    when: Callable[[State], bool] = lambda state: True
    kept: Kept[State] | None = None


@dataclass(frozen=True)
class Beside(Generic[State]):
    """Lists of stages that run at the same time, for none needs what another finds (`symflow.runs.together`).

    The last list runs in this process, the others in forks of it where there are processors for them, on one thread
    each: put there what hands over little and tells nothing on the way. The state must be a dataclass; each list fills
    in fields of its own.
    """

    lists: tuple[tuple[Stage[State], ...], ...]


Steps = Sequence[Stage[State] | Beside[State]]


@dataclass(frozen=True)
class _Outcome:
    """What the file of a stage says beside its tensors."""

    kept: dict[str, Any]
    seconds: float


def run_stages(
    stages: Steps[State], state: State, *, run: Run | None = None, progress: Progress | None = None
) -> tuple[State, dict[str, float]]:
    """Runs stages one after the other, or beside each other where the list says so.

    Args:
        stages: with distinct names.
        state: what the first one begins with.
        run: where kept stages leave their outcome, and are found when the run is continued.
        progress: called as the stages go on.

    Returns:
        The last state, and the seconds of each stage; those of a stage that is read back are of the run that did it.

    Raises:
        ValueError: two stages have one name.
        TypeError: `run` is no run, or `progress` cannot be called.
        UserError: a stage refuses what it is given; of the run nothing is left if nothing was kept so far.

    >>> double = Stage("double", lambda state, context: 2 * state)
    >>> add = Stage("add", lambda state, context: state + 1)
    >>> run_stages([double, add], 3)[0]
    7
    """
    names = [stage.name for stage in every(stages)]
    if len(set(names)) != len(names):
        raise ValueError(f"`stages` must have distinct names, got {', '.join(names)}")
    if run is not None and not isinstance(run, Run):
        raise TypeError(f"`run` must be a symflow.runs.Run, such as Run('runs/mine', {{}}), got {type(run).__name__}")
    if progress is not None and not callable(progress):
        raise TypeError(f"`progress` must be called with stage, share and figures, got {type(progress).__name__}")
    show: Progress = progress or (lambda stage, done, figures: None)
    seconds: dict[str, float] = {}
    try:
        for step in stages:
            if isinstance(step, Beside):
                state, taken = _beside(step, state, run, show)
            else:
                state, taken = _in_turn([step], state, run, show)
            seconds |= taken
    except UserError:
        if run is not None:
            run.discard()
        raise
    return state, seconds


def every(stages: Steps[State]) -> list[Stage[State]]:
    """All stages, those that run beside others too.

    >>> same = lambda state, context: state
    >>> [stage.name for stage in every([Stage("a", same), Beside(((Stage("b", same),), (Stage("c", same),)))])]
    ['a', 'b', 'c']
    """
    lists = [s.lists if isinstance(s, Beside) else ((s,),) for s in stages]
    return [stage for found in lists for some in found for stage in some]


def _in_turn(
    stages: Sequence[Stage[State]], state: State, run: Run | None, show: Progress
) -> tuple[State, dict[str, float]]:
    seconds: dict[str, float] = {}
    for stage in stages:
        if not stage.when(state):
            continue
        show(stage.name, 0.0, {})
        state, seconds[stage.name] = _one(stage, state, run, show)
        show(stage.name, 1.0, {})
    return state, seconds


def _beside(step: Beside[State], before: State, run: Run | None, show: Progress) -> tuple[State, dict[str, float]]:
    *others, own = [some for some in step.lists if any(stage.when(before) for stage in some)] or [()]

    def apart(some: Sequence[Stage[State]]) -> tuple[dict[str, Any], dict[str, float]]:
        with one_thread():
            after, seconds = _in_turn(some, before, run, lambda stage, done, figures: None)
        return _found(before, after), seconds

    for some in others:
        show(next(stage.name for stage in some if stage.when(before)), 0.0, {})
    *parts, (after, taken) = together(
        [*(partial(apart, some) for some in others), lambda: _in_turn(own, before, run, show)]
    )
    seconds: dict[str, float] = {}
    for found, some in parts:
        after, seconds = replace(after, **found), seconds | some
        for name in some:
            show(name, 1.0, {})
    return after, seconds | taken


def _found(before: Any, after: Any) -> dict[str, Any]:
    """What a list of stages changed in the state."""
    pairs = ((f.name, getattr(after, f.name)) for f in fields(after))
    return {name: value for name, value in pairs if value is not getattr(before, name)}


def _one(stage: Stage[State], state: State, run: Run | None, show: Progress) -> tuple[State, float]:
    file = "stage-" + stage.name.replace(" ", "-")
    if run is not None and stage.kept is not None:
        earlier = run.load_tensors(file, _Outcome)
        if earlier is not None:
            tensors, outcome = earlier
            return stage.kept.read(state, tensors, outcome.kept), outcome.seconds
    begun = time.perf_counter()
    try:
        after = stage.function(state, Context(lambda done, figures: show(stage.name, done, figures), run))
    except (ValueError, RuntimeError) as error:
        if not is_singular(error):
            raise
        reason = (str(error).splitlines() or ["singular"])[0]
        raise UserError(
            f"the stage {stage.name!r} met a linear system without a solution, as constant or too few data make it "
            f"({reason})"
        ) from error
    taken = round(time.perf_counter() - begun, 3)
    if run is not None and stage.kept is not None:
        written, kept = stage.kept.write(after)
        run.save_tensors(file, written, _Outcome(dict(kept), taken))
    return after, taken


def replaced(stages: Steps[State], *others: Stage[State]) -> Steps[State]:
    """The stages, each of the others in the place of the one that has its name.

    Raises:
        ValueError: there is none of that name.

    >>> replaced([Stage("double", lambda s, c: 2 * s)], Stage("double", lambda s, c: s + s))[0].function(3, None)
    6
    """
    by_name = {stage.name: stage for stage in others}
    if unknown := by_name.keys() - {stage.name for stage in every(stages)}:
        raise ValueError(f"there are no stages {', '.join(sorted(unknown))} to replace")

    def chosen(some: Sequence[Stage[State]]) -> tuple[Stage[State], ...]:
        return tuple(by_name.get(stage.name, stage) for stage in some)

    return tuple(
        Beside(tuple(map(chosen, step.lists))) if isinstance(step, Beside) else chosen([step])[0] for step in stages
    )


def known(value: Found | None) -> Found:
    """What a stage before this one has found."""
    if value is None:
        raise AssertionError("a stage must come after those whose findings it uses")
    return value

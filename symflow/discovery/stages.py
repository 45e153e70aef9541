"""A discovery as a list of named stages over one state.

A stage is a name and a function from a state to a state; nothing is changed in place. One runner times the stages,
says how far they are, and leaves what a stage found in a run directory where asked, so that an interrupted discovery
continues instead of beginning again. What the state is, is the business of whoever writes the list: the lists of all
domains can be read side by side.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from symflow.runs import Run

State = TypeVar("State")

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

    write: Callable[[State], tuple[dict[str, Tensor], dict[str, Any]]]
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


def run_stages(
    stages: Sequence[Stage[State]], state: State, *, run: Run | None = None, progress: Progress | None = None
) -> tuple[State, dict[str, float]]:
    """Runs stages one after the other.

    Args:
        stages: with distinct names.
        state: what the first one begins with.
        run: where kept stages leave their outcome, and are found when the run is continued.
        progress: called as the stages go on.

    Returns:
        The last state, and the seconds of each stage; those of a stage that is read back are of the run that did it.

    Raises:
        ValueError: two stages have one name.

    >>> double = Stage("double", lambda state, context: 2 * state)
    >>> add = Stage("add", lambda state, context: state + 1)
    >>> run_stages([double, add], 3)[0]
    7
    """
    names = [stage.name for stage in stages]
    if len(set(names)) != len(names):
        raise ValueError(f"`stages` must have distinct names, got {', '.join(names)}")
    show: Progress = progress or (lambda stage, done, figures: None)
    seconds: dict[str, float] = {}
    for stage in stages:
        if not stage.when(state):
            continue
        show(stage.name, 0.0, {})
        state, seconds[stage.name] = _one(stage, state, run, show)
        show(stage.name, 1.0, {})
    return state, seconds


def _one(stage: Stage[State], state: State, run: Run | None, show: Progress) -> tuple[State, float]:
    file = "stage-" + stage.name.replace(" ", "-")
    if run is not None and stage.kept is not None:
        earlier = run.load_tensors(file)
        if earlier is not None:
            tensors, about = earlier
            return stage.kept.read(state, tensors, about["kept"]), float(about["seconds"])
    begun = time.perf_counter()
    after = stage.function(state, Context(lambda done, figures: show(stage.name, done, figures), run))
    taken = round(time.perf_counter() - begun, 3)
    if run is not None and stage.kept is not None:
        found, about = stage.kept.write(after)
        run.save_tensors(file, found, {"kept": about, "seconds": taken})
    return after, taken


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums whose bits do not depend on the number of threads; matrices of a few hundred rows gain nothing from them."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)

"""Independent parts of one computation in forked processes that write into shared memory.

Threads do not help here: the solver's calls are so short that Python's lock is the bottleneck, and two threads take
longer than one. A fork shares what the caller has prepared, so nothing is imported or pickled again.
"""

from __future__ import annotations

import math
import mmap
import multiprocessing
import os
import pickle
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import connection
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from symflow.errors import UserError


def available() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> float:
    """Bytes of memory that the machine has."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (ValueError, OSError, AttributeError):
        return 2.0**34


def shared(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Zeros that forked processes write for their parent to read."""
    return np.frombuffer(mmap.mmap(-1, max(8 * math.prod(shape), 1)), np.float64, math.prod(shape)).reshape(shape)


def each(
    work: Callable[[int, Callable[[float], None]], None],
    count: int,
    workers: int,
    progress: Callable[[float], None] | None = None,
) -> None:
    """``work(i, tick)`` for every i below `count`, in `workers` processes; in this one where forks are not safe.

    ``work`` leaves its results in memory from `shared` and calls ``tick(fraction)``; ``progress`` is called from this
    process with the fraction of all that is done.

    Raises:
        UserError: raised by ``work``, in whatever process; the others are stopped.
        RuntimeError: a process failed otherwise; the text holds its traceback or its signal.
    """
    done = shared((count,))

    def report() -> None:
        if progress is not None:
            progress(float(done.mean()))

    workers = min(workers, count) if _may_fork() else 1
    if workers <= 1:
        for i in range(count):

            def tick(fraction: float, i: int = i) -> None:
                done[i] = fraction
                report()

            work(i, tick)
        return

    def child(which: int, pipe: Any) -> None:
        try:
            for i in range(which, count, workers):

                def tick(fraction: float, i: int = i) -> None:
                    done[i] = fraction

                work(i, tick)
        except UserError as error:
            pipe.send((True, str(error)))
        except BaseException:
            pipe.send((False, traceback.format_exc()))
        os._exit(0)  # nothing of the parent's is to be flushed or cleaned up twice

    running: dict[Any, tuple[Any, Any]] = {}
    try:
        for which in range(workers):
            process, end = _forked(child, which)
            running[process.sentinel] = process, end
        while running:
            for sentinel in connection.wait(list(running), timeout=0.1):
                process, end = running[sentinel]
                if end.poll():
                    _raise(*_message(end))
                process.join()
                if process.exitcode != 0:
                    raise RuntimeError(f"a process of the solver ended with exit code {process.exitcode}")
                del running[sentinel]
            report()
    finally:
        for process, _ in running.values():
            process.kill()
            process.join()


def together(works: Sequence[Callable[[], Any]]) -> list[Any]:
    """What the works return, the last of them done in this process and the others beside it, in forks of it.

    A fork has one thread, and no GPU; what it returns is copied by pickling. Where forks are not safe or one processor
    is there, all works are done in this process, one after the other.

    Raises:
        Exception: what a work raised; the others are stopped. An exception of a fork has its traceback as its cause.
        RuntimeError: a fork was killed.

    >>> together([lambda: 1, lambda: 2])
    [1, 2]
    """
    if not _may_fork() or available() == 1:
        return [work() for work in works]

    def child(which: int, pipe: Any) -> None:
        try:
            outcome = (True, works[which](), "")
        except BaseException as error:
            outcome = (False, error, traceback.format_exc())
        try:
            content = pickle.dumps(outcome)
        except Exception:  # a result that pickle refuses, in whatever way, is named to the parent instead
            content = pickle.dumps((False, RuntimeError(f"a fork cannot hand over {outcome[1]!r:.200}"), outcome[2]))
        pipe.send_bytes(content)
        os._exit(0)

    running = [_forked(child, which) for which in range(len(works) - 1)]
    try:
        own = works[-1]()
        found = []
        for process, end in running:
            try:
                fine, value, text = pickle.loads(end.recv_bytes())  # noqa: S301 - from a fork of this process
            except EOFError:
                process.join()
                raise RuntimeError(f"a fork of this process ended with exit code {process.exitcode}") from None
            if not fine:
                raise value from RuntimeError(text)
            found.append(value)
        return [*found, own]
    finally:
        for process, _ in running:
            process.kill()
            process.join()


def _may_fork() -> bool:
    """Elsewhere forks are not safe, and a daemon (a worker of a data loader) may have no children."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def _forked(child: Callable[[int, Any], None], which: int) -> tuple[Any, Any]:
    """A fork that runs ``child(which, pipe)`` on one thread, and the end of the pipe to read from."""
    context = multiprocessing.get_context("fork")
    end, other = context.Pipe(duplex=False)

    def alone() -> None:
        torch.set_num_threads(1)  # the parent's threads do not exist here: a call that counted on them would wait
        child(which, other)

    process = context.Process(target=alone, daemon=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    other.close()
    return process, end


def _message(end: Any) -> tuple[bool, str]:
    try:
        message: tuple[bool, str] = end.recv()
        return message
    except EOFError:  # the pipe of a process that ended without a word
        return True, ""


def _raise(users: bool, text: str) -> None:
    if text:
        raise (UserError if users else RuntimeError)(text)

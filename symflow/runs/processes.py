"""Independent parts of one computation in forked processes that write into shared memory.

Threads do not help here: the solver's calls are so short that Python's lock is the bottleneck, and two threads take
longer than one. A fork shares what the caller has prepared, so nothing is imported or pickled again.
"""

from __future__ import annotations

import math
import mmap
import multiprocessing
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from multiprocessing import connection
from typing import Any

import numpy as np
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

    # elsewhere forks are not safe, and a daemon (a worker of a data loader) may have no children
    forks = sys.platform == "linux" and not multiprocessing.current_process().daemon
    workers = min(workers, count) if forks else 1
    if workers <= 1:
        for i in range(count):

            def tick(fraction: float, i: int = i) -> None:
                done[i] = fraction
                report()

            work(i, tick)
        return

    context = multiprocessing.get_context("fork")

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
            end, other = context.Pipe(duplex=False)
            process = context.Process(target=child, args=(which, other), daemon=True)
            with warnings.catch_warnings():
                # threads of the parent (torch's among them) do not exist in the child, which uses none of them
                warnings.simplefilter("ignore", DeprecationWarning)
                process.start()
            other.close()
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


def _message(end: Any) -> tuple[bool, str]:
    try:
        message: tuple[bool, str] = end.recv()
        return message
    except EOFError:  # the pipe of a process that ended without a word
        return True, ""


def _raise(users: bool, text: str) -> None:
    if text:
        raise (UserError if users else RuntimeError)(text)

"""Independent parts of one computation in forked processes that write into shared memory.

Threads do not help here: the solver's calls are so short that Python's lock is the bottleneck, and two threads take
longer than one. A fork shares what the caller has prepared, so nothing is imported or pickled again.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from symflow.errors import UserError

R = TypeVar("R")


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
        pipe.send_bytes(_outcome(works[which]))
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


class Budget:
    """Processor time for works that may not end: computer algebra on formulas from anywhere.

    Args:
        seconds: of processor time that all works together may take.
        memory: bytes that each may take beside what this process has.
    """

    def __init__(self, seconds: float, memory: int = 1 << 31) -> None:
        self.left, self.memory = seconds, memory

    def spend(self, work: Callable[[], R]) -> R | None:
        """What a work returns, or ``None`` where time, memory or depth did not suffice.

        The work is done in a fork of this process, which the system ends when its time is over; where forks are not
        safe, in this process and without a bound.

        Raises:
            Exception: what the work raised.

        >>> budget = Budget(1.0)
        >>> budget.spend(lambda: 6 * 7), budget.spend(lambda: sum(iter(int, 1)))
        (42, None)
        """
        if not _may_fork():
            return work()
        if self.left <= 0:
            return None

        def bounded() -> tuple[bool, R | None]:
            held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            for limit, value in (
                (resource.RLIMIT_CORE, 0),
                (resource.RLIMIT_CPU, math.ceil(self.left)),
                (resource.RLIMIT_AS, held + self.memory),
            ):
                _, most = resource.getrlimit(limit)
                value = value if most == resource.RLIM_INFINITY else min(value, most)
                resource.setrlimit(limit, (value, most))
            try:
                return True, work()
            except (MemoryError, RecursionError):
                return False, None

        def child(_: int, pipe: Any) -> None:
            pipe.send_bytes(_outcome(bounded))
            os._exit(0)

        before = _of_children()
        process, end = _forked(child, 0)
        try:
            fine, value, text = pickle.loads(end.recv_bytes())  # noqa: S301 - from a fork of this process
        except EOFError:  # the system has ended it
            fine, value, text = True, (False, None), ""
        finally:
            process.join()
            self.left -= _of_children() - before
        if not fine:
            raise value from RuntimeError(text)
        found: R | None = value[1]
        return found


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _outcome(work: Callable[[], Any]) -> bytes:
    """What a fork hands over: whether the work went well, its value or what it raised, and the traceback."""
    try:
        outcome = (True, work(), "")
    except BaseException as error:
        outcome = (False, error, traceback.format_exc())
    try:
        return pickle.dumps(outcome)
    except Exception:  # a result that pickle refuses, in whatever way, is named to the parent instead
        return pickle.dumps((False, RuntimeError(f"a fork cannot hand over {outcome[1]!r:.200}"), outcome[2]))


def _may_fork() -> bool:
    """Elsewhere forks are not safe, and a daemon (a worker of a data loader) may have no children."""
    return sys.platform == "linux" and not multiprocessing.current_process().daemon


def end_with(parent: int) -> None:
    """Has the system kill this process when its parent ends, however that ends: nobody else would read its results.

    Else the children of a killed process would go on, and write into the files of the process that continues its work.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it ended before the system was told
            os._exit(1)


_PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>


def _forked(child: Callable[[int, Any], None], which: int) -> tuple[Any, Any]:
    """A fork that runs ``child(which, pipe)`` on one thread, and the end of the pipe to read from."""
    context, parent = multiprocessing.get_context("fork"), os.getpid()
    end, other = context.Pipe(duplex=False)

    def alone() -> None:
        end_with(parent)
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

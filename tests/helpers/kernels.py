"""What the tests of every operator ask of its kernel: the same bits with any number of threads, and its memory."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from symflow.ops import _ext

Flow = Callable[[Tensor, Tensor], Tensor]
"""From points (or coefficients) and weights to where they end."""

ISAS = _ext._C.available_isas() if _ext.built else []


@contextmanager
def instruction_set(name: str) -> Iterator[None]:
    before = _ext._C.isa()
    _ext._C.select_isa(name)
    try:
        yield
    finally:
        _ext._C.select_isa(before)


@contextmanager
def threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def assert_threads_change_no_bit(call: Callable[[], Sequence[Tensor]]) -> None:
    results = []
    for n in (1, 2, 1, 2):
        with threads(n):
            results.append(call())
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


def printed_kilobytes(script: str) -> int:
    """What a script that measures its own peak prints; the test is skipped where the peak cannot be reset."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=False)
    if "PermissionError" in done.stderr:
        pytest.skip("the peak of this process cannot be reset here")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def assert_close(found: object, expected: object) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def assert_transforms_agree(kernel: Flow, plain: Flow, points: Tensor, weights: Tensor) -> None:
    """Derivatives and batches by ``torch.func``, alone and in each other, of a kernel and of its reference."""

    def loss(call: Flow) -> Flow:
        return lambda p, w: call(p, w).square().sum()

    batch = torch.stack([points, points.flip(1), 2 * points])
    func = torch.func
    transforms: list[Callable[[Flow], object]] = [
        lambda f: func.grad(loss(f), (0, 1))(points, weights),
        lambda f: func.vjp(f, points, weights)[1](torch.ones_like(points)),
        lambda f: func.jacrev(f, (0, 1))(points, weights),
        lambda f: func.vmap(f, (0, None))(batch, weights),
        lambda f: func.vmap(f, (1, 0))(batch.transpose(0, 1), torch.stack([weights] * 3)),  # the inner dimension
        lambda f: func.vmap(func.grad(loss(f), (0, 1)), (0, None))(batch, weights),
        lambda f: func.grad(lambda b: func.vmap(loss(f), (0, None))(b, weights).sum())(batch),
    ]
    for transform in transforms:
        assert_close(transform(kernel), transform(plain))

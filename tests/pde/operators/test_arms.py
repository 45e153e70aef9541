"""What arms are trained on: exact generators, shifted data, moved copies."""

from __future__ import annotations

import torch

from symflow import pde
from symflow.pde.operators.arms import boosted, exact_field, moved_copies
from symflow.pde.operators.windows import Task


def test_the_exact_generators_keep_the_period() -> None:
    data = pde.generate("nkdv", samples=1, seed=0, steps=100, keep=60, end=40.0, resolution=128)
    forms = [[str(c) for c in row] for row in exact_field(data).components]
    assert sorted(forms) == sorted([["1", "0", "0"], ["0", "exp(-t/50)", "0"], ["50*exp(t/50)", "0", "1"]])


def test_shifted_data_solve_the_equation_and_are_shifted(data: pde.Trajectories) -> None:
    moved = boosted(data)
    assert moved is not None
    means = (moved - data.u).mean((1, 2))
    assert torch.allclose(means, torch.tensor([0.5, -0.5] * 3 + [0.5], dtype=torch.float64), atol=1e-9)
    k = torch.arange(len(data.x) // 2 + 1, dtype=torch.float64) * (2 * torch.pi / data.length)
    sign = torch.tensor([1.0, -1.0] * 3 + [1.0], dtype=torch.float64)[:, None, None]
    exact = torch.fft.irfft(torch.fft.rfft(data.u) * torch.exp(-0.5j * sign * k * data.t[:, None])) + 0.5 * sign
    assert torch.allclose(moved, exact, atol=1e-9)


def test_every_copy_has_a_window_of_a_solution(data: pde.Trajectories) -> None:
    torch.manual_seed(0)
    task = Task.of(data.equation)
    pool = moved_copies(data, exact_field(data), 0.2, copies=3, task=task)
    assert pool.u.shape == (7, 3, 60, 128)
    assert pool.starts.any(-1).all()
    assert not torch.allclose(pool.u[:, 0], pool.u[:, 1])
    # between neighbouring rows of a window u moves as the equation says, as far as differences show it
    s, c, r = pool.starts.nonzero()[0].tolist()
    window = pool.u[s, c, r : r + task.length].double()
    moved = pde.Trajectories(data.equation, data.x, data.t[: task.length], window[None])
    assert moved.residual() < 2 * data[s].residual() + 1e-4

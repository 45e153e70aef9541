"""Derivatives on axes of every kind: their order, and errors that are what is said of them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.pde.trajectories import Axis, differentiate
from symflow.pde.trajectories.differentiation import chebyshev


def axis(kind: str, n: int) -> Axis:
    k = torch.arange(n, dtype=torch.float64)
    if kind == "periodic":
        return Axis("x", k * (2 * math.pi / n), 2 * math.pi)
    if kind == "uniform":
        return Axis("x", k / (n - 1))
    if kind == "uneven":
        return Axis("x", k / (n - 1) + 0.02 * torch.sin(2 * math.pi * k / (n - 1)))
    s = k / (n - 1) if kind == "ends" else (k + 0.5) / n
    return Axis("x", 0.5 - 0.5 * torch.cos(math.pi * s))


def solution(x: Tensor, order: int, rate: float = 1.0) -> Tensor:
    """``exp(sin(rate x))`` and its derivatives, by truncated products."""
    s, c = torch.sin(rate * x), torch.cos(rate * x)
    e = torch.exp(s)
    return [e, rate * c * e, rate**2 * (c * c - s) * e, rate**3 * c * (c * c - 3 * s - 1) * e][order]


KINDS = ["periodic", "uniform", "uneven", "ends", "roots"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("n", [16, 24, 40, 80, 160])
@pytest.mark.parametrize("rate", [1.0, 3.0])
def test_the_true_error_is_that_of_the_estimate(kind, order, n, rate):
    """On every grid, resolved or not."""
    nodes = axis(kind, n)
    found = differentiate(solution(nodes.nodes, 0, rate), nodes, order)
    miss = (found.values - solution(nodes.nodes, order, rate)).abs()
    assert bool((miss <= 1.5 * found.error).all()), float((miss / found.error).max())


@pytest.mark.parametrize("kind", KINDS)
def test_resolved_data_are_known(kind):
    """The estimate is no excuse: at 160 nodes every value is known, to many digits."""
    nodes = axis(kind, 160)
    found = differentiate(solution(nodes.nodes, 0), nodes, 2)
    assert found.left_out == 0
    assert float(found.error.max() / found.values.abs().max()) < 1e-4


@pytest.mark.parametrize("kind", ["uniform", "uneven"])
@pytest.mark.parametrize("order", [1, 2])
def test_differences_converge_with_their_order(kind, order):
    misses = []
    for n in (20, 40):
        nodes = axis(kind, n)
        found = differentiate(solution(nodes.nodes, 0, 3.0), nodes, order)
        misses.append(float((found.values - solution(nodes.nodes, order, 3.0)).abs().max()))
    assert math.log2(misses[0] / misses[1]) > 8 - order  # 9 - order at the ends


@pytest.mark.parametrize("kind", ["uniform", "uneven"])
@pytest.mark.parametrize("level", [1e-4, 1e-2])
def test_noise_is_met_by_wider_windows(kind, level):
    nodes = axis(kind, 160)
    clean = solution(nodes.nodes, 0)
    noisy = clean + level * torch.randn(20, 160, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = differentiate(noisy, nodes, 1)
    miss = (found.values - solution(nodes.nodes, 1)).abs()
    assert found.method != "windows of 9 nodes"
    assert float((miss <= found.error).double().mean()) > 0.99
    narrow = differentiate(clean, nodes, 1)
    assert narrow.method == "windows of 9 nodes"
    assert float(found.error.mean()) > 10 * float(narrow.error.mean())


def test_points_beside_a_jump_are_left_out():
    nodes = axis("uniform", 101)
    step = torch.where(nodes.nodes < 0.505, 0.0, 1.0) + torch.sin(3 * nodes.nodes)
    found = differentiate(step, nodes, 1)
    gone = (~found.known).nonzero().flatten().tolist()
    assert 2 <= len(gone) <= 16
    assert all(abs(i - 50) <= 8 for i in gone)
    rest = found.known
    assert float((found.values - 3 * torch.cos(3 * nodes.nodes))[rest].abs().max()) < 0.1


def test_dimensions_and_rows_are_alike():
    nodes = axis("uniform", 33)
    rows = torch.stack([solution(nodes.nodes, 0), 2 * solution(nodes.nodes, 0, 3.0)])
    along = differentiate(rows.T, nodes, 1, dim=0)
    assert torch.equal(along.values, differentiate(rows, nodes, 1).values.T)
    assert along.error.shape == rows.T.shape


def test_chebyshev_nodes_are_known_on_any_interval():
    assert chebyshev(axis("ends", 24)) == "ends"
    assert chebyshev(Axis("r", 2.25 + axis("roots", 32).nodes)) == "roots"
    assert chebyshev(axis("uniform", 24)) is None


def test_what_cannot_be_differentiated():
    nodes = axis("uniform", 8)
    with pytest.raises(UserError, match="needs at least 9 nodes"):
        differentiate(nodes.nodes, nodes, 1)
    with pytest.raises(UserError, match="`order` must be an integer from 0 to 8, got 9"):
        differentiate(nodes.nodes, nodes, 9)
    with pytest.raises(UserError, match="`values` must have 8 nodes along x, got 7"):
        differentiate(nodes.nodes[1:], nodes, 1)

"""The network against its formula, and the symmetry of its embedding."""

import math

import pytest
import torch
from torch.nn.functional import silu

from small_fields import MIXED, points
from symflow import Coordinates, NeuralField


def test_the_formula():
    """h = silu(W1 silu(W0 e + b0) + b1), V_k = A_k silu(B_k h + c_k) + a_k, point by point and head by head."""
    field = NeuralField(MIXED, 3, width=7, head_width=5).double()
    for z in points(4):
        angle_x, angle_u = 2 * math.pi * z[0] / 2.0, 2 * math.pi * z[2] / 2.0
        e = torch.stack([angle_x.cos(), angle_x.sin(), z[1], angle_u.cos(), angle_u.sin()])
        h = silu(field.trunk1_weight @ silu(field.trunk0_weight @ e + field.trunk0_bias) + field.trunk1_bias)
        for k in range(3):
            g = silu(field.head_weight[k] @ h + field.head_bias[k])
            torch.testing.assert_close(field(z)[k], field.out_weight[k] @ g + field.out_bias[k])


def test_periodic_exactly():
    """The embedding of a coordinate and of its periodic images differ by the rounding of the coordinate alone."""
    field = NeuralField(MIXED, 2, width=16).double()
    z = points()
    for shift in ([2.0, 0, 0], [0, 0, 2.0], [-8.0, 0, 20.0]):
        torch.testing.assert_close(
            field(z + torch.tensor(shift, dtype=torch.float64)), field(z), rtol=1e-12, atol=1e-13
        )
    moved = field(z + torch.tensor([0, 1.0, 0], dtype=torch.float64))
    assert (moved - field(z)).abs().max() > 1e-3


def test_smooth_across_the_edge():
    field = NeuralField(Coordinates(("x",), periods=(1.0,)), 1).double()
    left = torch.tensor([[1 - 1e-9]], dtype=torch.float64)
    torch.testing.assert_close(field(left), field(left * 0), rtol=1e-6, atol=1e-7)
    slopes = [torch.func.jacrev(field)(p).sum() for p in (left, left * 0)]
    torch.testing.assert_close(*slopes, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("copies", [[0, 1, 2], [0, 0, 0], [1, 0, 1]])
def test_a_combination_is_the_sum_with_a_head_for_every_kind_of_features(copies):
    field = NeuralField(MIXED, 3, width=7, head_width=5, seed=4).double().requires_grad_(False)
    field.head_weight[:], field.head_bias[:] = field.head_weight[copies], field.head_bias[copies]
    weights = torch.tensor([0.5, -2.0, 3.0], dtype=torch.float64)
    one = field.combination(weights)
    assert (one.generators, one.head_bias.shape[1]) == (1, 5 * len(set(copies)))
    torch.testing.assert_close(one(points())[:, 0], torch.einsum("k,nkd->nd", weights, field(points())))


def test_seeds_and_shapes():
    a, b, c = (NeuralField(MIXED, 2, seed=s) for s in (0, 0, 1))
    assert all(torch.equal(p, q) for p, q in zip(a.layers, b.layers, strict=True))
    assert not torch.equal(a.layers[0], c.layers[0])
    assert a.generators == 2
    assert a(torch.zeros(3)).shape == (2, 3)
    assert a(torch.zeros(5, 6, 3)).shape == (5, 6, 2, 3)
    assert a(torch.zeros(0, 3)).shape == (0, 2, 3)
    state = torch.get_rng_state()
    NeuralField(MIXED, 2)
    assert torch.equal(state, torch.get_rng_state())
    assert len(list(a.parameters())) == len(a.layers) == 8


@pytest.mark.parametrize("size", ["generators", "width", "head_width"])
def test_sizes_below_one(size):
    with pytest.raises(ValueError, match=f"`{size}` must be at least 1, got 0"):
        NeuralField(MIXED, **{"generators": 1, size: 0})

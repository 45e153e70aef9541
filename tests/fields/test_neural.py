"""Fields: the network against its formula, symmetry of the embedding, closed forms in physical units."""

import math

import pytest
import torch
from torch.nn.functional import silu

from symflow import Coordinates, NeuralField, SymbolicField, UserError
from symflow.fields.series import Series, total_degree

MIXED = Coordinates(("x", "t", "u"), periods=(4.0, None, 1.0), offset=(1.0, 0.0, 0.0), scale=(2.0, 1.0, 0.5))


def points(n=50, d=3):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


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


@pytest.mark.parametrize(
    "field",
    [
        NeuralField(MIXED, 2, width=8, head_width=4).double(),
        SymbolicField(MIXED, [{"dx": "t*u + exp(x/5)", "du": "sin(x) - u**3"}, {"dt": "2"}]),
    ],
    ids=["neural", "symbolic"],
)
def test_series_is_the_field_on_polynomials(field):
    """Along z + s v + r w the coefficients of a field are its directional derivatives."""
    z, v, w = points(6), points(7)[1:], points(8)[2:]
    truncation = total_degree(3)
    coefficients = torch.zeros(len(truncation), 6, 3, dtype=torch.float64)
    coefficients[0], coefficients[truncation.index[1, 0]], coefficients[truncation.index[0, 1]] = z, v, w
    found = field.series(Series(truncation, coefficients))

    def along(s, r):
        return field(z + s * v + r * w)

    zero = torch.zeros((), dtype=torch.float64)
    for i, j in truncation.monomials:
        derivative = along
        for argument in [0] * i + [1] * j:
            derivative = torch.func.jacfwd(derivative, argument)
        torch.testing.assert_close(found.derivative_at_origin((i, j)), derivative(zero, zero), rtol=1e-9, atol=1e-9)


def test_closed_forms_are_physical():
    """The boost t d/dx + d/du in units of 128, 100 and 3: normalised components scale with t/x and 1/u."""
    c = Coordinates(("x", "t", "u"), periods=(128.0, None, None), offset=(0.0, 10.0, 1.0), scale=(128.0, 100.0, 3.0))
    field = SymbolicField(c, [{"dx": "t", "du": "1"}, {"dt": "exp(-u)*x^2"}])
    z = torch.tensor([0.5, 0.2, -1.0], dtype=torch.float64)
    expected = [[(0.2 * 100 + 10) / 128, 0, 1 / 3], [0, math.exp(2) * 64**2 / 100, 0]]
    torch.testing.assert_close(field(z), torch.tensor(expected, dtype=torch.float64))
    assert field(torch.zeros(2, 5, 3)).shape == (2, 5, 2, 3)
    assert field.generators == 2


def test_symbolic_fields_are_differentiable():
    field = SymbolicField(MIXED, [{"dx": "x*u", "dt": "tanh(t)/(2 + cos(x))"}])
    assert torch.autograd.gradcheck(field, points(5).requires_grad_())


@pytest.mark.parametrize(
    ("forms", "message"),
    [
        ([], "`closed_forms` must hold at least one generator, got none"),
        ([{"x": "1"}], "a closed form has the keys dx, dt, du, got x"),
        ([{"dx": "y"}], r"unknown name 'y' \(known: x, t, u, exp"),
        ([{"dx": "1 +"}], "unexpected end at column 4"),
        ([{"dx": 1}], "a formula must be text, got int"),
    ],
)
def test_symbolic_mistakes(forms, message):
    with pytest.raises(UserError, match=message):
        SymbolicField(MIXED, forms)

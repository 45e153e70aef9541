"""Closed forms in physical units, with their derivatives."""

import math

import pytest
import torch

from small_fields import MIXED, points
from symflow import Coordinates, SymbolicField, UserError


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
        ([{"dx": "y"}], r"unknown name 'y' \(known: x, t, u, pi, E\)"),
        ([{"dx": "1 +"}], "unexpected end at column 4"),
        ([{"dx": 1}], "a formula must be text, got int"),
    ],
)
def test_symbolic_mistakes(forms, message):
    with pytest.raises(UserError, match=message):
        SymbolicField(MIXED, forms)

"""Every field on truncated polynomials against its derivatives."""

import pytest
import torch

from small_fields import MIXED, points
from symflow import NeuralField, SymbolicField
from symflow.fields.series import Series, total_degree


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

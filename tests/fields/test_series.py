"""Truncated polynomials against autograd: coefficients are derivatives over factorials."""

import math

import pytest
import torch

from symflow.fields import series
from symflow.fields.series import Series, Truncation, line, line_and_time, total_degree

ORDER = 4


def variables(truncation, n=7, low=0.3, high=1.7, seed=0):
    """The independent variables s and r at random points, as series."""
    rng = torch.Generator().manual_seed(seed)
    result = []
    for i in range(2):
        a = torch.rand(n, generator=rng, dtype=torch.float64) * (high - low) + low
        coefficients = torch.zeros(len(truncation), n, dtype=torch.float64)
        coefficients[0] = a
        unit = tuple(int(i == j) for j in range(2))
        if unit in truncation.index:
            coefficients[truncation.index[unit]] = 1
        result.append(Series(truncation, coefficients))
    return result


def assert_derivatives(value, function, points):
    """Every coefficient of `value` is the derivative of `function` at the points, by nested autograd."""
    for monomial in value.truncation.monomials:
        arguments = [p.clone().requires_grad_() for p in points]
        derivative = function(*arguments)
        for argument, times in zip(arguments, monomial, strict=True):
            for _ in range(times):
                connected = derivative + 0 * argument  # where it does not depend on the argument, zeros
                (derivative,) = torch.autograd.grad(connected.sum(), argument, create_graph=True)
        torch.testing.assert_close(value.derivative_at_origin(monomial), derivative.detach(), rtol=1e-9, atol=1e-9)


FUNCTIONS = {
    "exp": torch.exp,
    "log": torch.log,
    "sin": torch.sin,
    "cos": torch.cos,
    "tanh": torch.tanh,
    "silu": torch.nn.functional.silu,
    "Abs": torch.abs,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    s, r = variables(total_degree(ORDER))

    def inner(a, b):
        return a * b + a * a + 0.5

    value = series.FUNCTIONS[name](inner(s, r))
    assert_derivatives(value, lambda a, b: FUNCTIONS[name](inner(a, b)), (s[0, 0], r[0, 0]))
    # On tensors the same names are the functions themselves.
    torch.testing.assert_close(series.FUNCTIONS[name](s[0, 0]), FUNCTIONS[name](s[0, 0]))


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a * b - b / a + 3,
        lambda a, b: (a + 2 * b) ** 5 - 1,
        lambda a, b: a**0 + b**1,
        lambda a, b: 1 / (1 + a * b),
        lambda a, b: 2 - a / (b * b),
        lambda a, b: (a + b) ** 0.5 * b**-3,
        lambda a, b: (a * b) ** 1.7,
        lambda a, b: a**2.0,
        lambda a, b: a**b,
        lambda a, b: 2.5 ** (a * b),
        lambda a, b: -a - (-b),
    ],
)
def test_arithmetic(function):
    s, r = variables(total_degree(ORDER))
    assert_derivatives(function(s, r), function, (s[0, 0], r[0, 0]))


def test_tensors_act_as_constants():
    s, r = variables(total_degree(3))
    c = torch.linspace(1, 2, 7, dtype=torch.float64)

    def function(a, b):
        return c * a + (b - c) * a / c + c**a

    assert_derivatives(function(s, r), function, (s[0, 0], r[0, 0]))


def test_powers_at_zero():
    """Whole powers of a series that vanishes at the origin are polynomials: nothing is infinite or NaN."""
    s, _ = variables(total_degree(3), low=0.0, high=0.0)
    for exponent in (2, 2.0, 3, 0):
        assert_derivatives(s**exponent, lambda a, b, e=exponent: a ** int(e), (s[0, 0], s[0, 0]))
    assert (s**64).coefficients.abs().max() == 0


@pytest.mark.parametrize("truncation", [line_and_time(5), total_degree(2)], ids=["line and time", "total"])
def test_truncations_keep_what_they_keep(truncation):
    """Computed with fewer monomials, the coefficients are those of the larger truncation."""
    larger = total_degree(6)
    few, many = (series.FUNCTIONS["tanh"](s * r + s) / (1 + r) for s, r in map(variables, (truncation, larger)))
    for monomial in truncation.monomials:
        torch.testing.assert_close(few[monomial], many[monomial], rtol=1e-11, atol=1e-11)


def test_derivative_of_a_series():
    s, r = variables(total_degree(ORDER))
    value = series.FUNCTIONS["sin"](s * r) * r
    for variable in (0, 1):
        slope = value.derivative(variable)
        for monomial in total_degree(ORDER - 1).monomials:
            raised = tuple(e + (i == variable) for i, e in enumerate(monomial))
            torch.testing.assert_close(slope.derivative_at_origin(monomial), value.derivative_at_origin(raised))


def test_exponential_and_logarithm_are_inverse():
    s, r = variables(total_degree(6))
    value = series.FUNCTIONS["log"](series.FUNCTIONS["exp"](s * r - s))
    torch.testing.assert_close(value.coefficients, (s * r - s).coefficients, rtol=1e-10, atol=1e-10)


def test_one_variable_against_known_coefficients():
    t = line(8)
    coefficients = torch.zeros(9, 1, dtype=torch.float64)
    coefficients[1] = 1
    x = Series(t, coefficients)
    geometric = 1 / (1 - x)
    assert geometric.coefficients[:, 0].tolist() == pytest.approx([1.0] * 9)
    exponential = series.FUNCTIONS["exp"](x)
    assert exponential.coefficients[:, 0].tolist() == pytest.approx([1 / math.factorial(k) for k in range(9)])


def test_series_are_differentiable():
    t = total_degree(2)

    def function(coefficients):
        a = Series(t, coefficients)
        return (series.FUNCTIONS["silu"](a * a) / (a + 3)).coefficients

    rng = torch.Generator().manual_seed(0)
    assert torch.autograd.gradcheck(function, torch.rand(6, 2, generator=rng, dtype=torch.float64).requires_grad_())


def test_mistakes():
    with pytest.raises(ValueError, match=r"`monomials` must begin with the constant, got \(1,\)"):
        Truncation([(1,), (0,)])
    with pytest.raises(ValueError, match=r"`coefficients` must be \[6, ...\], got \(5, 2\)"):
        Series(total_degree(2), torch.zeros(5, 2))


@pytest.mark.parametrize("truncation", [total_degree(4), total_degree(3, 3), line_and_time(5), line(2)])
def test_a_product_has_the_same_bits_in_any_company(truncation):
    """Few points are multiplied in one call, many in one for each pair of coefficients."""
    rng = torch.Generator().manual_seed(1)
    a, b = torch.randn(2, len(truncation), series.FEW + 5, generator=rng, dtype=torch.float64)
    whole = (Series(truncation, a) * Series(truncation, b)).coefficients
    for n in (1, 7, series.FEW):
        few = Series(truncation, a[:, :n]) * Series(truncation, b[:, :n])
        assert torch.equal(few.coefficients, whole[:, :n])

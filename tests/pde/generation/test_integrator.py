"""One step of the integrator: its order, its coefficients, its largest length."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.pde.equations.catalogue import CATALOGUE
from symflow.pde.generation import integrator, solvers, splitting
from symflow.pde.generation.generation import random_waves

KDV = CATALOGUE["kdv"].equation


def test_the_order_is_four():
    grid_ = integrator.SpectralGrid(splitting.split(KDV), 64.0, 64)
    v = np.pad(solvers.spectrum(random_waves(1, 0, 64, waves=4, wavenumbers=(1, 2))), ((0, 0), (0, 31)))
    fine = grid_.advance(v, [2.0 / 2048], [2048], None)
    steps = np.array([32, 64, 128, 256])
    errors = [np.abs(grid_.advance(v, [2.0 / n], [int(n)], None) - fine).max() for n in steps]
    slope = np.polyfit(np.log(steps), np.log(errors), 1)[0]
    assert -4.4 < slope < -3.8


def test_rows_with_different_steps_do_not_touch():
    grid_ = integrator.SpectralGrid(splitting.split(KDV), 64.0, 64)
    v = np.pad(solvers.spectrum(random_waves(3, 1, 64, waves=4, wavenumbers=(1, 2))), ((0, 0), (0, 31)))
    steps = [12, 5, 2]
    together = grid_.advance(v, [0.5 / n for n in steps], steps, None)
    for i, n in enumerate(steps):
        alone = grid_.advance(v[i : i + 1], [0.5 / n], [n], None)
        assert np.array_equal(together[i], alone[0])


def _phi(w):
    one = mpmath.expm1(w) / w
    two = (one - 1) / w
    return one, two, (two - mpmath.mpf(1) / 2) / w


@settings(max_examples=30, deadline=None)
@given(st.complex_numbers(max_magnitude=30, allow_nan=False, allow_infinity=False))
def test_coefficients(z):
    """Against 200 digits. ``Re z`` is kept below 2: the linear part of an equation does not grow by more in a step."""
    z = complex(min(z.real, 2.0), z.imag)
    own = integrator.step_weights(np.array([z]), 0.5)
    with mpmath.workdps(200):  # enough for the cancellation in z**3 at the smallest z
        w = mpmath.mpc(z) if abs(z) > 1e-30 else mpmath.mpc(1e-30)
        half, one, two, three = (mpmath.expm1(w / 2) / (w / 2), *_phi(w))
        expected = {
            "whole": mpmath.exp(w),
            "half": mpmath.exp(w / 2),
            "a": half / 4,
            "b": _phi(w / 2)[1] / 2,
            "c_first": (one - 2 * two) / 2,
            "c_last": two,
            "first": (one - 3 * two + 4 * three) / 2,
            "middle": two - 2 * three,
            "last": (4 * three - two) / 2,
        }
    for name, value in expected.items():
        assert abs(complex(getattr(own, name)[0]) - complex(value)) < 1e-13 * max(1.0, abs(value))


def test_the_largest_step_is_where_the_criterion_says():
    grid_ = integrator.SpectralGrid(splitting.split(CATALOGUE["burgers"].equation), 2 * np.pi, 256)
    a = np.array([[0.0, 3.0], [0.0, 30.0]])
    for h, row in zip(grid_.largest_step(a), a, strict=True):
        k = grid_.k[1:]
        damping = 0.01 * k**2
        felt = -np.expm1(-h * damping) / damping
        assert np.max(felt * row[1] * k) == pytest.approx(integrator.STABILITY, rel=1e-6)


@pytest.mark.parametrize("exponent", [-3, -1, 2, 3, 4, 5, 7, 8, 15, 16, 17])
def test_powers_by_products(exponent):
    u, values = sympy.Symbol("u"), np.linspace(-2, 3, 12)
    found = integrator._compiled(u**exponent)({u: values})
    assert np.abs(found / values**exponent - 1).max() < 1e-14
    assert values[0] == -2  # what is multiplied is not changed

"""Defects against quadrature with derivatives of NumPy's own, on all of the grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy

from planted import LATER, LOUDER, NO, SCALING, damped, small
from symflow.errors import UserError
from symflow.pde import CATALOGUE, Trajectories, generate
from symflow.pde.approximation.measure import Measure, middle
from symflow.pde.equations import t, u, x


def derivatives(data: Trajectories, order: int) -> list[np.ndarray]:
    k = 2j * np.pi / data.length * np.fft.fftfreq(len(data.x), 1 / len(data.x))
    spectrum = np.fft.fft(data.u.numpy(), axis=-1)
    return [np.fft.ifft(spectrum * k**m, axis=-1).real for m in range(order + 1)]


def by_quadrature(data: Trajectories, R: np.ndarray, terms: list[np.ndarray], field: list[np.ndarray]) -> float:
    """The median of RMS_s(R)/(T_s |V|), the field by its components over x, t, u."""
    rms_R = np.sqrt((R**2).mean((1, 2)))
    T = np.sqrt(sum((m**2).mean((1, 2)) for m in terms))
    extent = data.length, float(data.t[-1] - data.t[0]), float(data.u.std()) * math.sqrt(12)
    size = math.sqrt(sum(float(np.mean((v / s) ** 2)) for v, s in zip(field, extent, strict=True)))
    return float(np.median(rms_R / T)) / size


def test_later_in_ckdv() -> None:
    """The equation depends on t by u/(2 (t + 1)) alone: R = dF/dt = -u/(2 (t + 1)^2)."""
    data = generate("ckdv", 4, 0)
    v, v_x, _, v_xxx = derivatives(data, 3)
    after = data.t.numpy()[:, None] + 1
    parts = [v * v_x, v_xxx, v / (2 * after)]
    expected = by_quadrature(data, -v / (2 * after**2), [-sum(parts), *parts], [np.zeros(1), np.ones(1), np.zeros(1)])
    found = float(middle(Measure.of(data).defects([LATER]))[0])
    assert found == pytest.approx(expected, rel=0.03)
    assert 0.3 < found < 0.5


@pytest.mark.parametrize("tau", [50, 500])
def test_later_in_nkdv(tau: int) -> None:
    """R = dF/dt = -u_t/tau on solutions."""
    data = small(f"u_t + exp(t/{tau})*(u*u_x + u_xxx) = 0")
    v, v_x, _, v_xxx = derivatives(data, 3)
    grows = np.exp(data.t.numpy()[:, None] / tau)
    parts = [grows * v * v_x, grows * v_xxx]
    expected = by_quadrature(data, sum(parts) / tau, [-sum(parts), *parts], [np.zeros(1), np.ones(1), np.zeros(1)])
    assert float(middle(Measure.of(data).defects([LATER]))[0]) == pytest.approx(expected, rel=0.03)


def test_the_scaling_of_kdv_under_a_little_viscosity() -> None:
    """R = eps u_xx on solutions, up to its sign; so the defect is linear in eps."""
    found = []
    for eps in (1e-2, 1e-3, 1e-4):
        data = damped(eps)
        v, v_x, v_xx, v_xxx = derivatives(data, 3)
        parts = [v * v_x, v_xxx, -eps * v_xx]
        field = [data.x.numpy(), 3 * data.t.numpy(), -2 * v]
        expected = by_quadrature(data, eps * v_xx, [-sum(parts), *parts], field)
        found.append(float(middle(Measure.of(data).defects([SCALING]))[0]))
        assert found[-1] == pytest.approx(expected, rel=0.03)
    assert found[0] / found[1] == pytest.approx(10, rel=0.1)
    assert found[1] / found[2] == pytest.approx(10, rel=0.1)


def test_a_scaling_that_only_viscosity_breaks_before_there_is_a_shock() -> None:
    """x dx + u du and u_t + u u_x = nu u_xx: R = 2 nu u_xx up to its sign."""
    form, found = {"dx": x, "dt": NO, "du": u}, []
    for nu in (0.1, 0.01, 0.001):
        data = generate(
            f"u_t + u*u_x = {nu}*u_xx", 4, 0, length=2 * math.pi, end=0.05, steps=40, keep=40, resolution=128
        )
        v, v_x, v_xx = derivatives(data, 2)
        parts = [v * v_x, -nu * v_xx]
        expected = by_quadrature(data, 2 * nu * v_xx, [-sum(parts), *parts], [data.x.numpy(), np.zeros(1), v])
        found.append(float(middle(Measure.of(data).defects([form]))[0]))
        assert found[-1] == pytest.approx(expected, rel=0.03)
    assert found[1] / found[2] == pytest.approx(10, rel=0.5)  # the data differ, too


@pytest.mark.parametrize(
    "name", ["kdv", "nkdv", "ckdv", *(pytest.param(n, marks=pytest.mark.slow) for n in ("ks", "burgers"))]
)
def test_symmetries_have_no_defect_and_other_fields_do(name: str) -> None:
    entry = CATALOGUE[name]
    data = small(name) if "kdv" in name else generate(name, 3, 0)
    forms = [{k: sympy.sympify(f, {"x": x, "t": t, "u": u}) for k, f in form.items()} for form in entry.symmetries]
    assert float(Measure.of(data).defects(forms).max()) < 1e-9
    broken = [LOUDER, {"dx": 2 * x, "dt": t, "du": u}]
    assert float(middle(Measure.of(data).defects(broken)).min()) > 0.1


def test_a_field_that_is_no_number_on_the_data_is_refused() -> None:
    data = small("u_t + u*u_x + u_xxx = 0")
    with pytest.raises(UserError, match="must be finite on the data"):
        Measure.of(data).defects([{"dx": sympy.log(u), "dt": NO, "du": NO}])
    with pytest.raises(UserError, match="must not be zero"):
        Measure.of(data).defects([{"dx": NO, "dt": NO, "du": NO}])


def test_the_points_do_not_matter() -> None:
    data = damped(1e-2)
    few, many = (Measure.of(data, points=n).defects([SCALING, LOUDER]) for n in (16_000, 1_000_000))
    assert float((few / many - 1).abs().max()) < 0.05
    assert float((middle(few) / middle(many) - 1).abs().max()) < 0.02

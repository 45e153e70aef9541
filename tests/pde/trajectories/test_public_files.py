"""Files as their authors published them open with the equation alone, and the audit says what is true of them."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from symflow.pde import Equation, audit_data, describe, load

FOLDER = os.environ.get("SYMFLOW_DATA")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="SYMFLOW_DATA does not name the folder with reference data")
PUBLIC = Path(FOLDER or "") / "pde" / "public"
BURGERS = "u_t + u*u_x = nu*u_xx"
KNOWN = {
    "maziarraissi-PINNs/AC.mat": Equation("u_t = 0.0001*u_xx + 5*u - 5*u**3"),
    "maziarraissi-PINNs/KdV.mat": Equation("u_t + u*u_x + 0.0025*u_xxx = 0"),
    "maziarraissi-DeepHPMs/KS_chaotic.mat": "ks",
    "maziarraissi-DeepHPMs/burgers.mat": Equation(BURGERS, nu=0.1),
    "dynamicslab-pysindy/kdv.mat": Equation("u_t + 6*u*u_x + u_xxx = 0"),
    "dynamicslab-pysindy/kuramoto_sivishinky.mat": "ks",
}


@pytest.mark.parametrize("name", sorted(str(p.relative_to(PUBLIC)) for p in PUBLIC.rglob("*.*") if p.suffix != ".md"))
def test_every_file_can_be_described(name):
    found = describe(PUBLIC / name)
    assert found.fields
    assert all(math.isfinite(f.spread) for f in found.fields if f.missing < 1)


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_data_that_solve_their_equation(name):
    data = load(PUBLIC / name, KNOWN[name])
    audit = audit_data(data)
    assert audit.verdict == "solves", audit


WRONG = {
    "maziarraissi-PINNs/AC.mat": ("u_t = 0.0001*u_xx + 5*u - 5.1*u**3", "the data have u**3 with coefficient 5.0"),
    "maziarraissi-PINNs/KdV.mat": ("u_t + u*u_x + 0.00255*u_xxx = 0", "the data have u_xxx with coefficient 0.00250"),
    "maziarraissi-DeepHPMs/KS_chaotic.mat": ("u_t + u*u_x + 1.02*u_xx + u_xxxx = 0", "u_xx with coefficient 1.0"),
    "maziarraissi-DeepHPMs/burgers.mat": ("u_t + u*u_x = 0.1*u_xx + 0.02*u", "the equation says -0.02"),
    "dynamicslab-pysindy/kdv.mat": ("kdv", "the data have u*u_x with coefficient 6.0"),
    "dynamicslab-pysindy/kuramoto_sivishinky.mat": ("kdv", "these data do not solve it"),
    "maziarraissi-PINNs/burgers_shock.mat": ("u_t + u*u_x = 0.02*u_xx", "the data have u_xx with coefficient -0.003"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_wrong_equations_are_named(name):
    equation, sentence = WRONG[name]
    audit = audit_data(load(PUBLIC / name, equation, check=False))
    assert audit.verdict == "refuted"
    assert any(sentence in said for said in audit.sentences), audit


def test_an_array_that_was_never_written():
    found = describe(PUBLIC / "pydata-xarray/example_1.nc")
    assert {f.name: f.missing for f in found.fields} == {"temp": 1.0, "rh": 0.0}


def test_a_shock_of_one_grid_step_does_not_test_its_viscosity():
    data = load(PUBLIC / "maziarraissi-PINNs/burgers_shock.mat", Equation(BURGERS, nu=0.01 / math.pi))
    audit = audit_data(data)
    assert audit.verdict == "solves"
    assert "u_xx" in audit.gate.not_tested
    assert data.u.shape == (1, 100, 255)  # the last row repeats the first


def test_sixteen_points_are_too_few():
    data = load(PUBLIC / "neuraloperator-neuraloperator/burgers_test_16.pt", Equation(BURGERS, nu=0.01), samples=32)
    audit = audit_data(data)
    assert audit.verdict == "cannot be told"
    assert "too coarse in x" in audit.gate.reason
    assert audit.sentences == (audit.gate.sentence,)  # nothing is refused by what cannot be told


@pytest.mark.parametrize(
    ("name", "equation", "periodic"),
    [
        ("python-hydro-pyro2/gaussian_0164.h5", "phi_t = phi_xx + phi_yy", False),
        ("python-hydro-pyro2/dam_x_0081.h5", "h_t + m_x + n_y = 0; m_t + h*h_x = 0; n_t + h*h_y = 0", False),
        ("python-hydro-pyro2/smooth_0040.h5", "u_t + u_x + u_y = 0", True),
        ("Feesh5-QCES/snapshots_s1.h5", "h_t + 4000*(u_x + v_y) = 0; u_t + 9.81*h_x = 0; v_t + 9.81*h_y = 0", True),
        ("pyqg-pyqg/lowres.nc", "q_t + p_x*q_y - p_y*q_x = 0; q = p_xx + p_yy", True),
    ],
)
def test_one_stored_time_tells_nothing(name, equation, periodic):
    data = load(PUBLIC / name, equation)
    assert [a.period is not None for a in data.axes] == [periodic, periodic]
    audit = audit_data(data)
    assert audit.verdict == "cannot be told"
    assert audit.gate.reason == "there is one stored time"


def test_flow_between_cylinders():
    """Dedalus 2: a Fourier grid along the axis, Chebyshev nodes between the walls; the velocity has no divergence."""
    name = "atharvajoshi05-Axisymmetric-Taylor-Coutte-Flow/snapshots_s1_p0.h5"
    data = load(PUBLIC / name, Equation("r*u_r + u + r*w_z = 0; w_t = w_zz", independent="r, z, t"))
    assert {a.name: a.period is not None for a in data.axes} == {"r": False, "z": True}
    assert float(data.axes[1].period) == pytest.approx(2 * math.pi / 3.13)

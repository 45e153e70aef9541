"""The audit on systems, several axes, walls and orbits: what is right passes, what is wrong is named."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from symflow.pde import Equation, Trajectories, audit_data, discover, generate
from symflow.pde.trajectories import Axis

LAMBDA_OMEGA = (
    "u_t = 0.2*(u_xx + u_yy) + u - u*(u**2 + v**2) + v*(u**2 + v**2); "
    "v_t = 0.2*(v_xx + v_yy) + v - v*(u**2 + v**2) - u*(u**2 + v**2)"
)
VORTICITY = "w_t + q_y*w_x - q_x*w_y = 0.05*(w_xx + w_yy); q_xx + q_yy + w = 0"


@pytest.fixture(scope="module")
def spirals() -> Trajectories:
    return generate(
        LAMBDA_OMEGA, 6, 0, end=5.0, length=2 * math.pi, resolution=32, steps=61, amplitude=0.3, wavenumbers=(0, 1)
    )


def test_right_data_of_a_system_pass(spirals):
    audit = audit_data(spirals)
    assert audit.verdict == "solves", audit
    assert audit.map.ndim == 4
    assert list(audit.centres) == ["t", "x", "y"]


def test_which_equation_of_a_system_fails(spirals):
    wrong = Equation(LAMBDA_OMEGA.replace("v_t = 0.2*", "v_t = 0.204*"))
    audit = audit_data(replace(spirals, equation=wrong))
    assert audit.verdict == "refuted"
    refused = [c.name for c in audit.claims if c.refused]
    assert refused
    assert all(name.endswith("in the equation of v_t") for name in refused)
    assert {name.split()[0] for name in refused} <= {"v_xx", "v_yy"}


@pytest.mark.parametrize(
    ("without", "named"),
    [(("+ u - u*", "- u*"), "u"), (("+ v - v*", "- v*"), "v"), (("(v_xx + v_yy)", "v_xx"), "v_yy")],
)
def test_a_missing_term_alone_is_named(spirals, without, named):
    """With it the other coefficients are right: they are not accused."""
    audit = audit_data(replace(spirals, equation=Equation(LAMBDA_OMEGA.replace(*without, 1))))
    assert audit.verdict == "refuted"
    (refused,) = [c for c in audit.claims if c.refused]
    assert refused.name == f"{named} in the equation of {named[0]}_t"
    assert refused.estimate == pytest.approx(-0.2 if "_" in named else -1.0, rel=0.01)


@pytest.fixture(scope="module")
def springs() -> Trajectories:
    """50 damped oscillations in closed form: ``u + i v = (a + i b) exp((-.1 + i) t)``."""
    random = torch.Generator().manual_seed(0)
    t = torch.linspace(0, 10, 201, dtype=torch.float64)
    start = 4 * torch.rand(50, 1, 2, generator=random, dtype=torch.float64) - 2
    z = torch.view_as_complex(start) * torch.exp(torch.complex(-0.1 * t, t))
    equation = Equation("u_t = -0.1*u - v; v_t = u - 0.1*v")
    return Trajectories(equation, torch.zeros(0), t, torch.view_as_real(z), fields=("u", "v"), axes=())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("noise", [0.05, 0.2, 0.5])
def test_noisy_orbits_are_not_refused(springs, seed, noise):
    """A trajectory has few test functions, and a small error by chance; none of 50 is accused of that."""
    white = torch.randn(springs.u.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    audit = audit_data(replace(springs, u=springs.u + noise * springs.u.std() * white))
    assert audit.verdict in ("solves", "cannot be told"), audit


def test_noisy_orbits_of_another_equation_are_refused(springs):
    """A term that is no neighbour: by no coefficient, and by no trajectory alone, but by all together."""
    white = torch.randn(springs.u.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wrong = Equation("u_t = -0.1*u - v + 0.3*sin(5*u); v_t = u - 0.1*v")
    audit = audit_data(replace(springs, equation=wrong, u=springs.u + 0.02 * springs.u.std() * white))
    assert audit.verdict == "refuted", audit


def test_a_missing_cubic_term_is_named(spirals):
    wrong = Equation(LAMBDA_OMEGA.replace("+ v*(u**2 + v**2)", "+ v**3", 1))
    audit = audit_data(replace(spirals, equation=wrong))
    assert audit.verdict == "refuted"
    assert audit.gate.missing
    assert audit.gate.missing[0].name == "u**2*v in the equation of u_t", audit


@pytest.mark.parametrize("axis", [0, 1])
def test_a_wrong_spacing_is_named_by_its_axis(spirals, axis):
    """Nodes counted with both ends: n/(n + 1) of what they are."""
    axes = list(spirals.axes)
    a = axes[axis]
    axes[axis] = Axis(a.name, a.nodes * 32 / 33, a.period * 32 / 33)
    audit = audit_data(replace(spirals, x=axes[0].nodes, axes=tuple(axes)))
    assert audit.verdict == "refuted"
    assert any(f"the spacing of {a.name} were 1.03125 times what is stored" in s for s in audit.sentences)


@pytest.mark.parametrize("kind", ["noise", "shuffled", "constant"])
def test_one_ruined_trajectory_is_found(spirals, kind):
    u = spirals.u.clone()
    generator = torch.Generator().manual_seed(0)
    if kind == "noise":
        u[3] = torch.randn(u[3].shape, generator=generator, dtype=torch.float64)
    elif kind == "shuffled":
        u[3] = u[3][torch.randperm(len(u[3]), generator=generator)]
    else:
        u[3] = 1.0
    audit = audit_data(replace(spirals, u=u))
    assert audit.verdict == "outliers", audit
    assert [o.trajectory for o in audit.outliers] == [3]
    assert list(audit.outliers[0].place) == ["t", "x", "y"]


def test_a_streamfunction_goes_with_its_vorticity():
    data = generate(VORTICITY, 3, 0, end=4.0, length=2 * math.pi, resolution=32, steps=61)
    assert audit_data(data).verdict == "solves"
    wrong = audit_data(replace(data, equation=Equation(VORTICITY.replace("0.05", "0.051"))))
    assert wrong.verdict == "refuted"


def test_a_system_in_a_box_from_data(spirals):
    """Its own derivatives: mixing of the two equations and all, the same fields satisfy pr V(F_i) = lambda_ij F_j."""
    result = discover(spirals, network="none")
    said = result.verdicts.data
    assert said is not None
    assert said.word == "measured"
    assert result.rank == 4  # dx, dy, dt and a turn of (u, v): rotations of the plane have not the periods
    assert all(g.verified and g.valid for g in result.generators)
    assert result.observed is not None
    assert result.observed.spectrum.rank == 4
    assert max(result.observed.angles) < 1e-6
    assert "certificates and approximate symmetries were left out" in str(result)


def test_terms_that_nearly_coincide_accuse_nobody():
    """Of one trajectory u_xx and u_xxxx are the same up to 1e-6, and a smooth error of 1e-8 moves them by a percent."""
    x, t = torch.arange(64, dtype=torch.float64) * (2 * math.pi / 64), torch.linspace(0, 2, 81, dtype=torch.float64)
    phases = 6 * torch.rand(8, 3, 1, 1, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    second = torch.full((8, 1, 1), 0.5, dtype=torch.float64)
    second[3] = 1e-6
    T = t[:, None]
    u = (T / 4).exp() * torch.cos(x + phases[:, 0]) + second * (-2 * T).exp() * torch.cos(2 * x + phases[:, 1])
    u = u + 1e-8 * torch.cos(2 * x + T + phases[:, 2])
    data = Trajectories(Equation("u_t + u_xx/2 + u_xxxx/4 = 0"), x, t, u)
    assert audit_data(data).verdict == "solves"
    off = audit_data(replace(data, equation=Equation("u_t + 0.51*u_xx + u_xxxx/4 = 0")))
    assert off.verdict == "refuted"


def test_a_shuffled_trajectory_of_second_order_in_time_is_unlike_the_others():
    """No solver is asked about it, which would know nothing of ``u_tt``."""
    data = generate("u_tt = u_xx - u - u**3", 6, 0, end=6.0, length=2 * math.pi, resolution=64, steps=61)
    u = data.u.clone()
    u[4] = u[4, torch.randperm(61, generator=torch.Generator().manual_seed(0))]
    judged = audit_data(replace(data, u=u))
    assert judged.verdict == "outliers", judged
    assert [t.trajectory for t in judged.gate.outliers] == [4]

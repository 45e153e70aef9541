"""Which derivative an equation is solved for, and what follows from it."""

from __future__ import annotations

import pytest
import sympy

from symflow.pde.equations.equation import Equation
from symflow.pde.symmetries import is_symmetry


@pytest.mark.parametrize(
    ("text", "principal", "order"),
    [
        ("u_tt - u_xx + sin(u) = 0", ["u_tt"], 2),
        (
            "u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx",
            ["u_xxt"],
            3,
        ),  # u_t is not solved for: u_xxt differentiates it
        ("u_xt = exp(u)", ["u_xt"], 2),
        ("u_t = u_xx + u_yy + u - u**3", ["u_t"], 2),
        ("u_tx + u*u_xx = 0", ["u_xt"], 2),
        ("u_t + v_xx + (u**2 + v**2)*v = 0; v_t - u_xx - (u**2 + v**2)*u = 0", ["u_t", "v_t"], 2),
    ],
)
def test_equations_are_solved_for_a_principal_derivative(text, principal, order):
    equation = Equation(text)
    assert [s.name for s in equation.principal] == principal
    assert equation.order == order
    for F in equation.residuals:
        assert sympy.expand(F.subs(equation.rules)) == 0


def test_a_system_of_two_orders_is_differentiated_to_the_higher_one():
    equation = Equation("v_x = u; v_t = u_xx")
    names = {s.name for s in equation.rules}
    assert {"v_x", "v_xx", "v_xt", "v_t"} <= names


def test_what_follows_from_a_system_is_among_its_rules():
    """The pressure of Navier and Stokes solves a Poisson equation; ``w_t = w_xx`` follows from ``u_t = w = u_xx``."""
    momentum = "u_t + u*u_x + v*u_y + p_x = laplace(u); v_t + u*v_x + v*v_y + p_y = laplace(v)"
    flow = Equation(f"{momentum}; div((u, v)) = 0")
    x, y = (sympy.Symbol(name, real=True) for name in ("p_xx", "p_yy"))
    divergence = "2*u_y*v_x + 2*v_y**2"
    names = {s.name: s for rule in flow.rules.values() for s in rule.free_symbols}
    assert sympy.expand(flow.rules[x] + y + sympy.sympify(divergence, names)) == 0
    heat = Equation("u_t = w; w = u_xx")
    assert str(heat.rules[sympy.Symbol("w_t", real=True)]) == "w_xx"


def test_roles():
    assert Equation("u_tt + u_xxxx = 0").orders == {"x": 4, "t": 2}
    assert Equation("u_xx + u_yy = 0").time is None
    assert Equation("u_xx + u = 0").time == "x"
    wave = Equation("w_ss = w_rr + w_s", independent="r, s")
    assert wave.time is None
    assert [str(s) for s in wave.explicit("s")] == ["w_ss"]
    assert Equation("u_t - u_xxt + u_x = 0").explicit("t") is None
    assert Equation("u_t + p_x = u_yy; u_x + p_y = 0").explicit("t") is None


def test_every_equation_of_a_system_holds_on_its_manifold():
    """Convection: the equation of the pressure that follows must not take the place of that of the temperature."""
    text = (
        "u_t + u*u_x + v*u_y + p_x = laplace(u); v_t + u*v_x + v*v_y + p_y - T = laplace(v); "
        "T_t + u*T_x + v*T_y = laplace(T); u_x + v_y = 0"
    )
    found = Equation(text)
    assert all(sympy.expand(F.subs(found.rules)) == 0 for F in found.residuals)
    x, y, t, u, v, p, T = (sympy.Symbol(name, real=True) for name in "xytuvpT")
    scaling = {"dx": x, "dy": y, "dt": 2 * t, "du": -u, "dv": -v, "dp": -2 * p, "dT": -3 * T}
    assert is_symmetry(found, scaling)

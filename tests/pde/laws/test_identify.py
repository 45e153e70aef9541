"""Equations found in data alone, of any shape, and what is said when there is none."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import sympy
import torch

from symflow import pde
from symflow.errors import UserError
from symflow.pde import CATALOGUE, Equation, Trajectories, generate
from symflow.pde.laws import identify
from symflow.pde.laws.identify import fitted_laws
from symflow.pde.laws.intervals import rounded
from symflow.pde.trajectories import Axis

TURN = 2 * math.pi


def noisy(data: Trajectories, level: float) -> Trajectories:
    random = torch.Generator().manual_seed(0)
    white = torch.randn(data.values.shape, dtype=torch.float64, generator=random)
    size = data.values.flatten(0, -2).std(0)
    return replace(data, u=(data.values + level * size * white).reshape(data.u.shape))


def same(found: Equation, wanted: Equation, within: float = 1e-9) -> bool:
    """Whether each equation of one is one of the other, coefficients up to a part of them."""
    assert found.space.dependent == wanted.space.dependent

    def normal(F: sympy.Expr, first: sympy.Symbol) -> dict[sympy.Expr, float]:
        terms = sympy.expand(F / F.coeff(first)).as_coefficients_dict()
        return {sympy.nsimplify(m): float(c) for m, c in terms.items()}

    for F in found.residuals:
        first = next(s for s in sorted(F.free_symbols, key=str) if F.coeff(s).is_number and F.coeff(s) != 0)
        others = [G for G in wanted.residuals if G.coeff(first).is_number and G.coeff(first) != 0]
        mine = normal(F, first)
        if not any(
            {*mine} == {*theirs} and all(abs(mine[m] / c - 1) <= within for m, c in theirs.items())
            for theirs in (normal(G, first) for G in others)
        ):
            return False
    return True


@pytest.mark.parametrize(("name", "level"), [("kdv", 0.0), ("kdv", 0.01), ("burgers", 0.0), ("burgers", 0.01)])
def test_data_on_a_line_give_their_equation(name, level):
    data = generate(name, 6, 0, resolution=512 if name == "burgers" else 256, keep=100 if name == "burgers" else 60)
    found = identify(data.x, data.t, noisy(data, level).u)
    assert found.K.equals(CATALOGUE[name].equation.K), found.text


def box(text: str, **settings: object) -> Trajectories:
    given = {"end": 2.0, "length": TURN, "resolution": 24, "steps": 61, "amplitude": 0.3, "wavenumbers": (0, 1)}
    return pde.generate(text, 4, 0, **(given | settings))


def heat_between_walls() -> Trajectories:
    x, t = torch.linspace(0, 1, 65, dtype=torch.float64), torch.linspace(0, 1, 81, dtype=torch.float64)
    k = math.pi * torch.arange(1, 5, dtype=torch.float64)[:, None, None]
    c = 2 * torch.rand(4, 4, 1, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    u = (c * torch.exp(-0.1 * k**2 * t[:, None]) * torch.cos(k * x)).sum(1)
    return Trajectories(Equation("u_t = 0.1*u_xx"), x, t, u, axes=(Axis("x", x),))


def falling() -> Trajectories:
    """Throws in the plane with a constant force: ``p'' = 0.3, q'' = -2``."""
    t = torch.linspace(0, 3, 101, dtype=torch.float64)
    c = torch.randn(4, 4, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u = torch.stack([c[:, 0] + c[:, 1] * t + 0.15 * t**2, c[:, 2] + c[:, 3] * t - t**2], -1)
    return Trajectories(Equation("p_tt = 0.3; q_tt = -2"), torch.zeros(0), t, u, fields=("p", "q"), axes=())


def oscillators() -> Trajectories:
    """Damped: ``p'' = -p - 0.2 p'``."""
    t = torch.linspace(0, 12, 241, dtype=torch.float64)
    w = math.sqrt(0.99)
    first = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64)[:, None]
    p = torch.exp(-0.1 * t) * torch.cos(w * t + first)
    return Trajectories(Equation("p_tt + p + 0.2*p_t = 0"), torch.zeros(0), t, p, fields=("p",), axes=())


SHAPES: dict[str, Callable[[], Trajectories]] = {
    "complex": lambda: box(
        "i*psi_t + psi_xx + 2*|psi|**2*psi = 0",
        end=1.0,
        length=2 * TURN,
        resolution=128,
        amplitude=0.4,
        wavenumbers=(1, 2),
        steps=101,
    ),
    "products": lambda: box("u_t = 0.1*u_xx - u*v + 0.3; v_t = 0.2*v_xx + u*v - v", resolution=64),
    "cubes in a box": lambda: box("u_t = 0.3*(u_xx + u_yy) + u - u**3", resolution=32),
    "streamfunction": lambda: box(
        "w_t + q_y*w_x - q_x*w_y = 0.05*(w_xx + w_yy); q_xx + q_yy + w = 0", resolution=32, wavenumbers=(1, 2)
    ),
    "second order in time": lambda: box("u_tt = u_xx - u - u**3", resolution=64, end=6.0, steps=101, amplitude=0.5),
    "walls": heat_between_walls,
    "orbits": lambda: pde.generate("u_t = 2/3*u - 4/3*u*v; v_t = u*v - v", 4, 0, end=12.0, steps=200),
    "constant forces": falling,
    "damped": oscillators,
}


@pytest.mark.parametrize("kind", SHAPES)
def test_data_of_any_shape_give_their_equations(kind):
    data = SHAPES[kind]()
    found = identify(data)
    assert same(found, Equation(data.equation.text), 1e-4), found.text


@pytest.mark.parametrize("kind", ["complex", "products", "walls", "orbits"])
def test_with_noise_the_coefficients_are_in_their_intervals(kind):
    data = SHAPES[kind]()
    wanted = data.equation.residuals
    for leading, fit in fitted_laws(noisy(data, 0.005)):
        (F,) = [F / F.coeff(leading) for F in wanted if F.coeff(leading) != 0]
        due = {m: float(c) for m, c in sympy.expand(F - leading).as_coefficients_dict().items()}
        assert set(due) == set(fit.terms), fit.terms
        for m, low, high in zip(fit.terms, fit.lower.tolist(), fit.upper.tolist(), strict=True):
            assert low <= due[m] <= high, (m, low, high)


def test_units_change_the_coefficients_as_they_must():
    data = SHAPES["products"]()
    scaled = replace(
        data,
        x=data.x * 100,
        axes=tuple(Axis(a.name, a.nodes * 100, a.period * 100) for a in data.axes),
        t=data.t / 4,
        u=data.values * torch.tensor([1e-3, 50.0], dtype=torch.float64),
    )
    # u = U/1e-3, v = V/50, x = X/100, t = 4 T
    wanted = Equation("u_t = 4e3*u_xx - 0.08*u*v + 0.0012; v_t = 8e3*v_xx + 4e3*u*v - 4*v")
    assert same(identify(scaled), wanted, 1e-4), identify(scaled).text


def test_names_of_unknowns_and_their_order_do_not_matter():
    data = SHAPES["orbits"]()
    turned = replace(
        data,
        equation=Equation("fox_t = fox*hen; hen_t = -fox*hen"),
        u=data.u.flip(-1),
        fields=("fox", "hen"),
        name=None,
    )
    wanted = Equation("fox_t = fox*hen - fox; hen_t = 2/3*hen - 4/3*fox*hen")
    assert same(identify(turned), wanted, 1e-4), identify(turned).text


def test_a_law_outside_the_candidates_is_refused():
    data = box("u_tt = u_xx - sin(u)", resolution=64, end=6.0, steps=101, amplitude=1.5)
    with pytest.raises(UserError, match=r"no law fits the data: the best, u_tt \+ a combination of .* is explained"):
        identify(data)
    # of small amplitude it is that of u - u^3/6, nearly
    data = box("u_tt = u_xx - sin(u)", resolution=64, end=6.0, steps=101, amplitude=0.3)
    with pytest.raises(UserError, match=r"u, u_xx, u\*\*3 = 0, leaves .* is explained; other terms, or higher powers"):
        identify(data)
    # a system of which one equation is outside
    t = torch.linspace(0, 8, 161, dtype=torch.float64)
    first = torch.tensor([0.5, 1.0, 1.5, 2.0], dtype=torch.float64)[:, None]
    p, q = first * torch.exp(-0.3 * t), torch.sqrt(1 + first**2 + torch.sin(first * t) ** 2)
    orbits = Trajectories(
        Equation("p_t = p; q_t = q"), torch.zeros(0), t, torch.stack([p, q], -1), fields=("p", "q"), axes=()
    )
    with pytest.raises(UserError, match=r"no law of q fits the data"):
        identify(orbits)


def test_noise_has_no_law():
    random = torch.Generator().manual_seed(0)
    u = torch.randn(8, 40, 64, dtype=torch.float64, generator=random)
    with pytest.raises(UserError, match=r"no law fits the data"):
        identify(torch.arange(64.0), torch.arange(40.0), u)


def test_what_does_not_change_or_is_short_has_no_law():
    t = torch.linspace(0, 1, 50)
    with pytest.raises(UserError, match=r"no law fits the data: nothing changes"):
        identify(torch.arange(64.0), t, torch.ones(4, 50, 64))
    with pytest.raises(UserError, match=r"needs at least 9 nodes along t, got 6"):
        identify(torch.arange(64.0), t[:6], torch.randn(4, 6, 64))
    with pytest.raises(UserError, match=r"takes trajectories, or x, t and u"):
        identify(SHAPES["orbits"](), t)


def test_rounding_stays_within_the_interval():
    assert rounded(0.99998, 0.9999, 1.0001) == 1.0
    assert rounded(0.010003, 0.00999, 0.01001) == 0.01
    assert rounded(0.0123, 0.01229, 0.01231) == 0.0123
    assert rounded(1.5002, 1.5001, 1.5003) == 1.5002

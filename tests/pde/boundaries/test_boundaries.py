"""Which symmetries keep walls, initial times and periods: cases of the literature, and what must agree between them.

Bluman and Anco, *Symmetry and Integration Methods for Differential Equations* (2002), section 4.4; Bluman and Kumei,
*Symmetries and Differential Equations* (1989), section 4.3 (heat, Stefan); Olver (1993), section 2.4; Schlichting,
*Boundary-Layer Theory* (Prandtl).
"""

from __future__ import annotations

import pytest
import sympy

from symflow import pde
from symflow.errors import UserError
from symflow.formulas import expressions
from symflow.pde.boundaries import Boundary, keeps, kept
from symflow.pde.symmetries import Symmetries, is_symmetry, symmetries

HEAT = "u_t = u_xx"
BURGERS = "u_t + u*u_x = u_xx"
KDV = "u_t + u*u_x + u_xxx = 0"
WAVE = "u_tt = u_xx - u**3"
LAPLACE = "u_xx + u_yy + u_zz = 0"
PRANDTL = "u*u_x + v*u_y = u_yy; u_x + v_y = 0"

CASES = [
    # x -> -x is a symmetry: the half line keeps what is odd or even, dt, u du, x dx + 2 t dt and the projective one
    (HEAT, "u(0,t) = 0", 4),
    (HEAT, "u_x(0,t) = 0", 4),
    (HEAT, "u_x(0,t) = u(0,t)", 2),  # Robin's has a length of its own: dt and u du
    (HEAT, "u(0,t) = 1", 2),  # dt and the scaling, no u du
    (HEAT, "u(0,t) = 0; u(1,t) = 0", 2),
    (HEAT, "u(0,t) = 0; u_x(1,t) = 0", 2),
    (HEAT, "u(3*t,t) = 0", 4),  # a Galilean boost makes it a wall at rest
    (HEAT, "u(sqrt(t),t) = 0", 2),  # Stefan: the scaling, and u du
    (HEAT, "x = 0", 4),  # a wall with nothing asked: the symmetries are those that leave it where it is
    (HEAT, "t = 0", 5),
    (HEAT, "u(x,0) = exp(-x**2/4)", 2),  # a source at t = -1, seen later
    (HEAT, "u(x + 1, t) = u(x, t)", 3),
    (BURGERS, "u(0,t) = 0", 3),  # dt, the scaling, the projective one
    (BURGERS, "u_x(0,t) = 0", 2),  # dt and the scaling: the projective one tilts u
    (BURGERS, "u(0,t) = 1", 1),
    (BURGERS, "u(2*t,t) = 2", 3),  # u = 0 at a wall at rest, boosted
    (BURGERS, "u(0,t) = u(1,t)", 3),
    (KDV, "u(0,t) = 0", 2),
    (KDV, "u(0,t) = 0; u_x(0,t) = 0", 2),
    (KDV, "u(0,t) = 1", 1),
    (KDV, "u(t,t) = 1", 2),
    (KDV, "u(0,t) = u(1,t); u_x(0,t) = u_x(1,t)", 3),
    (WAVE, "u(0,t) = 0", 2),
    (WAVE, "u_x(0,t) = 0", 2),
    (WAVE, "u(t/2,t) = 0", 2),  # the same in another inertial frame
    (WAVE, "u(0,t) = 0; u(1,t) = 0", 1),
    (LAPLACE, "u(x,y,0) = 0", 7),  # the conformal group of the plane, so(3,1), and u du
    (LAPLACE, "u_z(x,y,0) = 0", 7),
    (LAPLACE, "u(0,y,z) = 0; u(x,0,z) = 0", 4),  # a right angle: dz, scaling, one special conformal, u du
    (LAPLACE, "u(x+1,y,z) = u(x,y,z); u(x,y+1,z) = u(x,y,z)", 4),
]


@pytest.mark.parametrize(("equation", "boundary", "dimension"), CASES)
def test_dimensions_of_the_literature(equation: str, boundary: str, dimension: int) -> None:
    found = algebra(equation)
    at = Boundary.read(found.equation, boundary)
    assert found.superposition is None or len(found.forms) in (6, 11)
    basis = kept(at, found.forms)
    assert len(basis) == dimension
    assert all(keeps(at, form) for form in basis)


SCALING = {"dx": "x", "dt": "2*t"}
SIMILARITY: list[tuple[str, str, list[dict[str, str]]]] = [
    # what a boundary keeps is what its solution is found by; chapters of the books in which it is
    (HEAT, "u(0,t) = 1; u(x,0) = 0", [SCALING]),  # Stokes' first problem: Schlichting, section 5.4
    (HEAT, "u_x(0,t) = -1; u(x,0) = 0", [SCALING | {"du": "u"}]),  # a constant flux: Carslaw, Jaeger 1959, section 2.9
    (HEAT, "u(0,t) = t**2; u(x,0) = 0", [SCALING | {"du": "4*u"}]),  # a power of time: section 2.5
    # Stefan's problem of one phase, its front at 2 sqrt(t): chapter 11
    (HEAT, "u(2*sqrt(t),t) = 0; u_x(2*sqrt(t),t) = -1/sqrt(t)", [SCALING]),
    (HEAT, "u(3*t,t) = 1", [{"dx": "3", "dt": "1"}]),  # a front that travels: section 10.7
    ("u_t = Derivative(u**2*u_x, x)", "u(0,t) = 1; u(x,0) = 0", [SCALING]),  # Boltzmann: Crank 1975, section 7.2
    # a source of a gas in a porous medium: Barenblatt 1996, chapter 2
    ("u_t = Derivative(u*u_x, x)", "u_x(0,t) = 0; u(x,0) = 0", [SCALING, {"dx": "x", "du": "2*u"}]),
    ("u_xt = u", "u(x,0) = 1; u(0,t) = 1", [{"dx": "x", "dt": "-t"}]),  # Riemann's function: Courant, Hilbert, volume 2
    # an expansion wave, x/(1 + t): Whitham 1974, chapter 4
    (
        BURGERS,
        "u(x,0) = x",
        [{"dx": "1 + t", "du": "1"}, {"dx": "x + 2*t*x", "dt": "2*t + 2*t**2", "du": "2*x - 2*t*u - u"}],
    ),
    (KDV, "u(0,t) = t**(-2/3)", [{"dx": "x", "dt": "3*t", "du": "-2*u"}]),  # Painleve II: Ablowitz, Segur 1981
]


@pytest.mark.parametrize(("equation", "boundary", "known"), SIMILARITY)
def test_what_reduces_the_problems_of_the_literature_is_kept(
    equation: str, boundary: str, known: list[dict[str, str]]
) -> None:
    found = algebra(equation)
    at = Boundary.read(found.equation, boundary)
    space = found.equation.space
    names = dict(zip(space.names, space.variables, strict=True))
    for form in known:
        exact = {f"d{name}": expressions.parse(form.get(f"d{name}", "0"), names) for name in space.names}
        assert is_symmetry(found.equation, exact)
        assert keeps(at, exact)
    assert len(kept(at, found.forms)) == len(known)


_KNOWN: dict[str, Symmetries] = {}


def algebra(text: str) -> Symmetries:
    if text not in _KNOWN:
        _KNOWN[text] = symmetries(pde.Equation(text))
    return _KNOWN[text]


def test_a_plate_in_a_boundary_layer_keeps_its_scalings() -> None:
    """Prandtl's equations at a wall at rest: along it, and two scalings, of which Blasius' solution keeps one."""
    equation = pde.Equation(PRANDTL)
    x, y, u, v = equation.space.variables
    zero = sympy.Integer(0)
    names = ("dx", "dy", "du", "dv")
    forms = [
        dict(zip(names, f, strict=True))
        for f in ((zero + 1, zero, zero, zero), (x, zero, u, zero), (2 * x, y, zero, -v), (zero, zero + 1, zero, zero))
    ]
    forms += [dict(zip(names, (zero, x, zero, u), strict=True))]  # of f(x) dy + u f'(x) dv
    at_rest = kept(Boundary.read(equation, "u(x,0) = 0; v(x,0) = 0"), forms)
    assert len(at_rest) == 3
    stream = kept(Boundary.read(equation, "u(x,0) = 0; v(x,0) = 0; u(0,y) = 1"), forms)
    assert [form["dy"] for form in stream] == [y]  # Blasius


def test_combinations_are_found() -> None:
    heat = algebra(HEAT)
    basis = kept(Boundary.read(heat.equation, "u(3*t,t) = 0"), heat.forms)
    assert [f["dx"] / f["dt"] for f in basis if f["du"] == 0 and f["dt"].is_number] == [3]


def test_parameters_of_the_equation_may_stand_in_a_boundary() -> None:
    equation = pde.Equation("u_t = c*u_xx", c=0.25)
    forms = symmetries(equation).forms
    assert [len(kept(Boundary.read(equation, wall), forms)) for wall in ("u(c*t,t) = 0", "u(0,t) = c")] == [4, 2]


def test_discover_says_what_is_kept_and_what_is_lost() -> None:
    found = pde.discover(KDV, boundary="u(0,t) = 0")
    assert [g.formula for g in found.generators] == ["dt", "x dx + 3*t dt - 2*u du"]
    said = found.verdicts.domain
    assert said is not None
    assert said.word == "proved"
    assert said.lost == ["dx", "t dx + du"]
    assert found.verdicts.equation is not None
    assert found.verdicts.equation.dimension == 4


def test_families_are_not_claimed_to_keep_a_boundary() -> None:
    found = pde.discover(HEAT, boundary="u(0,t) = 0")
    assert found.headline == "u_t = u_xx: 4 symmetries that keep the boundary, proved"
    assert "of the equation, not asked at the boundary: f du for every solution f" in str(found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "u = 0",
        "u(0) = 0",
        "u(0,t)",
        "x = x**2",
        "u(x,t) = 0",
        "u(0,t) = u(x,0)",
        "u(x**2,t) = 0",
        "w(0,t) = 0",
        "t",
    ],
)
def test_what_is_no_boundary_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UserError):
        Boundary.read(pde.Equation(HEAT), text)

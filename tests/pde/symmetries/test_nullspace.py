"""Dimensions, angles and closed forms of the null space, on jets that need no solver."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow import Coordinates, UserError, principal_angles
from symflow.pde import CATALOGUE, Equation, discover
from symflow.pde.equations.equation import t
from symflow.pde.equations.manifold import Manifold
from symflow.pde.symmetries import symmetries
from symflow.pde.symmetries.library import Library, own_functions, polynomial_library
from symflow.pde.symmetries.nullspace import Budget, Condition, condition, gap_rank

PLANE = {"kdv": 4, "ks": 3, "burgers": 5, "nkdv": 4, "ckdv": 4}
PERIODIC = {"kdv": 3, "ks": 3, "burgers": 3, "nkdv": 3, "ckdv": 2}


@pytest.mark.parametrize("name", PLANE)
@pytest.mark.parametrize("domain", ["plane", "periodic"])
def test_the_five_algebras_from_the_equation_alone(name: str, domain: str) -> None:
    result = discover(name, domain=domain, network="none")  # type: ignore[arg-type]
    assert result.rank == (PLANE if domain == "plane" else PERIODIC)[name]
    assert all(g.verified and g.valid for g in result.generators)
    assert result.truth is not None
    assert max(result.truth) < 1e-6
    assert result.structure_constants is not None
    known = [
        s
        for s in CATALOGUE[name].symmetries
        if domain == "plane" or not any("x" in f.replace("exp", "") for f in s.values())
    ]
    from symflow import SymbolicField

    points = torch.rand(200, 3, dtype=torch.float64)
    closed = SymbolicField(result.coordinates, [g.closed_form for g in result.generators])
    assert principal_angles(closed, SymbolicField(result.coordinates, known), points).max() < 1e-6


@pytest.mark.parametrize(
    ("text", "dimension"),
    [  # dimensions as computed by independent computer algebra, over polynomials of degree 2
        ("u_t + 6*u**2*u_x + u_xxx = 0", 3),
        ("u_t = u_xx + u*(1 - u)", 2),
        ("u_t = u_x**2 + u*u_xx", 4),
        ("u_t + u*u_x - u_xx/10 + u_xxx = 0", 3),
        ("u_t + u*u_x + x*u_xxx = u**3", 2),
        ("u_t + u*u_x + x*u_xxx = t*u**3", 0),
    ],
)
def test_other_equations(text: str, dimension: int) -> None:
    result = discover(text, domain="plane", network="none")
    assert result.rank == dimension
    assert len(result.generators) == dimension
    assert all(g.verified and g.valid for g in result.generators)


def test_solutions_of_the_heat_equation_are_told_apart() -> None:
    """Its algebra is infinite: solutions of the equation itself may be added to u. The rest has dimension 6."""
    result = discover("u_t = u_xx", domain="plane", network="none")
    assert result.rank == 6
    assert all(g.verified for g in result.generators)
    assert [f.formula for f in result.families] == ["f du"]
    assert result.families[0].functions == {"f": ["x", "t"]}
    assert result.families[0].conditions == ["f_t - f_xx"]
    assert {"dx", "dt", "u du", "2*t dx - u*x du"} <= {g.formula for g in result.generators}


def test_functions_come_from_the_equation() -> None:
    assert own_functions(CATALOGUE["kdv"].equation) == [1]
    assert own_functions(CATALOGUE["nkdv"].equation) == [1, sympy.exp(t / 50), sympy.exp(-t / 50)]
    functions = own_functions(CATALOGUE["ckdv"].equation)
    assert functions[:3] == [1, sympy.sqrt(t + 1), 1 / sympy.sqrt(t + 1)]


def test_a_library_with_a_repeated_function_loses_nothing() -> None:
    equation = CATALOGUE["burgers"].equation
    manifold = Manifold(equation)
    library = polynomial_library(equation, 2)
    doubled = Library(library.variables, library.monomials, (sympy.Integer(1), sympy.Integer(2)))
    values = condition(equation, manifold.sample(400, seed=1), doubled, manifold.coordinates).null_space().values
    assert gap_rank(values, 1e-12, 1e-6) == 5


def reduced(degree: int, budget: int) -> Condition:
    equation = CATALOGUE["burgers"].equation
    manifold = Manifold(equation)
    library = polynomial_library(equation, degree)
    found = condition(equation, manifold.sample(400, seed=1), library, manifold.coordinates)
    return replace(found, budget=Budget(budget))


def test_values_alone_are_those_of_the_decomposition() -> None:
    over = reduced(3, 10**9)
    some = torch.rand(over.columns.shape, generator=torch.Generator().manual_seed(0)) < 0.7
    for columns in (None, some):
        assert torch.allclose(over.values(columns), over.null_space(columns).values, rtol=0, atol=1e-13)


def test_a_support_has_as_many_columns_as_the_budget_leaves() -> None:
    """With none all stay, with enough the five generators' own: dx, dt; boost and scaling; the projective one."""
    spent, whole = reduced(2, 0), reduced(2, 10**9)
    assert torch.equal(spent.support(5), spent.columns)
    assert int(whole.support(5).sum()) == 1 + 1 + 2 + 3 + 4
    assert spent.budget.left < 0 < whole.budget.left


def test_the_search_for_more_says_where_its_budget_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Budget, "pays", lambda self, columns: columns < 100)
    found = symmetries(CATALOGUE["burgers"].equation, at_least=9)
    assert found.left_out == ("the search for more ended at polynomials of degree 4: its budget was spent",)
    assert all(found.verified)


def test_functions_without_values_are_left_out() -> None:
    equation = CATALOGUE["burgers"].equation
    manifold = Manifold(equation)
    library = polynomial_library(equation, 2, [sympy.log(t - 100)])
    found = condition(equation, manifold.sample(400, seed=1), library, manifold.coordinates)
    assert gap_rank(found.values(), 1e-12, 1e-6) == 5


def test_large_systems_have_rates_of_fewer_polynomials_which_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    equation = Equation("u_t = u_xx + u*u_x + u")  # a boost that grows like exp(t)
    assert symmetries(equation).left_out == ()
    monkeypatch.setattr("symflow.pde.symmetries.rates.MOST_BESIDE", 20)
    fewer = symmetries(equation)
    assert len(fewer.forms) == 3
    assert fewer.left_out == ("not all exponentials and powers of x, t were tried",)


def test_too_few_points_are_refused() -> None:
    equation = CATALOGUE["burgers"].equation
    jets = Manifold(equation).sample(10, seed=1)
    library = polynomial_library(equation, 2)
    with pytest.raises(UserError, match="at least as many points, got 10"):
        condition(equation, jets, library, Coordinates(("x", "t", "u")))


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(1e-17, 1e-13), max_size=6),
    st.lists(st.floats(1e-4, 1.0), max_size=6),
)
def test_the_rank_is_where_the_gap_is(small: list[float], large: list[float]) -> None:
    values = torch.tensor(sorted(small) + sorted(large), dtype=torch.float64)
    assert gap_rank(values, 1e-12, 1e-6) == len(small)


def test_no_value_below_the_ceiling_means_no_symmetry() -> None:
    assert gap_rank(torch.tensor([1e-3, 1.0]), 1e-12, 1e-6) == 0


def test_an_equation_scaled_or_rearranged_is_the_same_equation() -> None:
    a = discover("u_t + u*u_x + u_xxx = 0", domain="plane", network="none")
    b = discover(Equation("-3*c*u_xxx = 3*u_t + 3*u*u_x", c=1.0), domain="plane", network="none")
    assert b.name == "kdv"
    assert [g.formula for g in a.generators] == [g.formula for g in b.generators]


def test_a_library_that_does_not_fit_is_a_sentence() -> None:
    text = "u_t + v_xx + v_yy + (u**2 + v**2)*v = 0; v_t - u_xx - u_yy - (u**2 + v**2)*sqrt(t + 1)*u = exp(y)*sin(x)"
    with pytest.raises(UserError, match="`degree` must make a library of at most 4000 unknowns, got"):
        discover(text, domain="plane", network="none", degree=6)


def test_arbitrary_functions_of_a_coordinate_have_no_rates() -> None:
    """Kadomtsev and Petviashvili: x may be moved by any function of t, so every exponential of t occurs."""
    found = symmetries(Equation("3*u_yy + u_xxxx + 6*u_xx*u + 6*u_x**2 + 4*u_xt = 0"), degree=3)
    assert found.condition.library.special == (1,)
    assert len(found.forms) == 12
    assert all(found.verified)


def test_rates_are_tried_up_to_a_count_that_is_said() -> None:
    text = "u_t + 2500*u_x - 80*u_xx - u_xxx/40 + 3*u_xxxx/40000 = 0"
    found = discover(text)
    assert [g.formula for g in found.generators] == ["dx", "dt", "u du"]
    assert symmetries(Equation(text)).left_out == ("not all exponentials and powers of x, t were tried",)
    assert found.statements[0].text.endswith(
        "no others up to order 3 of their Taylor polynomials, counted modulo a prime"
    )
    assert symmetries(Equation("u_tt - u_xx + sin(u) = 0")).left_out == ()

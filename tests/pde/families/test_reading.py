"""Families that were written to text are proved again from it, and false ones are not."""

from __future__ import annotations

import pytest

from symflow.errors import UserError
from symflow.pde import Equation
from symflow.pde.families import Family, family_of, proved, whole_algebra
from symflow.pde.symmetries import symmetries

TEXTS = [
    "u_t - u_xx = 0",
    "u_t = u_xx + u_x**2",  # f exp(-u) du
    "u_xt - exp(u) = 0",
    "u_xx + u_yy - exp(u) = 0",  # Cauchy and Riemann's
    "u_t = u_xx/u_x**2",  # f(t, u) dx with a heat equation
    "u_t + u*u_x + v_x = 0; v_t + u*v_x + v*u_x = 0",
    "u_y*u_xy - u_x*u_yy - u_yyy = 0",
]


def read_again(equation: Equation, family: Family) -> Family:
    form = {key: str(f) for key, f in family.form.items()}
    arguments = [str(a) for a in family.functions.arguments]
    conditions = [str(c) for c in family.functions.conditions]
    return family_of(equation, form, dict.fromkeys(family.functions.names, arguments), conditions)


@pytest.mark.parametrize("text", TEXTS)
def test_what_is_written_is_proved_again(text: str) -> None:
    equation = Equation(text)
    known = symmetries(equation)
    found = whole_algebra(equation, known.forms, known.superposition).families
    assert found
    for family in found:
        again = read_again(equation, family)
        assert (again.form, again.order) == (family.form, family.order)
        assert again.functions.turn == family.functions.turn
        assert proved(equation, again)


FALSE = [
    ("u_t = u_xx", {"du": "f"}, {"f": ["x", "t"]}, ["f_t - 2*f_xx"]),
    ("u_t = u_xx", {"du": "f"}, {"f": ["x", "t"]}, []),
    ("u_xt = exp(u)", {"dx": "f", "du": "f_x"}, {"f": ["x"]}, []),
    ("u_xx + u_yy = exp(u)", {"dx": "f", "dy": "g", "du": "-2*f_x"}, {"f": ["x", "y"], "g": ["x", "y"]}, []),
]


@pytest.mark.parametrize(("text", "form", "functions", "conditions"), FALSE)
def test_what_is_false_is_not_proved(
    text: str, form: dict[str, str], functions: dict[str, list[str]], conditions: list[str]
) -> None:
    equation = Equation(text)
    assert not proved(equation, family_of(equation, form, functions, conditions))


def test_functions_of_different_arguments_are_no_family() -> None:
    with pytest.raises(UserError):
        family_of(Equation("u_xt = 0"), {"du": "f + g"}, {"f": ["x"], "g": ["t"]}, [])

"""Group classifications of the literature: Ovsiannikov 1959 (diffusion), Ames, Lohner and Adams 1981 (waves)."""

from __future__ import annotations

import pytest

from symflow.errors import UserError
from symflow.pde import classify
from symflow.pde.classification.classify import _case
from symflow.pde.classification.template import Template


@pytest.mark.slow
def test_nonlinear_diffusion_is_ovsiannikovs() -> None:
    """3 for all f; 4 for powers and exponentials; 5 for the power -4/3; 6 and solutions where it is linear.

    f = u**-2 is linear after a hodograph, of which the finite part here is 4 and the family is another room's.
    """
    found = classify("u_t = Derivative(f(u)*u_x, x)")
    assert found.general.dimension == 3
    assert found.general.complete
    has = {case.choice["f"]: (case.dimension, case.superposition) for case in found.cases}
    assert has["a**n"] == (4, False)
    assert has["exp(a)"] == (4, False)
    assert has["a**(-4/3)"] == (5, False)
    assert has["a**(0)"] == (6, True)
    assert not {"a**(2)", "a**(3)", "a**(-1)", "log(a)", "a*log(a)"} & {*has}


@pytest.mark.slow
def test_waves_of_a_speed_that_u_sets() -> None:
    """Ames, Lohner and Adams: 3 for all f, 4 for powers and exponentials, 5 for the powers -4 and -4/3."""
    found = classify("u_tt = Derivative(f(u)*u_x, x)")
    has = {case.choice["f"]: case.dimension for case in found.cases if not case.superposition}
    assert found.general.dimension == 3
    assert (has["a**n"], has["exp(a)"], has["a**(-4/3)"], has["a**(-4)"]) == (4, 4, 5, 5)


def test_a_number_at_which_a_term_is_lost() -> None:
    found = classify("u_t = u_xx + k*u**2", numbers=["k"])
    assert found.general.dimension == 3
    assert [(case.choice, case.superposition) for case in found.cases] == [({"k": "0"}, True)]


@pytest.mark.parametrize(
    ("text", "numbers", "values"),
    [("u_t = u_xx", [], {}), ("u_t = f(u)*u_xx + k", ["k"], {"k": 2.0}), ("u_t = f(u, x)*u_xx", [], {})],
)
def test_what_cannot_be_classified_is_refused(text: str, numbers: list[str], values: dict[str, float]) -> None:
    with pytest.raises(UserError):
        classify(text, numbers=numbers, **values)


def test_functions_and_numbers_are_left_open_or_put_in_by_themselves() -> None:
    """``u_t = f(u) u_xx + k u``: translations for all; a scaling where k = 0, for any f; Ovsiannikov's powers there."""
    template = Template("u_t = f(u)*u_xx + k*u", {})
    of = {tuple(c.items()): _case(template, ["k"], c).dimension for c in ({}, {"k": "0"}, {"k": "0", "f": "a**n"})}
    assert list(of.values()) == [2, 3, 4]


@pytest.mark.slow
def test_what_gains_on_a_function_or_a_number_alone_is_listed() -> None:
    found = classify("u_t = f(u)*u_xx + k*u", numbers=["k"])
    choices = [case.choice for case in found.cases]
    assert found.general.dimension == 2
    assert {"k": "0"} in choices
    assert {"f": "a**n", "k": "0"} in choices
    assert not found.passed_over

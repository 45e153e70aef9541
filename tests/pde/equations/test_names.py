"""What the names of an equation stand for: what the text makes of them, or what is declared."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.errors import UserError
from symflow.pde.equations.equation import Equation
from symflow.pde.equations.jets import derivative, subscript

NAMES = st.from_regex(r"[a-hj-z][a-z]?[0-9]?", fullmatch=True).filter(
    lambda n: n not in ("t", "ln", "pi", "re", "im", "abs", "div", "cot")
)


@given(st.data(), st.lists(NAMES, min_size=2, max_size=3, unique=True), NAMES.filter(lambda n: n not in "xyzt"))
@settings(deadline=None, max_examples=60)
def test_declared_letters_spell_derivatives_in_any_order(data, independent, unknown):
    """``u_ab`` and ``u_ba`` are one symbol, and it is read back as what it differentiates in."""
    letters = data.draw(st.lists(st.sampled_from(independent), min_size=1, max_size=4))
    text = f"{unknown}_{''.join(letters)}"
    if unknown in independent or subscript("".join(letters), independent) is None:
        return
    symbol = derivative(unknown, letters)
    shuffled = derivative(unknown, data.draw(st.permutations(letters)))
    assert symbol == shuffled
    try:
        equation = Equation(f"{text} = {unknown}", independent=independent)
    except UserError:
        assert unknown in independent
        return
    a, index = equation.space.locate(symbol)
    assert a == 0
    assert index == tuple(letters.count(name) for name in independent)


@pytest.mark.parametrize(
    ("text", "declared", "names"),
    [
        ("u_tt + u = 0", {}, ("t", "u")),
        ("x_tt + x/(x**2 + y**2)**(3/2) = 0; y_tt + y/(x**2 + y**2)**(3/2) = 0", {}, ("t", "x", "y")),
        ("u_xx + u_yy + u_zz = u_t", {}, ("x", "y", "z", "t", "u")),
        ("u_x1x1 + u_x2x2 = 0", {}, ("x1", "x2", "u")),
        ("rho_t + Derivative(rho*w, x) = 0; w_t + w*w_x = 0", {}, ("x", "t", "w", "rho")),
        ("u_t + p = 0; p_t + u = 0", {}, ("t", "u", "p")),
        ("u_t + p_x = 0; p = u_xx", {}, ("x", "t", "u", "p")),
        ("h_s = h_rr", {"independent": "s, r"}, ("s", "r", "h")),
        ("h_thetatheta = h_t", {"independent": ["theta", "t"]}, ("theta", "t", "h")),
        ("u_1_x = u_1", {"unknowns": "u_1"}, ("x", "u_1")),
        ("i*psi_t + psi_xx + 2*|psi|**2*psi = 0", {}, ("x", "t", "psi_re", "psi_im")),
        ("i*E_t + E_xx = n*E; n_tt - n_xx = Derivative(|E|**2, x, x)", {}, ("x", "t", "E_re", "E_im", "n")),
        ("S_t = -b*S*I; I_t = b*S*I - I", {"b": 0.5}, ("t", "S", "I")),
    ],
)
def test_names_are_what_the_text_makes_of_them(text, declared, names):
    assert Equation(text, **declared).space.names == names


def test_a_declared_name_must_be_free_and_used_once():
    for names, sentence in [
        ({"independent": "x, x"}, "must list different names"),
        ({"independent": "exp, t"}, "must list names that are free"),
        ({"unknowns": "2u"}, "must list names such as"),
        ({"unknowns": "w"}, "must list all of them, got w and u"),
        ({"independent": "x, u"}, "must be an independent variable or an unknown"),
    ]:
        with pytest.raises(UserError, match=sentence):
            Equation("u_t + u_x = 0", **names)

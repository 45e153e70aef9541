"""How reports write numbers and formulas, and the flows they claim for the transformations they name."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow import Coordinates, SymbolicField
from symflow.formulas import notation
from symflow.formulas.notation import EPSILON
from symflow.pde import CATALOGUE

x, t, u = SymbolicField(Coordinates(("x", "t", "u")), [{"dx": "1"}]).symbols

KNOWN = [(name, form) for name, entry in CATALOGUE.items() for form in entry.symmetries]
OTHERS = [
    ("scaling of u", {"du": "u"}),
    ("translation in u", {"du": "3"}),
    ("translation in x and t", {"dx": "2", "dt": "-1"}),
    ("scaling", {"dx": "x", "dt": "2*t"}),
    ("scaling", {"dx": "x + 1", "dt": "2*t - 3", "du": "-u + 1/2"}),
    ("scaling with a translation", {"dx": "x", "dt": "1"}),
    ("Galilean boost", {"dx": "2*t + 1", "du": "2"}),
    ("Galilean boost of a potential", {"dx": "-2*t", "du": "x"}),
    ("Galilean boost of a potential", {"dx": "3*t", "du": "x/2 + 1"}),
    ("projective transformation", {"dx": "-2*t*x", "dt": "-2*t**2", "du": "2*t*u - 2*x"}),
    ("projective transformation of a potential", {"dx": "-4*t*x", "dt": "-4*t**2", "du": "2*t + x**2"}),
]


def components(form):
    return SymbolicField(Coordinates(("x", "t", "u")), [form]).components[0]


@pytest.mark.parametrize(("name", "form"), KNOWN + OTHERS)
def test_the_flow_of_a_named_transformation_solves_its_equation(name, form):
    """``d/d epsilon of the end point = V(end point)``, and the end point at 0 is the point."""
    V = components(form)
    meaning = notation.meaning(V)
    if meaning is None or meaning.flow is None:
        return
    at_end = dict(zip((x, t, u), meaning.flow, strict=True))
    for component, start, end in zip(V, (x, t, u), meaning.flow, strict=True):
        assert sympy.simplify(end.subs(EPSILON, 0) - start) == 0
        assert sympy.simplify(sympy.diff(end, EPSILON) - component.subs(at_end, simultaneous=True)) == 0


@pytest.mark.parametrize(("name", "form"), OTHERS)
def test_names(name, form):
    assert notation.meaning(components(form)).name == name


def test_names_of_the_kdv_algebra():
    names = [notation.meaning(components(form)).name for form in CATALOGUE["kdv"].symmetries]
    assert names == ["translation in x", "translation in t", "Galilean boost", "scaling"]


@pytest.mark.parametrize(
    "form", [{"du": "u**2"}, {"dx": "t", "du": "u"}, {"dx": "u"}, {"dx": "t**2*x", "dt": "t**2"}, {"du": "exp(x)"}]
)
def test_no_name_is_made_up(form):
    assert notation.meaning(components(form)) is None


@pytest.mark.parametrize(("_", "form"), KNOWN + OTHERS)
def test_formulas_are_well_formed(_, form):
    V = components(form)
    text = str(notation.generator(V)).replace("&InvisibleTimes;", "")
    root = ElementTree.fromstring(text)
    partial = [e for e in root.iter("msub") if e[0].text == "∂"]
    assert len(partial) == sum(c != 0 for c in V)
    assert notation.plain(V).count("∂") == notation.latex(V).count(r"\partial") == sum(c != 0 for c in V)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"dx": "1"}, "∂x"),
        ({"dx": "-1", "du": "1"}, "−∂x+∂u"),
        ({"dx": "t", "du": "-2*u"}, "t∂x−2u∂u"),
        ({"dt": "t - 1"}, "(t−1)∂t"),
        ({"dx": "1", "dt": "-3*t - 3"}, "∂x−(3t+3)∂t"),
        ({}, "0"),
    ],
)
def test_signs_and_parentheses(form, expected):
    assert notation.plain(components(form)).replace(" ", "") == expected
    root = ElementTree.fromstring(str(notation.generator(components(form))).replace("&InvisibleTimes;", ""))
    assert "".join(root.itertext()).replace("\u2062", "") == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"dx": "x**12*t", "du": "-u**2/3"}, "t x¹² ∂x − u²/3 ∂u"),
        ({"dt": "exp(-2*t)", "du": "sqrt(u)*u**(1/3)"}, "exp(−2 t) ∂t + u^(5/6) ∂u"),
        ({"dx": "1/t**2"}, "t^(−2) ∂x"),
    ],
)
def test_formulas_without_markup(form, expected):
    assert notation.plain(components(form)) == expected


def test_hostile_words_in_formulas_are_escaped():
    assert "<script>" not in notation.formula("<script>")


@given(st.floats(1e-300, 1e300) | st.floats(-1e300, -1e-300))
@settings(deadline=None)
def test_numbers_mean_what_they_were(value):
    text = notation.number(value, 4)
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹−", "-0123456789-")
    mantissa, _, exponent = text.partition("×10")
    assert float(mantissa.translate(digits) + "e" + (exponent.translate(digits) or "0")) == pytest.approx(
        value, rel=6e-4
    )
    assert "e" not in text


@pytest.mark.parametrize(
    ("value", "text"), [(3.2e-16, "3.2×10⁻¹⁶"), (-0.5, "−0.5"), (0.0, "0"), (float("inf"), "∞"), (12.0, "12")]
)
def test_numbers(value, text):
    assert notation.number(value) == text


@pytest.mark.parametrize(
    ("form", "name", "words"),
    [
        ({"dy": "1"}, "translation in y", "no place is special"),
        ({"dt": "1"}, "translation in t", "no moment is special"),
        ({"dv": "1"}, "translation in v", "the zero of v is arbitrary"),
        ({"dx": "1", "dy": "2"}, "translation in x and y", "several axes at once"),
        ({"dv": "2*v"}, "scaling of v", "whose v is multiplied by a factor"),
        ({"du": "u", "dv": "v"}, "scaling of u and v", "A multiple of a solution"),
        ({"du": "u", "dv": "2*v"}, "scaling of u and v", "powers of one factor"),
        ({"dx": "-y", "dy": "x"}, "rotation of x and y", "no direction is special"),
        ({"du": "-v", "dv": "u"}, "rotation of u and v", "no phase is special"),
        ({"dx": "t", "dt": "x"}, "Lorentz boost in x and t", "at a constant speed"),
        ({"du": "v", "dv": "u"}, "hyperbolic rotation of u and v", "mixed in this way"),
    ],
)
def test_words_of_several_axes_and_unknowns(form, name, words):
    names = ("x", "y", "t", "u", "v")
    V = SymbolicField(Coordinates(names), [form]).components[0]
    meaning = notation.meaning(V, names, ("u", "v"))
    assert meaning.name == name
    assert words in meaning.sentence

"""Formulas: what they mean, and that no string whatever does more than raise a sentence, quickly."""

import math
from fractions import Fraction

import mpmath
import pytest
import sympy
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from symflow import UserError
from symflow.fields import Series, series
from symflow.fields.series import FUNCTIONS as ON_TENSORS
from symflow.formulas.expressions import DEEPEST, FUNCTIONS, LONGEST, MOST_TERMS, evaluate, parse

x, y = sympy.Symbol("x", real=True), sympy.Symbol("y", real=True)
NAMES = {"x": x, "y": y}


# ---- meaning --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("1 + 2*3", 7),
        ("2**3**2", 512),
        ("-2**2", -4),
        ("(-2)^2", 4),
        ("2^-2", Fraction(1, 4)),
        ("1 - 2 - 3", -4),
        ("8/4/2", 1),
        ("--3", 3),
        ("2*-3", -6),
        ("1.5e2", 150),
        (".5", Fraction(1, 2)),
        ("0.01", Fraction(1, 100)),
        ("1e-3", Fraction(1, 1000)),
        ("x = y", x - y),
        ("x*y^2 - sin(x)", x * y**2 - sympy.sin(x)),
        ("50*(exp(x/50) - 1)", 50 * sympy.exp(x / 50) - 50),
        ("sqrt(x**2 + 1)", sympy.sqrt(x**2 + 1)),
        ("tanh(log(x))", sympy.tanh(sympy.log(x))),
        (" x\n+\ty ", x + y),
        ("(x + y)**64", (x + y) ** 64),
        ("x**1.5", x ** sympy.Rational(3, 2)),
        ("2**x", 2**x),
        ("sqrt(x**2)", sympy.Abs(x)),
    ],
)
def test_meaning(text, meaning):
    assert sympy.expand(parse(text, NAMES) - meaning) == 0


def random_formula(depth=3):
    """Text and value of the same random expression at x = 0.7, y = 1.3."""
    leaf = st.sampled_from([("x", 0.7), ("y", 1.3), ("2", 2.0), ("0.5", 0.5)])

    def grow(inner):
        pair = st.tuples(inner, inner)
        return st.one_of(
            pair.map(lambda p: (f"({p[0][0]} + {p[1][0]})", p[0][1] + p[1][1])),
            pair.map(lambda p: (f"({p[0][0]} - {p[1][0]})", p[0][1] - p[1][1])),
            pair.map(lambda p: (f"{p[0][0]}*{p[1][0]}", p[0][1] * p[1][1])),
            inner.map(lambda p: (f"sin({p[0]})", math.sin(p[1]))),
            inner.map(lambda p: (f"tanh({p[0]})", math.tanh(p[1]))),
            inner.map(lambda p: (f"({p[0]})**3", p[1] ** 3)),
            inner.map(lambda p: (f"{p[0]}/(1 + ({p[0]})^2)", p[1] / (1 + p[1] ** 2))),
        )

    return st.recursive(leaf, grow, max_leaves=2**depth)


@given(random_formula())
@settings(max_examples=60, deadline=None)
def test_random_formulas_have_their_value(formula):
    text, value = formula
    try:
        expression = parse(text, NAMES)
    except UserError as error:
        assume("terms" not in str(error))  # too large when multiplied out
        raise
    points = torch.tensor([0.7, 0.7], dtype=torch.float64), torch.tensor([1.3, 1.3], dtype=torch.float64)
    found = evaluate(expression, dict(zip((x, y), points, strict=True)), ON_TENSORS)
    assert torch.as_tensor(found, dtype=torch.float64).expand(2).tolist() == pytest.approx(
        [value] * 2, rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_on_tensors_and_their_derivatives(name):
    """Values and Taylor coefficients against mpmath's, to order 5."""
    low, high = {"acosh": (1.2, 2), "asin": (-0.8, 0.8), "acos": (-0.8, 0.8), "atanh": (-0.8, 0.8)}.get(name, (0.1, 2))
    z = torch.linspace(low, high, 5, dtype=torch.float64)
    f = getattr(mpmath, {"Abs": "fabs", "abs": "fabs"}.get(name, name))
    formula = parse(f"{name}(x)", NAMES)
    along = Series(series.line(5), torch.stack([z, torch.ones_like(z), *torch.zeros(4, 5, dtype=torch.float64)]))
    found = evaluate(formula, {x: along}, ON_TENSORS).coefficients
    assert torch.equal(found[0], evaluate(formula, {x: z}, ON_TENSORS))
    for k, point in enumerate(z.tolist()):
        with mpmath.workdps(30):
            due = [float(c) for c in mpmath.taylor(f, mpmath.mpf(point), 5)]
        assert found[:, k].tolist() == pytest.approx(due, rel=1e-10, abs=1e-11)


def test_absolute_values_of_sympy():
    """sqrt(x**2) is Abs(x), and its derivative sign(x), before anybody can see them."""
    z = torch.tensor([-2.0, 0.5])
    assert evaluate(parse("sqrt(x**2)", NAMES), {x: z}, ON_TENSORS).tolist() == [2, 0.5]
    assert evaluate(sympy.diff(parse("sqrt(x**2)", NAMES), x), {x: z}, ON_TENSORS).tolist() == [-1, 1]


def test_a_missing_symbol_is_a_key_error():
    with pytest.raises(KeyError):
        evaluate(x + y, {x: 1.0}, {})


# ---- sentences ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unexpected end at column 1"),
        ("x +", "unexpected end at column 4"),
        ("x + * y", r"unexpected '\*' at column 5"),
        ("2x", "a product needs its sign, 2\\*x for 2x, at column 1"),
        ("(x", r"expected '\)' at column 3"),
        ("sin x", r"expected '\(', got 'x' at column 5"),
        ("z", "unknown name 'z' .known: x, y, pi, E. at column 1"),
        ("x = y = x", "unexpected '=' .*one =.* at column 7"),
        ("x ; y", "unexpected ';' at column 3"),
        ("__import__('os').system('ls')", 'unexpected "\'" .* at column 12'),
        ("x.__class__", "unexpected '.' .* at column 2"),
        ("lambda: 0", "unexpected ':' at column 7"),
        ("x/0", "division by zero at column 3"),
        ("1/(x - x)", "division by zero at column 3"),
        ("0**-1", "division by zero at column 4"),
        ("1/(sin(1)**2 + cos(1)**2 - 1)", "division by zero at column 3"),
        ("sqrt(-1)", "no real number at column 1"),
        ("(-8)**(1/3)", "no real number"),
        ("log(0)", "no real number at column 1"),
        ("9**9**9", "exponent beyond 64 at column 4"),
        ("x**1e3", "exponent beyond 64 at column 4"),
        ("x**-65", "exponent beyond 64"),
        ("x**40*x**40", "exponent beyond 64"),
        ("10**10**10**10", "exponent beyond 64"),
        ("1e999", "number beyond 1e308 or of more than 308 digits at column 1"),
        ("1e-999", "number beyond 1e308"),
        ("9" * 400, "number beyond 1e308"),
        ("1e300*1e300", "number beyond 1e308"),
        ("exp(exp(exp(64)))", "number beyond 1e308"),
        ("2**exp(exp(exp(64)))", "number beyond 1e308"),
        ("(((2*x)^60)*3^64)^64", "number beyond 1e308"),
        ("((x + y)**64 + 1)**64", f"more than {MOST_TERMS} terms when multiplied out"),
        ("(6.02214076e23*x)**0.123456789", "root of a number of an order beyond 1000"),
        ("(x + y + 1)**60", f"more than {MOST_TERMS} terms when multiplied out"),
        ("*".join(f"(x + {i})" for i in range(1, 12)), f"more than {MOST_TERMS} terms"),
        ("(" * 60 + "x" + ")" * 60, f"more than {DEEPEST} nested levels"),
        ("-" * 1000 + "x", f"more than {DEEPEST} nested levels"),
        ("**".join(["x"] * 500), f"more than {DEEPEST} nested levels"),
        ("x" * (LONGEST + 1), f"at most {LONGEST} characters, got {LONGEST + 1}"),
        ("٣ + x", "unexpected '٣' at column 1"),  # digits and letters of ASCII only
        ("ｘ", "unexpected 'ｘ'"),
        ("x§", "unexpected '§' at column 2"),
        ("x\x00", r"unexpected '\\x00' at column 2"),
        ("x \u200b", "unexpected"),
        (b"x", "a formula must be text, got bytes"),
        (None, "a formula must be text, got NoneType"),
    ],
)
def test_sentences(text, message):
    with pytest.raises(UserError, match=message):
        parse(text, NAMES)


# ---- hostile strings ------------------------------------------------------------------------------------------------


def parse_or_raise(text):
    """Nothing but a formula that later steps can bear, or a UserError. Were it to explode, this would never return."""
    try:
        expression = parse(text, NAMES)
    except UserError:
        expression = None
    else:
        assert not expression.has(sympy.I, sympy.zoo, sympy.nan, sympy.oo)
        for constant in (part for part in sympy.preorder_traversal(expression) if part.is_number):
            assert abs(float(constant)) <= 1.01e308
        values = {s: torch.tensor([0.5, 1.5], dtype=torch.float64) for s in (x, y)}
        evaluate(expression, values, ON_TENSORS)
    return expression


pieces = st.sampled_from(
    ["x", "y", "(", ")", "+", "-", "*", "/", "**", "^", "=", "9", "64", "1e300", "0", "0.1", "1/3", " "]
    + [f"{name}(" for name in FUNCTIONS]
)


@given(st.lists(pieces, max_size=60).map("".join))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_fuzz_of_tokens(text):
    parse_or_raise(text)


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_fuzz_of_characters(text):
    parse_or_raise(text)


towers = st.recursive(
    st.sampled_from(["x", "y", "9", "64", "1e150", "-1", "0.5", "1/3", "(x+y)", "(2*x-3*y)"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"({p[0]})**({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})*({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}) - ({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})/({p[1]})"),
        st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda p: f"{p[0]}({p[1]})"),
        inner.map(lambda p: f"(({p})^64 + 1)^64"),
    ),
    max_leaves=12,
)


@given(towers)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_fuzz_of_towers(text):
    """Well-formed text built to explode."""
    parse_or_raise(text)


@given(towers)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_accepted_can_be_multiplied_out(text):
    expression = parse_or_raise(text)
    if expression is not None:
        assert len(sympy.Add.make_args(sympy.expand(expression))) <= MOST_TERMS


@pytest.mark.parametrize(
    "text",
    [
        "+".join(["x"] * 900),
        "+".join(f"sin({i}*x)" for i in range(150)),
        "*".join(["sqrt(2)*sqrt(3)*x"] * 10),
        "sqrt(" + "9" * 300 + ")",
        "(" + "7" * 300 + ")**(1/3)",
        "sqrt(" * 45 + "2" + ")" * 45,
        "sin(sin(sin(1e300)))",
        "cos(1)**(1/64)**64",
        "exp(" * 40 + "x" + ")" * 40,
        "x**(sqrt(2) + sqrt(3) - sqrt(5 + 2*sqrt(6)))",
        "+".join(f"sqrt({p})" for p in range(2, 180)),
    ],
)
def test_large_but_harmless(text):
    assert parse_or_raise(text) is not None

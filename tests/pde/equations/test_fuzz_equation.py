"""Any text gives an equation or one sentence, in bounded time and memory, and nothing of it is ever executed."""

from __future__ import annotations

import importlib
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sympy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symflow import UserError
from symflow.pde import Equation
from symflow.pde.equations.jets import variable

VALID = [
    "u_t + u*u_x + u_xxx = 0",
    "u_tt - u_xx + sin(u) = 0",
    "u_t - u_xxt + 3*u*u_x = 2*u_x*u_xx + u*u_xxx",
    "u_t = u_xx + u_yy + u - u**3",
    "u_t = Derivative(u**(-4/3)*u_x, x)",
    "u_t + exp(t/50)*(u*u_x + u_xxx) = 0",
    "u_t + u_xxx/3 + sqrt(t + 1)*log(u)*tanh(x)^2 = 1.5e-3*cos(x)",
    "u_t + v_xx + (u**2 + v**2)*v = 0; v_t - u_xx - (u**2 + v**2)*u = 0",
    "Derivative(u, x, t) = D(u, (x, 2)) + diff(u**2/2, x)",
    "u_tt + u = 0",
    "i*psi_t + psi_xx + 2*|psi|**2*psi = 0",
    "rho_t + Derivative(rho*w, x) = 0; w_t + w*w_x + atan(x) = 0",
    "u_t + u*u_x + v*u_y + p_x = laplace(u); v_t + u*v_x + v*v_y + p_y = laplace(v); div((u, v)) = 0",
    "u_x**2 + u_y**2 = 1",
]
TOKENS = [
    *"+-*/^()=,;.!?@#$%&|~<>[]{}:'\"\\`_ \n\t\r\0xytuv0123456789e",
    *("**", "u_x", "u_xx", "u_t", "u_tt", "u_xt", "v_x", "u_yy", "u_xxxxx", "u_xxxxxxxxx", "u_ttt", "w_x", "u_"),
    *("exp(", "log(", "sqrt(", "sin(", "cos(", "tanh(", "Derivative(", "diff(", "D(", "u(x, t)", ", x)", ", x, 5)"),
    *("1e308", "1e-308", "1e999", "9" * 40, "64", "65", "0.5", "1/3", "0.123456789", "nan", "inf", "oo", "I", "pi"),
    *("|", "|u|", "|psi|**2", "i", "i*", "psi_t", "psi", "conj(", "re(", "im(", "rho_x"),
    *("u_zz", "u_x1x1", "E", "sign("),
    *("laplace(", "grad(", "div(", "curl((", "dot(", "(u, v)", "atan(", "erf(", "sinh(", "abs("),
    *("u_tt = 0; ", "; v_x = u"),
    *("__import__('os')", "u.__class__", "lambda: 0", "exec(", "eval(", "open('/etc/passwd')", "import os", "u[0]"),
    *("__builtins__", "self", "os.system('true')", "globals()", "{u}", "%s", "${x}", "\u202e", "\u0661", "\u00b2"),
    *("ｕ", "𝑢_x", "∂", "é", "\ud7ff", "−", "×", "\u2028", "\x1b[31m"),
]  # fmt: skip
# what evaluating a string, importing a name or reading a file would raise
HOSTILE = {"exec", "compile", "import", "open", "os.system", "subprocess.Popen", "socket.connect", "pickle.find_class"}
GIGABYTE = 2**30
_seen: list[str] | None = None


def _audit(event: str, arguments: tuple) -> None:
    if _seen is not None and event in HOSTILE and not _harmless(event, arguments):
        _seen.append(f"{event} {arguments[:1]}")


def _harmless(event: str, arguments: tuple) -> bool:
    """What sympy does whatever the text: it loads its own modules late, and compiles products of monomials."""
    if event == "import":
        return str(arguments[0]).split(".")[0] in {"sympy", "mpmath"}
    file = sys._getframe(2).f_code.co_filename
    return file.startswith("<frozen importlib") or file.endswith("sympy/polys/monomials.py")


sys.addaudithook(_audit)


@contextmanager
def watched() -> Iterator[None]:
    """Nothing is executed, and nothing takes as much as a gigabyte."""
    global _seen
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    _seen = []
    try:
        yield
        seen = _seen
    finally:
        _seen = None
    assert seen == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before < GIGABYTE


def parse(text: str) -> Equation | None:
    """The equation, or ``None`` after a proper refusal."""
    with watched():
        try:
            return Equation(text)
        except UserError as error:
            sentence = str(error)
            assert sentence
            assert len(sentence.splitlines()) == 1
            return None


@pytest.fixture(scope="module", autouse=True)
def _warm() -> None:
    """First calls import parts of sympy, one of which parses its own constants."""
    importlib.import_module("sympy.physics.units")
    for text in VALID:
        Equation(text)


fuzz = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(fuzz, max_examples=4_000)
@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    parse(text)


@settings(fuzz, max_examples=3_000)
@given(st.lists(st.sampled_from(TOKENS), max_size=14), st.booleans())
def test_any_words_of_the_grammar_and_of_attacks(words: list[str], inside: bool) -> None:
    text = "".join(words)
    parse(f"u_t = u_xx + ({text})" if inside else text)


@settings(fuzz, max_examples=3_000)
@given(st.sampled_from(VALID), st.data())
def test_mutations_of_equations(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(start + 4, len(text))))
        text = text[:start] + data.draw(st.sampled_from([*TOKENS, ""])) + text[end:]
    parse(text)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    """Formulas of the grammar, many of which are equations."""
    if depth == 0:
        return draw(st.sampled_from(["u", "u_x", "u_xx", "x", "t", "2", "0.1", "3/7", "u_xt", "1e-3"]))
    a, b = draw(expressions(depth=depth - 1)), draw(expressions(depth=depth - 1))
    pattern = draw(
        st.sampled_from(
            ["({a})+({b})", "({a})*({b})", "({a})-({b})", "({a})/({b})", "({a})**2", "({a})**({b})", "exp({a})"]
            + ["log({a})", "sqrt({a})", "sin({a})", "tanh({a})", "Derivative({a}, x)", "Derivative({a}, x, t)"]
        )
    )
    return pattern.format(a=a, b=b)


@settings(fuzz, max_examples=400)
@given(expressions())
def test_formulas_survive_a_round_trip(formula: str) -> None:
    equation = parse(f"u_t = u_xxx + {formula}")
    if equation is None:
        return
    again = parse("; ".join(f"{F} = 0" for F in equation.residuals))
    if again is not None:  # sympy may write what the grammar refuses, such as E or a root of a number
        assert again.space == equation.space
        assert again.principal == equation.principal


BOMBS = [
    "exp(exp(exp(u)))**64",
    "Derivative(exp(exp(exp(u))), x, x, x, x)",
    "Derivative(Derivative(Derivative(Derivative(exp(u*u_x), x), x), t), x)",
    "Derivative((u + u_x + u_xx)**9, x, x)",
    "Derivative(sin(sin(sin(sin(sin(u_x))))), x, 5)",
    "Derivative(u**u**u, x, 4)",
    "exp((u + u_x + x + t)**15)",
    "(u + u_x + x + t)**15",
    "(sin(u) + cos(u) + tanh(u) + exp(u))**8",
    "6.02214076e23**0.123456789",  # an integer root of an order of millions
    "(6.02214076e23*u)**0.123456789",
    "(1e300*u + 1e-300)**64",
    "sqrt(" + "9" * 300 + ")",
    f"sqrt({(10**90 + 57) * (10**91 + 33)})",  # hard to factor
    f"({10**150 + 7})**(1/64)",
    f"log({10**300 + 7})",
    "9**9**9**9",
    "2**(2**(2**2.3))",
    "(sqrt(2) + sqrt(3) + sqrt(5) + sqrt(7))**20",
    "1/(sqrt(2) + sqrt(3) - sqrt(5 + 2*sqrt(6)))",  # zero, to exact simplification only
    "tanh(log(3))**64",
    "exp(709)*exp(709)",
    "sin(10**300)",
    "(" * 45 + "u" + ")" * 45,
    "(" * 900 + "u" + ")" * 900,
    "-" * 1_900 + "u",
    "Derivative(" * 40 + "u" + ", x)" * 40,
    "exp(" * 25 + "u" + ")" * 25,
    "+".join(f"u**{k}*x**{j}" for k in range(12) for j in range(12)),
    "*".join(f"(u_x + x + {k})" for k in range(20)),
    "/".join(f"(u_x + x + {k})" for k in range(60)),
    "u_" + "x" * 1_000,
    "u" * 1_900,
]


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb[:30])
@pytest.mark.parametrize("place", ["u_t + u*u_x + {} = 0", "u_t = Derivative({}, x)", "u_t + ({})*u_xx = 0"])
def test_bombs_do_not_go_off(bomb: str, place: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    parse(place.format(bomb))
    # not a timing: the work of a bomb would not end
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 60


@pytest.mark.parametrize(
    "attack",
    [
        "__import__('os').system('true')",
        "u_t + u.__class__ = 0",
        "u_t + u_xx + exec('1') = 0",
        "u_t + (lambda: u)() + u_xx = 0",
        "u_t + u_xx + open('/etc/passwd') = 0",
        "u_t + u_xx + Symbol('u') = 0",
        "u_t + u_xx + [u for u in 'x'] = 0",
        "u_t + u_xx\nimport os",
        "u_t + u_xx = 0; __builtins__",
        "u_t + u_xx + f'{u}' = 0",
        "u_t + u_xx + u:=1",
    ],
)
def test_code_is_refused(attack: str) -> None:
    assert parse(attack) is None


def test_the_watch_sees_what_it_watches_for() -> None:
    with pytest.raises(AssertionError), watched():
        sympy.sympify("1 + 1")


SYMPY = [
    (lambda f, x, t: sympy.Eq(f.diff(t) + f * f.diff(x) + f.diff(x, 3), 0), VALID[0]),
    (lambda f, x, t: f.diff(t, 2) - f.diff(x, 2) + sympy.sin(f), VALID[1]),
    (
        lambda f, x, t: sympy.Eq(
            f.diff(t) - f.diff(x, 2, t) + 3 * f * f.diff(x), 2 * f.diff(x) * f.diff(x, 2) + f * f.diff(x, 3)
        ),
        VALID[2],
    ),
    (lambda f, x, t: sympy.Eq(f.diff(t), (f ** sympy.Rational(-4, 3) * f.diff(x)).diff(x)), VALID[4]),
    (lambda f, x, t: f.diff(t) + sympy.exp(t / 50) * (f * f.diff(x) + f.diff(x, 3)), VALID[5]),
]


@pytest.mark.parametrize(("build", "text"), SYMPY)
@pytest.mark.parametrize("real", [True, False])
def test_sympy_objects_mean_what_their_text_means(build, text: str, real: bool) -> None:
    x, t = (variable("x"), variable("t")) if real else sympy.symbols("x t")
    equation, same = Equation(build(sympy.Function("u")(x, t), x, t)), Equation(text)
    assert equation.space == same.space
    for F, G in zip(equation.residuals, same.residuals, strict=True):
        assert sympy.expand(F - G) == 0
    again = Equation(equation.text)
    assert again.residuals == equation.residuals


@pytest.mark.parametrize("text", VALID)
def test_the_residuals_of_an_equation_are_that_equation(text: str) -> None:
    equation = Equation(text)
    again = Equation("; ".join(f"{F} = 0" for F in equation.residuals))
    assert all(sympy.expand(F - G) == 0 for F, G in zip(equation.residuals, again.residuals, strict=True))

"""Complex unknowns: two real ones, and back."""

from __future__ import annotations

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from symflow.errors import UserError
from symflow.pde.equations.complex_unknowns import UNIT, complex_form, in_complex, modulus, real_and_imaginary
from symflow.pde.equations.equation import Equation
from symflow.pde.equations.names import Names

NAMES = Names(("x", "t"), ("psi", "n"), ("psi",))
x, t, re, im, n = (sympy.Symbol(name, real=True) for name in ("x", "t", "psi_re", "psi_im", "n"))
TERMS = st.sampled_from([re, im, x * re, t * im, re * im, re**2, im**3, x * t, n * re, sympy.exp(t) * im])
COMPONENTS = st.lists(st.tuples(st.integers(-3, 3), TERMS), max_size=4).map(
    lambda terms: sympy.Add(*(sympy.Rational(c, 2) * term for c, term in terms))
)


@given(*[COMPONENTS] * 5)
@settings(deadline=None, max_examples=40)
def test_a_field_in_psi_is_the_field_in_its_parts(dx, dt, dre, dim, dn):
    """Written in psi, read as text, and taken apart again."""
    form = {"dx": dx, "dt": dt, "dpsi_re": dre, "dpsi_im": dim, "dn": dn}
    written = {key: str(f) for key, f in in_complex(NAMES, form).items()}
    again = complex_form(NAMES, written)
    parts = {sympy.Symbol("psi"): re + sympy.I * im}
    due = {"dx": dx, "dt": dt, "dpsi": dre + sympy.I * dim, "dn": dn}
    assert again.keys() == due.keys()
    for key, f in again.items():
        assert sympy.expand(sympy.expand_complex(f.subs(parts) - due[key])) == 0


@given(st.integers(1, 3), st.sampled_from(["0", "x**2", "t*x", "1/x"]), st.integers(-2, 2))
@settings(deadline=None, max_examples=12)
def test_schroedinger_equations_are_their_two_parts(power, potential, g):
    complex_one = Equation(f"i*psi_t + psi_xx + ({potential})*psi + {g}*|psi|**{2 * power}*psi = 0")
    density = f"(a**2 + b**2)**{power}"
    parts = [f"{s}_t + {c}_xx + ({potential})*{c} + {g}*{density}*{c}" for s, c in (("-b", "a"), ("a", "b"))]
    real = Equation(f"{parts[0]} = 0; {parts[1]} = 0")
    back = {"a": "psi_re", "b": "psi_im"}

    def renamed(F):
        symbols = {s: s.name.split("_") for s in F.free_symbols}
        new = {s: "_".join([back[p[0]], *p[1:]]) for s, p in symbols.items() if p[0] in back}
        return F.subs({s: sympy.Symbol(name, real=True) for s, name in new.items()})

    assert {sympy.expand(F) for F in complex_one.residuals} == {sympy.expand(renamed(F)) for F in real.residuals}


@pytest.mark.parametrize(
    ("formula", "real", "imaginary"),
    [
        ((x + UNIT * t) ** 3, x**3 - 3 * x * t**2, 3 * x**2 * t - t**3),
        (1 / (x + UNIT * t), x / (x**2 + t**2), -t / (x**2 + t**2)),
        (sympy.exp(UNIT * x), sympy.cos(x), sympy.sin(x)),
    ],
)
def test_parts(formula, real, imaginary):
    found = real_and_imaginary(formula)
    assert [sympy.simplify(f - due) for f, due in zip(found, (real, imaginary), strict=True)] == [0, 0]
    assert sympy.simplify(modulus(formula) ** 2 - real**2 - imaginary**2) == 0


def test_what_has_no_parts_is_refused():
    with pytest.raises(UserError, match="complex unknowns must have real parts"):
        Equation("i*psi_t + psi_xx + log(psi)*psi = 0")

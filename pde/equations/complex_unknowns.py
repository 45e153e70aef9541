"""Complex unknowns: ``psi = psi_re + i psi_im``, and an equation for psi as two for its parts.

While a formula is read the imaginary unit is a symbol of its own, so that the grammar stays that of real numbers.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy

from symflow.formulas import expressions

from .names import IMAGINARY, REAL, UNITS, Names

UNIT = sympy.Dummy("i", real=True)


def real_and_imaginary(expression: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """The two parts of a formula with the imaginary unit.

    Raises:
        ValueError: they are not found in closed form.

    >>> x = sympy.Symbol("x", real=True)
    >>> real_and_imaginary((x + UNIT) ** 2)
    (x**2 - 1, 2*x)
    """
    if not expression.has(UNIT):
        return expression, sympy.Integer(0)
    expanded = sympy.expand(expression)
    if expanded.is_polynomial(UNIT):
        parts = [sympy.Integer(0), sympy.Integer(0)]
        for (power,), coefficient in sympy.Poly(expanded, UNIT).terms():
            parts[power % 2] += coefficient * (-1) ** (power // 2)
        return sympy.expand(parts[0]), sympy.expand(parts[1])
    if sympy.count_ops(expanded) > expressions.MOST_TERMS:
        raise ValueError("too long a function of complex numbers")
    real, imaginary = expression.subs(UNIT, sympy.I).as_real_imag()
    if any(part.has(sympy.re, sympy.im, sympy.I, sympy.arg, sympy.Abs) for part in (real, imaginary)):
        raise ValueError("a function of complex numbers without real and imaginary parts in closed form")
    return real, imaginary


def conjugate(expression: sympy.Expr) -> sympy.Expr:
    """``conj``."""
    return expression.subs(UNIT, -UNIT)


def modulus(expression: sympy.Expr) -> sympy.Expr:
    """``abs``."""
    real, imaginary = real_and_imaginary(expression)
    return sympy.sqrt(real**2 + imaginary**2)


def in_complex(names: Names, form: Mapping[str, sympy.Expr]) -> dict[str, sympy.Expr]:
    """A field with the components ``dpsi_re, dpsi_im`` as one with ``dpsi``, in psi and its conjugate.

    The component of d/dpsi is ``phi_re + i phi_im``; that of its conjugate, which is not written, is the conjugate.

    >>> re, im = sympy.symbols("psi_re psi_im", real=True)
    >>> in_complex(Names(("t",), ("psi",), ("psi",)), {"dt": sympy.Integer(0), "dpsi_re": -im, "dpsi_im": re})
    {'dt': 0, 'dpsi': I*psi}
    """
    back = {}
    for name in names.complex:
        psi = sympy.Symbol(name)
        bar = sympy.Function("conj")(psi)
        back[sympy.Symbol(f"{name}_{REAL}", real=True)] = (psi + bar) / 2
        back[sympy.Symbol(f"{name}_{IMAGINARY}", real=True)] = (psi - bar) / (2 * sympy.I)
    found = {f"d{name}": form[f"d{name}"] for name in names.independent}
    for name in names.unknowns:
        parts = (f"d{name}_{REAL}", f"d{name}_{IMAGINARY}")
        found[f"d{name}"] = form[parts[0]] + sympy.I * form[parts[1]] if name in names.complex else form[f"d{name}"]
    return {key: sympy.expand(f.subs(back)) for key, f in found.items()}


def complex_form(names: Names, form: Mapping[str, str]) -> dict[str, sympy.Expr]:
    """The expressions of a field that was written with complex unknowns (`in_complex`).

    Raises:
        UserError: a component is no formula in these names.

    >>> complex_form(Names(("t",), ("psi",), ("psi",)), {"dpsi": "I*t*conj(psi)"})
    {'dpsi': I*t*conjugate(psi)}
    """
    symbols = {name: sympy.Symbol(name, real=True) for name in (*names.independent, *names.unknowns)}
    symbols |= {name: sympy.Symbol(name) for name in names.complex} | dict.fromkeys(UNITS, UNIT)
    calls = {"conj": lambda arguments: sympy.conjugate(*arguments)}
    return {key: expressions.parse(text, symbols, calls).subs(UNIT, sympy.I) for key, text in form.items()}

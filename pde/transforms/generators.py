"""The generator of a user's function in words: is it a symmetry, and if not, what would make it one?"""

from __future__ import annotations

import math

import sympy

from symflow.algebra import ClosedForm, is_zero
from symflow.fields import Coordinates
from symflow.formulas import format_generator

from ..symmetries import Symmetries, prolongation
from .infinitesimal import (
    Nearest,
    Velocity,
    VelocityForm,
    closed_form,
    nearest,
)
from .verdicts import GeneratorAudit

MARGIN = 30.0
MOST_EQUATIONS = 4  # determining equations that are shown


def _judge(
    algebra: Symmetries, speed: Velocity, coordinates: Coordinates, known: VelocityForm | None = None
) -> tuple[GeneratorAudit, list[str]]:
    """The generator of a velocity beside the symmetries, and what is to be said of it."""
    equation = algebra.equation
    found = known or closed_form(equation, speed, coordinates, algebra.condition.library.special)
    verified: bool | None = None
    leftover: list[str] = []
    if found is not None and found.exact:
        remaining = [e for e in prolongation.determining_equations(equation, found.form) if not is_zero(e)]
        verified = not remaining
        leftover = list(dict.fromkeys(str(sympy.factor(e)) for e in remaining))
    near = nearest(speed, found, coordinates, algebra.forms) if not verified else None
    angle = near.angle if near is not None else 0.0 if verified else None
    audit = GeneratorAudit(
        None if found is None else _text(found.form),
        1.0 if found is None else found.factor,
        speed.accuracy,
        verified,
        tuple(leftover),
        None if near is None else _text(near.form),
        near is not None and near.agrees,
        angle,
    )
    return audit, _said(audit, found, near)


def _text(form: ClosedForm) -> dict[str, str]:
    return {name: str(f) for name, f in form.items()}


def _said(audit: GeneratorAudit, found: VelocityForm | None, near: Nearest | None) -> list[str]:
    if found is None or audit.closed_form is None:
        said = ["The generator is no combination of polynomials and the equation's own functions."]
    else:
        times = "" if found.factor == 1.0 else f"{found.factor:.6g} times "
        said = [f"The generator is {times}{format_generator(audit.closed_form)}: "]
        if audit.verified:
            said[0] += "it satisfies the determining equations exactly."
        elif audit.verified is None:
            said[0] += "its coefficients are not rational, so nothing is proven of it."
        else:
            equations = list(audit.leftover)
            shown = ", ".join(equations[:MOST_EQUATIONS]) + (", ..." if len(equations) > MOST_EQUATIONS else "")
            are = "is" if len(equations) == 1 else "are"
            said[0] += f"of the determining equations {shown} {are} left, which must be 0."
    if near is None or audit.nearest is None or audit.verified:
        return said
    if near.agrees and found is not None:
        changes = [
            _change(name, found.form[name], near.form[name])
            for name in found.form
            if found.form[name] != near.form[name]
        ]
        if changes:
            said.append(f"The nearest symmetry is {format_generator(audit.nearest)}: {', '.join(changes)}.")
    else:
        start = "No symmetry shares a component with it; it" if found is not None else "It"
        said.append(
            f"{start} is {math.degrees(near.angle):.2g} degrees from the span of the symmetries, of which "
            f"{format_generator(audit.nearest)} is the nearest."
        )
    return said


def _change(component: str, is_: sympy.Expr, must: sympy.Expr) -> str:
    z = sympy.Symbol(component[1:], real=True)
    weights = [sympy.simplify(f / z) for f in (is_, must)]
    if all(w.is_number for w in weights) and any(w != 0 for w in weights):
        return f"the weight of {z} is {weights[0]}, it must be {weights[1]}"
    return f"{component} is {is_}, it must be {must}"

"""The equations known by name: formula, the paper's settings and the complete symmetry algebra.

The algebras were verified by computer algebra and are verified again, exactly, in the tests. Sources: Olver,
*Applications of Lie Groups to Differential Equations*, chapter 2, for KdV and Burgers; nKdV and cKdV follow from KdV
by the changes of variables given in `pde.generation.solvers`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy

from symflow.errors import UserError, nearest

from .equation import Equation


@dataclass(frozen=True)
class Entry:
    """What the catalogue knows of an equation.

    ``symmetries`` is a basis of the full algebra on the plane, in physical coordinates; ``settings`` are the keyword
    arguments of `pde.generate` that reproduce the paper's data (section 5.1 and appendix C).
    """

    text: str
    symmetries: tuple[dict[str, str], ...]
    settings: Mapping[str, Any]
    parameters: Mapping[str, float] = field(default_factory=dict)

    @property
    def equation(self) -> Equation:
        return Equation(self.text, None, None, **self.parameters)


FILE = re.compile(r"\.[A-Za-z]\w*\s*$")
"""How names of files end, and no formula does."""


def _field(dx: str = "0", dt: str = "0", du: str = "0") -> dict[str, str]:
    return {"dx": dx, "dt": dt, "du": du}


# `tolerance` is chosen for a relative error below 1e-5 at the last time (nKdV 1e-3); docs/data.md has the measurements
_LONG_WAVES = {"length": 128.0, "end": 100.0, "steps": 250, "keep": 140, "waves": 10, "wavenumbers": (1, 2)}

CATALOGUE: dict[str, Entry] = {
    "kdv": Entry(
        "u_t + u*u_x + u_xxx = 0",
        (_field(dx="1"), _field(dt="1"), _field(dx="t", du="1"), _field("x", "3*t", "-2*u")),
        _LONG_WAVES | {"tolerance": 1e-8},
    ),
    "ks": Entry(
        "u_t + u*u_x + u_xx + u_xxxx = 0",
        (_field(dx="1"), _field(dt="1"), _field(dx="t", du="1")),
        {
            "length": 64.0,
            "end": 100.0,
            "steps": 500,
            "keep": 140,
            "waves": 10,
            "wavenumbers": (1, 2),
            "tolerance": 2e-12,
        },
    ),
    "burgers": Entry(
        "u_t + u*u_x = nu*u_xx",
        (
            _field(dx="1"),
            _field(dt="1"),
            _field(dx="t", du="1"),
            _field("x", "2*t", "-u"),
            _field("t*x", "t**2", "x - t*u"),
        ),
        {
            "length": 6.283185307179586,
            "end": 18.0,
            "steps": 180,
            "keep": 140,
            "waves": 20,
            "tolerance": 5e-7,
            "resolution": 1024,
            "wavenumbers": (1, 2, 3, 4, 5, 6),
        },
        {"nu": 0.01},
    ),
    "nkdv": Entry(
        "u_t + exp(t/50)*(u*u_x + u_xxx) = 0",
        (
            _field(dx="1"),
            _field(dt="exp(-t/50)"),
            _field(dx="50*(exp(t/50) - 1)", du="1"),
            _field("x", "150*(1 - exp(-t/50))", "-2*u"),
        ),
        _LONG_WAVES | {"wavenumbers": (1,), "tolerance": 2e-7},
    ),
    "ckdv": Entry(
        "u_t + u*u_x + u_xxx + u/(2*(t + 1)) = 0",
        (
            _field(dx="1"),
            _field(dx="2*sqrt(t + 1)", du="1/sqrt(t + 1)"),
            _field("x", "3*(t + 1)", "-2*u"),
            _field("x*sqrt(t + 1)/2", "(t + 1)*sqrt(t + 1)", "(x - 4*(t + 1)*u)/(4*sqrt(t + 1))"),
        ),
        _LONG_WAVES | {"tolerance": 2e-8},
    ),
}


def entry(name: str) -> Entry:
    """The entry of a name, in any case.

    Raises:
        UserError: the name is not in the catalogue; the sentence lists those that are.
    """
    try:
        return CATALOGUE[name.lower()]
    except (KeyError, AttributeError):
        hint = nearest(str(name), CATALOGUE)
        raise UserError(f"unknown equation {name!r}; known by name are {', '.join(CATALOGUE)}{hint}") from None


def equation_of(
    equation: str | Equation,
    independent: str | Sequence[str] | None = None,
    unknowns: str | Sequence[str] | None = None,
    **parameters: float,
) -> Equation:
    """An equation by its name, in any case, or from its formula; one that is an equation already as it is.

    A text without ``=``, ``_`` and ``(`` is a name. Parameters of a name take the place of the catalogue's.

    Raises:
        UserError: it is neither.

    >>> equation_of("Burgers", nu=0.5).parameters
    {'nu': 0.5}
    >>> equation_of("u_t - u_xx").order
    2
    """
    if isinstance(equation, Equation):
        return equation
    if not isinstance(equation, str):
        raise UserError(f"`equation` must be a name, a formula or an Equation, got {type(equation).__name__}")
    if FILE.search(equation):
        raise UserError(f"an equation must be a name or a formula, got {equation!r}; `pde.load` reads files")
    if any(sign in equation for sign in "=_("):
        return Equation(equation, independent, unknowns, **parameters)
    known = entry(equation)
    if stray := [name for name in parameters if name not in known.parameters]:
        has = f"has the parameters {', '.join(known.parameters)}" if known.parameters else "has no parameters"
        raise UserError(f"{equation!r} {has}, got {stray[0]!r}")
    return Equation(known.text, None, None, **{**known.parameters, **parameters})


def lookup(equation: Equation) -> tuple[str, Entry] | None:
    """The name and entry of an equation that is in the catalogue, whatever way it is written."""
    if not equation.evolutionary:
        return None
    for name, candidate in CATALOGUE.items():
        difference = candidate.equation.K - equation.K
        if not _differs(difference) and difference.equals(0):
            return name, candidate
    return None


def _differs(difference: sympy.Expr) -> bool:
    """Whether an expression is far from zero at a point: most are told apart by a number, without algebra."""
    point = {s: sympy.Rational(2 * i + 3, 7) for i, s in enumerate(sorted(difference.free_symbols, key=str))}
    value = difference.subs(point)
    return bool(value.is_number and abs(sympy.N(value)) > 1e-6)

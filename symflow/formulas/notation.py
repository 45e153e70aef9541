"""How a report writes numbers and formulas, and what it calls the transformations that have a name."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import sympy
from markupsafe import Markup
from sympy.printing.mathml import mathml

COORDINATES = ("x", "t", "u")
EPSILON = sympy.Symbol("epsilon", real=True)

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_PLAIN_LEAST, _PLAIN_MOST = 1e-2, 1e4


def number(value: float, digits: int = 2) -> str:
    """A number as people write it, to so many digits.

    >>> number(3.21e-16), number(0.482), number(0.0), number(128.0, 4)
    ('3.2×10⁻¹⁶', '0.48', '0', '128')
    """
    if not math.isfinite(value):
        return "∞" if value == math.inf else "not finite"
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    if _PLAIN_LEAST <= abs(float(f"{mantissa}e{exponent}")) < _PLAIN_MOST:
        return f"{float(f'{mantissa}e{exponent}'):g}".replace("-", "−")
    return f"{mantissa}×10{superscript(int(exponent))}".replace("-", "−")


def formula(*parts: sympy.Expr | str) -> Markup:
    """Expressions and the signs between them as MathML.

    >>> formula(sympy.Symbol("t"), "→", sympy.Integer(0))
    Markup('<math><mrow><mi>t</mi><mo>→</mo><mn>0</mn></mrow></math>')
    """
    return Markup("<math><mrow>{}</mrow></math>").format(Markup("").join(_part(part) for part in parts))


def _part(part: sympy.Expr | str) -> Markup:
    if isinstance(part, str):
        return Markup("<mo>{}</mo>").format(part)
    # sympy writes numbers, names of symbols and markup of its own only, so nothing is left to escape
    text = mathml(part, printer="presentation").replace("&ExponentialE;", "e").replace("<mo>-</mo>", "<mo>−</mo>")
    # italic, like u_x
    text = re.sub(r"<mi>([xyzt]{2,})</mi>", lambda m: f"<mrow>{''.join(f'<mi>{c}</mi>' for c in m[1])}</mrow>", text)
    return Markup(text)  # noqa: S704


def combination(coefficients: Sequence[sympy.Expr], symbols: Sequence[sympy.Expr | str]) -> list[sympy.Expr | str]:
    """The parts of ``sum c_i s_i`` for `formula`: signs between terms, parentheses around sums, ones left out."""
    parts: list[sympy.Expr | str] = []
    for c, symbol in zip(coefficients, symbols, strict=True):
        if c == 0:
            continue
        negative = all(term.could_extract_minus_sign() for term in sympy.Add.make_args(c))
        if negative:
            c = -c
        if parts or negative:
            parts.append("−" if negative else "+")
        if symbol == 1:
            parts += ["(", c, ")"] if negative and c.is_Add else [c]
            continue
        if c != 1:
            parts += ["(", c, ")"] if c.is_Add else [c]
            parts.append("\u2062")  # invisible times
        parts.append(symbol)
    return parts or [sympy.Integer(0)]


def generator(components: Sequence[sympy.Expr], names: Sequence[str] = COORDINATES) -> Markup:
    """A vector field ``xi d/dx + tau d/dt + phi d/du`` as MathML."""
    return formula(*combination(components, [sympy.Symbol(f"∂_{name}") for name in names]))


def latex(components: Sequence[sympy.Expr], names: Sequence[str] = COORDINATES) -> str:
    """The same in LaTeX.

    >>> t = sympy.Symbol("t")
    >>> latex([t, sympy.Integer(0), sympy.Integer(1)])
    't\\\\,\\\\partial_x + \\\\partial_u'
    """
    parts = combination(components, [rf"\partial_{name}" for name in names])
    words = [part if isinstance(part, str) else sympy.latex(part) for part in parts]
    return "".join({"\u2062": r"\,", "+": " + ", "−": " - "}.get(word, word) for word in words).strip()


def plain(components: Sequence[sympy.Expr], names: Sequence[str] = COORDINATES) -> str:
    """The same as text without markup, for figures.

    >>> t, u = sympy.symbols("t u")
    >>> plain([t**2 / 2, sympy.Integer(0), -u * sympy.exp(-t)])
    't²/2 ∂x − u exp(−t) ∂u'
    """
    parts = combination(components, [f"∂{name}" for name in names])
    words = [part if isinstance(part, str) else _plain(part) for part in parts]
    return "".join({"\u2062": " ", "+": " + ", "−": " − "}.get(word, word) for word in words).strip()


def _plain(expression: sympy.Expr) -> str:
    written = re.sub(r"\*\*(\d+)(?![\d.])", lambda power: superscript(int(power[1])), sympy.sstr(expression))
    return written.replace("**", "^").replace("*", " ").replace("-", "−")


def superscript(exponent: int) -> str:
    """``-12`` as ``⁻¹²``."""
    return str(exponent).translate(_SUPERSCRIPT)


def subscript(index: int) -> str:
    """``12`` as ``₁₂``."""
    return str(index).translate(_SUBSCRIPT)


def assignment(symbol: sympy.Symbol, end: sympy.Expr) -> Markup:
    """``symbol → end`` as MathML, the symbol first where something is added to it."""
    rest = sympy.expand(end - symbol)
    if symbol in rest.free_symbols:
        return formula(symbol, "→", end)
    return formula(symbol, "→", *combination([sympy.Integer(1), rest], [symbol, sympy.Integer(1)]))


@dataclass(frozen=True)
class Meaning:
    """A transformation that has a name.

    Attributes:
        name: for example "Galilean boost".
        sentence: what it says of the solutions.
        flow: where the flow of length `EPSILON` takes each coordinate; ``None`` where that is no short formula.
    """

    name: str
    sentence: str
    flow: tuple[sympy.Expr, ...] | None


def meaning(
    components: Sequence[sympy.Expr], names: Sequence[str] = COORDINATES, unknowns: Sequence[str] = ("u",)
) -> Meaning | None:
    """What a generator does in plain words, ``None`` when it has no common name.

    Args:
        components: in the real symbols of the names, for example xi, tau and phi in x, t and u.
        names: of the coordinates; t is time, the others are places, but for
        unknowns: those of them that a solution has values of.

    >>> x, t, u = sympy.symbols("x t u", real=True)
    >>> meaning([t, sympy.Integer(0), sympy.Integer(1)]).name
    'Galilean boost'
    """
    variables = [sympy.Symbol(name, real=True) for name in names]
    own = [_affine(c, v) for c, v in zip(components, variables, strict=True)]
    if all(a is not None for a in own):
        return _separate([a for a in own if a is not None], variables, unknowns)
    turn = _turn(components, variables, unknowns)
    if turn is not None or tuple(names) != COORDINATES:
        return turn
    x, t, u = variables
    xi, tau, phi = components
    e = EPSILON
    if tau == 0 and xi.free_symbols <= {t} and phi.free_symbols <= {t}:
        flow = (x + e * xi, t, u + e * phi)
        if sympy.diff(xi, t, 2) == 0 and sympy.diff(phi, t) == 0 and phi != 0:
            sentence = "Seen from a frame that moves at a constant speed, a solution is again a solution."
            return Meaning("Galilean boost", sentence, flow)
        sentence = "Seen from a frame whose speed changes in time in just this way, a solution is again a solution."
        return Meaning("time-dependent boost", sentence, flow)
    slope = sympy.diff(phi, x)
    if tau == 0 and sympy.diff(xi, t, 2) == 0 and xi.free_symbols == {t} and phi.free_symbols == {x}:
        if slope.free_symbols or sympy.diff(xi, t).free_symbols:
            return None
        flow = (x + e * xi, t, sympy.expand(u + e * phi + e**2 * slope * xi / 2))
        sentence = "Seen from a frame that moves at a constant speed, a solution plus a slope in x is again a solution."
        return Meaning("Galilean boost of a potential", sentence, flow)
    if own[0] is not None and own[2] is not None and tau.free_symbols == {t}:
        if xi == 0 and phi == 0:
            sentence = "A solution whose clock is advanced by an amount that depends on time is again a solution."
            return Meaning("translation in the equation's own time", sentence, None)
        sentence = "A solution that is stretched, while its clock is set in this way, is again a solution."
        return Meaning("scaling with the equation's own time", sentence, None)
    a = sympy.simplify(tau / t**2)
    if a == 0 or a.free_symbols or sympy.expand(xi - a * t * x) != 0:
        return None
    shrink = 1 - a * e * t
    sentence = "Space and time are divided by one factor that depends on time, and u is adapted to it."
    if sympy.expand(phi - a * (x - t * u)) == 0:
        return Meaning("projective transformation", sentence, (x / shrink, t / shrink, u * shrink + a * e * x))
    b, c = (sympy.expand(phi).coeff(power) for power in (x**2, t))
    if sympy.expand(phi - b * x**2 - c * t) == 0 and not (b.free_symbols or c.free_symbols):
        end = u + b * e * x**2 / shrink - c / a * sympy.log(shrink)
        return Meaning("projective transformation of a potential", sentence, (x / shrink, t / shrink, end))
    return None


def _affine(component: sympy.Expr, variable: sympy.Symbol) -> tuple[sympy.Expr, sympy.Expr] | None:
    """``(a, b)`` if a component is ``a v + b`` in its own coordinate v alone."""
    if not component.free_symbols <= {variable} or sympy.diff(component, variable, 2) != 0:
        return None
    a = sympy.diff(component, variable)
    return a, sympy.simplify(component - a * variable)


def _separate(
    own: Sequence[tuple[sympy.Expr, sympy.Expr]], variables: Sequence[sympy.Symbol], unknowns: Sequence[str]
) -> Meaning | None:
    """Fields of which every component depends on its own coordinate alone: translations and scalings."""
    flow = [
        v + b * EPSILON if a == 0 else (v + b / a) * sympy.exp(a * EPSILON) - b / a
        for (a, b), v in zip(own, variables, strict=True)
    ]
    moved = [v for (a, b), v in zip(own, variables, strict=True) if (a, b) != (0, 0)]
    names = [v.name for v in moved]
    factors = {v.name: a for (a, _), v in zip(own, variables, strict=True) if a != 0}
    stretched = list(factors)
    if not names:
        return None
    ends = tuple(flow)
    if not stretched:
        return Meaning("translation in " + listing(names), _shifted(names, unknowns), ends)
    if stretched != names:
        return Meaning("scaling with a translation", "A solution can be stretched while it is shifted.", ends)
    shifted = any(a != 0 and b != 0 for a, b in own)
    if not shifted and set(stretched) <= set(unknowns):
        one = set(stretched) == set(unknowns) and len(set(factors.values())) == 1
        sentence = "A multiple of a solution is again a solution."
        if not one:
            by = "powers of one factor" if len(stretched) > 1 else "a factor"
            whose = f"{listing(stretched)} {_are(stretched)}"
            sentence = f"A solution whose {whose} multiplied by {by} is again a solution."
        return Meaning(f"scaling of {listing(stretched)}", sentence, ends)
    together = "by fixed powers of one factor" if len(stretched) > 1 else "by a factor"
    sentence = f"A solution whose {listing(stretched)} {_are(stretched)} stretched {together}"
    sentence += ", about an origin that is not zero," if shifted else ""
    return Meaning("scaling", sentence + " is again a solution: the equation has no size of its own.", ends)


def _shifted(names: Sequence[str], unknowns: Sequence[str]) -> str:
    """What a translation along these coordinates says of solutions."""
    if len(names) > 1:
        return "A solution shifted along several axes at once is again a solution."
    if names[0] in unknowns:
        return f"A constant can be added to a solution: the zero of {names[0]} is arbitrary."
    if names[0] == "t":
        return "A solution that is started earlier or later is again a solution: no moment is special."
    return "A solution that is shifted to another place is again a solution: no place is special."


def _turn(
    components: Sequence[sympy.Expr], variables: Sequence[sympy.Symbol], unknowns: Sequence[str]
) -> Meaning | None:
    """Fields ``a w d/dv + b v d/dw`` of two coordinates: rotations, and boosts as hyperbolic ones."""
    moved = [i for i, c in enumerate(components) if c != 0]
    if len(moved) != 2:
        return None
    i, j = moved
    v, w = variables[i], variables[j]
    a, b = sympy.simplify(components[i] / w), sympy.simplify(components[j] / v)
    if a.free_symbols or b.free_symbols:
        return None
    e, names = EPSILON, f"{v.name} and {w.name}"
    flow = list(variables)
    root = sympy.sqrt(abs(a * b))
    c, s = (sympy.cos, sympy.sin) if a * b < 0 else (sympy.cosh, sympy.sinh)
    flow[i] = v * c(root * e) + w * (a / root) * s(root * e)
    flow[j] = w * c(root * e) + v * (b / root) * s(root * e)
    of_values = {v.name, w.name} <= set(unknowns)
    if a * b < 0:
        sentence = "A solution that is turned by any angle is again a solution: no direction is special."
        if of_values:
            sentence = f"A solution whose {names} are turned into each other is again a solution: no phase is special."
        return Meaning(f"rotation of {names}", sentence, tuple(flow))
    if "t" not in (v.name, w.name) or {v.name, w.name} & set(unknowns):
        sentence = f"A solution whose {names} are mixed in this way is again a solution."
        return Meaning(f"hyperbolic rotation of {names}", sentence, tuple(flow))
    sentence = "Seen from a frame that moves at a constant speed, below that of waves, a solution is again a solution."
    return Meaning(f"Lorentz boost in {names}", sentence, tuple(flow))


def general(names: Sequence[str], unknowns: Sequence[str]) -> dict[str, sympy.Symbol]:
    """The letters of the components of any generator, by coordinate: xi, eta, zeta and tau, and phi of unknowns.

    >>> general(["x", "y", "t", "u", "v"], ["u", "v"])
    {'x': xi, 'y': eta, 't': tau, 'u': phi_u, 'v': phi_v}
    """
    letters = {"x": "xi", "y": "eta", "z": "zeta", "t": "tau"} | ({unknowns[0]: "phi"} if len(unknowns) == 1 else {})
    return {n: sympy.Symbol(letters.get(n, f"{'phi' if n in unknowns else 'xi'}_{n}")) for n in names}


def _are(names: Sequence[str]) -> str:
    return "are" if len(names) > 1 else "is"


def listing(names: Sequence[str]) -> str:
    """``x, t and u``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def format_generator(closed_form: dict[str, str]) -> str:
    """``{"dx": "t", "dt": "0", "du": "1"}`` as ``t dx + du``."""
    terms = []
    for component, coefficient in closed_form.items():
        if coefficient == "0":
            continue
        sign = "+"
        if coefficient.startswith("-") and not _is_sum(coefficient[1:]):
            sign, coefficient = "-", coefficient[1:]
        if _is_sum(coefficient):
            coefficient = f"({coefficient})"
        terms.append((sign, component if coefficient == "1" else f"{coefficient} {component}"))
    if not terms:
        return "0"
    first, *rest = terms
    return ("-" if first[0] == "-" else "") + first[1] + "".join(f" {sign} {term}" for sign, term in rest)


def _is_sum(text: str) -> bool:
    depth = 0
    for i, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if depth == 0 and c in "+-" and i > 0 and text[i - 1] not in "*/(":
            return True
    return False

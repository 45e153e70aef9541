"""An evolution equation split into its stiff linear part, its clock and the rest.

With the rate ``u_t = -K``,

    u_t = g(t) ( L u + N(t, x, u, u_x, ...) ),        L = sum_m c_m d^m/dx^m  with constant c_m,

where g is the common factor of time of the stiff linear part. In the new time ``s = int g dt`` the stiff part is
autonomous. For nKdV, ``s = 50 (exp(t/50) - 1)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import sympy

from symflow.errors import UserError

from ..equations import Equation, derivative_order, derivative_symbol, highest_derivative, t, x


@dataclass(frozen=True)
class Flux:
    """One nonlinear term ``coefficient(t) d^order/dx^order density(x, u, u_x, ...)``."""

    coefficient: sympy.Expr
    order: int
    density: sympy.Expr


@dataclass(frozen=True)
class Splitting:
    """``u_t = clock(t) (sum_m stiff[m] u_m + sum varying + sum fluxes)``: an equation as the stepper sees it.

    Attributes:
        clock: g(t), the common factor of time of the linear part.
        elapsed: ``s = int_0 g dt``, in closed form.
        stiff: ``c_0 ... c_n``, constant.
        varying: ``(m, a(t))``: linear terms of lower order whose time factor is another one.
        fluxes: the nonlinear terms, in conservative form where they have one.
        sensitivities: ``dN/du_m`` of everything that is not stiff, for the step.
    """

    clock: sympy.Expr
    elapsed: sympy.Expr
    stiff: tuple[float, ...]
    varying: tuple[tuple[int, sympy.Expr], ...]
    fluxes: tuple[Flux, ...]
    sensitivities: tuple[sympy.Expr, ...]

    @cached_property
    def autonomous(self) -> bool:
        """Whether time appears only through the clock."""
        return not any(a.has(t) for _, a in self.varying) and not any(f.coefficient.has(t) for f in self.fluxes)


def split(equation: Equation) -> Splitting:
    """The stiff linear part, its clock and the rest of an equation.

    Raises:
        UserError: the highest derivative is not linear, or the clock has no closed form; the sentence says which.

    >>> split(Equation("u_t + u*u_x + u_xxx = 0")).stiff
    (0.0, 0.0, 0.0, -1.0)
    """
    linear: dict[int, sympy.Expr] = {}
    rest: list[sympy.Expr] = []
    for term in sympy.Add.make_args(sympy.expand(-equation.K)):
        jets = {s: order for s in term.free_symbols if (order := derivative_order(s)) is not None}
        if len(jets) == 1 and x not in term.free_symbols:
            ((symbol, order),) = jets.items()
            factor = term / symbol
            if not factor.has(symbol):
                linear[order] = linear.get(order, sympy.Integer(0)) + factor
                continue
        rest.append(term)
    linear = {m: c for m, c in ((m, sympy.simplify(c)) for m, c in linear.items()) if c != 0}
    top = max(linear, default=0)
    for term in rest:
        order = highest_derivative(term)
        if order > 1 and order >= top:
            raise UserError(
                f"cannot solve {equation.text!r}: its highest x-derivative must stand alone with a coefficient "
                f"that depends on t only, got the term {-term}"
            )
    clock = _clock(linear[top]) if linear else sympy.Integer(1)
    elapsed = sympy.integrate(clock, (t, 0, t)) if clock.has(t) else t
    if elapsed.has(sympy.Integral) or not elapsed.free_symbols <= {t}:
        raise UserError(f"cannot solve {equation.text!r}: the factor of time {clock} has no integral in closed form")
    stiff, varying = [0.0] * (top + 1), []
    for m, c in linear.items():
        ratio = sympy.simplify(c / clock)
        if ratio.is_number:
            stiff[m] = float(ratio)
        else:
            varying.append((m, ratio))
    fluxes = _merged([_flux(term / clock) for term in rest])
    explicit = sum((a * derivative_symbol(m) for m, a in varying), sum(rest, sympy.Integer(0)) / clock)
    highest = highest_derivative(explicit)
    sensitivities = tuple(sympy.expand(sympy.diff(explicit, derivative_symbol(m))) for m in range(highest + 1))
    return Splitting(clock, elapsed, tuple(stiff), tuple(sorted(varying, key=lambda v: v[0])), fluxes, sensitivities)


def _clock(coefficient: sympy.Expr) -> sympy.Expr:
    """The factor of time of the leading coefficient, 1 at t = 0 where that is possible."""
    if not coefficient.has(t):
        return sympy.Integer(1)
    first = coefficient.subs(t, 0)
    if first.is_number and first.is_finite and first != 0:
        return sympy.simplify(coefficient / first)
    return coefficient


def _flux(term: sympy.Expr) -> Flux:
    """``c(t) f(u_m) u_{m+1}`` is ``c(t) d/dx int f du_m``; any other term stays as it is."""
    others = [s for s in term.free_symbols if s != t]
    coefficient, density = sympy.powsimp(sympy.expand(term)).as_independent(*others, as_Add=False)
    top = highest_derivative(density)
    if top > 0:
        high, low = derivative_symbol(top), derivative_symbol(top - 1)
        f = density / high
        if not f.has(high) and f.free_symbols <= {low} and f.is_polynomial(low):
            number, density = sympy.integrate(f, low).as_coeff_Mul()
            return Flux(coefficient * number, 1, density)
    return Flux(coefficient, 0, density)


def _merged(fluxes: Sequence[Flux]) -> tuple[Flux, ...]:
    """Terms of one factor of time and one order are transformed together."""
    groups: dict[tuple[sympy.Expr, int], sympy.Expr] = {}
    for f in fluxes:
        number, factor = sympy.simplify(f.coefficient).as_coeff_Mul()
        key = (factor, f.order)
        groups[key] = groups.get(key, sympy.Integer(0)) + number * f.density
    merged = []
    for (factor, order), density in groups.items():
        number, density = density.as_coeff_Mul()
        if density != 0:
            merged.append(Flux(number * factor, order, density))
    return tuple(merged)

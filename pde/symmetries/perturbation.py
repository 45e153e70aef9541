"""An equation with a small parameter, to first order: its parts, its solution manifold, and exact proofs on it.

With ``F = F0 + eps F1 + O(eps^2)``, a field ``V0 + eps V1`` is an approximate symmetry of first order (Baikov, Gazizov
and Ibragimov, Math. USSR Sbornik 64, 1989, 427) when

    pr(V0 + eps V1)(F0 + eps F1) = O(eps^2)   wherever F0 + eps F1 = O(eps^2).

Order 0 says that V0 is a symmetry of the *leading part* ``F0 = 0``. With p the derivative that F0 is solved for,
``p = r0 + eps r1`` on the manifold, and order 1 is

    pr V1(F0) + pr V0(F1) + (d pr V0(F0)/dp) r1 = 0   wherever F0 = 0,

with all that follows from ``F0 = 0`` by differentiation: F1 may be of a higher order than F0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy

from symflow.algebra import is_zero
from symflow.errors import UserError

from ..equations import Equation, Index, difference
from . import prolongation

EPS = sympy.Dummy("eps", positive=True)
MOST_ROUNDS = 40  # of putting in the equation and its derivatives until no principal derivative is left


@dataclass(frozen=True)
class Perturbation:
    """``F = F0 + eps F1`` in one of its parameters, the others at their values.

    Attributes:
        equation: F.
        parameter: the name of eps; its value plays no part.
        leading: ``F0 = 0``.
        first: the F1, one per equation.
    """

    equation: Equation
    parameter: str
    leading: Equation
    first: tuple[sympy.Expr, ...]
    _derived: dict[tuple[sympy.Symbol, Index], sympy.Expr] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(equation: Equation, parameter: str) -> Perturbation:
        """From an equation and the name of its small parameter.

        Raises:
            UserError: there is no such parameter, F is not smooth in it at 0 or does not depend on it to first order,
                or the leading part is no equation in the same variables.

        >>> split = Perturbation.of(Equation("u_t + u*u_x + u_xxx = eps*u_xx", eps=0.01), "eps")
        >>> split.leading.text, split.first
        ('u_t + u*u_x + u_xxx = 0', (-u_xx,))
        """
        if parameter not in equation.parameters:
            names = ", ".join(equation.parameters) or "none"
            raise UserError(f"`parameter` must be one of the parameters of the equation ({names}), got {parameter!r}")
        values = {
            s: EPS if s.name == parameter else sympy.Rational(repr(equation.parameters[s.name]))
            for F in equation.general
            for s in F.free_symbols
            if s.name in equation.parameters
        }
        whole = [F.subs(values) for F in equation.general]
        zeroth = [sympy.expand(F.subs(EPS, 0)) for F in whole]
        first = [sympy.expand(sympy.diff(F, EPS).subs(EPS, 0)) for F in whole]
        if any(e.has(sympy.nan, sympy.zoo, sympy.oo, -sympy.oo, sympy.I) for e in (*zeroth, *first)):
            raise UserError(f"the equation must be smooth in {parameter!r} at 0, got {equation.text!r}")
        if all(F1 == 0 for F1 in first):
            raise UserError(f"the equation must depend on {parameter!r} to first order, got {equation.text!r}")
        try:
            leading = equation.respelled("; ".join(f"{_written(F0)} = 0" for F0 in zeroth))
        except UserError as error:
            raise UserError(f"at {parameter} = 0 there must be an equation: {error}") from None
        if len(leading.principal) != len(leading.residuals):
            raise UserError(
                f"at {parameter} = 0 no equation may follow from others or they from it, got {leading.text!r}"
            )
        if leading.space != equation.space:
            raise UserError(
                f"at {parameter} = 0 the equation must keep its variables {', '.join(equation.space.names)}, got "
                f"{leading.text!r}"
            )
        # an evolution equation was divided by the coefficient of u_t
        units = [sympy.cancel(F / F0) for F, F0 in zip(leading.residuals, zeroth, strict=True)]
        return Perturbation(
            equation, parameter, leading, tuple(sympy.expand(c * F1) for c, F1 in zip(units, first, strict=True))
        )

    def rule(self, symbol: sympy.Symbol) -> sympy.Expr | None:
        """What a principal derivative, or a derivative of one, is on solutions, to first order in `EPS`; else None."""
        space, located = self.leading.space, self.leading.space.locate(symbol)
        for principal, rule in self._solved.items():
            a, index = space.locate(principal)  # type: ignore[misc]
            more = difference(located[1], index) if located is not None and located[0] == a else None
            if more is not None:
                return self._differentiated(principal, rule, more)
        return None

    @property
    def _solved(self) -> dict[sympy.Symbol, sympy.Expr]:
        if not self._derived:
            leading, zero = self.leading, (0,) * len(self.leading.space.independent)
            symbols = leading.principal
            matrix = sympy.Matrix([[sympy.diff(F, p) for p in symbols] for F in leading.residuals])
            change = -matrix.LUsolve(sympy.Matrix(self.first))
            for p, r1 in zip(symbols, change, strict=True):
                self._derived[p, zero] = leading.rules[p] + EPS * sympy.expand(r1)
        return {p: rule for (p, index), rule in self._derived.items() if not any(index)}

    def _differentiated(self, principal: sympy.Symbol, rule: sympy.Expr, more: Index) -> sympy.Expr:
        if (principal, more) not in self._derived:
            i = next(i for i, n in enumerate(more) if n)
            lower = tuple(n - (j == i) for j, n in enumerate(more))
            below = self._differentiated(principal, rule, lower)
            self._derived[principal, more] = sympy.expand(self.leading.space.total_derivative(below, i))
        return self._derived[principal, more]

    def on_solutions(self, expression: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
        """An expression in jets and `EPS` where ``F0 + eps F1 = 0``: its orders 0 and 1, in derivatives that are free.

        Raises:
            UserError: it does not end: derivatives of the perturbed equation bring in ever higher ones.
        """
        for _ in range(MOST_ROUNDS):
            rules = {s: rule for s in expression.free_symbols if (rule := self.rule(s)) is not None}
            orders = _orders(expression.xreplace(rules))
            if not rules:
                return orders
            expression = orders[0] + EPS * orders[1]
        raise UserError(f"the leading part must be solvable for a derivative, got {self.leading.text!r}")

    def obstruction(self, V0: Mapping[str, sympy.Expr]) -> list[sympy.Expr]:
        """What ``pr V1(F0)`` must cancel where ``F0 = 0``: order 1 of ``pr V0(F)`` on solutions, one per equation."""
        return [self.on_solutions(R)[1] for R in prolongation.prolonged(self.leading.space, self._whole, V0)]

    @property
    def _whole(self) -> list[sympy.Expr]:
        return [F0 + EPS * F1 for F0, F1 in zip(self.leading.residuals, self.first, strict=True)]

    def determining_equations(self, V0: Mapping[str, sympy.Expr], V1: Mapping[str, sympy.Expr]) -> list[sympy.Expr]:
        """Expressions in the coordinates that vanish when ``V0 + eps V1`` is an approximate symmetry, only then."""
        form = {key: V0[key] + EPS * V1[key] for key in V0}
        found: list[sympy.Expr] = []
        for R in prolongation.prolonged(self.leading.space, self._whole, form):
            for order in self.on_solutions(R):
                found += prolongation.by_derivatives(sympy.numer(sympy.together(order)), self.leading.space)
        return found

    def is_symmetry(self, V0: Mapping[str, sympy.Expr], V1: Mapping[str, sympy.Expr]) -> bool:
        """Whether ``V0 + eps V1`` is one to first order, by exact algebra; ``False`` also where it cannot decide."""
        if any(f.has(sympy.Float) for form in (V0, V1) for f in form.values()):
            return False
        return all(is_zero(e) for e in self.determining_equations(V0, V1))

    def is_exact(self, V0: Mapping[str, sympy.Expr], V1: Mapping[str, sympy.Expr]) -> bool:
        """Whether ``V0 + eps V1`` is a symmetry of F at every value of eps."""
        eps = next(s for F in self.equation.general for s in F.free_symbols if s.name == self.parameter)
        return prolongation.is_symmetry(self.equation, {k: V0[k] + eps * V1[k] for k in V0}, general=True)


def _orders(expression: sympy.Expr) -> tuple[sympy.Expr, sympy.Expr]:
    """The orders 0 and 1 in `EPS`."""
    return sympy.expand(expression.subs(EPS, 0)), sympy.expand(sympy.diff(expression, EPS).subs(EPS, 0))


def _written(F: sympy.Expr) -> str:
    """An expression as people write an equation: derivatives in time first, then by order."""

    def rank(term: sympy.Expr) -> tuple[int, int, str]:
        letters = [s.name.partition("_")[2] for s in term.free_symbols]
        return -max(name.count("t") for name in letters), max(map(len, letters)), str(term)

    terms = sorted(sympy.Add.make_args(F), key=lambda m: rank(m) if m.free_symbols else (1, 0, str(m)))
    return " + ".join(map(str, terms)).replace("+ -", "- ")

"""Which symmetries keep a boundary, combinations of them included, by exact algebra.

A generator V of an equation keeps a wall S with conditions B = 0 when it is tangent to S and its prolongation
annihilates B on S wherever the equation, B = 0 and what follows from it by differentiation along S hold:

    V(z_i - s_i) = 0,   pr V(B) = 0   on  z_i = s_i,  T^alpha B = 0,  F = 0,     T_j = D_j + sum_i ds_i/dz_j D_i.

It then maps solutions of the boundary value problem to such (Bluman and Anco, *Symmetry and Integration Methods for
Differential Equations*, section 4.4). A period is kept by generators that do not change under the shift. All of this
is linear in V: the combinations that keep a boundary are a null space of constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy

from symflow.algebra import ClosedForm
from symflow.errors import UserError

from ..equations import Equation, Index
from ..symmetries import combinations, prolonged
from .boundary import Boundary, Wall

MOST_ROUNDS = 12  # of putting what holds at a wall into itself


def keeps(boundary: Boundary, form: ClosedForm) -> bool:
    """Whether a symmetry in closed form keeps a boundary, proved; ``False`` also where algebra cannot decide.

    >>> heat = Equation("u_t = u_xx")
    >>> wall = Boundary.read(heat, "u(0, t) = 0")
    >>> x, t, u = heat.space.variables
    >>> keeps(wall, {"dx": x, "dt": 2*t, "du": sympy.Integer(0)}), keeps(wall, {"dx": 2*t, "dt": t*0, "du": -x*u})
    (True, False)
    """
    return bool(kept(boundary, [form]))


def kept(boundary: Boundary, forms: Sequence[ClosedForm]) -> list[ClosedForm]:
    """A basis of the combinations, with constant coefficients, of some symmetries that keep a boundary.

    Simple ones first: a symmetry that keeps it alone is one of them. Each is proved to; what is equal only by more than
    algebra and the theorems of addition knows is not found.

    Args:
        boundary: of the equation whose symmetries they are.
        forms: in closed form.

    >>> wave = Equation("u_tt = u_xx + u**3")
    >>> x, t, u = wave.space.variables
    >>> shifts = [{"dx": x*0 + 1, "dt": x*0, "du": x*0}, {"dx": x*0, "dt": x*0 + 1, "du": x*0}]
    >>> kept(Boundary.read(wave, "u(t/2, t) = 0"), shifts)
    [{'dx': 1, 'dt': 2, 'du': 0}]
    """
    if not forms:
        return []
    return combinations(forms, [_all(boundary, form) for form in forms])


def _all(boundary: Boundary, form: ClosedForm) -> list[sympy.Expr]:
    """What must vanish for a generator to keep the boundary."""
    found = [e for wall in boundary.walls for e in _at_wall(boundary.equation, wall, form)]
    variables = boundary.equation.space.variables
    for period in boundary.periods:
        moved = {z: z + s for z, s in zip(variables, period, strict=False)}
        found += [f.subs(moved, simultaneous=True) - f for f in form.values()]
    return found


def _at_wall(equation: Equation, wall: Wall, form: ClosedForm) -> list[sympy.Expr]:
    space, fixed, solved = equation.space, dict(wall.place), _solved(equation, wall)
    independent = space.variables[: len(space.independent)]
    asked = []
    for z, s in wall.place:
        along = (form[f"d{y.name}"] * sympy.diff(s, y) for y in independent if y not in fixed)
        asked.append(form[f"d{z.name}"] - sympy.Add(*along))
    asked += prolonged(space, wall.conditions, form)
    return [_placed(_reduced(_reduced(e, equation.rules), solved), fixed) for e in asked]


def _solved(equation: Equation, wall: Wall) -> dict[sympy.Symbol, sympy.Expr]:
    """What the conditions and their derivatives along the wall say of jets there, solved for the highest ones."""
    space, fixed = equation.space, dict(wall.place)
    orders = {c: max((sum(i) for _, i in space.indices(c)), default=0) for c in wall.conditions}
    most = max([equation.order, *orders.values()])
    known = [(sum(k), e) for c, n in orders.items() for k, e in _along(equation, wall, c, most - n).items()]
    solved: dict[sympy.Symbol, sympy.Expr] = {}
    normal = [i for i, z in enumerate(space.variables) if z in fixed]
    for _, condition in sorted(known, key=lambda entry: entry[0]):
        e = _placed(_reduced(_reduced(condition, equation.rules), solved), fixed)
        if e == 0:
            continue
        present = sorted(space.indices(e), key=lambda at: (-sum(at[1]), -sum(at[1][i] for i in normal), at))
        for a, index in present:
            symbol = space.symbol(a, index)
            slope = sympy.diff(e, symbol)
            if not slope.has(symbol) and not space.indices(slope):
                value = sympy.expand(-e.subs(symbol, 0) / slope)
                solved = {s: sympy.expand(f.subs(symbol, value)) for s, f in solved.items()} | {symbol: value}
                break
        else:
            raise UserError(f"a boundary condition must be linear in one of its derivatives, got {condition} = 0")
    return solved


def _along(equation: Equation, wall: Wall, condition: sympy.Expr, order: int) -> dict[Index, sympy.Expr]:
    """A condition and its derivatives along the wall."""
    space, fixed = equation.space, dict(wall.place)
    free = [j for j, z in enumerate(space.variables[: len(space.independent)]) if z not in fixed]
    found = {(0,) * len(space.independent): condition}
    for index in space.up_to(order)[1:]:
        if all(n == 0 or j in free for j, n in enumerate(index)):
            j = next(j for j, n in enumerate(index) if n)
            below = found[tuple(n - (k == j) for k, n in enumerate(index))]
            total = space.total_derivative(below, j)
            for z, s in wall.place:
                slope = sympy.diff(s, space.variables[j])
                total += slope * space.total_derivative(below, space.variables.index(z)) if slope != 0 else 0
            found[index] = total
    return found


def _reduced(e: sympy.Expr, rules: Mapping[sympy.Symbol, sympy.Expr]) -> sympy.Expr:
    for _ in range(MOST_ROUNDS):
        if not e.has(*rules):
            break
        e = e.subs(rules)
    return sympy.expand(e)


def _placed(e: sympy.Expr, fixed: Mapping[sympy.Symbol, sympy.Expr]) -> sympy.Expr:
    return sympy.expand(e.subs(fixed))

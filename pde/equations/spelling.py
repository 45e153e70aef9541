"""How equations are spelled: names of derivatives in any order, derivatives of expressions, sympy objects."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import sympy

from symflow.errors import UserError, nearest
from symflow.formulas import expressions
from symflow.formulas.vectors import Vector

from .complex_unknowns import UNIT, conjugate, modulus, real_and_imaginary
from .jets import Index, JetSpace, derivative, in_order, subscript, variable
from .names import IMAGINARY, OPERATORS, REAL, STANDARD, UNITS, Names

MOST_JETS = 3_000  # unknowns and derivatives to one order more than the equation's


class Vocabulary(Mapping[str, sympy.Expr]):
    """The names a formula may use: variables, derivatives in any order of their letters, parameters."""

    def __init__(self, names: Names, parameters: Mapping[str, sympy.Expr]) -> None:
        self.names, self.parameters = names, parameters
        self.space = JetSpace(names.independent, names.unknowns)

    def __getitem__(self, name: str) -> sympy.Expr:
        if name in self.parameters:
            return self.parameters[name]
        if name in self.names.independent:
            return variable(name)
        located = self.space.locate(variable(name))
        if located is not None:
            if too_high(self.space, located[1]):
                raise KeyError(name)
            return self.unknown(*located)
        if name in UNITS and self.names.complex:
            return UNIT
        raise KeyError(name)

    def unknown(self, which: int, index: Index) -> sympy.Expr:
        """An unknown or its derivative: of a complex one the sum of its parts."""
        name = self.names.unknowns[which]
        symbol = self.space.symbol(which, index)
        if name not in self.names.complex:
            return symbol
        below = symbol.name[len(name) :]
        return variable(f"{name}_{REAL}{below}") + UNIT * variable(f"{name}_{IMAGINARY}{below}")

    def __iter__(self) -> Iterator[str]:
        yield from (*self.names.independent, *self.names.unknowns)
        yield derivative(self.names.unknowns[0], self.names.independent[:1]).name + ", ..."
        yield from (*(UNITS[:1] if self.names.complex else ()), *self.parameters)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def hint(self, name: str) -> str:
        """What may be meant by a name that is none of these, as the end of a sentence."""
        independent = self.names.independent
        for unknown in self.names.unknowns:
            below = name.removeprefix(unknown).strip("_")
            if below != name and below and subscript(below, (*independent, *STANDARD)) is not None:
                return f"; did you mean {derivative(unknown, subscript(below, (*independent, *STANDARD)) or ())}"
            if name.startswith(f"{unknown}_") and {*below} - {*independent, *STANDARD}:
                letters = ", ".join(dict.fromkeys((*below, *independent)))
                return f"; other variables than x, y, z, t are declared: independent='{letters}'"
        close = nearest(name, [*self.parameters, *expressions.FUNCTIONS, *expressions.CONSTANTS]).removesuffix("?")
        return f"{close}; numbers are given by name: Equation(text, {name}=0.1), `--parameters {name}=0.1`"


def too_high(space: JetSpace, index: Index) -> bool:
    """Whether a derivative is of an order of which there are too many."""
    p = len(space.independent)
    return math.comb(sum(index) + 1 + p, p) * len(space.dependent) > MOST_JETS


def calls(names: Names) -> expressions.Calls:
    """What a formula may call: derivatives, vector analysis in Cartesian coordinates, unknowns with their arguments."""
    space = JetSpace(names.independent, names.dependent)

    def along(value: sympy.Expr, i: int) -> sympy.Expr:
        value = space.total_derivative(value, i)
        if expressions.terms(value) > expressions.MOST_TERMS:
            raise ValueError(f"more than {expressions.MOST_TERMS} terms when differentiated")
        if expressions.nodes(value) > expressions.MOST_NODES:
            raise ValueError(f"more than {expressions.MOST_NODES} parts when differentiated")
        for a, index in space.indices(value):
            if too_high(space, index):
                raise ValueError(f"the derivative {space.symbol(a, index)} is of too high an order")
        return value

    def differentiate(arguments: Sequence[expressions.Argument]) -> expressions.Value:
        """``Derivative(f, x, x)``, ``Derivative(f, x, 2)`` or ``Derivative(f, (x, 2))``: the total derivative."""
        value, *rest = arguments
        if isinstance(value, tuple) or not rest:
            raise ValueError("Derivative takes an expression and the variables to differentiate in")
        order: list[int] = []
        for argument in rest:
            name, count = argument if isinstance(argument, tuple) else (argument, 1)
            if isinstance(argument, sympy.Integer) and order:
                order += [order[-1]] * (int(argument) - 1) if 0 < argument <= MOST_JETS else [-1]
                continue
            if name not in space.variables[: len(names.independent)]:
                raise ValueError(f"Derivative is in {_or(names.independent)}, got {name}")
            order += [space.variables.index(name)] * count if 0 < count <= MOST_JETS else [-1]
        if -1 in order:
            raise ValueError("the order of a derivative must be a number from 1 on")
        for i in order:
            value = Vector(tuple(along(f, i) for f in value.parts)) if isinstance(value, Vector) else along(value, i)
        return value

    places = [i for i, name in enumerate(names.independent) if name != "t"]

    def one(name: str, arguments: Sequence[expressions.Argument], vector: bool = False) -> expressions.Value:
        (value, *rest) = arguments
        if not places and name in OPERATORS:  # they would be of no terms, and nobody would know
            raise ValueError(
                f"{name} is in the variables of space, of which the text shows none: list them in `independent`"
            )
        if rest or isinstance(value, tuple) or isinstance(value, Vector) != vector:
            raise ValueError(f"{name} takes one {'vector, such as grad(u) or (u, v)' if vector else 'expression'}")
        if isinstance(value, Vector) and len(value.parts) != len(places):
            got = f"got {len(value.parts)}"
            raise ValueError(f"{name} takes a vector of as many components as there are variables in space, {got}")
        return value

    def gradient(arguments: Sequence[expressions.Argument]) -> Vector:
        value = one("grad", arguments)
        return Vector(tuple(along(value, i) for i in places))

    def divergence(arguments: Sequence[expressions.Argument]) -> sympy.Expr:
        value = one("div", arguments, vector=True)
        return sympy.Add(*(along(f, i) for f, i in zip(value.parts, places, strict=True)))

    def laplacian(arguments: Sequence[expressions.Argument]) -> expressions.Value:
        value = arguments[0] if len(arguments) == 1 else None
        if isinstance(value, Vector):
            return Vector(tuple(divergence([gradient([part])]) for part in value.parts))
        return divergence([gradient([one("laplace", arguments)])])

    def rotation(arguments: Sequence[expressions.Argument]) -> expressions.Value:
        value = one("curl", arguments, vector=True)
        parts: tuple[sympy.Expr, ...] = value.parts
        if len(places) == 2:
            return along(parts[1], places[0]) - along(parts[0], places[1])
        if len(places) != 3:
            raise ValueError(f"curl needs two or three variables in space, got {len(places)}")
        turns = [((k + 1) % 3, (k + 2) % 3) for k in range(3)]
        return Vector(tuple(along(parts[j], places[i]) - along(parts[i], places[j]) for i, j in turns))

    def dot(arguments: Sequence[expressions.Argument]) -> sympy.Expr:
        vectors = [a for a in arguments if isinstance(a, Vector)]
        if len(vectors) != 2 or len(arguments) != 2:
            raise ValueError("dot takes two vectors")
        return vectors[0].dot(vectors[1])

    vocabulary = Vocabulary(names, {})

    def unknown(which: int) -> Callable[[Sequence[expressions.Argument]], sympy.Expr]:
        def called(arguments: Sequence[expressions.Argument]) -> sympy.Expr:
            allowed = space.variables[: len(names.independent)]
            if len(set(arguments)) < len(arguments) or not set(arguments) <= set(allowed):
                raise ValueError(f"{names.unknowns[which]}(...) takes the names of the independent variables")
            return vocabulary.unknown(which, (0,) * len(names.independent))

        return called

    vectors = {"laplace": laplacian, "grad": gradient, "div": divergence, "curl": rotation, "dot": dot}
    parts = {
        "abs": lambda a: modulus(one("abs", a)),
        "conj": lambda a: conjugate(one("conj", a)),
        "re": lambda a: real_and_imaginary(one("re", a))[0],
        "im": lambda a: real_and_imaginary(one("im", a))[1],
    }
    return (
        dict.fromkeys(("Derivative", "diff", "D"), differentiate)
        | vectors
        | (parts if names.complex else {})
        | {name: unknown(k) for k, name in enumerate(names.unknowns)}
    )


def _or(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def letters_of(text: sympy.Basic | Sequence[str | sympy.Basic]) -> tuple[str, ...] | None:
    """The independent variables of sympy objects, the arguments of their functions, where names do not show them."""
    parts = [text] if isinstance(text, sympy.Basic) else [part for part in text if isinstance(part, sympy.Basic)]
    names = {a.name for p in parts for f in p.atoms(sympy.core.function.AppliedUndef) for a in f.args if a.is_Symbol}
    return None if names <= {*STANDARD} else tuple(in_order(names))


def written(expression: sympy.Basic) -> str:
    """A sympy object in our own spelling: ``u(x, t)`` and its derivatives become names.

    Raises:
        UserError: it holds something that an equation cannot hold.
    """
    if isinstance(expression, sympy.Equality):
        expression = expression.lhs - expression.rhs

    def named(e: sympy.Basic) -> sympy.Basic:  # from the top: the symbols inside a derivative are part of it
        if isinstance(e, sympy.Derivative):
            called = e.expr
            letters = [v.name for v, n in e.variable_count if n.is_Integer for _ in range(int(n))]
            if isinstance(called, sympy.core.function.AppliedUndef) and {*e.variables} <= {*called.args}:
                return derivative(called.func.__name__, letters)
            raise UserError(f"a derivative must be one of an unknown in its variables, got {e}")
        if isinstance(e, sympy.core.function.AppliedUndef):
            return variable(e.func.__name__)
        return e.func(*map(named, e.args)) if e.args else e

    if not isinstance(expression, sympy.Expr):
        kind = type(expression).__name__
        raise UserError(f"`text` must be an equation such as 'u_t + u*u_x + u_xxx = 0', got {kind}")
    return f"{named(expression.doit())} = 0"

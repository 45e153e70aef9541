"""The variables of jet space: independent ones, unknowns, derivatives of unknowns, and their values at points.

A derivative is a symbol whose name lists the variables it differentiates in, sorted, t last: ``u_xxt``, ``rho_x1x2``.
The derivatives of a smooth solution at a point are free but for the equation, so points of jet space can be drawn at
random where no solution is at hand (Olver, *Applications of Lie Groups to Differential Equations*, section 2.3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import sympy
import torch
from torch import Tensor

Index = tuple[int, ...]
"""How often a derivative differentiates in each independent variable."""

MOST_LETTERS = 64  # of the subscript of a derivative


def variable(name: str) -> sympy.Symbol:
    """The symbol of an independent variable or an unknown."""
    return sympy.Symbol(name, real=True)


def in_order(names: Iterable[str]) -> list[str]:
    """Independent variables as subscripts list them: by name, t last."""
    return sorted(names, key=lambda name: (name == "t", name))


def derivative(unknown: str, letters: Iterable[str]) -> sympy.Symbol:
    """The symbol of a derivative, whatever the order of its letters; of the unknown itself without any.

    >>> derivative("u", "txx"), derivative("rho", ["x2", "x1"])
    (u_xxt, rho_x1x2)
    """
    subscript = "".join(in_order(letters))
    return variable(f"{unknown}_{subscript}" if subscript else unknown)


def subscript(text: str, names: Sequence[str]) -> tuple[str, ...] | None:
    """A subscript as the independent variables it lists; ``None`` where it is no list of them, or more than one.

    >>> subscript("xxt", ["x", "t"]), subscript("x1x1", ["x1", "x2"]), subscript("ab", ["x"])
    (('x', 'x', 't'), ('x1', 'x1'), None)
    """
    if not 0 < len(text) <= MOST_LETTERS:
        return None
    ways: list[list[tuple[str, ...]]] = [[] for _ in range(len(text) + 1)]  # of its beginnings
    ways[0].append(())
    for end in range(1, len(text) + 1):
        for name in names:
            if text[:end].endswith(name):
                ways[end] += [(*way, name) for way in ways[end - len(name)][:2]]
    return ways[-1][0] if len(ways[-1]) == 1 else None


@dataclass(frozen=True)
class JetSpace:
    """The variables of an equation: p independent ones and q unknowns.

    ``names`` are those of the coordinates of the space on which generators act, in their order: ``x, y, t, u, v``.
    """

    independent: tuple[str, ...]
    dependent: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return self.independent + self.dependent

    @cached_property
    def variables(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of `names`."""
        return tuple(variable(name) for name in self.names)

    @cached_property
    def units(self) -> tuple[Index, ...]:
        """The index of the first derivative in each independent variable."""
        p = len(self.independent)
        return tuple(tuple(int(i == j) for j in range(p)) for i in range(p))

    def symbol(self, unknown: int, index: Index) -> sympy.Symbol:
        """The derivative of an unknown, or the unknown itself."""
        key = unknown, index
        if key not in self._symbols:
            letters = [name for name, n in zip(self.independent, index, strict=True) for _ in range(n)]
            self._symbols[key] = derivative(self.dependent[unknown], letters)
        return self._symbols[key]

    @cached_property
    def _symbols(self) -> dict[tuple[int, Index], sympy.Symbol]:
        return {}

    @cached_property
    def _located(self) -> dict[str, tuple[int, Index] | None]:
        return {}

    def locate(self, symbol: sympy.Symbol) -> tuple[int, Index] | None:
        """Which unknown a symbol differentiates, and how; ``None`` when it is no variable over the base.

        >>> JetSpace(("x", "t"), ("u",)).locate(derivative("u", "xxt"))
        (0, (2, 1))
        """
        name = symbol.name
        if name not in self._located:
            self._located[name] = self._locate(name)
        return self._located[name]

    def _locate(self, name: str) -> tuple[int, Index] | None:
        if name in self.dependent:
            return self.dependent.index(name), (0,) * len(self.independent)
        unknown, _, letters = name.rpartition("_")
        if unknown not in self.dependent or (found := subscript(letters, self.independent)) is None:
            return None
        return self.dependent.index(unknown), tuple(found.count(n) for n in self.independent)

    def indices(self, expression: sympy.Expr) -> list[tuple[int, Index]]:
        """The unknowns and derivatives in an expression, in a fixed order."""
        found = (self.locate(s) for s in expression.free_symbols)
        return sorted(f for f in found if f is not None)

    def total_derivative(self, expression: sympy.Expr, i: int) -> sympy.Expr:
        """``D_i = d/dx_i + sum u_J,i d/du_J`` of a function on jet space (Olver, section 2.3)."""
        result = sympy.diff(expression, self.variables[i])
        for a, index in self.indices(expression):
            result += sympy.diff(expression, self.symbol(a, index)) * self.symbol(a, raised(index, i))
        return result

    def up_to(self, order: int) -> list[Index]:
        """All indices of at most an order, lower ones first."""
        p = len(self.independent)
        return sorted((m for m in product(range(order + 1), repeat=p) if sum(m) <= order), key=lambda m: (sum(m), m))


def raised(index: Index, i: int) -> Index:
    """One more derivative in the i-th variable."""
    return (*index[:i], index[i] + 1, *index[i + 1 :])


def difference(index: Index, other: Index) -> Index | None:
    """``index - other``, ``None`` where it is not a derivative of it."""
    result = tuple(a - b for a, b in zip(index, other, strict=True))
    return result if min(result) >= 0 else None


def divisors(index: Index) -> Iterator[Index]:
    """All indices that divide one, itself included."""
    return iter(product(*(range(n + 1) for n in index)))


def choices(index: Index, part: Index) -> int:
    """The multinomial coefficient of Leibniz' rule."""
    return math.prod(math.comb(n, k) for n, k in zip(index, part, strict=True))


@dataclass(frozen=True)
class JetSample:
    """Values of the variables of jet space at N points: ``values[symbol]`` is ``[N]``, float64, physical."""

    space: JetSpace
    values: Mapping[sympy.Symbol, Tensor]

    @property
    def points(self) -> Tensor:
        """``[N, d]``, physical."""
        return torch.stack([self.values[s] for s in self.space.variables], -1)

    def __len__(self) -> int:
        return len(next(iter(self.values.values())))

    def __getitem__(self, which: Any) -> JetSample:
        """Some of the points: a slice, indices or a mask."""
        return JetSample(self.space, {symbol: value[which] for symbol, value in self.values.items()})


@dataclass(frozen=True)
class Jets:
    """Values of solutions and their x-derivatives at points: ``u[m]`` is the m-th x-derivative at ``(x, t)``.

    Physical units, float64; u_t and the mixed derivatives follow from the equation (`Equation.rate`, `.surface`).
    """

    x: Tensor  # [N]
    t: Tensor  # [N]
    u: Tensor  # [order + 1, N]

    @property
    def points(self) -> Tensor:
        """``(x, t, u)``, ``[N, 3]``, physical."""
        return torch.stack([self.x, self.t, self.u[0]], -1)

    @property
    def order(self) -> int:
        """The highest x-derivative that is held."""
        return self.u.shape[0] - 1

    def __len__(self) -> int:
        return self.x.shape[0]

    def __getitem__(self, which: Any) -> Jets:
        """The jets at some of the points: a slice, indices or a mask."""
        return Jets(self.x[which], self.t[which], self.u[:, which])

"""Vectors of expressions, as gradients are: sums, multiples, and no other arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import sympy


@dataclass(frozen=True)
class Vector:
    """A vector by its components in Cartesian coordinates.

    >>> x, y = sympy.symbols("x y")
    >>> 2 * Vector((x, y)) + Vector((y, y))
    Vector(parts=(2*x + y, 3*y))
    """

    parts: tuple[sympy.Expr, ...]

    def __add__(self, other: Vector) -> Vector:
        if not isinstance(other, Vector) or len(other.parts) != len(self.parts):
            return NotImplemented
        return Vector(tuple(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    def __mul__(self, factor: sympy.Expr) -> Vector:
        return NotImplemented if isinstance(factor, Vector) else Vector(tuple(part * factor for part in self.parts))

    __rmul__ = __mul__

    def __truediv__(self, factor: sympy.Expr) -> Vector:
        return NotImplemented if isinstance(factor, Vector) else Vector(tuple(part / factor for part in self.parts))

    def dot(self, other: Vector) -> sympy.Expr:
        """The scalar product.

        Raises:
            ValueError: the other has more or fewer components.
        """
        if len(other.parts) != len(self.parts):
            raise ValueError(f"vectors of {len(self.parts)} and {len(other.parts)} components have no scalar product")
        return sympy.Add(*(a * b for a, b in zip(self.parts, other.parts, strict=True)))

"""Truncated Taylor polynomials of tensors: the arithmetic behind jets, prolongation and flows of surfaces."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import torch
from torch import Tensor

FEW = 1_024  # points up to which a product is one call: beyond, what it holds in between costs more than the calls


class Truncation:
    """Which monomials a truncated polynomial keeps: a set closed under taking divisors, with its product table.

    Monomials are tuples of exponents, ``(2, 1)`` for ``s**2 r``; the first is always the constant.
    """

    def __init__(self, monomials: Sequence[tuple[int, ...]]) -> None:
        self.monomials = tuple(monomials)
        self.index = {m: i for i, m in enumerate(self.monomials)}
        if any(self.monomials[0]):
            raise ValueError(f"`monomials` must begin with the constant, got {self.monomials[0]}")
        self.degree = max(sum(m) for m in self.monomials)
        # products[k]: the pairs (i, j) of monomials that multiply to monomial k
        self.products: list[list[tuple[int, int]]] = [[] for _ in self.monomials]
        for i, a in enumerate(self.monomials):
            for j, b in enumerate(self.monomials):
                k = self.index.get(tuple(p + q for p, q in zip(a, b, strict=True)))
                if k is not None:
                    self.products[k].append((i, j))
        # the same as columns: left, right and product of every pair
        self.pairs = torch.tensor([(i, j, k) for k, pairs in enumerate(self.products) for i, j in pairs]).T

    def __len__(self) -> int:
        return len(self.monomials)


@lru_cache
def total_degree(order: int, variables: int = 2) -> Truncation:
    """All monomials in so many variables of at most a degree: surfaces ``(x + s, t + r)`` to a given order."""
    monomials = (m for m in product(range(order + 1), repeat=variables) if sum(m) <= order)
    return Truncation(sorted(monomials, key=lambda m: (sum(m), [-n for n in m])))


@lru_cache
def line_and_time(order: int) -> Truncation:
    """``1, s, ..., s**order`` and ``r``: x-derivatives to a given order and the first t-derivative."""
    return Truncation([(i, 0) for i in range(order + 1)] + [(0, 1)])


@lru_cache
def line(order: int) -> Truncation:
    """``1, s, ..., s**order``: derivatives along one direction."""
    return Truncation([(i,) for i in range(order + 1)])


class Series:
    """A truncated polynomial whose coefficients are tensors, stacked along dimension 0: ``[C, ...]``.

    Arithmetic (``+ - * / **``) drops the monomials outside the truncation; numbers and tensors act as constants.
    """

    def __init__(self, truncation: Truncation, coefficients: Tensor) -> None:
        if coefficients.shape[0] != len(truncation):
            raise ValueError(f"`coefficients` must be [{len(truncation)}, ...], got {tuple(coefficients.shape)}")
        self.truncation, self.coefficients = truncation, coefficients

    def __getitem__(self, monomial: tuple[int, ...]) -> Tensor:
        return self.coefficients[self.truncation.index[monomial]]

    def derivative_at_origin(self, monomial: tuple[int, ...]) -> Tensor:
        """The partial derivative, that is the coefficient times the factorials of the exponents."""
        return self[monomial] * math.prod(map(math.factorial, monomial))

    def _like(self, coefficients: Tensor) -> Series:
        return Series(self.truncation, coefficients)

    def _constant(self, value: Tensor | float) -> Series:
        first = self.coefficients[0]
        value = torch.as_tensor(value, dtype=first.dtype, device=first.device).expand_as(first)
        return self._like(torch.cat([value[None], torch.zeros_like(self.coefficients[1:])]))

    def __add__(self, other: Series | Tensor | float) -> Series:
        if isinstance(other, Series):
            return self._like(self.coefficients + other.coefficients)
        return self._like(torch.cat([(self.coefficients[0] + other)[None], self.coefficients[1:]]))

    __radd__ = __add__

    def __neg__(self) -> Series:
        return self._like(-self.coefficients)

    def __sub__(self, other: Series | Tensor | float) -> Series:
        return self + (-other)

    def __rsub__(self, other: Tensor | float) -> Series:
        return (-self) + other

    def __mul__(self, other: Series | Tensor | float) -> Series:
        if not isinstance(other, Series):
            return self._like(self.coefficients * other)
        a, b = self.coefficients, other.coefficients
        if a.device.type == "cpu" and a.shape == b.shape and a[0].numel() <= FEW:
            left, right, into = self.truncation.pairs  # summed in the same order, in one call instead of one for each
            return self._like(torch.zeros_like(a).index_add(0, into, a[left] * b[right]))
        rows = [_dot(a.unbind(0), b.unbind(0), pairs) for pairs in self.truncation.products]
        return self._like(torch.stack(rows))

    __rmul__ = __mul__

    def __truediv__(self, other: Series | Tensor | float) -> Series:
        return self * other**-1.0 if isinstance(other, Series) else self._like(self.coefficients / other)

    def __rtruediv__(self, other: Tensor | float) -> Series:
        return other * self**-1.0

    def __pow__(self, exponent: Series | Tensor | float) -> Series:
        if not isinstance(exponent, (int, float)):
            power: Series = FUNCTIONS["exp"](exponent * FUNCTIONS["log"](self))
            return power
        if exponent >= 0 and exponent == int(exponent):
            return self._integer_power(int(exponent))

        def taylor(a: Tensor, degree: int) -> list[Tensor]:
            binomial, terms = 1.0, []
            for k in range(degree + 1):
                terms.append(binomial * a ** (exponent - k))
                binomial *= (exponent - k) / (k + 1)
            return terms

        return self.compose(taylor)

    def _integer_power(self, n: int) -> Series:
        """By squaring."""
        if n < 2:
            return self if n else self._constant(1.0)
        half = self._integer_power(n // 2)
        return half * half * self if n % 2 else half * half

    def __rpow__(self, base: Tensor | float) -> Series:
        power: Series = FUNCTIONS["exp"](self * torch.log(torch.as_tensor(base, dtype=self.coefficients.dtype)))
        return power

    def compose(self, taylor: Callable[[Tensor, int], Sequence[Tensor]]) -> Series:
        """``f`` of the series; ``taylor(a, n)`` gives ``f(a), f'(a), ..., f^(n)(a)/n!``, by Horner's rule."""
        terms = taylor(self.coefficients[0], self.truncation.degree)
        a = self.coefficients.unbind(0)
        zero = torch.zeros_like(a[0])
        result = [terms[-1]] + [zero] * (len(a) - 1)
        for term in terms[-2::-1]:  # result * (self - a0) + term
            result = [
                _dot(result, a, [(i, j) for i, j in pairs if j != 0]) if k else zero
                for k, pairs in enumerate(self.truncation.products)
            ]
            result[0] = term
        return self._like(torch.stack(result))

    def derivative(self, variable: int) -> Series:
        """The partial derivative in one variable, exact for all monomials but those of the highest degree."""
        rows = []
        for m in self.truncation.monomials:
            raised = tuple(e + (i == variable) for i, e in enumerate(m))
            k = self.truncation.index.get(raised)
            rows.append(
                torch.zeros_like(self.coefficients[0]) if k is None else self.coefficients[k] * raised[variable]
            )
        return self._like(torch.stack(rows))


def _dot(a: Sequence[Tensor], b: Sequence[Tensor], pairs: Sequence[tuple[int, int]]) -> Tensor:
    (i, j), *rest = pairs
    total = a[i] * b[j]
    for i, j in rest:
        total = total + a[i] * b[j]
    return total


def _exp(a: Tensor, degree: int) -> list[Tensor]:
    e = torch.exp(a)
    return [e / math.factorial(k) for k in range(degree + 1)]


def _log(a: Tensor, degree: int) -> list[Tensor]:
    return [torch.log(a)] + [-((-1) ** k) / k * a**-k for k in range(1, degree + 1)]


def _cycle(*derivatives: Callable[[Tensor], Tensor]) -> Callable[[Tensor, int], list[Tensor]]:
    def taylor(a: Tensor, degree: int) -> list[Tensor]:
        values = [f(a) for f in derivatives]
        return [values[k % len(values)] / math.factorial(k) for k in range(degree + 1)]

    return taylor


def _polynomial_derivatives(first: list[float], degree: int) -> list[list[float]]:
    """Derivatives of ``y`` with ``y' = p(y)``, as polynomials in ``y``, coefficients ascending."""
    polynomials = [[0.0, 1.0]]
    for _ in range(degree):
        slope = [k * c for k, c in enumerate(polynomials[-1])][1:] or [0.0]
        product = [0.0] * (len(slope) + len(first) - 1)
        for i, p in enumerate(slope):
            for j, q in enumerate(first):
                product[i + j] += p * q
        polynomials.append(product)
    return polynomials


def _horner(polynomial: list[float], y: Tensor) -> Tensor:
    value = torch.full_like(y, polynomial[-1])
    for c in polynomial[-2::-1]:
        value = value * y + c
    return value


def _riccati(f: Callable[[Tensor], Tensor], square: float) -> Callable[[Tensor, int], list[Tensor]]:
    """``y' = 1 + square y^2``: tanh and tan."""

    def taylor(a: Tensor, degree: int) -> list[Tensor]:
        y = f(a)
        derivatives = _polynomial_derivatives([1.0, 0.0, square], degree)
        return [_horner(p, y) / math.factorial(k) for k, p in enumerate(derivatives)]

    return taylor


def _integral(f: Callable[[Tensor], Tensor], c: float, b: float, power: float, sign: float = 1.0) -> Any:
    """``f' = sign (c + b a^2)^power``: inverse functions.

    With ``q = c + b (a + s)^2``, ``h = q^power`` solves ``q h' = power q' h``, coefficient by coefficient.
    """

    def taylor(a: Tensor, degree: int) -> list[Tensor]:
        q = c + b * a**2
        h = [sign * q**power]
        for n in range(degree - 1):
            below = (n - power) * 2 * b * a * h[n] + ((n - 1 - 2 * power) * b * h[n - 1] if n else 0.0)
            h.append(-below / (q * (n + 1)))
        return [f(a), *(term / (n + 1) for n, term in enumerate(h))][: degree + 1]

    return taylor


def _erf(a: Tensor, degree: int) -> list[Tensor]:
    h = [2 / math.sqrt(math.pi) * torch.exp(-(a**2))]
    for n in range(degree - 1):
        h.append(-2 * (a * h[n] + (h[n - 1] if n else 0.0)) / (n + 1))
    return [torch.erf(a), *(term / (n + 1) for n, term in enumerate(h))][: degree + 1]


def _silu(a: Tensor, degree: int) -> list[Tensor]:
    y = torch.sigmoid(a)  # y' = y - y^2, and (a y)^(k) = a y^(k) + k y^(k-1)
    sigmoid = [_horner(p, y) for p in _polynomial_derivatives([0.0, 1.0, -1.0], degree)]
    return [a * sigmoid[0]] + [(a * sigmoid[k] + k * sigmoid[k - 1]) / math.factorial(k) for k in range(1, degree + 1)]


def _abs(a: Tensor, degree: int) -> list[Tensor]:
    return [torch.abs(a), *_sign(a, degree)][: degree + 1]


def _sign(a: Tensor, degree: int) -> list[Tensor]:
    return [torch.sign(a)] + [torch.zeros_like(a)] * degree


_TAYLOR: dict[str, Callable[[Tensor, int], list[Tensor]]] = {
    "exp": _exp,
    "log": _log,
    "sin": _cycle(torch.sin, torch.cos, lambda a: -torch.sin(a), lambda a: -torch.cos(a)),
    "cos": _cycle(torch.cos, lambda a: -torch.sin(a), lambda a: -torch.cos(a), torch.sin),
    "tan": _riccati(torch.tan, 1.0),
    "tanh": _riccati(torch.tanh, -1.0),
    "sinh": _cycle(torch.sinh, torch.cosh),
    "cosh": _cycle(torch.cosh, torch.sinh),
    "asin": _integral(torch.asin, 1.0, -1.0, -0.5),
    "acos": _integral(torch.acos, 1.0, -1.0, -0.5, -1.0),
    "atan": _integral(torch.atan, 1.0, 1.0, -1.0),
    "asinh": _integral(torch.asinh, 1.0, 1.0, -0.5),
    "acosh": _integral(torch.acosh, -1.0, 1.0, -0.5),
    "atanh": _integral(torch.atanh, 1.0, -1.0, -1.0),
    "erf": _erf,
    "silu": _silu,
    "Abs": _abs,  # sympy's names: it makes Abs(x) of sqrt(x**2), and differentiates that to sign(x)
    "sign": _sign,
    "DiracDelta": lambda a, degree: [torch.zeros_like(a)] * (degree + 1),  # its derivative, but at one point
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: (lambda value, taylor=taylor: value.compose(taylor) if isinstance(value, Series) else taylor(value, 0)[0])
    for name, taylor in _TAYLOR.items()
}
"""Functions of a `Series` or a tensor, by sympy's names, and silu."""


def columns(points: Series) -> list[Series]:
    """The coordinates of points ``[C, ..., d]``, one by one."""
    return [Series(points.truncation, column) for column in points.coefficients.unbind(-1)]

"""Symmetries as the null space of the determining condition over a library of coefficient functions."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import sympy
import torch
from torch import Tensor

from symflow import expressions, series
from symflow.coordinates import Coordinates
from symflow.series import Series

from .data import Jets
from .equation import Equation, t, u, x
from .prolongation import determining_coefficients, row_factors, solution_lines, term_scale

COLLINEAR = 1e-9  # a library function closer than this to the span of simpler ones is dropped


@dataclass(frozen=True)
class Library:
    """Functions of (x, t, u), from simple to complex; every component of a field is a combination of them."""

    functions: tuple[sympy.Expr, ...]

    def on_series(self, points: Series) -> Tensor:
        """Values on truncated polynomials of physical points, ``[C, N, 3]`` to ``[C, N, functions]``."""
        values = dict(zip((x, t, u), _columns(points), strict=True))
        zero = Series(points.truncation, torch.zeros_like(points.coefficients[..., 0]))
        return torch.stack(
            [(zero + expressions.evaluate(f, values, series.FUNCTIONS)).coefficients for f in self.functions], -1
        )

    def __call__(self, points: Tensor) -> Tensor:
        """Values on physical points, ``[N, 3]`` to ``[N, functions]``."""
        return self.on_series(Series(series.line(0), points[None]))[0]


def _columns(points: Series) -> list[Series]:
    return [Series(points.truncation, column) for column in points.coefficients.unbind(-1)]


def time_functions(equation: Equation) -> list[sympy.Expr]:
    """Functions of t that the equation itself suggests, beginning with 1.

    ``exp(a t)`` in the equation suggests ``exp(a t), exp(-a t)``; a power of ``t + c`` suggests its square root and
    the reciprocal of that, the functions by which such factors are transformed away.
    """
    found = {sympy.Integer(1)}
    for atom in sympy.preorder_traversal(equation.K):
        if isinstance(atom, sympy.exp) and atom.free_symbols == {t}:
            found |= {atom, 1 / atom}
        elif isinstance(atom, sympy.Pow) and atom.base.free_symbols == {t} and not atom.exp.free_symbols:
            base = atom.base / sympy.LC(atom.base, t) if atom.base.is_polynomial(t) else atom.base
            found |= {sympy.sqrt(base), 1 / sympy.sqrt(base)}
    return sorted(found, key=lambda f: (f != 1, str(f)))


def polynomial_library(equation: Equation, degree: int, periodic: bool) -> Library:
    """Monomials in x, t, u up to a degree, times the equation's own functions of t.

    Args:
        equation: its functions of t are added.
        degree: the highest total degree of the monomials.
        periodic: leave out x, because a periodic polynomial in x is a constant.
    """
    exponents = sorted(product(range(degree + 1), repeat=3), key=lambda e: (sum(e), e[2], e[1]))
    monomials = [x**i * t**j * u**k for i, j, k in exponents if i + j + k <= degree and not (periodic and i)]
    return Library(tuple(m * f for f in time_functions(equation) for m in monomials))


@dataclass(frozen=True)
class NullSpace:
    """The singular value decomposition of the determining condition over a library.

    ``values`` are ``|R c| / |B c|`` ascending: R the relative violation, B the field's RMS in normalised units.
    ``vectors [3, functions, values]`` are the library coefficients, physical, of each right singular vector.
    """

    library: Library
    values: Tensor
    vectors: Tensor

    def fields(self, points: Tensor, count: int, coordinates: Coordinates) -> Tensor:
        """Normalised values ``[N, count, 3]`` of the first fields at normalised points ``[N, 3]``."""
        functions = self.library(coordinates.to_physical(points))
        physical = torch.einsum("nf,cfk->nkc", functions, self.vectors[..., :count])
        return coordinates.vectors_to_normalised(physical)


def null_space(equation: Equation, jets: Jets, library: Library, coordinates: Coordinates) -> NullSpace:
    """Singular values and vectors of the determining condition over a library.

    Minimises ``|R c| / |B c|`` over the coefficients c by QR of B and SVD of ``R B^-1``: no normal equations, so
    singular values down to the rounding unit are seen. Functions collinear with simpler ones on the data are dropped.
    """
    lines = solution_lines(equation, jets)
    functions = library.on_series(lines)  # [C, N, f]
    size = functions[0].square().mean(0).sqrt()
    keep = _independent(functions[0] / size)
    functions, size = functions[..., keep] / size[keep], size[keep]
    derivatives = functions * functions.new_tensor(row_factors(lines.truncation))[:, None, None]
    C = determining_coefficients(equation, jets) / term_scale(equation, jets, coordinates.scale)
    count, n = functions.shape[-1], functions.shape[1]
    triangle = torch.linalg.qr(functions[0] / n**0.5, mode="r")[1]
    scale = functions.new_tensor(coordinates.scale)
    R = torch.einsum("crn,rnf->ncf", C * scale[:, None, None], derivatives) / n**0.5  # unit normalised components
    R = torch.linalg.solve_triangular(triangle, R, upper=True, left=False)
    _, values, right = torch.linalg.svd(torch.linalg.qr(R.flatten(1), mode="r")[1])
    vectors = torch.linalg.solve_triangular(triangle, right.T.view(3, count, -1), upper=True)
    full = functions.new_zeros(3, len(library.functions), vectors.shape[-1])
    full[:, keep] = vectors * scale[:, None, None] / size[:, None]
    return NullSpace(library, values.flip(0), full.flip(-1))


def _independent(columns: Tensor) -> list[int]:
    """Which columns are not combinations of earlier ones (Gram-Schmidt, twice)."""
    basis = columns.new_zeros(columns.shape[0], 0)
    keep = []
    for i, column in enumerate(columns.unbind(1)):
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)
        if rest.norm() > COLLINEAR * column.norm():
            basis = torch.cat([basis, (rest / rest.norm())[:, None]], 1)
            keep.append(i)
    return keep


def gap_rank(values: Tensor, ceiling: float) -> int:
    """The rank of a null space from the largest ratio of consecutive values, the one below being under `ceiling`.

    0 when no value is under the ceiling.
    """
    values = values.double().clamp_min(torch.finfo(torch.float64).eps * 1e-2)
    below = int((values < ceiling).sum())
    if below == 0:
        return 0
    ratios = values[1 : below + 1] / values[: len(values[1 : below + 1])]
    return int(ratios.argmax()) + 1 if len(ratios) else below

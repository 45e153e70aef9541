"""The defect as a quadratic form over a library of fields, modulo fields that are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy
import torch
from torch import Tensor

from symflow.algebra import ClosedForm
from symflow.runs import one_thread

from ..symmetries import polynomial_library
from .measure import Measure

DEGREE = 2
INSIDE = 1e-9  # of the size of a field: it is in the library, and not only nearly
SAME = 1e-5  # of the size of a field: what is left of it beside the known ones is rounding


@dataclass(frozen=True)
class Forms:
    """Violation and size of fields ``V = sum_j a_j W_j``, W_j one function in one component, of size 1 each.

    With K the fields that are known,

        |R a|^2 = mean_s (RMS_s pr V(F) / T_s)^2,    |B a|^2 = min_b |V + K b|^2,

    so ``|R a|/|B a|`` is the defect of the part of V that is new: a large field that is kept, added to V, would only
    dilute it. Both are triangles by QR, of the values at points beside those of K; their squares are formed for a few
    columns at a time alone.

    Attributes:
        measure: the points.
        columns: component and function of the W_j, simple ones first.
        unit: ``[J]``, the size of the functions: W_j is divided by it.
        violation: ``[n, J]``, R.
        whole: ``[m, J]``, B without K.
        known: ``[m, k]``, K in the same basis.
    """

    measure: Measure
    columns: tuple[tuple[str, sympy.Expr], ...]
    unit: Tensor
    violation: Tensor
    whole: Tensor
    known: Tensor

    @staticmethod
    @one_thread()
    def of(measure: Measure, known: Sequence[ClosedForm], degree: int = DEGREE) -> Forms:
        """Over polynomials of a degree in all coordinates."""
        library = polynomial_library(measure.equation, degree, special=())
        functions = library.on_series(measure.lines)  # [C, N, f]
        n, d = functions.shape[1], len(measure.scale)
        scale = functions.new_tensor(measure.scale)
        R = torch.einsum("crn,rnf->nfc", measure.coefficients / (measure.terms * n**0.5), functions)
        B = functions.new_zeros(n, d, len(library), d)
        for c in range(d):
            B[:, c, :, c] = functions[0] / (scale[c] * n**0.5)
        unit = B.square().sum((0, 1)).sqrt()  # [f, d]
        parts = [(B / unit).reshape(n * d, -1)]
        if known:
            K = (measure.values(known)[1] / (scale * n**0.5)).transpose(1, 2).reshape(n * d, -1)
            parts.append(K / K.norm(dim=0))
        triangle = torch.linalg.qr(torch.cat(parts, 1), mode="r")[1]
        violation = torch.linalg.qr((R / unit).reshape(n, -1), mode="r")[1]
        names = ["d" + name for name in measure.equation.space.names]
        columns = tuple((name, f) for f in library.functions for name in names)
        J = len(columns)
        return Forms(measure, columns, unit.reshape(-1), violation, triangle[:, :J], triangle[:, J:])

    def beside(self, known: Sequence[Tensor]) -> Forms:
        """With further known fields, by their coefficients ``[J]``."""
        return replace(self, known=torch.cat([self.known, *(self.whole @ a[:, None] for a in known)], 1))

    @property
    def without(self) -> Forms:
        """With those known fields alone that are in the library."""
        Q = self._basis(self.whole)
        inside = (self.known - Q @ (Q.T @ self.known)).norm(dim=0) <= INSIDE
        return replace(self, known=self.known[:, inside])

    @property
    def alone(self) -> Forms:
        """Without known fields."""
        return replace(self, known=self.known[:, :0])

    def nearest(self, a: Tensor) -> tuple[int | None, float | None]:
        """Which of the known fields, as given, is at the smallest angle to a field; and its angle to their span."""
        if not self.known.shape[1]:
            return None, None
        V = self.whole @ a
        along = (V @ self.known).abs() / self.known.norm(dim=0)
        return int(along.argmax()), math.asin(min(float((self.new @ a).norm() / V.norm()), 1.0))

    @staticmethod
    def _basis(fields: Tensor) -> Tensor:
        """An orthonormal basis of the span of columns."""
        U, values, _ = torch.linalg.svd(fields, full_matrices=False)
        return U[:, values > SAME * values.max()] if fields.shape[1] else fields

    @property
    def new(self) -> Tensor:
        """B: ``whole`` beside the known fields."""
        Q = self._basis(self.known)
        rest = self.whole - Q @ (Q.T @ self.whole)
        twice: Tensor = rest - Q @ (Q.T @ rest)
        return twice

    def spectrum(self) -> Tensor:
        """The defects of the fields beside the known ones, ascending: singular values of ``R B^+``."""
        _, size, V = torch.linalg.svd(self.new, full_matrices=False)
        kept = size > SAME * len(self.columns) ** 0.5
        values: Tensor = torch.linalg.svdvals(self.violation @ (V[kept].T / size[kept]))
        return values.flip(0)

    def defect(self, a: Tensor) -> float:
        """That of one field, by its coefficients ``[J]``, beside the known ones; infinite where nothing is new."""
        size = float((self.new @ a).norm())
        return float((self.violation @ a).norm()) / size if size > SAME * float(a.norm()) else float("inf")

    def form(self, a: Tensor) -> ClosedForm:
        """The field of physical coefficients ``[J]`` that are simple numbers."""
        found = {"d" + name: sympy.Integer(0) for name in self.measure.equation.space.names}
        for (component, f), c in zip(self.columns, a.tolist(), strict=True):
            if c:
                found[component] += sympy.nsimplify(c, rational=True) * f
        return found

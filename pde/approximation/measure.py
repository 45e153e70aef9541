"""Defects of fields in closed form, on the jets of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.algebra import ClosedForm
from symflow.errors import UserError
from symflow.fields import Coordinates, Series, SymbolicField
from symflow.runs import one_thread

from ..equations import Equation
from ..symmetries import (
    by_trajectory,
    complete_jets,
    defects,
    determining_coefficients,
    displacement,
    jet_order,
    row_factors,
    solution_lines,
)
from ..trajectories import Trajectories, data_coordinates
from .lattice import POINTS, Lattice, lattice


@dataclass(frozen=True)
class Measure:
    """The determining condition of an equation at points of data, whatever the field.

    Attributes:
        equation: whose condition it is.
        scale: the extent of x and t, and the spread of u (the length of the uniform distribution of its deviation).
        lattice: the points.
        squares: ``[N]``, the sum of the squares of the terms of F.
        coefficients: ``[d, C, N]``, of the derivatives of the components in ``R = pr V(F)``.
        lines: ``[C, N, d]``, the solutions through the points.
    """

    equation: Equation
    scale: tuple[float, ...]
    lattice: Lattice
    squares: Tensor
    coefficients: Tensor
    lines: Series

    @staticmethod
    @one_thread()
    def of(data: Trajectories, sigma: float = 0.0, points: int = POINTS) -> Measure:
        """On trajectories whose noise has the standard deviation sigma."""
        equation = data.equation
        at = lattice(data, jet_order(equation), sigma, points)
        sample = complete_jets(equation, at.jets)
        ((_, squares),) = equation.terms(sample.values)
        lines = solution_lines(equation, sample)
        factors = squares.new_tensor(row_factors(lines.truncation))
        A = determining_coefficients(equation, sample)[0] * factors[:, None]
        return Measure(equation, data_coordinates(data, periodic=False).scale, at, squares, A, lines)

    @property
    def terms(self) -> Tensor:
        """T of the trajectory of each point, ``[N]``."""
        return by_trajectory(self.squares, self.lattice.trajectory)[self.lattice.trajectory]

    @one_thread()
    def values(self, forms: Sequence[ClosedForm]) -> tuple[Tensor, Tensor]:
        """R ``[K, N]`` and the vectors ``[N, K, d]`` of fields, physical.

        Raises:
            UserError: a field is not finite on the data.
        """
        texts = [{key: str(f) for key, f in form.items()} for form in forms]
        field = SymbolicField(Coordinates(self.equation.space.names), texts)
        vectors = field.series(self.lines).coefficients  # [C, N, K, d]
        R = torch.einsum("crn,rnkc->kn", self.coefficients, vectors)
        if not bool(R.isfinite().all() and vectors[0].isfinite().all()):
            raise UserError(f"a field must be finite on the data, got one of {texts} that is not")
        return R, vectors[0]

    def defects(self, forms: Sequence[ClosedForm]) -> Tensor:
        """``d_s`` of each field on each trajectory, ``[K, S]``.

        Raises:
            UserError: a field is not finite, or zero, on the data.
        """
        R, vectors = self.values(forms)
        size = displacement(vectors, self.scale)
        if not bool((size > 0).all()):
            raise UserError("a field must not be zero on the data")
        return defects(R, self.squares, size[:, None], self.lattice.trajectory)


def middle(values: Tensor) -> Tensor:
    """The median over the last dimension, half-way between the middle two of an even number."""
    return values.quantile(0.5, dim=-1)

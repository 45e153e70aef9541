"""The local residual of infinitesimally moved data: linear in the field, so that its null space needs no slots.

The same patches, stencils and derivatives as `pde.scores.local`, to first order in the flow length: a residual depends
on the points of its own stencils, each of which a field moves by its value there.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.fields import Coordinates, NeuralField, Series, total_degree
from symflow.learning import Condition, with_constant
from symflow.runs import one_thread

from ..equations import Equation
from ..trajectories import Trajectories
from .local import CHUNK_POINTS, LocalResidual, cut, random_corners
from .stencils import margin

PART = 512  # patches at a time: bounds the memory


@dataclass(frozen=True)
class LocalForms:
    """``sum_n dR/dz_n . V(z_n)`` over the points of a stencil, R the residual relative to the size of its terms.

    The size is that of the data before they move, ``sqrt(sum of squared terms + 1e-3 median)``, as in `LocalScore`.

    Attributes:
        points: of the stencils, ``[P, n, 3]``, normalised; the residual belongs to the middle one.
        sensitivities: ``dR/dz``, of the same shape.
        floor: RMS of R for data that are not moved.
    """

    points: Tensor
    sensitivities: Tensor
    floor: float

    @staticmethod
    @one_thread()
    def of(equation: Equation, coordinates: Coordinates, data: Trajectories, count: int, seed: int) -> LocalForms:
        """Draws so many stencils anywhere in the data; the same seed gives the same ones.

        Raises:
            UserError: as `LocalResidual.of`.
        """
        residual = LocalResidual.of(equation, coordinates, data)
        shape = 3, 2 * margin(equation.order) + 1
        corners = random_corners(data, count, *shape, torch.Generator().manual_seed(seed))
        patches = cut(data, coordinates, corners, *shape)
        values, slopes = [], []
        for part in patches.split(CHUNK_POINTS // (shape[0] * shape[1])):
            part = part.detach().requires_grad_()
            found, squares = residual(part)
            relative = found / (squares.detach() + residual.softening).sqrt()
            slopes.append(torch.autograd.grad(relative.sum(), part)[0])
            values.append(relative.detach())
        floor = float(torch.cat(values).square().mean().sqrt())
        return LocalForms(patches.flatten(1, 2), torch.cat(slopes).flatten(1, 2), floor)

    @torch.no_grad()
    def condition(self, field: NeuralField, which: Tensor) -> Condition:
        """The condition on fields over the features of a network of one head, on some of the stencils."""
        middle = self.points.shape[1] // 2
        rows, sizes = [], []
        for part in which.split(PART):
            lines = Series(total_degree(0, 1), self.points[part][None])
            features = with_constant(field.features(lines).coefficients[0, ..., 0, :])
            rows.append(torch.einsum("pnc,pnf->pcf", self.sensitivities[part], features))
            sizes.append(features[:, middle])
        return Condition(torch.cat(rows), torch.cat(sizes))

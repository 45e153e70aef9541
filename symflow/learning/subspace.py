"""The span of the fields that leave data valid, as the bottom of a generalised eigenproblem.

Every component of a field is a combination ``b_c = sum_f a_cf h_f`` of the features ``h`` of a network, its last hidden
layer and the constant 1. When the violation of a field is quadratic, ``a^T G a``, and its size is ``a^T (1 x M) a``
with ``M = E[h h^T]``, the fields of smallest relative violation are the lowest eigenvectors of the pencil
``(G, 1 x M)``. The last layer is thereby solved exactly at every step; the fields come out orthonormal and sorted, no
symmetry can fill two places, and the gap in the eigenvalues says how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.fields import Coordinates, NeuralField
from symflow.learning.loop import cosine

# Added to both forms, relative to the mean square of a feature. A combination of features that hardly differs from
# zero on the data then has the eigenvalue 1 instead of 0/0, and large coefficients that cancel cost something.
RIDGE = 1e-12
# Below this, the logarithm of an eigenvalue no longer rewards: the ridge leaves true symmetries there.
OFFSET = 1e-13
RESOLUTION = 1e-5  # relative violations below this are not told apart: they differ by how long was learned

SampledForms = Callable[[NeuralField, int], tuple[Tensor, Tensor]]
"""``(field, step) -> G [d, m, d, m], M [m, m]`` on the sample of a step; step -1 is the sample for the final solve."""


def with_constant(features: Tensor, value: float = 1.0) -> Tensor:
    """The features ``[..., F]`` and the constant behind them, ``[..., F + 1]``."""
    return torch.cat([features, torch.full_like(features[..., :1], value)], -1)


@dataclass(frozen=True)
class Pencil:
    """``(G + eps, M + eps)`` with M whitened away: ``matrix`` is symmetric, ``whitener`` takes its vectors back."""

    matrix: Tensor  # [d m, d m]
    whitener: Tensor  # [m, m], lower triangular


def pencil(violation: Tensor, gram: Tensor) -> Pencil:
    """The generalised eigenproblem as an ordinary one, by Cholesky's factor of the Gram matrix.

    Args:
        violation: G ``[d, m, d, m]``, symmetric, positive semidefinite, float64.
        gram: M ``[m, m]``, float64.
    """
    d, m = violation.shape[:2]
    identity = torch.eye(m, dtype=gram.dtype)
    ridge = RIDGE * gram.diagonal().mean()
    factor = torch.linalg.cholesky(gram + ridge * identity)
    whitener = torch.linalg.solve_triangular(factor, identity, upper=False)
    ridged = violation.reshape(d * m, d * m) + ridge * torch.eye(d * m, dtype=gram.dtype)
    matrix = torch.einsum("im,amcn,jn->aicj", whitener, ridged.view(d, m, d, m), whitener)
    return Pencil(matrix.reshape(d * m, d * m), whitener)


@dataclass(frozen=True)
class Subspace:
    """The objective ``sum_{i <= K} log(lambda_i + offset)`` over the K smallest eigenvalues of the pencil.

    The sum of logarithms, not the trace: each symmetry counts by its own digits, however small the others are. K may
    exceed the number of symmetries, since eigenvalues that cannot fall stay above the gap.

    Args:
        forms: the violation and size of combinations of features on the sample of a step.
        generators: K.
        steps: of Adam.
        peak: the first learning rate; it falls along half a cosine.
    """

    forms: SampledForms
    generators: int
    steps: int
    peak: float = 5e-3

    def rate(self, step: int) -> float:
        """The learning rate at a step."""
        return cosine(self.peak, step, self.steps)

    def backward(self, field: NeuralField, step: int) -> dict[str, float]:
        """Adds the gradient of the loss and returns it with the relative violations of the K fields."""
        values = torch.linalg.eigvalsh(pencil(*self.forms(field, step)).matrix)[: self.generators].clamp_min(0.0)
        loss = torch.log(values + OFFSET).sum()
        loss.backward()
        return {"loss": loss.item()} | {f"violation{i + 1}": v for i, v in enumerate(values.sqrt().tolist())}


@dataclass(frozen=True)
class Eigenfields:
    """Fields sorted by relative violation: ``values [d m]`` and the coefficients ``[d, m, d m]`` of their features."""

    values: Tensor
    coefficients: Tensor


def eigenfields(field: NeuralField, forms: SampledForms) -> Eigenfields:
    """The eigenvectors on the sample for the final solve; fields have unit size there."""
    with torch.no_grad():
        violation, gram = forms(field, -1)
        p = pencil(violation, gram)
        values, vectors = torch.linalg.eigh(p.matrix)
        d, m = violation.shape[:2]
        coefficients = torch.einsum("cik,im->cmk", vectors.view(d, m, -1), p.whitener)
        return Eigenfields(values.clamp_min(0.0).sqrt(), coefficients)


def span_field(field: NeuralField, span: Eigenfields, count: int) -> NeuralField:
    """The first `count` fields of a span as a `NeuralField` of their own.

    Every head is a copy of the features with one field's coefficients as its last layer.
    """
    coordinates: Coordinates = field.coordinates
    head_width, width = field.head_bias.shape[1], field.trunk0_bias.shape[0]
    result = NeuralField(coordinates, count, width=width, head_width=head_width).to(field.out_bias.dtype)
    chosen = span.coefficients[..., :count].permute(2, 0, 1)  # [K, d, m]
    with torch.no_grad():
        for name in ("trunk0_weight", "trunk0_bias", "trunk1_weight", "trunk1_bias", "head_weight", "head_bias"):
            parameter = getattr(result, name)
            parameter.copy_(getattr(field, name).expand_as(parameter))
        result.out_weight.copy_(chosen[..., :-1])
        result.out_bias.copy_(chosen[..., -1])
    return result

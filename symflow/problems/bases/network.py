"""The class of fields that a network learns: no library, the span of its features of smallest relative violation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symflow.discovery import Tell
from symflow.fields import Coordinates, NeuralField, Series, total_degree
from symflow.learning import Subspace, eigenfields, learn, span_field, with_constant
from symflow.runs import Run

from ..problem import stream
from ..residuals.linearise import Sensitivities

WIDTH, FEATURES = 64, 48
BATCH = 4_096  # points of a step


@dataclass(frozen=True)
class SensitivityForms:
    """The violation and the size of combinations of features, from points and sensitivities in normalised units.

    Batches of data depend on ``(seed, step)`` alone; the final solve takes all.
    """

    points: Tensor  # [B, n, d]
    gradients: Tensor  # [P, B, n, d]
    seed: int

    def __call__(self, field: NeuralField, step: int) -> tuple[Tensor, Tensor]:
        """``G [d, m, d, m]`` and ``M [m, m]``, float64."""
        which = self.sample(step)
        points = self.points[which]
        series = Series(total_degree(0, 1), points.flatten(0, 1)[None])
        h = with_constant(field.features(series).coefficients[0, :, 0])  # [N, m]
        rows = torch.einsum("pbnd,bnm->pbdm", self.gradients[:, which], h.unflatten(0, points.shape[:2]))
        rows = rows.flatten(2).flatten(0, 1)
        d, m = points.shape[-1], h.shape[-1]
        return (rows.T @ rows / len(rows)).view(d, m, d, m), h.T @ h / len(h)

    def sample(self, step: int) -> Tensor:
        """Indices of the data of a step."""
        count, n = self.points.shape[:2]
        size = max(1, BATCH // n)
        if step < 0 or count <= size:
            return torch.arange(count)
        return torch.randint(count, (size,), generator=stream(f"batch {step}", self.seed))


def network_coordinates(coordinates: Coordinates, points: Tensor) -> Coordinates:
    """The same axes with the offset and scale of the data ``[N, d]``, in which a network is at home."""
    spread = points.std(0, correction=0)
    spread = torch.where(spread > 0, spread, spread.max())
    return Coordinates(coordinates.names, coordinates.periods, points.mean(0).tolist(), spread.tolist())


def learned_fields(
    sensitivities: Sensitivities,
    coordinates: Coordinates,
    unit: float,
    generators: int,
    steps: int,
    seed: int,
    run: Run | None,
    tell: Tell,
) -> NeuralField:
    """K fields of a network with the smallest violations, orthonormal on the points; float64.

    Args:
        sensitivities: of the data that fields are learned on.
        coordinates: `network_coordinates`.
        unit: of violations.
        generators: K.
        steps: of learning.
        seed: of the network and of batches.
        run: for metrics and checkpoints.
        tell: called with the fraction that is done.
    """
    scale = torch.tensor(coordinates.scale, dtype=torch.float64)
    forms = SensitivityForms(
        coordinates.to_normalised(sensitivities.points), sensitivities.gradients * scale / unit, seed
    )
    field = NeuralField(coordinates, 1, width=WIDTH, head_width=FEATURES, seed=seed).double()
    objective = Subspace(forms, generators, steps)
    learn(
        field,
        objective,
        stage="network",
        run=run,
        progress=lambda step, record: tell(step / steps, record),
    )
    return span_field(field, eigenfields(field, forms), generators)


def combined(field: NeuralField, combinations: Tensor) -> NeuralField:
    """Combinations ``[K, L]`` of the fields of `learned_fields` as a network of L fields, for the compiled flow."""
    width, head_width = field.trunk0_bias.shape[0], field.head_bias.shape[1]
    result = NeuralField(field.coordinates, combinations.shape[1], width=width, head_width=head_width)
    result = result.to(field.out_bias.dtype)
    mix = combinations.to(field.out_bias)
    with torch.no_grad():
        for name in ("trunk0_weight", "trunk0_bias", "trunk1_weight", "trunk1_bias"):
            getattr(result, name).copy_(getattr(field, name))
        for name in ("head_weight", "head_bias"):  # all heads of a span are copies of one
            getattr(result, name).copy_(getattr(field, name)[:1].expand_as(getattr(result, name)))
        result.out_weight.copy_(torch.einsum("kdh,kl->ldh", field.out_weight, mix))
        result.out_bias.copy_(torch.einsum("kd,kl->ld", field.out_bias, mix))
    return result.requires_grad_(False)

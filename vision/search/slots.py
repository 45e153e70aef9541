"""The paper's own route to the generators of images: slots of a field, scored by finite flows.

Kept as a faithful baseline. Without features it is the first control: what the losses alone, and the shape of the
network, make of the slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from symflow.errors import check_positive
from symflow.fields import NeuralField
from symflow.learning import lipschitz, orthonormality

from ..features import Features
from .plane import PLANE, pixel_centres
from .scores import FeatureAngle, FeatureDerivative


def slot_field(generators: int = 10, seed: int = 0, width: int = 256) -> NeuralField:
    """The paper's network on the pixel plane: two shared layers of 256, a layer of 32 per generator."""
    return NeuralField(PLANE, generators, width=width, head_width=32, seed=seed)


@dataclass(frozen=True)
class Slots:
    """The paper's training step on images (section 4 and appendix C.1), at its settings by default.

    ``sum_k score_k + 10 orthonormality + 10 Lipschitz``. A step takes a batch of images and one flow length
    ``s ~ U(-sigma, sigma)``. The Lipschitz loss is the sum over neighbouring pixels of ``max(|V_i - V_j| - tau, 0)``,
    as in the official code: differences are not divided by the spacing.

    One difference from the official code: generators have unit norm under omega on the pixel grid, once, and keep that
    factor while their points move; the code divides by the norm over the moved points at every stage, and then a
    point's flow depends on the others.

    Args:
        images: normalised, ``[N, C, H, W]``.
        features: to unit vectors (`features.Normalised`); ``None`` leaves the score out.
        measure: omega, ``[H W]``, with sum 1 (`weight.omega`).
        steps: of Adam; the paper: 50 epochs of 390.
        batch: images per step.
        variant: "angle", the score of the paper, or "derivative", that of its official code (`FeatureDerivative`).
        sigma: the longest flow of the angle.
        flow_steps: of RK4 along it; shorter flows take fewer.
        peak: the learning rate.
        seed: of all draws; those of a step depend on ``(seed, step)`` alone.

    Raises:
        ValueError: a size is below 1.
    """

    images: Tensor
    features: Features | None
    measure: Tensor
    steps: int = 19_500
    batch: int = 128
    variant: Literal["angle", "derivative"] = "angle"
    sigma: float = 0.4
    flow_steps: int = 20
    tau: float = 0.5
    peak: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(steps=self.steps, batch=self.batch, flow_steps=self.flow_steps)

    @cached_property
    def points(self) -> Tensor:
        """The pixel centres, ``[H, W, 2]``."""
        return pixel_centres(*self.images.shape[2:]).to(self.images)

    def rate(self, step: int) -> float:
        """The learning rate at a step."""
        return self.peak

    def draw(self, step: int) -> tuple[Tensor, float]:
        """The images of a step and its flow length."""
        images, random = self._drawn(step)
        return images, self.sigma * (2 * float(torch.rand((), generator=random)) - 1)

    def _drawn(self, step: int) -> tuple[Tensor, torch.Generator]:
        """The images of a step, and the generator of what else it draws."""
        random = torch.Generator().manual_seed((self.seed + 1) * 1_000_003 + step)
        chosen = torch.randint(len(self.images), (self.batch,), generator=random)
        return self.images[chosen.to(self.images.device)], random

    def score(self, field: NeuralField, unit: Tensor, step: int) -> Tensor:
        """The score of each slot at a step, ``[K]``.

        Args:
            field: of any size.
            unit: what each slot is multiplied by to have unit norm, ``[K]``.
            step: whose images and flow lengths are drawn.
        """
        if self.features is None:
            raise ValueError("`features` must be given to score with, got none")
        if self.variant == "derivative":
            images, random = self._drawn(step)
            lengths = torch.randn(field.generators, generator=random).to(unit)
            return FeatureDerivative(self.features)(field, images, lengths * unit) + 2 * unit.log()
        images, length = self.draw(step)
        steps = max(1, math.ceil(abs(length) / self.sigma * self.flow_steps))
        return FeatureAngle(self.features, length, steps)(field, images, unit)

    def backward(self, field: NeuralField, step: int) -> dict[str, float]:
        """Adds the gradient of the loss; returns it with the score of each slot and the other losses."""
        height, width = self.points.shape[:2]
        values = field(self.points.flatten(0, 1))
        measure = self.measure.to(values)
        unit = torch.einsum("nkd,nkd,n->k", values, values, measure).rsqrt()
        values = values * unit[:, None]
        grid = values.unflatten(0, (height, width))
        along = (((height - 1) * width, grid.transpose(0, 1)), (height * (width - 1), grid))
        excess = [pairs * lipschitz(rows, (1.0,), (None,), self.tau) for pairs, rows in along]
        losses = {"orthonormality": orthonormality(values, measure), "lipschitz": excess[0] + excess[1]}
        loss = 10 * losses["orthonormality"] + 10 * losses["lipschitz"]
        scores: list[float] = []
        if self.features is not None:
            score = self.score(field, unit, step)
            loss = loss + score.sum()
            scores = score.tolist()
        loss.backward()
        record = {"loss": loss.item()} | {name: value.item() for name, value in losses.items()}
        return record | {f"score{k + 1}": score for k, score in enumerate(scores)}

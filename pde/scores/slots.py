"""The paper's own route: slots of a field learned side by side from values of the data alone.

Slot k moves patches of the data along ``V_k`` and is scored by the residual of the moved points under local
interpolation; a stop-gradient orthonormality pushes later slots away from earlier ones.

**Two traps, and the way around them.** A residual that counts down to a threshold ``c``, in units of the size of the
equation's terms, makes a well of every symmetry, of depth ``log(1/c)`` and with walls of slope ``1/c`` per radian. The
orthonormality of weight w has a depth of ``w pi/2`` for two equal slots, and a slope of w. Where the well is steeper,
slots that have fallen into the span of the same symmetries do not part: two symmetries are held by three slots, the sum
of the third one's angles to the others does not change within their plane, and a third symmetry is never found. So the
threshold begins at 0.3, where slots choose different symmetries, and falls from there (graduated non-convexity: Blake
and Zisserman, *Visual Reconstruction*, 1987). Where the well is deeper, two slots in one symmetry are even the least of
the loss: 0.002 asks for a weight above 4. The paper has the weight 3, and its absolute threshold of 1e-4 is 0.0015 of
the terms on KdV, 0.00008 on KS, 0.009 on Burgers. The study ``ks-route`` takes these settings back one by one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from symflow.errors import check_positive
from symflow.fields import Coordinates, NeuralField
from symflow.learning import Optimizer, Soap, lipschitz, orthonormality, sobolev
from symflow.ops import flow
from symflow.runs import one_thread

from ..equations import Equation
from ..trajectories import Trajectories
from .jets import unit_weights
from .local import THRESHOLD, LocalResidual, cut, random_corners
from .stencils import margin

LINE = 32  # points in x on which the Sobolev loss is taken
SAMPLE = 4096  # points of the fixed measure under which generators have unit norm and are orthogonal


@dataclass(frozen=True)
class Slots:
    """The paper's training step on PDE data (section 4 and appendix C.2), at its settings by default.

    ``sum_k mean log max(|residual|, threshold) + weight orthonormality + Lipschitz + Sobolev``, the last in the last
    fifth of the steps only. A step takes one random patch of each of `batch` trajectories, wrapping in x, draws
    ``alpha ~ U(0, sigma)`` and a sign for every patch and generator, and scores the patches at `lengths` equally spaced
    flow lengths up to alpha, which are successive flows of one another.

    Three differences from the official code: generators have unit norm and are orthogonal under a fixed sample of the
    data, not under the points in the call; the threshold is relative to the size of the terms (`pde.scores.local`);
    and lengths are drawn for every patch, not once per step, which leaves the expected loss as it is and takes noise
    from its gradient.

    Args:
        equation: that the data solve.
        coordinates: the axes x, t, u.
        data: the trajectories, on the paper's 256 points in x (`Trajectories.coarsen`).
        steps: the paper: 12,800.
        batch: patches per step, of different trajectories while there are enough.
        patch: points of a patch in t and in x.
        lengths: flow lengths that are scored.
        flow_steps: of the Runge-Kutta method between two of them: at most ``sigma/8`` each; the paper's ``sigma/10``.
        sigma: the longest flow, in units where a generator has RMS norm 1 on the data.
        tau: the slope that costs nothing, of generators of norm 1.
        thresholds: of the score, in units of the size of the equation's terms: at the first step, and from half of the
            steps on, geometric between them (see the module).
        weight: of the orthonormality.
        peak: the learning rate, a tenth of it after half the steps.
        seed: of all draws; those of a step depend on ``(seed, step)`` alone.

    Raises:
        ValueError: a patch is larger than the data or smaller than the stencils.
    """

    equation: Equation
    coordinates: Coordinates
    data: Trajectories
    steps: int = 12_800
    batch: int = 4
    patch: tuple[int, int] = (64, 64)
    lengths: int = 4
    flow_steps: int = 2
    sigma: float = 0.4
    tau: float = 3.0
    thresholds: tuple[float, float] = (THRESHOLD, THRESHOLD)
    weight: float = 3.0
    peak: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        least = 3, 2 * margin(self.equation.order) + 1
        for points, low, high, axis in zip(self.patch, least, self.data.u.shape[1:], "tx", strict=True):
            if not low <= points <= high:
                raise ValueError(f"`patch` must be from {low} points in {axis} to the {high} of the data, got {points}")
        check_positive(steps=self.steps, batch=self.batch, lengths=self.lengths, flow_steps=self.flow_steps)

    @cached_property
    def residual(self) -> LocalResidual:
        """What scores moved patches."""
        return LocalResidual.of(self.equation, self.coordinates, self.data)

    @cached_property
    def sample(self) -> Tensor:
        """The fixed measure: random points of the data, ``[4096, 3]``, normalised, float64."""
        generator = torch.Generator().manual_seed(self.seed)
        corners = random_corners(self.data, SAMPLE, 1, 1, generator)
        return cut(self.data, self.coordinates, corners, 1, 1).flatten(0, 2)

    @cached_property
    def lines(self) -> Tensor:
        """Lines in x through points of the sample, over one period: ``[64, 32, 3]``."""
        through = self.sample[: SAMPLE // 64]
        lines = through[:, None, :].repeat(1, LINE, 1)
        lines[..., 0] = torch.arange(LINE, dtype=lines.dtype) * self.line_spacing
        return lines

    @property
    def line_spacing(self) -> float:
        """Of the points on `lines`, normalised."""
        return self.data.length / self.coordinates.scale[0] / LINE

    def rate(self, step: int) -> float:
        """The learning rate at a step."""
        return self.peak if step < self.steps / 2 else self.peak / 10

    def threshold(self, step: int) -> float:
        """Of the score at a step."""
        first, last = self.thresholds
        return first * math.pow(last / first, min(1.0, 2 * step / self.steps))

    def draw(self, step: int, generators: int) -> tuple[Tensor, Tensor]:
        """The patches ``[batch, *patch, 3]`` of a step, and how far each flows in a slot, ``[generators, batch]``."""
        random = torch.Generator().manual_seed((self.seed + 1) * 1_000_003 + step)
        corners = random_corners(self.data, self.batch, *self.patch, random)
        alpha = self.sigma * (2.0 * torch.rand(generators, self.batch, generator=random) - 1.0)
        return cut(self.data, self.coordinates, corners, *self.patch), alpha

    def backward(self, field: NeuralField, step: int) -> dict[str, float]:
        """Adds the gradient of the loss; returns it with the score of each slot and the other losses."""
        patches, alpha = (drawn.to(field.out_bias) for drawn in self.draw(step, field.generators))
        sample = self.sample.to(patches)

        def values(points: Tensor) -> Tensor:
            vectors: Tensor = field(points)
            return vectors * unit[:, None]

        h, dt = self.residual.grid.spacing
        columns = len(self.data.x)
        with one_thread():
            unit = unit_weights(field, sample)
            losses = {
                "orthonormality": orthonormality(values(sample)),
                "lipschitz": lipschitz(values(patches), (dt, h), (None, columns), self.tau),
                "sobolev": sobolev(values(self.lines.to(patches)), -3, self.line_spacing, LINE),
            }
        # The scores take most of the time, and nothing in them depends on the number of threads: kernels, and means of
        # each patch. What does is kept out of their backward pass, the size of the generators through a leaf.
        leaf = unit.detach().requires_grad_()
        scores = self._scores(field, patches, alpha * leaf[:, None], self.threshold(step))
        total = scores.sum()
        total.backward()
        with one_thread():
            rest = self.weight * losses["orthonormality"] + losses["lipschitz"]
            if step >= 0.8 * self.steps:
                rest = rest + losses["sobolev"]
            loss = total.detach() + rest
            torch.autograd.backward([rest, unit], [None, leaf.grad])
        record = {"loss": loss.item()} | {name: value.item() for name, value in losses.items()}
        return record | {f"score{k + 1}": score for k, score in enumerate(scores.tolist())}

    def _scores(self, field: NeuralField, patches: Tensor, alpha: Tensor, threshold: float) -> Tensor:
        """The mean of `LocalResidual.log_mean` over patches and lengths, ``[K]``.

        Patch b flows along slot k up to ``alpha[k, b] V_k``.
        """
        K, B = alpha.shape
        weights = torch.diag_embed(alpha.T / self.lengths).transpose(0, 1).flatten(0, 1)  # [K B, K]: a slot per row
        points = patches.flatten(1, 2).repeat(K, 1, 1)
        total = torch.zeros(K).to(points)
        for _ in range(self.lengths):
            points = flow(field, points, weights, steps=self.flow_steps)
            moved = points.view(K * B, *patches.shape[1:])
            total = total + self.residual.log_mean(moved, threshold).view(K, B).mean(1)
        return total / self.lengths


@dataclass(frozen=True)
class Recipe:
    """How slots are learned: the network, the method, and the settings of `Slots`.

    Attributes:
        width: units of the two shared layers.
        optimizer: the method.
        steps, batch, patch, lengths, flow_steps, sigma, tau, thresholds, weight, peak: of `Slots`.
    """

    width: int
    optimizer: Optimizer
    steps: int = Slots.steps
    batch: int = Slots.batch
    patch: tuple[int, int] = Slots.patch
    lengths: int = Slots.lengths
    flow_steps: int = Slots.flow_steps
    sigma: float = Slots.sigma
    tau: float = Slots.tau
    thresholds: tuple[float, float] = Slots.thresholds
    weight: float = Slots.weight
    peak: float = Slots.peak

    def field(self, coordinates: Coordinates, generators: int, seed: int) -> NeuralField:
        """The network before it learns."""
        return NeuralField(coordinates, generators, width=self.width, seed=seed)

    def objective(self, equation: Equation, coordinates: Coordinates, data: Trajectories, seed: int) -> Slots:
        """The training step; patches are cut down to what the data hold."""
        patch = min(self.patch[0], len(data.t)), min(self.patch[1], len(data.x))
        settings: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)[2:]} | {"patch": patch}
        return Slots(equation, coordinates, data, seed=seed, **settings)


PAPER = Recipe(256, torch.optim.Adam)
"""The paper's settings: a day of two cores."""

SMALL = Recipe(
    32,
    Soap,
    steps=1_500,
    batch=16,
    patch=(6, 12),
    lengths=1,
    flow_steps=2,
    thresholds=(0.3, 0.002),
    weight=6.0,
    peak=1e-2,
)
"""What one core does in a minute or two."""

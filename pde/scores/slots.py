"""The paper's own route: slots of a field learned side by side from values of the data alone.

Kept as a faithful baseline. Slot k moves patches of the data along ``V_k`` and is scored by the residual of the moved
points under local interpolation; a stop-gradient orthonormality pushes later slots away from earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from symflow.errors import check_positive
from symflow.fields import Coordinates, NeuralField
from symflow.learning import lipschitz, orthonormality, sobolev
from symflow.ops import flow
from symflow.runs import one_thread

from ..equations import Equation
from ..trajectories import Trajectories
from .jets import unit_weights
from .local import LocalResidual, cut, random_corners
from .stencils import margin

LINE = 32  # points in x on which the Sobolev loss is taken
SAMPLE = 4096  # points of the fixed measure under which generators have unit norm and are orthogonal


@dataclass(frozen=True)
class Slots:
    """The paper's training step on PDE data (section 4 and appendix C.2), at its settings by default.

    ``sum_k mean log max(|residual|, threshold) + 3 orthonormality + Lipschitz + Sobolev``, the last in the last fifth
    of the steps only. A step takes one random patch of each of `batch` trajectories, wrapping in x, draws
    ``alpha ~ U(0, sigma)`` and a sign per generator, and scores the patches at `lengths` equally spaced flow lengths
    up to alpha, which are successive flows of one another.

    Two differences from the official code: generators have unit norm and are orthogonal under a fixed sample of the
    data, not under the points in the call; and the threshold is relative to the data's own residual
    (`pde.scores.local`).

    Args:
        equation: that the data solve.
        coordinates: the axes x, t, u.
        data: the trajectories, on the paper's 256 points in x (`Trajectories.coarsen`).
        steps: of Adam; the paper: 12,800.
        batch: trajectories per step.
        patch: points of a patch in t and in x.
        lengths: flow lengths that are scored.
        sigma: the longest flow, in units where a generator has RMS norm 1 on the data; a step of the Runge-Kutta
            method is as near to ``sigma/10`` as an integer number of steps between two lengths allows.
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
    patch: int = 64
    lengths: int = 4
    sigma: float = 0.4
    peak: float = 1e-4
    seed: int = 0

    def __post_init__(self) -> None:
        least, most = 2 * margin(self.equation.order) + 1, min(len(self.data.t), len(self.data.x))
        if not least <= self.patch <= most:
            raise ValueError(f"`patch` must be from {least} points to the {most} of the data, got {self.patch}")
        check_positive(steps=self.steps, batch=self.batch, lengths=self.lengths)

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

    def draw(self, step: int, generators: int) -> tuple[Tensor, float, Tensor]:
        """The patches of a step ``[batch, patch, patch, 3]``, the longest flow and the sign of each generator."""
        random = torch.Generator().manual_seed((self.seed + 1) * 1_000_003 + step)
        corners = random_corners(self.data, self.batch, self.patch, self.patch, random)
        alpha = self.sigma * float(torch.rand((), generator=random))
        signs = 1.0 - 2.0 * torch.randint(2, (generators,), generator=random)
        return cut(self.data, self.coordinates, corners, self.patch, self.patch), alpha, signs

    def backward(self, field: NeuralField, step: int) -> dict[str, float]:
        """Adds the gradient of the loss; returns it with the score of each slot and the other losses."""
        dtype = field.out_bias.dtype
        patches, alpha, signs = self.draw(step, field.generators)
        patches = patches.to(dtype)
        sample = self.sample.to(dtype)

        def values(points: Tensor) -> Tensor:
            vectors: Tensor = field(points)
            return vectors * unit[:, None]

        h, dt = self.residual.grid.spacing
        columns = len(self.data.x)
        with one_thread():
            unit = unit_weights(field, sample)
            losses = {
                "orthonormality": orthonormality(values(sample)),
                "lipschitz": lipschitz(values(patches), (dt, h), (None, columns)),
                "sobolev": sobolev(values(self.lines.to(dtype)), -3, self.line_spacing, LINE),
            }
        # The scores take most of the time, and nothing in them depends on the number of threads: kernels, and means of
        # each patch. What does is kept out of their backward pass, the size of the generators through a leaf.
        leaf = unit.detach().requires_grad_()
        scores = self._scores(field, patches, alpha, signs.to(dtype) * leaf)
        total = scores.sum()
        total.backward()
        with one_thread():
            rest = 3 * losses["orthonormality"] + losses["lipschitz"]
            if step >= 0.8 * self.steps:
                rest = rest + losses["sobolev"]
            loss = total.detach() + rest
            torch.autograd.backward([rest, unit], [None, leaf.grad])
        record = {"loss": loss.item()} | {name: value.item() for name, value in losses.items()}
        return record | {f"score{k + 1}": score for k, score in enumerate(scores.tolist())}

    def _scores(self, field: NeuralField, patches: Tensor, alpha: float, per_unit: Tensor) -> Tensor:
        """The mean of `LocalResidual.log_mean` over patches and lengths, ``[K]``; slot k flows ``alpha per_unit_k``."""
        K, B = field.generators, len(patches)
        steps = max(1, round(alpha / self.lengths / (self.sigma / 10)))
        weights = torch.diag(per_unit * (alpha / self.lengths)).repeat_interleave(B, 0)  # [K B, K]: one slot per row
        points = patches.flatten(1, 2).repeat(K, 1, 1)
        total = torch.zeros(K, dtype=points.dtype)
        for _ in range(self.lengths):
            points = flow(field, points, weights, steps=steps)
            total = total + self.residual.log_mean(points.view(K * B, *patches.shape[1:])).view(K, B).mean(1)
        return total / self.lengths

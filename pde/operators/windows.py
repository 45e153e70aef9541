"""What operators are trained on: a task of rows, and windows of copies of trajectories, drawn alike for all arms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from symflow.errors import UserError

from ..augmentation import windows
from ..equations import Equation, variable


@dataclass(frozen=True)
class Task:
    """From consecutive rows of u to later ones: ``u[r], ..., u[r + inputs - 1]`` to ``u[r + o]`` for o in ``outputs``.

    Attributes:
        inputs: rows that the operator sees.
        outputs: offsets of the rows that it predicts from the first one that it sees.
        moving: whether r is any row, as for equations that do not depend on t, or the first one.

    >>> Task.of(Equation("u_t + u*u_x + u_xxx = 0")).outputs[0], Task.of(Equation("u_t = exp(-t)*u_xx")).outputs
    (20, (89,))
    """

    inputs: int
    outputs: tuple[int, ...]
    moving: bool

    @staticmethod
    def of(equation: Equation) -> Task:
        """The paper's task for an equation: the next 20 rows from 20; or, where time matters, the state 70 rows on."""
        autonomous = not any(F.has(variable("t")) for F in equation.residuals)
        return Task(20, tuple(range(20, 40)), True) if autonomous else Task(20, (89,), False)

    @property
    def length(self) -> int:
        """Rows from the first input to the last output, both included."""
        return max(self.outputs) + 1

    def rows(self) -> tuple[Tensor, Tensor]:
        """Offsets of the inputs and of the outputs."""
        return torch.arange(self.inputs), torch.tensor(self.outputs)

    def starts(self, valid: Tensor) -> Tensor:
        """Where a window of valid rows may begin, ``[..., T] -> [..., T]``, both boolean."""
        long_enough = self.length <= valid.shape[-1]
        allowed = windows(valid, self.length) if long_enough else torch.zeros_like(valid)
        if not self.moving:
            allowed[..., 1:] = False
        return allowed

    def tested(self, rows: int) -> range:
        """The starts at which an operator is tested: one window after the other."""
        return range(0, rows - self.length + 1, self.inputs) if self.moving else range(1)


@dataclass(frozen=True)
class Pool:
    """Trajectories from which windows are drawn: some copies of every source.

    Attributes:
        u: ``[S, C, T, ...]``, physical.
        starts: rows where a window may begin, ``[S, C, T]``, boolean; at least one of every copy.
    """

    u: Tensor
    starts: Tensor

    @staticmethod
    def of(u: Tensor, task: Task, every: int = 1) -> Pool:
        """Trajectories ``[S, T, ...]`` as they are; windows begin at multiples of `every` rows.

        Raises:
            UserError: they have fewer rows than the task needs.
        """
        S, T = u.shape[:2]
        if task.length > T:
            raise UserError(f"the task needs trajectories of at least {task.length} times, got {T}")
        starts = task.starts(torch.ones(S, T, dtype=torch.bool))
        starts &= torch.arange(T) % every == 0
        return Pool(u[:, None], starts[:, None])

    def to(self, device: torch.device) -> Pool:
        """The same on a device, in single precision."""
        return Pool(self.u.to(device, torch.float32), self.starts.to(device))

    def draw(self, sources: Tensor, task: Task, chance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One window of each of some sources: inputs, outputs, and the rows where they begin.

        Args:
            sources: ``[B]``.
            task: which rows.
            chance: ``[2, B]`` in [0, 1): the copy and the start are that share of all; so pools with different copies
                draw alike from the same numbers.
        """
        device = self.u.device
        sources, chance = sources.to(device), chance.to(device)
        copy = (chance[0] * self.u.shape[1]).long()
        allowed = self.starts[sources, copy]
        count = allowed.sum(-1)
        which = (chance[1] * count).long()
        start = (allowed.cumsum(-1) > which[:, None]).int().argmax(-1)
        inputs, outputs = (
            self.u[sources[:, None], copy[:, None], start[:, None] + rows.to(device)] for rows in task.rows()
        )
        return inputs, outputs, start


@dataclass(frozen=True)
class Penalty:
    """Equivariance as a loss: the operator's derivative along a symmetry must be the symmetry's action on its output.

    ``weight * |J_G(u) Q - Q'| / |Q'|`` with ``Q = phi - xi u_x - tau u_t`` the characteristic of a random element of
    the span on the input rows and ``Q'`` on the output rows.

    Attributes:
        tangents: characteristics of a basis on the trajectories, ``[S, K, T, X]``.
        weight: beside the error itself.
    """

    tangents: Tensor
    weight: float

    def to(self, device: torch.device) -> Penalty:
        """The same on a device, in single precision."""
        return Penalty(self.tangents.to(device, torch.float32), self.weight)

    def draw(self, sources: Tensor, starts: Tensor, task: Task, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Characteristics on the rows of windows, for one direction ``[K]`` of the span per window."""
        device = self.tangents.device
        sources = sources.to(device)[:, None]
        directions = directions.to(device)
        inputs, outputs = (
            torch.einsum(
                "bk,brkx->brx", directions, self.tangents.transpose(1, 2)[sources, starts[:, None] + rows.to(device)]
            )
            for rows in task.rows()
        )
        return inputs, outputs


def sources_of(step: int, batch: int, count: int, seed: int) -> Tensor:
    """Which trajectories a step sees: consecutive parts of one random permutation after another."""
    places = range(step * batch, (step + 1) * batch)
    return torch.tensor([_permutation(count, seed, p // count)[p % count] for p in places])


@lru_cache(maxsize=64)
def _permutation(count: int, seed: int, epoch: int) -> list[int]:
    return torch.randperm(count, generator=generator(seed, 2 * epoch)).tolist()


def generator(seed: int, number: int) -> torch.Generator:
    return torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)

"""Neural operators on trajectories: training and errors."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from symflow.errors import UserError
from symflow.learning import CHECKPOINT_SECONDS, Record, StepReport, digest, restore_training, save_training, schedule

from .windows import Penalty, Pool, Task, generator, sources_of

CHUNK = 100  # steps of one record, one seed of the draws, and at least one checkpoint


class Operator(nn.Module):
    """A Fourier neural operator (Li et al., 2021; that of the neuraloperator package) from rows of u to rows of u.

    ``scale * FNO(u / scale)``, without a positional channel: it commutes with translations along the axes.

    Args:
        task: decides the channels, with the fields.
        scale: of u, for example its standard deviation in the training data.
        axes: of space, all periodic.
        fields: in the last dimension of u; one has none.
        width: channels of the hidden layers.
        modes: Fourier modes that a layer keeps, the mean included.
        layers: how many.
        seed: of the initial parameters.

    Raises:
        UserError: neuraloperator is not installed.

    >>> task = Task(20, tuple(range(20, 40)), True)
    >>> Operator(task, scale=0.5, width=8, modes=6, layers=2)(torch.zeros(3, 20, 64)).shape
    torch.Size([3, 20, 64])
    """

    scale: Tensor

    def __init__(
        self,
        task: Task,
        scale: float,
        width: int = 32,
        modes: int = 24,
        layers: int = 4,
        seed: int = 0,
        axes: int = 1,
        fields: int = 1,
    ) -> None:
        super().__init__()
        self.fields = fields
        try:
            from neuralop.models import FNO
        except ImportError as error:
            raise UserError(
                f"neural operators need the package neuraloperator, got {error}; "
                "`pip install 'symflow-torch[operator]'` brings it"
            ) from None
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.network = FNO(
                n_modes=(2 * (modes - 1),) * axes,
                in_channels=task.inputs * fields,
                out_channels=len(task.outputs) * fields,
                hidden_channels=width,
                n_layers=layers,
                positional_embedding=None,
            )
        for convolution in self.network.fno_blocks.convs:  # Fourier transforms have no bfloat16
            convolution.forward = _in_single_precision(convolution.forward)
        self.register_buffer("scale", torch.tensor(float(scale)))

    def forward(self, u: Tensor) -> Tensor:
        """``[B, inputs, X...]`` to ``[B, outputs, X...]``, of several fields with a last dimension for them."""
        u = u / self.scale
        if self.fields > 1:  # every row of every field is a channel
            u = u.movedim(-1, 2).flatten(1, 2)
        found: Tensor = self.network(u)
        if self.fields > 1:
            found = found.unflatten(1, (-1, self.fields)).movedim(2, -1)
        return found * self.scale


def _in_single_precision(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def cast(u: Tensor, *arguments: Any, **options: Any) -> Tensor:
        with torch.autocast(u.device.type, enabled=False):
            return forward(u.float(), *arguments, **options)

    return cast


# ---------------------------------------------------------------- training


def relative_error(predicted: Tensor, target: Tensor) -> Tensor:
    """``|predicted - target| / |target|`` of every window ``[B, rows, ...]``, ``[B]``."""
    distance: Tensor = (predicted.float() - target).flatten(1).norm(dim=1)
    size: Tensor = target.flatten(1).norm(dim=1)
    return distance / size.clamp_min(1e-12)


def train(
    operator: nn.Module,
    pool: Pool,
    task: Task,
    *,
    steps: int,
    seed: int,
    batch: int = 16,
    rate: float = 3e-3,
    decay: float = 1e-4,
    penalty: Penalty | None = None,
    bfloat16: bool = False,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: StepReport | None = None,
) -> list[Record]:
    """Trains an operator in place, on the device its parameters are on, by AdamW on the relative error of windows.

    The learning rate rises linearly in the first fifth of the steps and falls linearly to 0 in the others. Which
    sources a step sees, which share of their copies and starts, depends on the seed alone: pools with the same sources
    are compared in pairs. With a ``checkpoint`` training continues where that file stopped and ends with the same bits.

    Under ``torchrun``, within `symflow.learning.distributed`, each batch is shared out among the workers and gradients
    are averaged; worker 0 writes the checkpoint, from which any number of workers may go on.

    Args:
        operator: ``[B, inputs, ...] -> [B, outputs, ...]``.
        pool: what windows are drawn from.
        task: which rows.
        steps: of the optimiser.
        seed: of the draws.
        batch: windows in a step, those of all workers together.
        rate: the highest learning rate.
        decay: of weights, times the rate, in every step.
        penalty: another loss, on the sources as they are: the pool must hold one copy.
        bfloat16: compute pointwise layers in bfloat16 (autocast), Fourier layers in single precision; for GPUs.
        checkpoint: path of the file to continue from.
        progress: called after every `CHUNK` steps.

    Returns:
        For every `CHUNK` steps ``"step"``, ``"loss"`` and ``"seconds"``.

    Raises:
        ValueError: a number is below 1, or a penalty comes with copies.
        UserError: the loss is not finite, a batch has no window for a worker, or the checkpoint belongs to another
            training.
    """
    if steps < 1 or batch < 1:
        raise ValueError(f"`steps` and `batch` must be at least 1, got {steps} and {batch}")
    if penalty is not None and pool.u.shape[1] != 1:
        raise ValueError(f"`pool` must hold one copy beside a penalty, got {pool.u.shape[1]}")
    device = next(operator.parameters()).device
    rank, workers = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    if batch < workers:
        raise UserError(f"`batch` must be at least the number of workers, {workers}, got {batch}")
    pool = pool.to(device)
    penalty = None if penalty is None else penalty.to(device)
    optimizer = torch.optim.AdamW(operator.parameters(), lr=rate, weight_decay=decay)
    asked = {
        "steps": steps,
        "seed": seed,
        "batch": batch,
        "rate": rate,
        "decay": decay,
        "bfloat16": bfloat16,
        "task": [task.inputs, *task.outputs, task.moving],
        "pool": digest(pool.u, pool.starts),
        "penalty": None if penalty is None else [digest(penalty.tangents), penalty.weight],
    }
    history: list[Record] = [] if checkpoint is None else restore_training(checkpoint, operator, optimizer, asked)
    saved = time.perf_counter()
    model: nn.Module = nn.parallel.DistributedDataParallel(operator) if workers > 1 else operator
    operator.train()
    for begin in range(CHUNK * len(history), steps, CHUNK):
        begun = time.perf_counter()
        chances = generator(seed, 2 * begin + 1)
        total = torch.zeros((), device=device)
        count = min(CHUNK, steps - begin)
        for step in range(begin, begin + count):
            chance = torch.rand(2, batch, generator=chances)
            direction = torch.randn(batch, 1 if penalty is None else penalty.tangents.shape[1], generator=chances)
            mine = slice(rank, None, workers)
            sources = sources_of(step, batch, len(pool.u), seed)[mine]
            inputs, outputs, starts = pool.draw(sources, task, chance[:, mine])
            for group in optimizer.param_groups:
                group["lr"] = rate * schedule((step + 1) / steps)
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                if penalty is None:
                    loss = relative_error(model(inputs), outputs).mean()
                else:
                    tangent, moved = penalty.draw(sources, starts, task, direction[mine])
                    predicted, derivative = torch.func.jvp(model, (inputs,), (tangent,))[:2]
                    loss = relative_error(predicted, outputs).mean()
                    loss = loss + penalty.weight * relative_error(derivative, moved).mean()
                loss = loss * (len(sources) * workers / batch)  # the mean over all: shares may be uneven
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach()
        if workers > 1:
            dist.all_reduce(total)
        value = float(total) / count / workers
        if not math.isfinite(value):
            raise UserError(f"training diverged: the loss must stay finite, got {value} at step {begin + count}")
        record = {"step": begin + count, "loss": value, "seconds": time.perf_counter() - begun}
        history.append(record)
        due = begin + count == steps or time.perf_counter() - saved >= CHECKPOINT_SECONDS
        if checkpoint is not None and rank == 0 and due:
            save_training(checkpoint, operator, optimizer, {"asked": asked, "history": history})
            saved = time.perf_counter()
        if progress is not None and rank == 0:
            progress(begin + count, record)
    operator.eval()
    return history


@torch.no_grad()
def errors(operator: nn.Module, u: Tensor, task: Task) -> Tensor:
    """The normalised mean square error of each trajectory: ``mean over windows of |predicted - u|^2 / |u|^2``, ``[S]``.

    Every window begins with true values; windows follow one another (`Task.tested`).

    Args:
        operator: left in evaluation mode.
        u: ``[S, T, ...]``, physical.
        task: which rows.
    """
    operator.eval()
    device = next(operator.parameters()).device
    inputs, outputs = task.rows()
    windows = []
    for start in task.tested(u.shape[1]):
        seen, target = (u[:, start + rows].to(device, torch.float32) for rows in (inputs, outputs))
        predicted = torch.cat([operator(part) for part in seen.split(64)])
        windows.append(relative_error(predicted, target))
    return torch.stack(windows).square().mean(0).double().cpu()


def bootstrap(values: Sequence[float] | Tensor, confidence: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """An interval for the mean over trajectories: quantiles of means of 2,000 samples drawn with replacement.

    >>> low, high = bootstrap([1.0, 2.0, 3.0, 4.0])
    >>> low < 2.5 < high
    True
    """
    values = torch.as_tensor(values, dtype=torch.float64)
    drawn = torch.randint(len(values), (2_000, len(values)), generator=torch.Generator().manual_seed(seed))
    means = values[drawn].mean(1)
    tails = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    low, high = means.quantile(tails).tolist()
    return low, high

"""What trainings of networks share: seeds, the schedule, workers, and checkpoints from which one continues exactly."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn

from symflow.errors import UserError
from symflow.runs import Figure, load_tensors, save_tensors

CHECKPOINT_SECONDS = 5.0  # at least, between two checkpoints: on a busy disk one takes up to half a second


def digest(*parts: Tensor | str) -> str:
    """A short name of what tensors hold and of what is said of them.

    >>> digest(torch.zeros(2)) == digest(torch.zeros(1), torch.zeros(1)) != digest(torch.ones(2))
    True
    """
    found = hashlib.sha256()
    for part in parts:
        found.update(part.encode() if isinstance(part, str) else np.ascontiguousarray(part.detach().cpu().numpy()).data)
    return found.hexdigest()[:16]


def schedule(share: float, warm_up: float = 0.2) -> float:
    """The learning rate after a share of all steps, relative to its peak: up linearly, then down linearly to 0.

    >>> [schedule(share) for share in (0.1, 0.2, 0.6, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    return min(share / warm_up, (1.0 - share) / (1.0 - warm_up))


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies matrices of bfloat16 by instructions of its own, so that it is the faster type."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    # torch has no public name for these two.
    checks = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return device.type == "cpu" and any(getattr(torch.cpu, check, bool)() for check in checks)


@contextmanager
def distributed() -> Iterator[torch.device]:
    """The device of this worker; under ``torchrun`` all workers are connected within the block (NCCL or gloo).

    Without ``torchrun`` it is the GPU, or the CPU where there is none, and nothing is connected.

    >>> with distributed() as device:
    ...     device.type in ("cpu", "cuda")
    True
    """
    gpu = torch.cuda.is_available()
    if "WORLD_SIZE" not in os.environ or dist.is_initialized():
        yield torch.device("cuda" if gpu else "cpu")
        return
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if gpu else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """torch's generators begin at a seed, and are afterwards what they were before.

    >>> with seeded(0, torch.device("cpu")):
    ...     first = torch.rand(2)
    >>> with seeded(0, torch.device("cpu")):
    ...     torch.equal(torch.rand(2), first)
    True
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


# ---------------------------------------------------------------- checkpoints


@dataclass(frozen=True)
class _Training:
    """What a checkpoint says beside its tensors.

    Attributes:
        asked: tells this training from others.
        history: a record for every epoch so far.
        optimizer: the name of its class.
    """

    asked: dict[str, Any]
    history: list[dict[str, Figure]]
    optimizer: str


def save_training(
    path: str | os.PathLike[str], network: nn.Module, optimizer: torch.optim.Optimizer, about: Mapping[str, Any]
) -> None:
    """Writes a training as safetensors, whole or not at all: ``network.NAME`` and ``optimizer.KEY.NAME``.

    ``NAME`` is that of the parameter, ``KEY`` what the optimiser calls a tensor it keeps for it, such as
    ``momentum_buffer``. Learning rates and other settings are not kept: whoever trains derives them from the step.

    Args:
        path: replaced if it is there.
        network: its parameters and buffers are kept.
        optimizer: of parameters of the network.
        about: JSON values: ``"asked"``, a dictionary that tells this training from others, and ``"history"``, a list
            of records.

    Raises:
        TypeError: the optimiser keeps something else than tensors for a parameter.
    """
    tensors = {f"network.{name}": value for name, value in _state(network).items()}
    for name, p in network.named_parameters():
        for key, value in optimizer.state.get(p, {}).items():
            if value is None:  # SGD's momentum before the first step
                continue
            if not isinstance(value, Tensor):
                raise TypeError(f"`optimizer` must keep tensors, got {key} = {value!r} for {name}")
            tensors[f"optimizer.{key}.{name}"] = value
    save_tensors(path, tensors, _Training(about["asked"], about["history"], type(optimizer).__name__))


def restore_training(
    path: str | os.PathLike[str] | None,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    asked: Mapping[str, Any],
) -> list[dict[str, float]]:
    """Puts network and optimiser where `save_training` left them, and returns the history so far.

    What the optimiser keeps gets the dtype, device and memory layout that it would have without the interruption, so
    that a training whose random numbers come from the seed and the step ends with the same bits.

    Args:
        path: of the checkpoint; without one, or where there is no file, nothing happens and the history is empty.
        network: of the same architecture, on the device where it will be trained.
        optimizer: new, of the same class.
        asked: what this training is asked to do, JSON values.

    Raises:
        UserError: the file is no checkpoint, or one of another training, optimiser or network.
    """
    saved = None if path is None else load_tensors(path, _Training)
    if saved is None:
        return []
    tensors, about = saved
    begun_with = {**about.asked, "optimizer": about.optimizer}
    now = {**asked, "optimizer": type(optimizer).__name__}
    differing = [k for k in now if begun_with.get(k) != now[k]]
    if differing:
        raise UserError(
            f"{str(path)!r} cannot be continued: it was begun with "
            + ", ".join(f"{k} = {begun_with.get(k)!r} (now {now[k]!r})" for k in differing)
        )
    try:
        network.load_state_dict({name: tensors[f"network.{name}"] for name in _state(network)})
        state = _optimizer_state(tensors, network, optimizer)
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    except (KeyError, RuntimeError):
        raise UserError(f"{str(path)!r} cannot be continued: it belongs to another network") from None
    return list(about.history)


def _state(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers; some packages put notes of another kind beside them."""
    return {name: value for name, value in network.state_dict().items() if isinstance(value, Tensor)}


def _optimizer_state(
    tensors: Mapping[str, Tensor], network: nn.Module, optimizer: torch.optim.Optimizer
) -> dict[int, dict[str, Tensor]]:
    """The tensors of an optimiser by the number of their parameter, as torch's own state dictionaries have them."""
    parameters = dict(network.named_parameters())
    numbers = {p: n for n, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    state: dict[int, dict[str, Tensor]] = {}
    for full, value in tensors.items():
        prefix, _, rest = full.partition(".")
        if prefix != "optimizer":
            continue
        key, _, name = rest.partition(".")
        p = parameters[name]
        if key != "step" and value.shape == p.shape:  # files are contiguous, convolutions may be channels last
            value = torch.empty_like(p, dtype=value.dtype).copy_(value)
        state.setdefault(numbers[p], {})[key] = value
    return state

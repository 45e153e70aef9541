"""What is asked of the arguments of operations, as sentences."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from symflow.fields import Field, Network, Table
from symflow.runs.processes import memory

KERNEL_DTYPES = (torch.float32, torch.float64)
LOW_DTYPES = (torch.float16, torch.bfloat16)
MOST_STEPS = 2**31 - 1
MEMORY = memory()  # a constant, for torch.compile
ADDRESSES = 2.0**47  # bytes that a process can address


def check_flow(field: Field, name: str, points: Tensor, leading: tuple[int, ...], weights: Tensor, steps: int) -> None:
    """What every flow asks of its arguments. ``points [*leading, B, N, d]`` are called ``name`` in the messages."""
    check_floating_point(**{name: points, "weights": weights})
    check_is_field(field)
    d, generators = field.coordinates.dimension, field.generators
    axes = len(leading)
    if points.dim() != axes + 3 or points.shape[:axes] != leading or points.shape[-1] != d:
        expected = ", ".join(str(size) for size in (*leading, "B", "N", d))
        raise ValueError(f"`{name}` must have shape [{expected}], got {list(points.shape)}")
    rows = points.shape[axes]
    if weights.dim() != 2 or weights.shape != (rows, generators):
        raise ValueError(f"`weights` must have shape [B, K] = [{rows}, {generators}], got {list(weights.shape)}")
    check_field(field, name, points, weights)
    check_steps(steps)


def check_is_field(field: Field) -> None:
    """Refuses a function, which has neither coordinates nor generators."""
    if not all(hasattr(field, name) for name in ("coordinates", "generators")):
        raise TypeError(
            "`field` must be a field, such as symflow.SymbolicField, NeuralField or GridField, got "
            f"{type(field).__name__}"
        )


def check_floating_point(**tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            got = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"`{name}` must be a floating-point tensor, got {got}")
        if tensor.layout != torch.strided or tensor.dtype not in (*KERNEL_DTYPES, *LOW_DTYPES):
            came = str(tensor.dtype if tensor.layout == torch.strided else tensor.layout)
            raise TypeError(f"`{name}` must be a dense tensor of float16, bfloat16, float32 or float64, got {came}")


def check_room(name: str, like: Tensor, *sizes: int) -> None:
    """Refuses a result of so many numbers of a tensor's type, which the argument ``name`` asks for, that the machine's
    memory cannot hold it; on other devices, that no memory can."""
    wanted = math.prod(sizes) * like.element_size()
    most = MEMORY if like.device.type == "cpu" else ADDRESSES
    if wanted > most:
        raise ValueError(f"`{name}` asks for {wanted} bytes, {list(sizes)} numbers, and there is room for {most:.1e}")


def check_alike(name: str, first: Tensor, **others: Tensor) -> None:
    """All must have the dtype and device of the first one, called ``name``."""
    for label, tensor in others.items():
        if tensor.dtype != first.dtype or tensor.device != first.device:
            raise ValueError(
                f"`{name}` and `{label}` must have one dtype and device, got {first.dtype} on {first.device} and "
                f"{tensor.dtype} on {tensor.device}"
            )


def check_field(field: Field, name: str, first: Tensor, weights: Tensor) -> None:
    """The weights and the field's own tensors must have the dtype and device of the first one, called ``name``."""
    like = {"weights": weights}
    if isinstance(field, nn.Module):
        like |= {f"field.{label}": parameter for label, parameter in field.named_parameters()}
    if isinstance(field, Network):
        like |= {f"field.layers[{i}]": layer for i, layer in enumerate(field.layers)}
    if isinstance(field, Table):
        like |= {"field.values": field.values}
    check_alike(name, first, **like)


def check_steps(steps: int) -> None:
    if isinstance(steps, bool) or not isinstance(steps, int):
        raise TypeError(f"`steps` must be an integer, got {type(steps).__name__}")
    if steps < 1:
        raise ValueError(f"`steps` must be at least 1, got {steps}")
    if steps > MOST_STEPS:
        raise ValueError(f"`steps` must be at most {MOST_STEPS}, got {steps}")

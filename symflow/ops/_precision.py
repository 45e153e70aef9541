"""Operations in low precision and under autocast: computed in float32 and rounded once.

Coordinates need more digits than half precision has: a pixel of an image of 512 is 2^-8 wide, which bfloat16 cannot
tell apart at the edge. So the operations take float16 and bfloat16, and compute with float32. Under autocast they do as
torch's own `grid_sample` does there: tensors of several types are brought to the widest of them, and nothing inside is
computed in the type of autocast.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from symflow.fields import GridField, Network, NeuralField, Series, Table
from symflow.ops._arguments import KERNEL_DTYPES

F = TypeVar("F", bound=Callable[..., Any])


def precise(operation: F) -> F:
    """An operation of fields, tensors and series that does the above; its results have the type of its tensors."""
    names = list(inspect.signature(operation).parameters)

    @functools.wraps(operation)
    def call(*given: Any, **more: Any) -> Any:
        arguments = {**dict(zip(names, given, strict=False)), **more}
        tensors = [t for t in map(_tensor, arguments.values()) if t is not None]
        types = {t.dtype for t in tensors}
        device = tensors[0].device.type if tensors else "cpu"
        known = device != "meta"  # which has no autocast
        autocast = known and torch.is_autocast_enabled(device)
        low = len(types) == 1 and not types & {*KERNEL_DTYPES}
        if not (low or autocast) or len(given) > len(names) or not tensors:
            return operation(*given, **more)
        widest = functools.reduce(torch.promote_types, types)
        inside = widest if widest in KERNEL_DTYPES else torch.float32
        with torch.autocast(device, enabled=False) if known else contextlib.nullcontext():
            widened = {name: _to(value, inside) for name, value in arguments.items()}
            return _rounded(operation(**widened), inside, widest)

    return call  # type: ignore[return-value]


def _tensor(value: Any) -> Tensor | None:
    """The tensor of an argument, if it is one of floating-point numbers."""
    value = value.coefficients if isinstance(value, Series) else value
    return value if isinstance(value, Tensor) and value.is_floating_point() else None


def _to(value: Any, dtype: torch.dtype) -> Any:
    """An argument in a type; fields with numbers of another one too, where they are of a kind that is known."""
    if isinstance(value, Series):
        return Series(value.truncation, value.coefficients.to(dtype))
    if _tensor(value) is not None:
        return value.to(dtype)
    if isinstance(value, nn.Module) and {p.dtype for p in value.parameters()} - {dtype}:
        # a subclass may compute something else
        if isinstance(value, NeuralField) and type(value).forward is NeuralField.forward:
            return _to(value.network, dtype)
        if isinstance(value, GridField) and type(value).forward is GridField.forward:
            return _to(value.table, dtype)
        raise ValueError(f"`field` must have parameters of {dtype} to be followed in it; `.to({dtype})` makes them")
    if isinstance(value, Network):
        return Network(value.coordinates, tuple(layer.to(dtype) for layer in value.layers))
    if isinstance(value, Table):
        return Table(value.coordinates, value.values.to(dtype), value.lower, value.upper)
    return value


def _rounded(result: Any, inside: torch.dtype, dtype: torch.dtype) -> Any:
    if isinstance(result, tuple):
        return tuple(_rounded(part, inside, dtype) for part in result)
    if isinstance(result, Series):
        return Series(result.truncation, _rounded(result.coefficients, inside, dtype))
    return result.to(dtype) if result.dtype == inside else result

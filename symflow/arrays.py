"""numpy where tensors are taken: an array comes in, an array goes out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def takes_arrays(function: Callable[P, R]) -> Callable[P, R]:
    """Lets a function of tensors be called with numpy arrays; its tensors then come back as arrays.

    >>> @takes_arrays
    ... def doubled(points):
    ...     return 2 * points
    >>> doubled(np.ones(2)), doubled(torch.ones(2))
    (array([2., 2.]), tensor([2., 2.]))
    """

    @functools.wraps(function)
    def call(*arguments: P.args, **named: P.kwargs) -> R:
        for value in (*arguments, *named.values()):
            if isinstance(value, np.ndarray):
                found = function(*map(as_tensor, arguments), **{k: as_tensor(v) for k, v in named.items()})
                return _as_arrays(found)  # type: ignore[no-any-return]
        return function(*arguments, **named)

    return call


def as_tensor(value: Any) -> Any:
    """An array of numbers as a tensor that shares its memory where it can; anything else as it is."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "biufc":
        return value
    usable = value.flags.writeable and all(stride >= 0 for stride in value.strides) and value.dtype.isnative
    return torch.from_numpy(value if usable else np.array(value, value.dtype.newbyteorder("=")))


def _as_arrays(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy()
    return tuple(map(_as_arrays, value)) if isinstance(value, tuple) else value

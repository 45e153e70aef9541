"""What the registration of every operator shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def one_by_one(op: Callable[..., Tensor | tuple[Tensor, ...]]) -> Callable:
    """A vmap rule that makes one call after another, for operators with a batch dimension of their own."""

    def rule(info: Any, in_dims: tuple, *arguments: Any) -> tuple[Any, Any]:
        def call(i: int) -> Any:
            # A list (the periods) comes with a list of dimensions, a tensor without one with None.
            pairs = zip(arguments, in_dims, strict=True)
            return op(*(a.select(dim, i).contiguous() if isinstance(dim, int) else a for a, dim in pairs))

        results = [call(i) for i in range(info.batch_size)]
        if isinstance(results[0], Tensor):
            return torch.stack(results), 0
        return tuple(torch.stack(r) for r in zip(*results, strict=True)), (0,) * len(results[0])

    return rule

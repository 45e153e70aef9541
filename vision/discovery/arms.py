"""What was discovered, as arms of a comparison of classifiers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from .result import ImageResult


def learned_arms(result: ImageResult, count: int | None = None) -> dict[str, Callable[[float], nn.Module]]:
    """Arms along what was discovered: "learned", and "learned+colours" where changes of colour are valid.

    At one strength colours change by half as much as places: the plane is 2 wide, colours go from 0 to 1.

    Args:
        result: with its fields.
        count: of generators of the plane, as for `ImageResult.first`: by default all before the widest gap in lambda,
            also those that are not valid, so that a comparison shows what they are worth.
    """
    moves = partial(result.augment, count=result.gap[0] if count is None else count)
    if result.colours is None or not result.colours.valid:
        return {"learned": moves}
    return {"learned": moves, "learned+colours": lambda s: nn.Sequential(moves(s), result.augment_colours(s / 2))}

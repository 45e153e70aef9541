"""What was discovered, as arms of a comparison of classifiers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from symflow.errors import UserError

from .result import ImageResult
from .verdicts import NO_RULE, UNLESS


def learned_arms(
    result: ImageResult, count: int | None = None, *, unproved: bool = False
) -> dict[str, Callable[[float], nn.Module]]:
    """Arms along what was discovered: "learned", and "learned+colours" where changes of colour were learned.

    At one strength colours change by half as much as places: the plane is 2 wide, colours go from 0 to 1.

    Args:
        result: with its fields.
        count: of generators of the plane, as for `ImageResult.first`: by default all before the widest gap in lambda,
            so that a comparison shows what they are worth.
        unproved: use motions that are not known to be valid, as no motion of images is.

    Raises:
        UserError: none is valid.
    """
    if not (unproved or any(g.valid for g in result.generators)):
        raise UserError(f"`result` must hold motions that are valid to move along, got none: {NO_RULE}; {UNLESS}")
    moves = partial(result.augment, count=result.gap[0] if count is None else count, unproved=unproved)
    if result.colours is None or not result.colours.learned:
        return {"learned": moves}
    colours = partial(result.augment_colours, unproved=unproved)
    return {"learned": moves, "learned+colours": lambda s: nn.Sequential(moves(s), colours(s / 2))}

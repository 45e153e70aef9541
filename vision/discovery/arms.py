"""What was discovered, as arms of a comparison of classifiers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from symflow.errors import UserError

from .result import ImageResult, usable
from .verdicts import UNLESS


def learned_arms(
    result: ImageResult, count: int | None = None, *, unproved: bool = False
) -> dict[str, Callable[[float], nn.Module]]:
    """Arms along what was discovered: "learned", and "learned+colours" where changes of colour are valid.

    At one strength colours change by half as much as places: the plane is 2 wide, colours go from 0 to 1.

    Args:
        result: with its fields.
        count: of generators of the plane among which the valid ones are used, as for `ImageResult.augment`.
        unproved: use those of which it cannot be told, too.

    Raises:
        UserError: none is valid.
    """
    if not any(usable(g.data, unproved) for g in result.generators):
        raise UserError(f"`result` must hold motions that are valid to move along, got none; {UNLESS}")
    moves = partial(result.augment, count=count, unproved=unproved)
    if result.colours is None or not any(usable(g.data, unproved) for g in result.colours.generators):
        return {"learned": moves}
    colours = partial(result.augment_colours, unproved=unproved)
    return {"learned": moves, "learned+colours": lambda s: nn.Sequential(moves(s), colours(s / 2))}

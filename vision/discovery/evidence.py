"""The arrays behind the figures of a report on images: one image, moved along every generator and changed in colour."""

from __future__ import annotations

import torch
from torch import Tensor

from symflow.errors import UserError
from symflow.ops import flow_warp

from ..augmentation import ColourAugment
from ..data import Images
from .result import ImageResult

LENGTHS = (-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6)  # of flows, in units in which a generator has RMS size 1
CHANGES = (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)  # of colours, the same
STEPS = 16


def collect(images: Images, result: ImageResult) -> dict[str, Tensor]:
    """What the figures of a report show beside the fields, computed once with the images at hand.

    Args:
        images: of which the first one is moved.
        result: of `discover_images`, with its field.

    Returns:
        ``lengths [S]`` and ``moved [K, S, C, H, W]``, float32 from 0 to 1; the image is reflected at its border. Where
        there are changes of colour, ``changes [S]`` and ``coloured [K, S, C, H, W]``, which may leave 0 to 1.

    Raises:
        UserError: the result holds no field.
    """
    if result.field is None:
        raise UserError("`result` must hold its field, got one without")
    K, S = result.field.generators, len(LENGTHS)
    image = images.pixels[:1].float() / 255
    weights = torch.einsum("s,kl->ksl", torch.tensor(LENGTHS), torch.eye(K)).flatten(0, 1)
    with torch.no_grad():
        moved = flow_warp(result.field, image, weights, steps=STEPS, padding="reflection")[0]
    evidence = {"lengths": torch.tensor(LENGTHS), "moved": moved.unflatten(0, (K, S))}
    if result.colours is not None:
        matrices = torch.tensor([g.matrix for g in result.colours.generators])
        weights = torch.einsum("s,kl->ksl", torch.tensor(CHANGES), torch.eye(len(matrices))).flatten(0, 1)
        coloured = ColourAugment(matrices, 1.0).move(image, weights)[0]
        evidence |= {"changes": torch.tensor(CHANGES), "coloured": coloured.unflatten(0, (-1, len(CHANGES)))}
    return evidence

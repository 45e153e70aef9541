"""What finite motions do to features: the check of the fields, their strengths, and the changes of colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from symflow.fields import GridField

from ..augmentation import ColourAugment, GeneratorAugment
from ..data import Statistics
from ..features import Features
from ..search import ColourBasis, FeatureAngle, angles, change, colour_generators, grid_field, out_of_step
from .entries import Colour, Colours
from .verdicts import UNJUDGED, untold

CHECKED = 100  # images moved by finite flows
DRAWS = 4  # of patches out of step, in the control of a finite flow
LENGTH = 0.1  # of finite flows: a pixel and a half of 32
DISPLACEMENTS = (0.025, 0.05, 0.1, 0.2, 0.4)  # at which features are compared; .4 is more than any augmentation's
CHANGES = (0.0125, 0.025, 0.05, 0.1, 0.2)  # the same of colours, which go from 0 to 1, the plane from -1 to 1
STEPS = 4  # of RK4; the fields are smooth on the scale of a flow


def finite_check(
    features: Features, images: Tensor, fields: Tensor, locality: float, seed: int
) -> tuple[list[float], list[float]]:
    """RMS angles by which finite flows turn the features of images, and those of the motions out of step.

    Both directions of every flow count. The motion out of step is ``xi V`` with the random functions that define the
    local form, so the square of the quotient of the two numbers is the finite counterpart of ``G/M``.

    Args:
        features: to unit vectors.
        images: ``[B, C, H, W]``.
        fields: of unit norm under omega, ``[H W, K, 2]``.
        locality: l.
        seed: of the random functions.
    """
    height, width = images.shape[2:]
    coherent = grid_field(fields, height, width)
    draws = out_of_step(height, width, locality, DRAWS, seed).flatten(1)
    scattered = [grid_field(fields * xi[:, None, None], height, width) for xi in draws]

    def size(tables: list[GridField]) -> list[float]:
        squares = torch.zeros(fields.shape[1])
        with torch.no_grad():
            for table in tables:
                for length in (LENGTH, -LENGTH):
                    score = FeatureAngle(features, length, STEPS, padding="reflection")
                    squares += torch.cat([score.each(table, part) for part in images.split(20)]).square().mean(0)
        return (squares / (2 * len(tables))).sqrt().tolist()

    return size([coherent]), size(scattered)


@torch.no_grad()
def turning(features: Features, images: Tensor, field: GridField) -> list[list[float]]:
    """RMS angles by which features turn when a generator moves the pixels by each of `DISPLACEMENTS`.

    The displacements are root mean squares over the pixels, as those of `GeneratorAugment`, whose motion it is. Both
    directions count.

    Args:
        features: to unit vectors.
        images: ``[B, C, H, W]``.
        field: K generators.

    Returns:
        K lists, a number for each displacement.
    """
    augment = GeneratorAugment(field, 1.0).to(images)
    one = torch.eye(field.generators).to(images)
    return _turned(features, images, augment.move, one, DISPLACEMENTS)


def coloured(
    features: Features, blank: Features, images: Tensor, statistics: Statistics, locality: float, seed: int
) -> Colours | None:
    """The affine changes of colour with lambda below 1, and how far each turns the features.

    Args:
        features: to unit vectors.
        blank: those of an untrained network.
        images: normalised, ``[N, 3, H, W]``.
        statistics: that normalised them.
        locality: l.
        seed: of all draws.

    Returns:
        ``None`` where no change has a lambda below 1, or the images are grey.
    """
    mean, std = statistics.mean, statistics.std
    scale, offset = (images.new_tensor(v)[:, None, None] for v in (std, mean))
    colours = (images[:CHECKED] * scale + offset).movedim(1, -1).flatten(0, -2)
    try:
        ColourBasis.of(colours, 1)
    except ValueError:  # grey images in three channels
        return None
    found, control = (
        colour_generators(f, images, mean, std, generators=12, locality=locality, seed=seed) for f in (features, blank)
    )
    count = int((found.spectrum.values < 1).sum())
    if count == 0:
        return None
    values, coefficients = found.spectrum.values[:count].tolist(), found.spectrum.coefficients[:, :count]
    controls, matrices = control.forms.quotients(coefficients).tolist(), found.matrices[:count]
    augment = ColourAugment(matrices, 1.0, mean, std)
    turned = _turned(features, images[:CHECKED], augment.move, torch.eye(count), CHANGES)
    generators = [
        Colour(
            name=f"C{k + 1}",
            change=change(matrices[k], colours),
            matrix=matrices[k].tolist(),
            value=values[k],
            control=controls[k],
            turned=turned[k],
            data=untold(UNJUDGED),
            held_out=None,
        )
        for k in range(count)
    ]
    return Colours(generators, list(CHANGES), list(mean), list(std))


@torch.no_grad()
def _turned(
    features: Features,
    images: Tensor,
    move: Callable[[Tensor, Tensor], Tensor],
    one: Tensor,
    displacements: Sequence[float],
) -> list[list[float]]:
    """RMS angles over both directions, ``[K][D]``, for the rows of ``one`` as weights and each displacement."""
    weights = torch.cat([one * length for d in displacements for length in (d, -d)])
    squares = images.new_zeros(len(weights))
    for part in images.split(20):
        after = features(move(part, weights).flatten(0, 1)).unflatten(0, (len(part), len(weights)))
        squares += angles(features(part)[:, None], after).square().sum(0)
    both = (squares / len(images)).view(len(displacements), 2, len(one)).mean(1)
    return both.sqrt().T.tolist()

"""Augmentation along learned slots beside none, crops and affine motions (the paper's table 3)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from symflow.reproduction import Size, Tell
from symflow.runs import CONFIG

from ..augmentation import GeneratorAugment
from ..classifiers import compare
from ..search import grid_field, pixel_centres
from .scales import SCALES, cifar10
from .slots import learned

ARMS = ("none", "crop+flip", "affine+flip", "slots+flip")
FIRST = 6  # of the slots, as many as there are affine generators


def arm_study(size: Size, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
    """Classifiers of one seed with each augmentation; strengths are given, or chosen by one rule on validation images.

    The slots are those of the study of slots, of the same size and seed, learned here where they are not yet there.
    """
    scale = SCALES[size]
    found = learned(size, seed, folder.parents[1] / "images" / f"slots-{size}-{seed}", lambda d, n: tell(0.3 * d, n))
    height, width = found.pixels.shape[2:]
    with torch.no_grad():
        values = found.field.cpu().double()(pixel_centres(height, width).flatten(0, 1))
    slots = grid_field(values[:, :FIRST], height, width)
    trainings: dict[str, None] = {}
    several = len(scale.strengths) if len(scale.strengths) > 1 else 0
    expected = len(ARMS) + several * (len(ARMS) - 1)

    def progress(what: str, epoch: int, epochs: int) -> None:
        trainings[what] = None
        tell(0.3 + 0.7 * min((len(trainings) - 1 + epoch / epochs) / expected, 1.0), what)

    result = compare(
        cifar10(),
        folder / "arms",
        augments={"slots": partial(GeneratorAugment, slots)},
        arms=ARMS,
        fraction=scale.fraction,
        seeds=1,
        first=seed,
        network=scale.network,
        epochs=scale.arm_epochs,
        batch=scale.batch,
        strengths=scale.strengths,
        shifts=scale.shifts,
        resume=(folder / "arms" / CONFIG).exists(),
        progress=progress,
    )
    return {
        "training": result.training,
        "epochs": result.epochs,
        "network": result.network,
        "arms": {
            arm.name: {"strength": arm.strength, "validation": dict(arm.validation), "accuracy": arm.accuracies[0]}
            for arm in result.arms
        },
    }

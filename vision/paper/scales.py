"""What the studies of images work on, small and as in the paper, and the network that all of them share."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from symflow.errors import UserError
from symflow.reproduction import Size, Tell

from ..classifiers import NETWORKS, accuracy, train
from ..data import Images, Statistics, load
from ..features import ImageNetwork, load_network, save_network

ENVIRONMENT = "SYMFLOW_DATA"
CIFAR10 = "cifar-10-batches-py"


@dataclass(frozen=True)
class Scale:
    """Of a study.

    Attributes:
        network: of `NETWORKS`, whose features score slots.
        epochs: of its training.
        batch: of its training.
        width: of the network of the slots.
        steps, images, flow_steps, rate: of its learning: images in a step, steps of RK4 along the longest flow.
        scored: held-out images on which slots are scored.
        judged: held-out images on which they get their words.
        fraction, arm_epochs, strengths, shifts: of the comparison of augmentations.
    """

    network: Literal["small", "resnet18"]
    epochs: int
    batch: int
    width: int
    steps: int
    images: int
    flow_steps: int
    rate: float
    scored: int
    judged: int
    fraction: float
    arm_epochs: int
    strengths: tuple[float, ...]
    shifts: tuple[float, ...]


SCALES: Mapping[Size, Scale] = {
    "small": Scale("small", 9, 64, 64, 300, 8, 4, 1e-3, 40, 4_000, 0.1, 10, (0.1, 0.2), (2.0, 4.0)),
    "paper": Scale(
        "resnet18", 20, 128, 256, 19_500, 128, 20, 1e-4, 500, 8_000, 1.0, 50, (0.1, 0.2, 0.3), (2.0, 4.0, 6.0)
    ),
}


@dataclass(frozen=True)
class Trained:
    """Images, and a network that was trained on them with flips only, as in the paper."""

    train: Images
    test: Images
    model: ImageNetwork
    statistics: Statistics
    accuracy: float


def device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def cifar10() -> tuple[Images, Images]:
    """Training and test images.

    Raises:
        UserError: the environment does not say where they are.
    """
    folder = os.environ.get(ENVIRONMENT)
    if folder is None:
        raise UserError(f"the environment variable {ENVIRONMENT} must name the folder that holds {CIFAR10}, got none")
    return load(Path(folder) / CIFAR10)


def trained(size: Size, seed: int, folder: Path, tell: Tell) -> Trained:
    """The network of a seed, trained now where it is not in the folder, from its last epoch on where it was begun."""
    scale, (images, test) = SCALES[size], cifar10()
    file, statistics = folder / "network.safetensors", Statistics.of(images)
    if not file.exists():
        model = NETWORKS[scale.network](len(images.classes), images.pixels.shape[1], seed=seed).to(device())
        train(
            model,
            images,
            epochs=scale.epochs,
            seed=seed,
            flip=True,
            batch=scale.batch,
            checkpoint=folder / "network-checkpoint.safetensors",
            progress=lambda epoch, record: tell(epoch / scale.epochs, f"network {record['accuracy']:.3f}"),
        )
        save_network(file, model, {"accuracy": accuracy(model, test, statistics)})
    model, about = load_network(file)
    return Trained(images, test, model.requires_grad_(False).to(device()), statistics, about["accuracy"])

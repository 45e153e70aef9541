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
        moved: training images behind omega, the whitening and the quadratic form.
        width: of the network of the slots.
        steps, images, flow_steps, rate: of its learning: images in a step, steps of RK4 along the longest flow.
        scored: held-out images on which slots are scored.
        judged: held-out images on which they get their words.
        taught: training images of the ridge classifier, at most.
        fraction, arm_epochs, strengths, shifts: of the comparison of augmentations; where there is one strength it is
            given, the one that was best on validation images in docs/vision.md.
    """

    network: Literal["small", "resnet18"]
    epochs: int
    batch: int
    moved: int
    width: int
    steps: int
    images: int
    flow_steps: int
    rate: float
    scored: int
    judged: int
    taught: int
    fraction: float
    arm_epochs: int
    strengths: tuple[float, ...]
    shifts: tuple[float, ...]


SCALES: Mapping[Size, Scale] = {
    "small": Scale(
        network="small",
        epochs=9,
        batch=64,
        moved=2_000,
        width=64,
        steps=400,
        images=2,
        flow_steps=4,
        rate=1e-2,
        scored=20,
        judged=2_000,
        taught=8_000,
        fraction=0.1,
        arm_epochs=24,
        strengths=(0.2,),
        shifts=(4.0,),
    ),
    "paper": Scale(
        network="resnet18",
        epochs=20,
        batch=128,
        moved=8_000,
        width=256,
        steps=19_500,
        images=128,
        flow_steps=20,
        rate=1e-4,
        scored=500,
        judged=8_000,
        taught=50_000,
        fraction=1.0,
        arm_epochs=50,
        strengths=(0.1, 0.2, 0.3),
        shifts=(2.0, 4.0, 6.0),
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


def folder_of_images() -> Path:
    """Where CIFAR-10 lies.

    Raises:
        UserError: the environment does not say it.
    """
    said = os.environ.get(ENVIRONMENT)
    if said is None or not (Path(said) / CIFAR10).is_dir():
        got = "none" if said is None else repr(said)
        raise UserError(f"the environment variable {ENVIRONMENT} must name the folder that holds {CIFAR10}, got {got}")
    return Path(said) / CIFAR10


def cifar10() -> tuple[Images, Images]:
    """Training and test images.

    Raises:
        UserError: the environment does not say where they are.
    """
    return load(folder_of_images())


def trained(size: Size, folder: Path, tell: Tell) -> Trained:
    """The one network of a size, trained now where it is not in the folder, from its last epoch on where it was."""
    scale, (images, test) = SCALES[size], cifar10()
    file, statistics = folder / "network.safetensors", Statistics.of(images)
    if not file.exists():
        model = NETWORKS[scale.network](len(images.classes), images.pixels.shape[1], seed=0).to(device())
        folder.mkdir(parents=True, exist_ok=True)
        train(
            model,
            images,
            epochs=scale.epochs,
            seed=0,
            flip=True,
            batch=scale.batch,
            checkpoint=folder / "network-checkpoint.safetensors",
            progress=lambda epoch, record: tell(epoch / scale.epochs, f"network {record['accuracy']:.3f}"),
        )
        save_network(file, model, {"accuracy": accuracy(model, test, statistics)})
    model, about = load_network(file)
    return Trained(images, test, model.requires_grad_(False).to(device()), statistics, about["accuracy"])

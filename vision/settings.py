"""What functions of this package and the commands above them can be told: one frozen dataclass each.

The command line reads these to print its help, so nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from symflow.errors import UserError, check_integer

DEGREE = 5  # of the polynomials that generators are combined from: 42 fields


@dataclass(frozen=True)
class ImageDiscovery:
    """How generators of images are looked for.

    Attributes:
        labels: use them. Without, nothing is trained: the features are whitened patches of the images.
        generators: how many to look for.
        mu: the weight of smoothness against cost, at most 3, where it is mostly smoothness that decides.
        locality: the size of a patch whose motion a coherent one is compared with, on a plane 2 across: a little more
            than over what neighbouring pixels belong together (.1 for CIFAR-10, .15 for MNIST).
        flip: mirror images are as good as images: they take part in the training of the network, and the forms are
            averaged with their mirror images. Not so for digits.
        epochs: of the training, when no network is given.
        seed: of the network, of the random features and of all draws.

    Raises:
        UserError: a value is out of its range.
    """

    labels: bool = True
    generators: int = 10
    mu: float = 1.0
    locality: float = 0.1
    flip: bool = True
    epochs: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        basis_size = (DEGREE + 1) * (DEGREE + 2)
        for name, least, most in (("generators", 1, basis_size), ("epochs", 1, 10_000), ("seed", 0, 2**31 - 1)):
            check_integer(name, getattr(self, name), least, most)
        for name, low, high in (("mu", 0.0, 3.0), ("locality", 0.01, 1.0)):
            if not low <= getattr(self, name) <= high:
                raise UserError(f"`{name}` must be from {low:g} to {high:g}, got {getattr(self, name)!r}")


@dataclass(frozen=True)
class ClassifierTrainings:
    """Which classifiers are trained, on how many images, and how they are compared.

    Attributes:
        arms: of none; flip, which mirrors with probability 1/2; crop, which shifts by up to the strength in pixels;
            affine, along the affine generators; learned and learned+colours, of a discovery. But for none, each can be
            with flips, as crop+flip, and at a strength that is given instead of chosen, as crop+flip=4. Gains refer to
            the first.
        fraction: of the training images, above 0, at most 1.
        seeds: how many, from 0.
        network: small, for two cores; or resnet18, for a GPU.
        epochs: by default 10 over the root of the fraction.
        batch: images in a step, at least 2 for each worker.
        strengths: candidates for generators.
        shifts: candidates for crops, whole numbers of pixels.
    """

    arms: tuple[str, ...] = ("none", "crop+flip", "affine")
    fraction: float = 0.1
    seeds: int = 3
    network: Literal["small", "resnet18"] = "small"
    epochs: int | None = None
    batch: int = 64
    strengths: tuple[float, ...] = (0.1, 0.2, 0.3)
    shifts: tuple[float, ...] = (2.0, 4.0, 6.0)

"""Augmentations of others as arms of the comparison of classifiers.

    python benchmarks/classifier_peers.py PATH --out RUN [--generators RUN] [--arms flip kornia+flip ...] [--resume]

needs the images, and for the learned arms a run of ``symflow discover-images``. The protocol is that of ``symflow
train-classifier``; the arms that it adds, none of them tuned here, are

- ``randaugment``: RandAugment (Cubuk et al. 2020), two operations an image; the strength is the magnitude, of 30.
- ``trivialaugment``: TrivialAugment (Müller and Hutter 2021), one operation an image, its magnitude uniform.
- ``kornia``: RandomAffine and ColorJiggle of kornia, which is no dependency of the package: ``pip install --no-deps
  --target FOLDER kornia kornia_rs``, then ``PYTHONPATH=FOLDER``.

The first two are by Pillow, as in the papers' code, with the ranges that torchvision gives RandAugment and
TrivialAugmentWide. kornia's own policies are others: their brightness adds a number, and an operation is drawn once a
batch.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor, nn

from symflow import vision
from symflow.runs import RESULT
from symflow.vision.data import Statistics

LEVELS = 30
Operation = Callable[[Image.Image, float], Image.Image]


def affine(image: Image.Image, *row: float) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, row)


def enhanced(by: Callable[[Image.Image], Any]) -> Operation:
    return lambda image, size: by(image).enhance(1 + size)


SIGNED: dict[str, tuple[Operation, float, float]] = {
    "shear x": (lambda i, s: affine(i, 1, s, 0, 0, 1, 0), 0.3, 0.99),
    "shear y": (lambda i, s: affine(i, 1, 0, 0, s, 1, 0), 0.3, 0.99),
    "translate x": (lambda i, s: affine(i, 1, 0, s * i.width, 0, 1, 0), 150 / 331, 1.0),
    "translate y": (lambda i, s: affine(i, 1, 0, 0, 0, 1, s * i.height), 150 / 331, 1.0),
    "rotate": (lambda i, s: i.rotate(s), 30.0, 135.0),
    "brightness": (enhanced(ImageEnhance.Brightness), 0.9, 0.99),
    "color": (enhanced(ImageEnhance.Color), 0.9, 0.99),
    "contrast": (enhanced(ImageEnhance.Contrast), 0.9, 0.99),
    "sharpness": (enhanced(ImageEnhance.Sharpness), 0.9, 0.99),
}
"""Of either sign; what follows is the largest size, of RandAugment and of TrivialAugment."""
UNSIGNED: dict[str, tuple[Operation, float, float]] = {
    "identity": (lambda i, s: i, 0.0, 0.0),
    "autocontrast": (lambda i, s: ImageOps.autocontrast(i), 0.0, 0.0),
    "equalize": (lambda i, s: ImageOps.equalize(i), 0.0, 0.0),
    "posterize": (lambda i, s: ImageOps.posterize(i, 8 - round(s)), 4.0, 6.0),
    "solarize": (lambda i, s: ImageOps.solarize(i, 255 * (1 - s)), 1.0, 1.0),
}
OPERATIONS = {**SIGNED, **UNSIGNED}


class Policy(nn.Module):
    """Operations drawn for every image by itself.

    Args:
        statistics: that normalise the images.
        rounds: operations an image.
        magnitude: of all operations, from 0 to 30; drawn uniformly without it, from the wider ranges.
    """

    def __init__(self, statistics: Statistics, rounds: int, magnitude: int | None = None) -> None:
        super().__init__()
        self.statistics, self.rounds, self.magnitude = statistics, rounds, magnitude

    def forward(self, images: Tensor) -> Tensor:
        pixels = (255 * self.statistics.denormalise(images)).round().clamp(0, 255).byte()
        changed = [
            torch.frombuffer(bytearray(self._changed(p).tobytes()), dtype=torch.uint8) for p in _pictures(pixels)
        ]
        stacked = torch.stack(changed).view(len(images), *images.shape[2:], 3).movedim(-1, 1)
        return self.statistics.normalise(stacked.to(images.device))

    def _changed(self, image: Image.Image) -> Image.Image:
        for _ in range(self.rounds):
            kind, drawn, sign = (int(torch.randint(n, ())) for n in (len(OPERATIONS), LEVELS + 1, 2))
            name = [*OPERATIONS][kind]
            operation, *largest = OPERATIONS[name]
            size = largest[self.magnitude is None] * (drawn if self.magnitude is None else self.magnitude) / LEVELS
            image = operation(image, -size if sign and name in SIGNED else size)
        return image

    def extra_repr(self) -> str:
        return f"rounds={self.rounds}, magnitude={self.magnitude}"


def _pictures(pixels: Tensor) -> list[Image.Image]:
    return [Image.fromarray(p) for p in pixels.movedim(1, -1).contiguous().cpu().numpy()]


class OfPixels(nn.Module):
    """A change of pixel values from 0 to 1, for normalised images."""

    def __init__(self, change: nn.Module, statistics: Statistics) -> None:
        super().__init__()
        self.change, self.statistics = change, statistics

    def forward(self, images: Tensor) -> Tensor:
        mean, std = (images.new_tensor(v)[:, None, None] for v in (self.statistics.mean, self.statistics.std))
        return (self.change((images * std + mean).clamp(0, 1)) - mean) / std


def arms(statistics: Statistics) -> dict[str, Callable[[float], nn.Module] | nn.Module]:
    """The augmentations, of images that are normalised with these statistics; kornia's where it is installed."""
    found: dict[str, Callable[[float], nn.Module] | nn.Module] = {
        "randaugment": lambda magnitude: Policy(statistics, 2, int(magnitude)),
        "trivialaugment": Policy(statistics, 1),
    }
    try:
        import kornia.augmentation as kornia
    except ImportError:
        return found
    motions = kornia.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), padding_mode="reflection", p=1.0)
    colours = kornia.ColorJiggle(0.2, 0.2, 0.2, p=1.0)
    return {**found, "kornia": OfPixels(nn.Sequential(motions, colours), statistics)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--arms", nargs="+", default=["flip", "randaugment+flip=9", "trivialaugment+flip", "kornia+flip"]
    )
    parser.add_argument("--generators", type=Path)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--fraction", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--resume", action="store_true")
    asked: dict[str, Any] = vars(parser.parse_args())

    images, generators = vision.load(asked.pop("path")), asked.pop("generators")
    augments = arms(Statistics.of(images[0]))
    if generators is not None:
        augments |= vision.learned_arms(vision.load_image_result(generators / RESULT))
    if "kornia" not in augments and any(arm.startswith("kornia") for arm in asked["arms"]):
        raise SystemExit("the arm `kornia` needs kornia: `pip install --no-deps kornia kornia_rs`")
    found = vision.compare(images, **asked, augments=augments, progress=lambda *at: print(*at, flush=True))
    print(found)


if __name__ == "__main__":
    main()

"""Judges of classes: the outputs of a network, and of a classifier of another make that takes seconds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..data import Images, Statistics
from ..features import Features, PatchFeatures, unit

BATCH = 200
SAMPLE = 10_000  # images from which patches are drawn
MOST = 20_000  # images to learn from: with all 50,000 of CIFAR-10 one more is right in a hundred
SHRINKAGE = 1e-2  # of the directions of features, relative to the mean of their variances


@dataclass(frozen=True)
class ClassOutputs:
    """The centred logits of an image, of unit length: ``[B, C, H, W]`` to ``[B, classes]``.

    A softmax does not see what all logits share, and how sure a classifier is of an image must not decide how much that
    image counts. Two classes leave one direction; its logits keep their length.

    Attributes:
        logits: ``[B, C, H, W]`` to ``[B, classes]``.

    >>> ClassOutputs(lambda images: torch.tensor([[5.0, 2.0, 2.0]]))(torch.zeros(1, 1, 1, 1))
    tensor([[ 0.8165, -0.4082, -0.4082]])
    """

    logits: Features

    def __call__(self, images: Tensor) -> Tensor:
        """Images to outputs."""
        values = self.logits(images)
        centred = values - values.mean(1, keepdim=True)
        return unit(centred) if values.shape[1] > 2 else centred


@dataclass(frozen=True)
class RidgeClassifier:
    """Least squares from patches to classes (`features.PatchFeatures`): no learned filters, nothing of a network.

    ``logits = (H - m) W + mean of y``, ``W = (cov H + s)^-1 cov(H, y)``, y the classes as unit vectors.

    Attributes:
        features: H.
        mean: m, ``[F]``.
        weights: W, ``[F, classes]``.
        prior: the mean of y, ``[classes]``.
    """

    features: Features
    mean: Tensor
    weights: Tensor
    prior: Tensor

    @classmethod
    def of(cls, images: Images, statistics: Statistics, seed: int) -> RidgeClassifier:
        """Fitted to labelled images, normalised by statistics; patches are drawn by the seed.

        Raises:
            ValueError: the images are smaller than a patch, or do not vary.
        """
        random = torch.Generator().manual_seed(seed)
        images = images[torch.randperm(len(images), generator=random)[:MOST].sort().values]
        features = PatchFeatures.of(statistics.normalise(images.pixels[:SAMPLE]), seed)
        classes = torch.nn.functional.one_hot(images.labels, len(images.classes)).double()
        sums: list[Tensor] = []  # of H, of H H^T, of H y^T
        with torch.no_grad():
            for pixels, y in zip(images.pixels.split(BATCH), classes.split(BATCH), strict=True):
                h = features(statistics.normalise(pixels)).double()
                new = [h.sum(0), h.T @ h, h.T @ y]
                sums = [a + b for a, b in zip(sums, new, strict=True)] if sums else new
        mean, prior = sums[0] / len(images), classes.mean(0)
        square = sums[1] / len(images) - torch.outer(mean, mean)
        ridge = SHRINKAGE * square.diagonal().mean().clamp_min(torch.finfo(torch.float32).tiny)
        square.diagonal().add_(ridge)
        weights = torch.linalg.solve(square, sums[2] / len(images) - torch.outer(mean, prior))
        return cls(features, mean.float(), weights.float(), prior.float())

    def __call__(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the logits ``[B, classes]``."""
        return (self.features(images) - self.mean) @ self.weights + self.prior

    @torch.no_grad()
    def accuracy(self, images: Images, statistics: Statistics) -> float:
        """The share of images whose class is its first choice."""
        hits = 0
        for pixels, labels in zip(images.pixels.split(BATCH), images.labels.split(BATCH), strict=True):
            hits += int((self(statistics.normalise(pixels)).argmax(1) == labels).sum())
        return hits / len(images)

"""Convolutional classifiers whose features, before the last layer, say what an image shows."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from symflow.errors import UserError, check_positive
from symflow.runs import from_json, read_tensors, save_tensors


class ImageNetwork(nn.Module):
    """What the networks here share: a body of convolutions, the mean over all pixels, and a linear layer.

    Sub-classes set ``body`` and ``head``, and keep in ``arguments`` what they were made with; ``least_side`` is how
    many pixels the sides of images must have, so that each halving leaves one.
    """

    body: nn.Module
    head: nn.Linear
    arguments: dict[str, int]
    least_side: int = 1

    def check_sides(self, images: Tensor) -> None:
        """Refuses images ``[..., H, W]`` that are too small for the network.

        Raises:
            UserError: a side is below ``least_side``.
        """
        height, width = images.shape[-2:]
        if min(height, width) < self.least_side:
            raise UserError(
                f"`images` must have sides of at least {self.least_side} pixels for this {type(self).__name__}, got "
                f"{height} x {width}"
            )

    def features(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` to ``[B, F]``: the mean of the last layer's channels over all pixels."""
        channels: Tensor = self.body(images)
        return channels.mean((2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """``[B, C, H, W]`` to the logits ``[B, classes]``."""
        logits: Tensor = self.head(self.features(images))
        return logits


class SmallResNet(ImageNetwork):
    """A residual network for two CPU cores: 0.6 million parameters, 26 million multiply-adds for an image of 32 x 32.

    A 3 x 3 convolution to ``width`` channels, then stages of (mean of 2 x 2 pixels, residual block) that double the
    channels. So all but the first layer work on a quarter of the pixels or less.

    Args:
        classes: the number of classes.
        channels: of the images.
        width: channels of the first layer; the features are ``2**stages`` times as many.
        stages: how often the resolution is halved.
        seed: of the initial parameters.

    Raises:
        ValueError: a size is below 1.

    >>> network = SmallResNet(classes=10)
    >>> network.features(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 192])
    """

    def __init__(self, classes: int, channels: int = 3, width: int = 24, stages: int = 3, seed: int = 0) -> None:
        super().__init__()
        self.arguments = {"classes": classes, "channels": channels, "width": width, "stages": stages}
        check_positive(**self.arguments)
        layers = _convolution(channels, width)
        for stage in range(stages):
            layers += [nn.AvgPool2d(2), ResidualBlock(width << stage, width << (stage + 1))]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width << stages, classes)
        self.least_side = 1 << stages
        _initialise(self, seed)


class ResNet18(ImageNetwork):
    """The residual network of 18 layers for images of 32 x 32: 11.2 million parameters, 512 features.

    He et al. (2016) with a first layer of 3 x 3 and stride 1 in place of 7 x 7 and pooling, as is usual on CIFAR-10
    and as in the paper.

    Args:
        classes: the number of classes.
        channels: of the images.
        width: channels of the first stage.
        seed: of the initial parameters.

    Raises:
        ValueError: a size is below 1.
    """

    def __init__(self, classes: int, channels: int = 3, width: int = 64, seed: int = 0) -> None:
        super().__init__()
        self.arguments = {"classes": classes, "channels": channels, "width": width}
        check_positive(**self.arguments)
        layers, inside = _convolution(channels, width), width
        for stage in range(4):
            outside = width << stage
            layers += [ResidualBlock(inside, outside, stride=1 if stage == 0 else 2), ResidualBlock(outside, outside)]
            inside = outside
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(inside, classes)
        _initialise(self, seed)


def resnet18(classes: int, channels: int = 3, seed: int = 0) -> ResNet18:
    """`ResNet18` at the usual width.

    >>> resnet18(10).features(torch.zeros(1, 3, 32, 32)).shape
    torch.Size([1, 512])
    """
    return ResNet18(classes, channels, seed=seed)


class ResidualBlock(nn.Module):
    """``relu(x + f(x))`` with f two 3 x 3 convolutions, each batch-normalised (He et al., 2016).

    Where channels or resolution change, the straight path is a batch-normalised 1 x 1 convolution.
    """

    def __init__(self, inside: int, outside: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Sequential(*_convolution(inside, outside, stride))
        self.second = nn.Sequential(nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside))
        self.straight: nn.Module = nn.Identity()
        if inside != outside or stride != 1:
            self.straight = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

    def forward(self, x: Tensor) -> Tensor:
        """``[B, inside, H, W]`` to ``[B, outside, H / stride, W / stride]``."""
        return nn.functional.relu(self.straight(x) + self.second(self.first(x)))


def _convolution(inside: int, outside: int, stride: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.ReLU()]


def _initialise(network: nn.Module, seed: int) -> None:
    """He et al. (2015) for convolutions and torch's bounds for the linear layer, from a generator of our own.

    The last normalisation of each block begins at 0, so a block begins as its straight path (Goyal et al., 2017).
    """
    rng = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=rng)
        elif isinstance(module, nn.Linear):
            bound = module.in_features**-0.5
            nn.init.uniform_(module.weight, -bound, bound, generator=rng)
            nn.init.zeros_(module.bias)
    for name, parameter in network.named_parameters():
        if name.endswith("second.1.weight"):
            nn.init.zeros_(parameter)


# ---------------------------------------------------------------- files

LARGEST = 1 << 16  # of any size of a network in a file
ARCHITECTURES: Mapping[str, type[ImageNetwork]] = {cls.__name__: cls for cls in (SmallResNet, ResNet18)}


@dataclass(frozen=True)
class _Saved:
    """What the file of a network says beside its tensors."""

    architecture: str
    arguments: dict[str, int]
    meta: dict[str, Any]


def save_network(path: str | os.PathLike[str], network: ImageNetwork, meta: Mapping[str, Any]) -> None:
    """Writes a network as safetensors, whole or not at all; `load_network` reads it back.

    Args:
        path: of the file.
        network: one of `ARCHITECTURES`.
        meta: what to keep beside it, JSON values: by custom ``"classes"``, the names of the classes, and
            ``"statistics"``, with which its images were normalised.

    Raises:
        TypeError: the network is none of `ARCHITECTURES`, or ``meta`` no JSON.
    """
    architecture = type(network).__name__
    if ARCHITECTURES.get(architecture) is not type(network):
        raise TypeError(f"`network` must be one of {', '.join(ARCHITECTURES)}, got {architecture}")
    save_tensors(path, network.state_dict(), _Saved(architecture, network.arguments, dict(meta)))


def load_network(path: str | os.PathLike[str]) -> tuple[ImageNetwork, dict[str, Any]]:
    """A network that `save_network` wrote, in evaluation mode and with channels last, and what was kept beside it.

    Raises:
        UserError: there is no such file, or it holds no network.
    """
    tensors, content = read_tensors(path)
    try:
        about = from_json(content, _Saved)
        if any(n > LARGEST for n in about.arguments.values()):
            raise ValueError(f"a size beyond {LARGEST} among {about.arguments}")
        with torch.device("meta"):  # sizes come from the file: memory is taken for its tensors only
            network = ARCHITECTURES[about.architecture](**about.arguments)
        network.load_state_dict(tensors, assign=True)
        network.arguments = about.arguments
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{str(path)!r} must hold a network of images, got a file without one ({reason})") from None
    return network.to(memory_format=torch.channels_last).eval(), about.meta  # type: ignore[call-overload]

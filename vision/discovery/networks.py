"""The images of a discovery, and the network whose features judge them."""

from __future__ import annotations

import copy
import os
from dataclasses import asdict
from pathlib import Path

from symflow.discovery import Tell
from symflow.errors import UserError, path_of
from symflow.runs import Run, from_json, refusing

from ..classifiers import classifiers
from ..data import Images, Statistics, load, split
from ..features import ImageNetwork, SmallResNet, load_network, save_network

HELD_OUT = 0.2  # of images without a test part: what no network and no search has seen
NETWORK = "network"  # the file of a trained network, and the checkpoint it continues from


def split_for_discovery(images: Images | str | os.PathLike[str]) -> tuple[Images, Images]:
    """The images to learn from, and those on which networks are tested and motions get their words.

    Raises:
        UserError: they cannot be read, or are too few.
    """
    if isinstance(images, Images):
        if len(images) < 2:
            raise UserError(f"`images` must hold at least 2 images, got {len(images)}")
        test, train = split(images, HELD_OUT, seed=0)
    else:
        train, test = load(path_of("images", images, "; vision.from_dataset makes Images of a torch Dataset"))
    if len(train) < 2:
        raise UserError(f"`images` must hold at least 2 images to learn from, got {len(train)}")
    return train, test


def small_network(images: Images, seed: int) -> SmallResNet:
    """The network that is trained when none is given: three stages from sides of 32 pixels on, else two narrow ones."""
    classes, channels = len(images.classes), images.pixels.shape[1]
    if min(images.pixels.shape[2:]) >= 32:
        return SmallResNet(classes, channels, seed=seed)
    return SmallResNet(classes, channels, width=16, stages=2, seed=seed)


def network_of(
    network: ImageNetwork | str | os.PathLike[str] | None,
    train: Images,
    epochs: int,
    flip: bool,
    seed: int,
    run: Run | None = None,
    tell: Tell = lambda done, figures: None,
) -> tuple[ImageNetwork, Statistics]:
    """The network that is given, or one that is trained, as `given_network` returns it."""
    if network is not None:
        return given_network(network, train, "network")
    file = None if run is None else run.path / f"{NETWORK}.safetensors"
    checkpoint = None if run is None else run.path / f"{NETWORK}-checkpoint.safetensors"
    if file is not None and file.exists():
        _remove(checkpoint)  # of a run that was killed as it came to this
        return given_network(file, train, "network")
    statistics = Statistics.of(train)
    model = small_network(train, seed)
    history = classifiers.train(
        model,
        train,
        epochs=epochs,
        seed=seed,
        flip=flip,
        statistics=statistics,
        checkpoint=checkpoint,
        progress=lambda epoch, record: tell(epoch / epochs, record),
    )
    if run is not None:
        run.rewind(NETWORK, 0)
        run.log(
            *({"stage": NETWORK, "step": r["epoch"], "loss": r["loss"], "accuracy": r["accuracy"]} for r in history)
        )
    if file is not None:
        save_network(file, model, {"classes": list(train.classes), "statistics": asdict(statistics)})
        _remove(checkpoint)
    return model.eval().requires_grad_(False), statistics


def _remove(checkpoint: Path | None) -> None:
    """What a network that is finished no longer needs; it holds times of the clock besides."""
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)


def given_network(
    network: ImageNetwork | str | os.PathLike[str], train: Images, argument: str
) -> tuple[ImageNetwork, Statistics]:
    """A network in evaluation mode and with parameters that do not learn, and what its images are normalised by.

    Args:
        network: itself, of which a copy is made, or its file, which may say how images are normalised.
        train: the images it is for.
        argument: what to call it in sentences.

    Raises:
        UserError: there is no such file, or the network is for other images or larger ones.
    """
    statistics = Statistics.of(train)
    if isinstance(network, ImageNetwork):
        model = copy.deepcopy(network)  # whose parameters will not learn, while the caller's may
    else:
        model, meta = load_network(network)
        if "statistics" in meta:
            with refusing(network, "say how images are normalised"):
                statistics = from_json(meta["statistics"], Statistics)
    channels = train.pixels.shape[1]
    if model.arguments["channels"] != channels or len(statistics.mean) != channels:
        raise UserError(f"`{argument}` must be for images of {channels} channels, got {model.arguments['channels']}")
    model.check_sides(train.pixels)
    return model.eval().requires_grad_(False), statistics

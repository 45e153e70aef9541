"""The commands of images: ``discover-images | train-classifier``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import OmitArgPrefixes

from symflow.console import CANNOT_TELL, HOLDS, REFUTED, Answer, staged

from .settings import ClassifierTrainings, ImageDiscovery


def discover_images(
    images: Annotated[str, tyro.conf.Positional],
    out: Path,
    network: Path | None = None,
    second: Path | None = None,
    settings: OmitArgPrefixes[ImageDiscovery] = ImageDiscovery(),
    resume: bool = False,
    force: bool = False,
) -> Answer:
    """Finds the generators of images: the motions of the pixel plane that change least what a network sees.

    Each is judged on images that took no part in the search. The exit code is 0 where some motion is measured to leave
    what images show alone, 1 where all are refuted, and 3 where it cannot be told.

    Examples:
        symflow discover-images cifar-10-batches-py --out runs/cifar
        symflow discover-images photographs --network mine.safetensors --out runs/photographs

    Args:
        images: a folder: cifar-10-batches-py or -bin, MNIST idx files, or a folder of images for each class.
        out: the run directory to make.
        network: the file of a network whose features are used; by default a small one is trained.
        second: the file of another network, trained apart, that judges motions with it; by default a classifier of
            patches, made in seconds.
        settings: how generators are looked for.
        resume: continue an interrupted run.
        force: replace an earlier run in `out`.
    """
    from symflow import vision
    from symflow.report import write_report
    from symflow.runs import RESULT, Run
    from symflow.vision.discovery import collect

    files = {name: None if file is None else str(file) for name, file in (("network", network), ("second", second))}
    config = {"command": "discover-images", "data": images, **files, **asdict(settings)}
    run = Run(out, config, resume=resume, replace=force)
    with staged(lambda figures: f"accuracy {figures['accuracy']:.3f}" if "accuracy" in figures else "") as progress:
        result = vision.discover_images(
            images, settings=settings, network=network, second=second, run=run, progress=progress
        )
        progress("report", 0.0, {})
        result.save(run.path / RESULT)
        run.save_tensors("evidence", collect(vision.load(images)[0], result), {})
        page = write_report(run.path)
        progress("report", 1.0, {})
    code = {"measured": HOLDS, "refuted": REFUTED}.get(result.verdict, CANNOT_TELL)
    return Answer(f"{result}\nreport: {page}", result.to_dict(), code)


def train_classifier(
    images: Annotated[str, tyro.conf.Positional],
    out: Path,
    settings: OmitArgPrefixes[ClassifierTrainings] = ClassifierTrainings(),
    generators: Path | None = None,
    first: int | None = None,
    unproved: bool = False,
    resume: bool = False,
    force: bool = False,
) -> Answer:
    """Compares augmentations by the classifiers that they train, fairly: paired seeds, strengths chosen by validation.

    Examples:
        symflow train-classifier cifar-10-batches-py --out runs/classifiers
        symflow train-classifier cifar-10-batches-py --generators runs/cifar --seeds 3 --out runs/classifiers

    Args:
        images: a folder, as for discover-images.
        out: the run directory to make; every finished training is kept there.
        settings: which classifiers are trained, on how many images.
        generators: the run of discover-images whose fields are the learned ones.
        first: among how many of them the valid ones are used, cheapest first; by default those before the widest gap in
            lambda.
        unproved: use those of which it cannot be told whether images stay valid, too.
        resume: continue an interrupted run, with more seeds or arms if wanted.
        force: replace an earlier run in `out`.
    """
    from symflow import vision
    from symflow.runs import RESULT

    augments = {}
    if generators is not None:
        augments = vision.learned_arms(vision.load_image_result(generators / RESULT), first, unproved=unproved)
    with staged() as progress:
        found = vision.compare(
            images,
            out,
            settings=settings,
            augments=augments,
            resume=resume,
            replace=force,
            progress=lambda what, epoch, epochs: progress(what, epoch / epochs, {}),
        )
    return Answer(str(found), found.to_dict())


COMMANDS = (discover_images, train_classifier)

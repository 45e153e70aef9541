"""Classifiers trained with one augmentation or another, compared on the same images, starts and orders.

The protocol: every arm trains the same network from the same initial parameters, on the same part of the training
images, in the same order, for the same number of steps; seeds change all of these together, so arms are compared in
pairs. Strengths are chosen on a validation part of the training images. The test images are used once, after the last
step, as they are.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean
from types import MappingProxyType
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import nn

from symflow.errors import UserError, check_integer
from symflow.formulas import Rows, Tabled, text_table
from symflow.learning import JobReport, Ledger, choose_strength, digest, distributed, mean_interval
from symflow.settings import with_settings

from ..augmentation import CropFlip, GeneratorAugment, affine_field
from ..data import Images, Statistics, load, split
from ..features import ImageNetwork, ResNet18, SmallResNet
from ..settings import ClassifierTrainings
from .classifiers import accuracy, check_shares, train

NETWORKS: Mapping[str, type[ImageNetwork]] = {"small": SmallResNet, "resnet18": ResNet18}
_OWN = ("crop", "affine")
_VALIDATION = 0.2  # of the training images, where a strength is chosen
_DECIDING = 3_000  # images that choose a strength together, so that accuracies are known to a point

Augment = Callable[[float], nn.Module] | nn.Module
"""From a strength to what changes a batch of images, or that itself where it has no strength to choose."""


# ---------------------------------------------------------------- what comes out


@dataclass(frozen=True)
class Arm:
    """What was measured with one augmentation.

    ``accuracies`` are those on the test images, one per seed; ``validation`` has, where a strength was chosen,
    pairs of a candidate and its mean accuracy on the validation parts.
    """

    name: str
    strength: float | None = None
    validation: tuple[tuple[float, float], ...] = ()
    accuracies: tuple[float, ...] = ()


@dataclass(frozen=True)
class Comparison(Tabled):
    """Accuracies of a classifier, arm by arm, with intervals over seeds.

    ``str`` gives a table, `to_dict` the same for a program.
    """

    images: str
    training: int
    test: int
    network: str
    epochs: int
    batch: int
    arms: tuple[Arm, ...] = ()

    def interval(self, arm: str, against: str | None = None) -> tuple[float, float]:
        """The mean over seeds and half the width of its 95 % interval, by Student's t.

        Args:
            arm: of the comparison.
            against: another; the differences to it are taken seed by seed.
        """
        values = self._arm(arm).accuracies
        if against is not None:
            values = tuple(a - b for a, b in zip(values, self._arm(against).accuracies, strict=False))
        return mean_interval(values)

    def _arm(self, name: str) -> Arm:
        return next(arm for arm in self.arms if arm.name == name)

    def to_dict(self) -> dict[str, Any]:
        """JSON values. An interval is a mean and half a width; a width is null for one seed."""
        content = asdict(self)
        for entry, arm in zip(content["arms"], self.arms, strict=True):
            entry["mean"], entry["half_width"] = map(_finite, self.interval(arm.name))
            entry["gains"] = {
                other.name: [_finite(v) for v in self.interval(arm.name, other.name)]
                for other in self.arms
                if other.name != arm.name
            }
        return content

    def table(self) -> Rows:
        """The arms: the mean accuracy over seeds and half the width of its interval, and the gain over the first."""
        first = self.arms[0].name if self.arms else ""
        rows = [
            [a.name, a.strength, len(a.accuracies), *self.interval(a.name)]
            + (list(self.interval(a.name, first)) if a.name != first else [None, None])
            for a in self.arms
        ]
        return Rows(["arm", "strength", "seeds", "accuracy", "half width", "gain", "half width of it"], rows)

    def __str__(self) -> str:
        first = self.arms[0].name if self.arms else ""
        rows = []
        for arm in self.arms:
            cells = [_interval(*self.interval(arm.name)), "" if arm.name == first else _signed(self, arm.name, first)]
            rows.append([arm.name, _strength(arm), str(len(arm.accuracies)), *cells])
        lines = text_table(["augmentation", ">strength", ">seeds", ">accuracy, %", f">over {first}, points"], rows)
        headline = (
            f"{self.images}: {self.network} trained on {self.training:,} images for {self.epochs} epochs, tested on "
            f"{self.test:,}"
        )
        note = "Intervals: 95 %, Student's t over seeds, differences seed by seed."
        return "\n".join([headline, "", lines, "", note])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _interval(mean: float, half: float) -> str:
    return "" if math.isnan(mean) else f"{100 * mean:.2f}" + (f" ± {100 * half:.2f}" if math.isfinite(half) else "")


def _signed(comparison: Comparison, arm: str, against: str) -> str:
    mean, half = comparison.interval(arm, against)
    return ("+" if mean > 0 else "") + _interval(mean, half)


def _strength(arm: Arm) -> str:
    if arm.strength is None:
        return ""
    return f"{arm.strength:g} px" if arm.name.startswith("crop") else f"{arm.strength:g}"


# ---------------------------------------------------------------- the trainings


@with_settings(ClassifierTrainings)
def compare(
    images: str | os.PathLike[str] | tuple[Images, Images],
    out: str | os.PathLike[str] | None = None,
    settings: ClassifierTrainings = ClassifierTrainings(),  # noqa: B008 - it is frozen
    *,
    augments: Mapping[str, Augment] = MappingProxyType({}),
    first: int = 0,
    resume: bool = False,
    replace: bool = False,
    progress: JobReport | None = None,
) -> Comparison:
    """Trains a classifier with every augmentation and every seed, and compares them on the test images.

    For each seed a part of the training images is drawn, with the same share of every class; seed, part, initial
    parameters and order are the same for all arms. Where an arm has several candidates for its strength, each trains on
    four fifths of the part of a seed and is tested on the last fifth, from seed 0 on until 3,000 images took part or
    the seeds end; the one that is best in the mean, the smaller of two equal ones, is used for all seeds. The test
    images are used as they are, once per training.

    With ``out`` everything finished is kept there, and every epoch of what is not. A run that is resumed continues
    within the training that was interrupted, and may be given other arms and more seeds.

    Under ``torchrun`` the workers share every batch.

    Args:
        images: a folder that `load` reads, or training and test images.
        out: a run directory; ``result.json`` in it is the comparison so far.
        settings: its fields are arguments of this function.
        first: the first seed.
        augments: further arms by name, for example `learned_arms`: from a strength to what changes normalised images,
            or a module that changes them and has no strength.
        resume: continue the run in ``out``.
        replace: remove an earlier run there first.
        progress: called after every epoch.

    Raises:
        UserError: the images cannot be read, or are too small or too few for the network; a number is out of its range;
            an arm or a network is unknown; or ``out`` cannot be used, as for `symflow.runs.Run`.
    """
    s = settings
    arms, fraction, seeds, network, epochs, batch = s.arms, s.fraction, s.seeds, s.network, s.epochs, s.batch
    augments = {"crop": _crop, "affine": partial(GeneratorAugment, affine_field()), **augments}
    candidates = _candidates(arms, augments, s.strengths, s.shifts)
    if network not in NETWORKS:
        raise UserError(f"`network` must be one of {', '.join(NETWORKS)}, got {network!r}")
    if not 0.0 < fraction <= 1.0:
        raise UserError(f"`fraction` must be above 0 and at most 1, got {fraction}")
    check_integer("first", first, 0)
    _check_sizes(seeds=seeds, batch=batch, epochs=1 if epochs is None else epochs)
    training, test = images if isinstance(images, tuple) else load(images)
    with torch.device("meta"):
        NETWORKS[network](len(training.classes), training.pixels.shape[1]).check_sides(training.pixels)
    epochs = round(10 / math.sqrt(fraction)) if epochs is None else epochs
    numbers = range(first, first + seeds)
    parts = {seed: split(training, fraction, seed)[0] if fraction < 1 else training for seed in numbers}
    comparison = Comparison(training.name, len(parts[first]), len(test), network, epochs, batch)
    config = {
        "command": "train-classifier",
        "images": digest(training.pixels, training.labels, test.pixels, test.labels),
        "fraction": fraction,
        "network": network,
        "epochs": epochs,
        "batch": batch,
    } | ({"first": first} if first else {})
    with distributed() as device:
        check_shares(batch, len(parts[first]), dist.get_world_size() if dist.is_initialized() else 1)
        ledger = Ledger(out, config, resume, replace)
        trainings = _Trainings(network, epochs, batch, augments, device, ledger, progress)
        measured: dict[str, Arm] = {}
        folds = [(seed, *split(part, _VALIDATION, seed)) for seed, part in parts.items()]
        folds = folds[: math.ceil(_DECIDING / len(folds[0][1]))]

        def validated(arm: str, strength: float) -> float:
            return fmean(
                trainings.accuracy(arm, strength, seed, learn, check, f"validation {seed}")
                for seed, check, learn in folds
            )

        for arm, several in candidates.items():
            if len(several) > 1:
                measured[arm] = Arm(arm, *choose_strength(partial(validated, arm), several))
            else:
                measured[arm] = Arm(arm, next(iter(several), None))
        for seed, part in parts.items():
            for arm, so_far in measured.items():
                score = trainings.accuracy(arm, so_far.strength, seed, part, test, f"seed {seed}")
                measured[arm] = dataclasses.replace(so_far, accuracies=(*so_far.accuracies, score))
                comparison = dataclasses.replace(comparison, arms=tuple(measured.values()))
                ledger.publish(comparison.to_dict())
    return comparison


@dataclass(frozen=True)
class _Trainings:
    """What all trainings of a comparison share, and the ledger that remembers them."""

    network: str
    epochs: int
    batch: int
    augments: Mapping[str, Augment]  # by arms without their flips
    device: torch.device
    ledger: Ledger
    progress: JobReport | None

    def accuracy(self, arm: str, strength: float | None, seed: int, learn: Images, check: Images, use: str) -> float:
        """Of a network that has learned on some images, on others; taken from the ledger when it is there."""
        augment = _augmentation(arm.removesuffix("+flip"), self.augments, strength)
        name = f"{arm}, {use}" if strength is None else f"{arm} {strength:g}, {use}"
        key = name
        if augment is not None and not arm.startswith(_OWN):  # the same name may stand for others another time
            key = f"{name} {digest(repr(augment), *augment.state_dict().values())}"
        if key not in self.ledger.finished:
            network = NETWORKS[self.network](len(learn.classes), learn.pixels.shape[1], seed=seed).to(self.device)
            statistics = Statistics.of(learn)
            history = train(
                network,
                learn,
                epochs=self.epochs,
                seed=seed,
                augment=None if augment is None else augment.to(self.device),
                statistics=statistics,
                flip=arm.endswith("flip"),
                batch=self.batch,
                checkpoint=self.ledger.checkpoint(key),
                progress=lambda epoch, _: self.progress(name, epoch, self.epochs) if self.progress else None,
            )
            way = [{"step": r["epoch"], **{n: v for n, v in r.items() if n != "epoch"}} for r in history]
            self.ledger.note(key, way, accuracy=accuracy(network, check, statistics))
        return self.ledger.finished[key]["accuracy"]


def _augmentation(arm: str, augments: Mapping[str, Augment], strength: float | None) -> nn.Module | None:
    """What changes the images of an arm.

    Raises:
        UserError: it is no module, and no function of a strength that makes one.
    """
    given = augments.get(arm)
    made = (
        given if given is None or isinstance(given, nn.Module) or not callable(given) else given(cast(float, strength))
    )
    if made is None or isinstance(made, nn.Module):
        return made
    raise UserError(
        f"`augments` must hold torch modules, or functions from a strength to one, got {type(made).__name__} for "
        f"{arm!r}"
    )


def _crop(shift: float) -> nn.Module:
    return CropFlip(int(shift), flip=False)  # mirror images are the batches' own


def _candidates(
    arms: Sequence[str], augments: Mapping[str, Augment], strengths: Sequence[float], shifts: Sequence[float]
) -> dict[str, tuple[float, ...]]:
    """The strengths to choose from, by arm; one where it is given."""
    for name, values in (("strengths", strengths), ("shifts", shifts)):
        _check_strengths(f"`{name}`", values, whole=name == "shifts")
    known = ("none", "flip", *(name + flip for name in augments for flip in ("", "+flip")))
    fixed = {name for name in known if isinstance(augments.get(name.removesuffix("+flip")), nn.Module | None)}
    candidates: dict[str, tuple[float, ...]] = {}
    for arm in arms:
        name, equals, given = arm.partition("=")
        whole = name.startswith("crop")
        if name.startswith("learned") and name not in known:
            raise UserError(f"the arm {name!r} needs generators that were discovered, got none")
        if name not in known or name in candidates or (name in fixed and equals):
            raise UserError(
                f"`arms` must be some of {', '.join(known)}, each once, where there is a strength with it "
                f'as in "crop=4" or without, got {", ".join(arms)}'
            )
        if equals:
            try:
                candidates[name] = (float(given),)
            except ValueError:
                raise UserError(f"the strength of {name!r} in `arms` must be a number, got {given!r}") from None
            _check_strengths(f"the strength of {name!r} in `arms`", candidates[name], whole)
        else:
            candidates[name] = () if name in fixed else tuple(shifts if whole else strengths)
    if not candidates:
        raise UserError(f"`arms` must be some of {', '.join(known)}, got none")
    return candidates


def _check_strengths(name: str, values: Sequence[float], whole: bool) -> None:
    if not values or not all(math.isfinite(s) and s > 0 for s in values):
        raise UserError(f"{name} must be positive, got {list(values)}")
    if whole and any(value != int(value) for value in values):
        raise UserError(f"{name} must be whole numbers of pixels, got {list(values)}")


def _check_sizes(**sizes: int) -> None:
    for name, value in sizes.items():
        check_integer(name, value, 1)

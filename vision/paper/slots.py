"""Slots on CIFAR-10 by finite flows, beside their controls and the quadratic form (the paper's figures 1 and 4)."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from symflow.algebra import subspace_angles
from symflow.fields import NeuralField, SymbolicField
from symflow.learning import learn
from symflow.reproduction import Size, Tell
from symflow.runs import CONFIG, Run

from ..discovery import AFFINE_MOTIONS, AFFINE_RANK, Search, forms_of
from ..features import Features, Normalised, Whitened, omega, untrained
from ..search import (
    AFFINE,
    MOTIONS,
    PLANE,
    Basis,
    FeatureAngle,
    Slots,
    affineness,
    grid_field,
    pixel_centres,
    sensitivities,
    slot_field,
    smoothest,
)
from ..settings import DEGREE
from ..validity import WEAK, ClassOutputs, Judge, Products, RidgeClassifier, by_agreement, chosen, joint_responses
from .drawings import noted
from .scales import SCALES, Scale, Trained, device, trained

SLOTS = 10  # the paper's K
LOCALITY = 0.1
LENGTHS = (0.1, 0.2, 0.3, 0.4)  # of flows, both ways, at which slots are scored
Variant = Literal["angle", "derivative"]


@dataclass(frozen=True)
class Found:
    """The slots of a network.

    Attributes:
        network: whose features scored them.
        pixels: of training images, normalised.
        sensitivity: to their pixels, of the whitened features of that network (`search.sensitivities`).
        measure: omega, by this sensitivity, ``[H W]``.
        field: the slots.
        step: seconds of the processor for a step; ``None`` where none was taken.
    """

    network: Trained
    pixels: Tensor
    sensitivity: Tensor
    measure: Tensor
    field: NeuralField
    step: float | None


def slot_study(size: Size, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
    """Slots by both variants of the score, without a score and by an untrained network, and what stands beside."""
    angle = learned(size, seed, folder, partial(_part, tell, 0.0, 0.6), "angle")
    net, pixels, measure = angle.network, angle.pixels, angle.measure
    derivative = _slots(
        size, seed, folder, "derivative", net.model.features, pixels, measure, partial(_part, tell, 0.6, 0.75)
    )
    blank = untrained(net.model, seed + 1)
    random = _slots(size, seed, folder, "untrained", blank.features, pixels, measure, partial(_part, tell, 0.75, 0.9))
    alone = _slots(size, seed, folder, "no score", None, pixels, measure, partial(_part, tell, 0.9, 0.95))
    height, width = pixels.shape[2:]
    points = pixel_centres(height, width).flatten(0, 1)
    sets: dict[str, Tensor] = {}
    learned_fields = {
        "slots, angle": angle.field,
        "slots, derivative": derivative[0],
        "slots, untrained network": random[0],
        "slots, no score": alone[0],
    }
    with torch.no_grad():
        for name, field in learned_fields.items():
            sets[name] = field.cpu().double()(points)
    sets |= _forms(angle, blank.features, seed)
    sets = {name: unit_fields(values, measure) for name, values in sets.items()}
    tell(0.96, "scores and words")
    judged = [name for name in sets if "untrained" not in name and "no score" not in name]
    named = SymbolicField(PLANE, [MOTIONS[name] for name in AFFINE_MOTIONS])(points)
    words, motions, second = _words(net, [sets[name] for name in judged], named, SCALES[size], seed)
    features = Normalised(net.model.features)
    held = net.statistics.normalise(net.test.pixels[: SCALES[size].scored].to(device()))
    return {
        "network": {"name": type(net.model).__name__, "accuracy": net.accuracy},
        "second": {"name": "ridge classifier of patches", "accuracy": second},
        "steps": SCALES[size].steps,
        "images": SCALES[size].images,
        "processor_seconds_of_a_step": {
            "angle": angle.step,
            "derivative": derivative[1],
        },
        "sets": {
            name: _table(values, points, measure)
            | {"scores": _scores(features, held, values), "words": dict(zip(judged, words, strict=True)).get(name)}
            for name, values in sets.items()
        },
        "motions": motions,
        "drawn": noted(sets, net.test.pixels[seed]),
    }


def learned(size: Size, seed: int, folder: Path, tell: Tell, variant: Variant = "angle") -> Found:
    """The network, which all seeds share, and slots for it; goes on from what is in the folders."""
    net = trained(size, folder.parent / f"network-{size}", partial(_part, tell, 0.0, 0.5))
    random = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(net.train), generator=random)[: SCALES[size].moved]
    pixels = net.statistics.normalise(net.train.pixels[chosen].to(device()))
    features = Whitened.of(net.model.features, pixels)
    sensitivity = sensitivities(features, pixels, seed).cpu()
    measure = omega(sensitivity)
    field, step = _slots(
        size, seed, folder, variant, net.model.features, pixels, measure, partial(_part, tell, 0.5, 1.0)
    )
    return Found(net, pixels, sensitivity, measure, field, step)


def _slots(
    size: Size,
    seed: int,
    folder: Path,
    name: str,
    features: Features | None,
    pixels: Tensor,
    measure: Tensor,
    tell: Tell,
) -> tuple[NeuralField, float | None]:
    scale = SCALES[size]
    objective = Slots(
        pixels,
        None if features is None else Normalised(features),
        measure,
        steps=scale.steps,
        batch=scale.images,
        flow_steps=scale.flow_steps,
        variant="derivative" if name == "derivative" else "angle",
        peak=scale.rate,
        seed=seed,
    )
    field = slot_field(SLOTS, seed, scale.width).to(device())
    taken = 0

    def progress(step: int, record: dict[str, float]) -> None:
        nonlocal taken
        taken += 1
        tell(step / objective.steps, f"{name}, loss {record['loss']:.2f}")

    run = Run(
        folder / name.replace(" ", "-"),
        {"command": "reproduce"},
        resume=(folder / name.replace(" ", "-") / CONFIG).exists(),
    )
    begun = time.process_time()
    learn(field, objective, stage="slots", run=run, progress=progress)
    return field, (time.process_time() - begun) / taken if taken else None


def _forms(found: Found, blank: Features, seed: int) -> dict[str, Tensor]:
    """The fields of the quadratic form for the same features, those of an untrained network, and the smoothest."""
    height, width = found.pixels.shape[2:]
    basis = Basis.polynomials(height, width, DEGREE)
    search = Search(basis, found.measure, SLOTS)
    smooth = smoothest(basis.energy, search.gram, SLOTS)
    sets = {"smoothness only": basis.fields(smooth.coefficients)}
    nothing = sensitivities(Whitened.of(blank, found.pixels), found.pixels, seed).cpu()
    for name, sensitivity in (("", found.sensitivity), (", untrained network", nothing)):
        forms = forms_of(sensitivity, basis, LOCALITY, flip=True)
        for mu in (1.0, WEAK):
            sets[f"quadratic form, mu = {mu:g}{name}"] = basis.fields(search.solve(forms, mu).coefficients)
    return sets


def _table(values: Tensor, points: Tensor, measure: Tensor) -> dict[str, Any]:
    """Affine-ness, the largest angle, and inner products of unit fields with each other and with the affine ones."""
    affine = unit_fields(AFFINE(points), measure)
    root = measure.sqrt()[:, None, None]
    angle = subspace_angles(values[:, :AFFINE_RANK] * root, AFFINE(points) * root).max()
    own, beside = (torch.einsum("nad,nbd,n->ab", values, v, measure) for v in (values, affine))
    return {
        "affineness": _rounded(affineness(values, points, measure)),
        "largest_angle": round(math.degrees(float(angle)), 2),
        "products": _rounded(own),
        "with_affine": _rounded(beside),
    }


def unit_fields(values: Tensor, measure: Tensor) -> Tensor:
    """Fields ``[N, K, 2]`` of unit norm under a measure ``[N]``."""
    return values / torch.einsum("nkd,nkd,n->k", values, values, measure).sqrt()[:, None]


@torch.no_grad()
def _scores(features: Features, images: Tensor, values: Tensor) -> list[float]:
    """The angles by which flows of unit fields turn features, mean over images, lengths and both directions."""
    field = grid_field(values, *images.shape[2:]).to(images.device)
    found = []
    for length in (s * sign for s in LENGTHS for sign in (1, -1)):
        score = FeatureAngle(features, length)
        found.append(torch.cat([score.each(field, part) for part in images.split(20)]).mean(0))
    scores: list[float] = _rounded(torch.stack(found).mean(0).cpu())
    return scores


def _words(
    net: Trained, sets: Sequence[Tensor], named: Tensor, scale: Scale, seed: int
) -> tuple[list[list[str]], dict[str, Any], float]:
    """What held-out images say of each field, and of the affine motions, by the network and a ridge classifier.

    Returns:
        the words of each set, those of the motions with their figures, and the accuracy of the ridge classifier.
    """
    ridge = RidgeClassifier.of(net.train[: scale.taught], net.statistics, seed)
    judges = [
        Judge("network", ClassOutputs(net.model.cpu()), net.statistics),
        Judge("ridge", ClassOutputs(ridge), net.statistics),
    ]
    held, _ = chosen(net.test[: scale.judged], seed)
    responses = joint_responses(judges, held, torch.cat([*sets, named], 1), torch.zeros(0), seed)
    judged = by_agreement(Products.of(responses, LOCALITY))
    net.model.to(device())
    words: list[list[str]] = [
        [said.word for said, _ in judged[k : k + SLOTS]] for k in range(0, len(sets) * SLOTS, SLOTS)
    ]
    motions = {
        name: {"word": said.word}
        | ({"ratio": found.ratio, "agreement": found.agreement} if found else dict.fromkeys(("ratio", "agreement")))
        for name, (said, found) in zip(AFFINE_MOTIONS, judged[len(sets) * SLOTS :], strict=True)
    }
    return words, motions, ridge.accuracy(net.test, net.statistics)


def _part(tell: Tell, begin: float, end: float, done: float, note: str) -> None:
    tell(begin + (end - begin) * done, note)


def _rounded(values: Tensor) -> Any:
    return (values * 1e4).round().div(1e4).tolist()

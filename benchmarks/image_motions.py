"""The six affine motions of the plane on held-out images, without a search: a table of docs/vision.md.

``python benchmarks/image_motions.py mnist --locality 0.15 --epochs 6`` trains a small network for each seed, and judges
by it and a ridge classifier, and by each network and the next one. ``--networks`` takes networks of
``image_classifier.py`` instead, as on CIFAR-10. What a call before has found is in ``--out`` and stays there.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import torch
from _common import RESULTS, print_table, replace_table, write_results

from symflow.fields import SymbolicField
from symflow.vision import accuracy, load, load_network, train
from symflow.vision.data import Images, Statistics
from symflow.vision.discovery import AFFINE_MOTIONS
from symflow.vision.discovery.networks import small_network
from symflow.vision.features import ImageNetwork
from symflow.vision.search import MOTIONS, PLANE, pixel_centres
from symflow.vision.validity import (
    ClassOutputs,
    Judge,
    Products,
    RidgeClassifier,
    by_agreement,
    chosen,
    joint_responses,
)


def judge_of(network: ImageNetwork, test: Images, statistics: Statistics, name: str) -> Judge:
    return Judge(name, ClassOutputs(network), statistics, accuracy(network, test, statistics))


def ridge_of(images: Images, test: Images, statistics: Statistics, seed: int) -> Judge:
    ridge = RidgeClassifier.of(images, statistics, seed)
    return Judge("ridge", ClassOutputs(ridge), statistics, ridge.accuracy(test, statistics))


def judged(judges: tuple[Judge, Judge], test: Images, locality: float, seed: int) -> dict[str, Any]:
    """The words and figures of every motion."""
    held, images = chosen(test, seed)
    points = pixel_centres(*test.pixels.shape[2:]).flatten(0, 1)
    fields = SymbolicField(PLANE, [MOTIONS[name] for name in AFFINE_MOTIONS])(points)
    responses = joint_responses(judges, held, fields, torch.zeros(0), seed)
    said = by_agreement(Products.of(responses, locality))
    motions = {
        name: {"word": word.word}
        | ({"ratio": found.ratio, "agreement": found.agreement} if found else dict.fromkeys(("ratio", "agreement")))
        for name, (word, found) in zip(AFFINE_MOTIONS, said, strict=True)
    }
    about = [{"name": j.name, "accuracy": j.accuracy} for j in judges]
    return {"images": images, "locality": locality, "judges": about, "motions": motions}


def cell(motion: dict[str, Any]) -> str:
    if motion["ratio"] is None:
        return motion["word"]
    figures = (f"{value:.2f} ± {error:.2f}" for value, error in (motion["ratio"], motion["agreement"]))
    return f"{motion['word']}: {', '.join(figures)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--networks", type=Path, nargs="*", help="their files, by seed")
    parser.add_argument("--epochs", type=int, default=6, help="of networks that are not given")
    parser.add_argument("--flip", action="store_true", help="mirror images take part in their training")
    parser.add_argument("--locality", type=float, default=0.1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("runs/image_motions"), help="where trainings go on")
    parser.add_argument("--table", type=Path, help="a page between whose marks the tables are put")
    parser.add_argument("--out", type=Path, default=RESULTS / "image_motions.json")
    asked = parser.parse_args()

    images, test = load(asked.path)
    statistics = Statistics.of(images)
    found: dict[str, Any] = json.loads(asked.out.read_text())["pairs"] if asked.out.exists() else {}
    networks: list[ImageNetwork] = []
    for seed in range(asked.seeds):
        if asked.networks:
            networks.append(load_network(asked.networks[seed])[0].requires_grad_(False))
            continue
        networks.append(small_network(images, seed))
        asked.runs.mkdir(parents=True, exist_ok=True)
        checkpoint = asked.runs / f"{asked.path.name}-{seed}.safetensors"
        train(
            networks[-1],
            images,
            epochs=asked.epochs,
            seed=seed,
            flip=asked.flip,
            statistics=statistics,
            checkpoint=checkpoint,
        )
        networks[-1].requires_grad_(False)
    judges = [judge_of(n, test, statistics, f"network {seed}") for seed, n in enumerate(networks)]
    pairs = [(seed, "ridge") for seed in range(asked.seeds)]
    pairs += [(seed, str((seed + 1) % asked.seeds)) for seed in range(asked.seeds) if asked.seeds > 1]
    for seed, other in pairs:
        key = f"{images.name.split(',')[0]}, {seed} and {other}"
        if key not in found:
            second = ridge_of(images, test, statistics, seed) if other == "ridge" else judges[int(other)]
            found[key] = judged((judges[seed], second), test, asked.locality, seed)
            write_results("image_motions", {"pairs": found}, asked.out)
        print(key, {name: cell(m) for name, m in found[key]["motions"].items()}, flush=True)

    header = ("images, judges", *AFFINE_MOTIONS)
    rows = [
        [
            f"{key.split(',')[0]}: " + " and ".join(f"{j['name']} ({j['accuracy']:.1%})" for j in pair["judges"]),
            *(cell(motion) for motion in pair["motions"].values()),
        ]
        for key, pair in found.items()
    ]
    print_table(header, rows)
    if asked.table:
        replace_table(asked.table, "motions", header, rows)


if __name__ == "__main__":
    main()

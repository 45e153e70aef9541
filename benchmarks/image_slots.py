"""The paper's own route on images: slots by finite flows, with a network's features; continues where it stopped.

``python benchmarks/image_slots.py PATH NETWORK --out RUN [--steps 19500] [--minutes 9]`` needs the images and a network
of ``benchmarks/image_classifier.py``. At the paper's settings (ResNet-18, batch 128, 10 generators, 19,500 steps) it
wants a GPU. It stops after the given minutes, or when it is interrupted, with a checkpoint, and prints the scores and
the affine-ness under omega; once it is finished ``result.json`` in the run has them.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from symflow.learning.loop import learn
from symflow.runs import CONFIG, METRICS, RESULT, Run, write_json
from symflow.vision.data.batches import Statistics
from symflow.vision.data.files import load
from symflow.vision.features.features import Normalised
from symflow.vision.features.networks import load_network
from symflow.vision.features.weight import omega
from symflow.vision.search.form import sensitivities
from symflow.vision.search.plane import affineness, pixel_centres
from symflow.vision.search.slots import Slots, slot_field

AVERAGED = 500  # steps, of the scores that are kept


class OutOfTime(Exception):
    """The stage is over; the next one continues."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("network")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=Slots.steps)
    parser.add_argument("--batch", type=int, default=Slots.batch)
    parser.add_argument("--rate", type=float, default=Slots.peak)
    parser.add_argument("--generators", type=int, default=10)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    begun = time.monotonic()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train, _ = load(asked.path)
    network, _ = load_network(asked.network)
    features = Normalised(network.requires_grad_(False).to(device).features)
    images = Statistics.of(train).normalise(train.pixels[: asked.images].to(device))
    measure = omega(sensitivities(features, images[:8_000], asked.seed).cpu())

    kept = ("path", "network", "steps", "batch", "rate", "generators", "images", "seed")
    config = {"command": "image_slots", **{name: getattr(asked, name) for name in kept}}
    run = Run(asked.out, config, resume=(asked.out / CONFIG).exists())
    field = slot_field(asked.generators, asked.seed).to(device)
    objective = Slots(images, features, measure, asked.steps, asked.batch, peak=asked.rate, seed=asked.seed)

    def progress(step: int, record: dict[str, float]) -> None:
        if step % 25 == 0 or step == asked.steps:
            scores = " ".join(f"{record[f'score{k + 1}']:.3f}" for k in range(asked.generators))
            print(f"{step} {time.monotonic() - begun:.0f} s  scores {scores}  loss {record['loss']:.3f}", flush=True)
            if time.monotonic() - begun > 60 * asked.minutes and step < asked.steps:
                raise OutOfTime

    finished = False
    try:
        learn(field, objective, stage="slots", run=run, progress=progress)
        finished = True
    except (OutOfTime, KeyboardInterrupt):
        print(f"{run.path}: to be continued", file=sys.stderr)
    points = pixel_centres(*images.shape[2:]).flatten(0, 1)
    with torch.no_grad():
        values = field.cpu().double()(points)
    affine = affineness(values, points, measure).tolist()
    print("affine-ness", " ".join(f"{a:.2f}" for a in affine))
    if finished:
        write_json(run.path / RESULT, {**config, "device": str(device), "affineness": affine, "scores": _scores(run)})


def _scores(run: Run) -> list[float]:
    """The mean score of each slot over the last steps: those of one step depend on its images and its length."""
    lines = [json.loads(line) for line in (run.path / METRICS).read_text().splitlines()[-AVERAGED:]]
    names = [name for name in lines[-1] if name.startswith("score")]
    return [sum(line[name] for line in lines) / len(lines) for name in names]


if __name__ == "__main__":
    main()

"""A classifier trained with flips only, kept with its accuracy; continues where it stopped.

``python benchmarks/image_classifier.py PATH --out NETWORK.safetensors [--seed 0] [--epochs 20]`` needs the images. The
network is what ``symflow discover-images --network`` and ``benchmarks/image_slots.py`` take; a JSON file beside it says
how it was trained and what it reached. An interrupted training continues after its last epoch.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from symflow.runs import write_json
from symflow.vision import accuracy, load, save_network, train
from symflow.vision.classifiers.comparison import NETWORKS
from symflow.vision.data.batches import Statistics


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--network", choices=sorted(NETWORKS), default="resnet18")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    images, test = load(asked.path)
    statistics = Statistics.of(images)
    network = NETWORKS[asked.network](len(images.classes), images.pixels.shape[1], seed=asked.seed).to(device)
    checkpoint = asked.out.with_name(f"{asked.out.stem}-checkpoint.safetensors")
    begun = time.monotonic()

    def progress(epoch: int, record: dict[str, float]) -> None:
        figures = " ".join(f"{name} {record[name]:.4g}" for name in ("loss", "accuracy", "seconds"))
        print(f"epoch {epoch} of {asked.epochs}: {figures}, {time.monotonic() - begun:.0f} s in all", flush=True)

    try:
        history = train(
            network,
            images,
            epochs=asked.epochs,
            seed=asked.seed,
            statistics=statistics,
            flip=True,
            batch=asked.batch,
            checkpoint=checkpoint,
            progress=progress,
        )
    except KeyboardInterrupt:
        sys.exit(f"{asked.out}: to be continued")
    reached = accuracy(network, test, statistics)
    trained = {"images": images.name, "network": asked.network, "flip": True, "batch": asked.batch, "seed": asked.seed}
    trained |= {"accuracy": reached, "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu"}
    save_network(asked.out, network, {"classes": list(images.classes), "statistics": asdict(statistics), **trained})
    write_json(asked.out.with_suffix(".json"), {**trained, "history": history})
    checkpoint.unlink(missing_ok=True)
    print(f"{asked.out}: accuracy {reached:.4f} on {len(test):,} test images")


if __name__ == "__main__":
    main()

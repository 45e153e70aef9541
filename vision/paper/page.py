"""The sections of images on the page of the paper, from records alone."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from symflow.learning import mean_interval
from symflow.reproduction import NOT_RUN, Record, results, table

from .drawings import drawn

FIRST = 6  # of the slots, as many as there are affine fields
PUBLISHED = {
    "affineness": [0.990, 1.021, 1.006, 0.987, 0.986, 0.989, 0.116, 0.125, 0.106, 0.088],
    "scores": [0.229, 0.244, 0.397, 0.429, 0.468, 0.514, 0.524, 0.569, 0.483, 0.614],
}
"""The authors' run: affine-ness with a basis that is not quite orthonormal, so that it can exceed 1."""

IMAGES = """\
## Images

Ten slots flow CIFAR-10 images and are scored by how far the features of a network turn (figures 1 and 4). *Angle* is
the paper's score, *derivative* that of the official code. Beside them stand four controls: slots with the features of
an untrained network, slots without any score, smoothness alone, and the quadratic form of an untrained network; and the
quadratic form of the same network (docs/vision.md). *Affine* is the norm of the orthogonal projection on the affine
fields under the weight omega; *largest angle* that from the first six to the affine ones; *score* the mean angle by
which flows of .1 to .4 both ways turn the features of held-out images, by the trained network for every row. *Words*
are those of held-out images by the network and a ridge classifier of patches: m measured, r refuted, . cannot be told.

All seeds have one network, as in the paper, and their own images, starts and draws. `small`: the small network after 9
epochs; slots of width 64 instead of 256, 400 steps of 2 images at a hundred times the paper's learning rate (at ten
times the slots are not yet orthogonal then), 4 steps of the longest flow instead of 20; omega and the form of 2,000
images; a ridge classifier of 8,000. `paper`: ResNet-18 after 20 epochs, 19,500 steps of 128
images; omega and the form of 8,000.
"""

DRAWINGS = """\
![Vector fields as arrows](paper/fields.svg)

The fields of the first seed: slots by angle, slots without a score, and the quadratic form at mu = 0.05. The longest
arrows of all panels have one length.

![An image moved along slots](paper/moved.svg)

The first image of the test along the first six slots by angle, reflected at its border.
"""

AUGMENTATION = """\
## Augmentation of images

Classifiers of CIFAR-10 without augmentation, with random crops, along the six affine fields, and along the first six
slots of the study above (table 3); all but the first with mirror images. `small`: 10 % of the labels, the small
network, 24 epochs, with the strengths that were best on validation images in [vision.md](vision.md). `paper`: all
labels, ResNet-18, 50 epochs, strengths chosen on validation images from the same candidates for all. Test images are
used as they are, once. Accuracies are means over seeds, gains paired by seed, with the 95 % interval of their mean.
"""

AUGMENTATION_PUBLISHED = """\
Published: 92.4 % without augmentation (ResNet-18, all labels; the authors' own log ends at 91.99 % with 92.18 % at its
best epoch); learned and affine augmentation are said to be clearly above none and above crop+flip. The other figures of
the table are not public.
"""


def page(records: Sequence[Record]) -> str:
    """The sections, in the paper's order."""
    return "\n".join([_images(records), _augmentation(records)])


def figures(records: Sequence[Record]) -> dict[str, str]:
    """The figures of the first seed, as SVG."""
    found = results(records, "images", "slots")
    return drawn(next(iter(found.values())), FIRST) if found else {}


def _images(records: Sequence[Record]) -> str:
    header = ("size, seed", "fields", "affine, first six", "the next four", "largest angle", "scores", "words")
    rows = [
        ["authors' run", "slots, angle", *_two(PUBLISHED["affineness"]), "", _few(PUBLISHED["scores"]), ""],
    ]
    found = [r for r in records if (r.group, r.name) == ("images", "slots")]
    for record in found:
        for number, (name, row) in enumerate(record.result["sets"].items()):
            words = "" if row["words"] is None else "".join(_LETTERS[w] for w in row["words"])
            rows.append(
                [
                    _about(record) if number == 0 else "",
                    name,
                    *_two(row["affineness"]),
                    f"{row['largest_angle']:.0f}°",
                    _few(row["scores"]),
                    words,
                ]
            )
    rows += [[size, NOT_RUN, *[""] * 5] for size in ("small", "paper") if not results(records, "images", "slots", size)]
    drawings = DRAWINGS if results(records, "images", "slots") else ""
    return "\n".join([IMAGES, table(header, rows), _decision(found), drawings, _motions(found)])


SLOTS = ("slots, angle", "slots, derivative")
CONTROLS = ("slots, untrained network", "slots, no score", "smoothness only")


def _decision(found: Sequence[Record]) -> str:
    """Whether the slots are more affine than those that know nothing of images."""
    if not found:
        return ""
    names = (*SLOTS, *CONTROLS)
    sums = [
        {name: sum(a * a for a in record.result["sets"][name]["affineness"][:FIRST]) for name in names}
        for record in found
    ]
    above = sum(all(each[name] < each[SLOTS[0]] for name in CONTROLS) for each in sums)
    rows = [
        [f"{record.size}, {record.seed}", *(f"{each[name]:.2f}" for name in names)]
        for record, each in zip(found, sums, strict=True)
    ]
    said = (
        "Sums of the squared affine-ness of the first six, 6 if all are affine. That images have affine symmetries\n"
        "would follow from slots only if those by angle exceeded every control that knows nothing of images: they do\n"
        f"in {above} of {len(found)} seeds.\n"
    )
    return "\n".join([said, table(("size, seed", *names), rows)])


def _motions(found: Sequence[Record]) -> str:
    """The affine motions as they are, on the same held-out images."""
    rows = []
    for record in found:
        for name, said in record.result["motions"].items():
            pairs = [] if said["ratio"] is None else [said["ratio"], said["agreement"]]
            figures = [f"{value:.2f} ± {error:.2f}" for value, error in pairs] or ["", ""]
            rows.append([f"{record.size}, {record.seed}", name, *figures, said["word"]])
    return table(("size, seed", "affine motion", "lambda", "rho", ""), rows or [[NOT_RUN, "", "", "", ""]])


_LETTERS = {"measured": "m", "refuted": "r", "cannot be told": "."}


def _about(record: Record) -> str:
    network = record.result["network"]
    return f"{record.size}, {record.seed}: {network['name']} {network['accuracy']:.1%}, {record.seconds:.0f} s"


def _two(values: Sequence[float]) -> list[str]:
    return [_few(values[:FIRST]), _few(values[FIRST:])]


def _few(values: Sequence[float]) -> str:
    return " ".join(f"{v:.2f}" for v in values)


def _augmentation(records: Sequence[Record]) -> str:
    header = ("size", "seeds", "augmentation", "strengths", "accuracy, %", "over none, points")
    rows = []
    for size in ("small", "paper"):
        found: list[Any] = list(results(records, "augmentation", "cifar10", size).values())
        if not found:
            rows.append([size, "", NOT_RUN, "", "", ""])
        for arm in found[0]["arms"] if found else ():
            accuracies = [100 * r["arms"][arm]["accuracy"] for r in found]
            gains = [a - 100 * r["arms"]["none"]["accuracy"] for a, r in zip(accuracies, found, strict=True)]
            strengths = [r["arms"][arm]["strength"] for r in found]
            chosen = " ".join(dict.fromkeys(f"{s:g}" for s in strengths if s is not None))
            mean, half = mean_interval(gains)
            interval = f" ± {half:.2f}" if len(gains) > 1 else ""
            gain = "" if arm == "none" else f"{mean:+.2f}{interval}"
            rows.append([size, str(len(found)), arm, chosen, f"{fmean(accuracies):.2f}", gain])
    return "\n".join([AUGMENTATION, table(header, rows), AUGMENTATION_PUBLISHED])

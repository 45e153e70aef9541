"""The studies of images on small ones: what they record, that they go on after a kill, and their page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from symflow.errors import UserError
from symflow.reproduction import NOT_RUN, Record
from symflow.vision import paper
from symflow.vision.data.images import Images
from symflow.vision.paper import arms, drawings, scales, slots
from symflow.vision.paper.page import CONTROLS, SLOTS
from symflow.vision.search import grid_field, pixel_centres

TINY = replace(
    scales.SCALES["small"],
    epochs=1,
    steps=3,
    images=2,
    flow_steps=2,
    scored=4,
    judged=100,
    fraction=0.5,
    arm_epochs=1,
    strengths=(0.1,),
    shifts=(1.0,),
)
NAMES = [
    "slots, angle",
    "slots, derivative",
    "slots, untrained network",
    "slots, no score",
    "smoothness only",
    "quadratic form, mu = 1",
    "quadratic form, mu = 0.05",
    "quadratic form, mu = 1, untrained network",
    "quadratic form, mu = 0.05, untrained network",
]


def pictures(count: int, seed: int) -> Images:
    """Gradients of colour along x or along y, with noise."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    z = torch.linspace(0, 1, 16)
    ramps = torch.stack([z.expand(16, 16), z[:, None].expand(16, 16), (z * z[:, None])])
    pixels = ramps[labels][:, None] * torch.rand(count, 3, 1, 1, generator=random)
    noise = 0.2 * torch.rand(count, 3, 16, 16, generator=random)
    return Images(((pixels + noise) * 200).to(torch.uint8), labels, ("x", "y", "xy"), "ramps")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (slots, arms, scales):
        monkeypatch.setattr(module, "SCALES", {"small": TINY})
    for module in (arms, scales):
        monkeypatch.setattr(module, "cifar10", lambda: (pictures(160, 0), pictures(120, 1)))


def silent(done: float, note: str) -> None: ...


def test_slots_stand_beside_their_controls_and_go_on_after_a_kill(tiny, tmp_path: Path):
    seen: list[float] = []
    whole = slots.slot_study("small", 0, tmp_path / "whole", lambda done, note: seen.append(done))
    assert seen == sorted(seen)
    assert list(whole["sets"]) == NAMES
    for name, found in whole["sets"].items():
        assert len(found["affineness"]) == len(found["scores"]) == 10
        assert max(found["affineness"]) <= 1
        assert [row[k] for k, row in enumerate(found["products"])] == pytest.approx([1.0] * 10, abs=1e-3)
        assert (found["words"] is None) == ("untrained" in name or "no score" in name)
    assert list(whole["motions"])[-1] == "squeeze"
    assert min(whole["sets"]["smoothness only"]["affineness"][:6]) > 0.9

    def kill(done: float, note: str) -> None:
        if note.startswith("derivative"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        slots.slot_study("small", 0, tmp_path / "killed", kill)
    again = slots.slot_study("small", 0, tmp_path / "killed", silent)
    assert again["processor_seconds_of_a_step"]["angle"] is None  # not learned once more
    for found in (whole, again):
        del found["processor_seconds_of_a_step"]
    assert again == whole


def test_augmentation_takes_the_slots_of_the_same_seed(tiny, tmp_path: Path):
    result = arms.arm_study("small", 1, tmp_path / "augmentation" / "cifar10-small-1", silent)
    assert list(result["arms"]) == list(arms.ARMS)
    assert (tmp_path / "images" / "network-small" / "network.safetensors").exists()
    assert {name: arm["strength"] for name, arm in result["arms"].items()} == {
        "none": None,
        "crop+flip": 1.0,
        "affine+flip": 0.1,
        "slots+flip": 0.1,
    }
    assert all(0 <= arm["accuracy"] <= 1 for arm in result["arms"].values())
    assert arms.arm_study("small", 1, tmp_path / "augmentation" / "cifar10-small-1", silent) == result


def test_figures_show_the_fields_and_the_image_of_a_record():
    """Shifts: the longest flow of .4 is two pixels of eleven."""
    height = width = 11
    points = pixel_centres(height, width).flatten(0, 1)
    constant = torch.zeros(height * width, 2, 2, dtype=torch.float64)
    constant[:, 0, 0], constant[:, 1, 1] = 1.0, 1.0
    turned = torch.stack([torch.stack([-points[:, 1], points[:, 0]], -1)] * 2, 1)
    sets = {"slots, angle": constant, "slots, no score": turned, "quadratic form, mu = 0.05": turned}
    image = torch.randint(256, (3, height, width), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    record = json.loads(json.dumps(drawings.noted(sets, image)))
    shifts = drawings._read(record, "slots, angle")
    assert torch.equal(shifts[:, 0], torch.tensor([1.0, 0.0]).expand(81, 2))
    assert torch.equal(shifts[:, 1], torch.tensor([0.0, 1.0]).expand(81, 2))
    corners = drawings._read(record, "slots, no score")[[0, 8, 72, 80], 0]
    expected = torch.tensor([[1.0, -1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, 1.0]])
    torch.testing.assert_close(corners, expected, rtol=0, atol=6e-4)

    moved = drawings._moved(grid_field(shifts, 9, 9), record)
    whole = image.float() / 255
    assert (drawings.LENGTHS[2], drawings.LENGTHS[4]) == (0.0, 0.4)
    torch.testing.assert_close(moved[:, 2], whole.expand(2, 3, height, width), rtol=0, atol=1e-5)
    torch.testing.assert_close(moved[0, 4, :, :, :-2], whole[:, :, 2:], rtol=0, atol=1e-5)
    torch.testing.assert_close(moved[1, 4, :, :-2], whole[:, 2:], rtol=0, atol=1e-5)
    named = {name: {"affineness": [0.99, 0.5]} for name in sets}
    figures = drawings.drawn({"drawn": record, "sets": named}, 2)
    assert set(figures) == {"fields", "moved"}
    assert all(ElementTree.fromstring(figure).tag.endswith("svg") for figure in figures.values())
    assert figures["moved"].count("<image") == 10


def test_images_that_are_nowhere_get_a_sentence(monkeypatch, tmp_path: Path):
    monkeypatch.delenv("SYMFLOW_DATA", raising=False)
    with pytest.raises(UserError, match="the environment variable SYMFLOW_DATA must name the folder"):
        slots.slot_study("small", 0, tmp_path, silent)
    monkeypatch.setenv("SYMFLOW_DATA", str(tmp_path))  # where there are none
    for studies in paper.STUDIES.values():
        for study in studies.values():
            with pytest.raises(UserError, match=f"must name the folder that holds .*, got '{tmp_path}'"):
                study.check()


def test_the_page_shows_records_and_what_was_not_run():
    empty = paper.page([])
    assert empty.count(NOT_RUN) == 5
    found = {
        "affineness": [0.99] * 6 + [0.1] * 4,
        "scores": [0.2] * 10,
        "largest_angle": 12.3,
        "words": ["measured", "refuted", *["cannot be told"] * 8],
    }
    sets = dict.fromkeys((*SLOTS, *CONTROLS), found)
    sets["slots, no score"] = found | {"affineness": [0.5] * 10}
    motions = {
        "rotation": {"word": "measured", "ratio": [0.4, 0.01], "agreement": [0.7, 0.02]},
        "squeeze": {"word": "cannot be told", "ratio": None, "agreement": None},
    }
    result = {"network": {"name": "SmallResNet", "accuracy": 0.8}, "sets": sets, "motions": motions}
    accuracies = {
        "none": (0.6, 0.6),
        "crop+flip": (0.65, 0.65),
        "affine+flip": (0.64, 0.64),
        "slots+flip": (0.66, 0.68),
    }
    compared = [
        {
            "arms": {
                name: {"strength": None if name == "none" else 0.1, "validation": {}, "accuracy": accuracy[seed]}
                for name, accuracy in accuracies.items()
            }
        }
        for seed in (0, 1)
    ]
    records = [
        Record("images", "slots", "small", 0, 60.0, "0", result),
        *(Record("augmentation", "cifar10", "small", seed, 60.0, "0", compared[seed]) for seed in (0, 1)),
    ]
    text = paper.page(records)
    assert text.count(NOT_RUN) == 2
    assert "| 0.99 0.99 0.99 0.99 0.99 0.99 | 0.10 0.10 0.10 0.10 | 12° |" in text
    assert "mr........" in text
    assert "| small, 0 | rotation | 0.40 ± 0.01 | 0.70 ± 0.02 | measured |" in text
    assert "| small | 2 | slots+flip | 0.1 | 67.00 | +7.00 ± 12.71 |" in text  # gains of 6 and 8, t of one degree
    assert "| small, 0 | 5.88 | 5.88 | 5.88 | 1.50 | 5.88 |" in text
    assert "they do\nin 0 of 1 seeds" in text  # all alike but one
    sets |= {name: found | {"affineness": [0.9] * 10} for name in CONTROLS}
    assert "they do\nin 1 of 1 seeds" in paper.page(records)


def test_the_command_finds_the_studies():
    assert {group: list(found) for group, found in paper.STUDIES.items()} == {
        "images": ["slots"],
        "augmentation": ["cifar10"],
    }
    assert all(study.seconds <= 1_800 for found in paper.STUDIES.values() for study in found.values())

"""The comparison: pairs, resumption, and the promises of its protocol."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from symflow import SymbolicField
from symflow.errors import UserError
from symflow.vision.augmentation.augmentation import PLANE, GeneratorAugment, affine_field
from symflow.vision.classifiers import comparison
from symflow.vision.classifiers.comparison import Arm, Comparison, compare
from symflow.vision.data.images import Images


def noise(count, seed):
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, 1, 12, 12), generator=rng, dtype=torch.uint8)
    return Images(pixels, torch.arange(count) % 2, ("even", "odd"), "noise")


SETS = noise(80, 0), noise(30, 1)
QUICK = {"fraction": 0.5, "seeds": 2, "epochs": 2, "batch": 16, "strengths": (0.1, 0.2), "shifts": (1,)}


@pytest.mark.parametrize(
    ("side", "batch", "sentence"), [(7, 16, "sides of at least 8 pixels"), (12, 1, "`batch` and the number")]
)
def test_what_no_network_can_learn_from_is_refused_first(tmp_path, side, batch, sentence):
    sets = tuple(Images(s.pixels[..., :side, :side], s.labels, s.classes, s.name) for s in SETS)
    with pytest.raises(UserError, match=sentence):
        compare(sets, tmp_path / "run", **{**QUICK, "batch": batch})
    assert not (tmp_path / "run").exists()


def test_differences_are_taken_in_pairs():
    arms = (Arm("none", None, (), (0.1, 0.5, 0.9)), Arm("affine", 0.1, (), (0.2, 0.6, 1.0)))
    result = Comparison("set", 1, 1, "small", 1, 1, arms)
    assert result.interval("affine", "none") == pytest.approx((0.1, 0.0))
    assert result.interval("affine")[1] > 0.5
    text = str(result)
    assert "+10.00 ± 0.00" in text
    assert json.loads(json.dumps(result.to_dict(), allow_nan=False))["arms"][1]["gains"]["none"][0] == pytest.approx(
        0.1
    )


def test_one_seed_has_no_interval():
    result = Comparison("set", 1, 1, "small", 1, 1, (Arm("none", None, (), (0.5,)), Arm("flip", None, (), ())))
    json.dumps(result.to_dict(), allow_nan=False)
    assert "50.00" in str(result)
    assert "±" not in str(result)


@pytest.fixture
def trainings(monkeypatch):
    """What every training was asked to do, and what every network was tested on."""
    asked, tested = [], []
    train, accuracy = comparison.train, comparison.accuracy

    def spy_train(network, images, **arguments):
        start = torch.cat([p.detach().flatten() for p in network.parameters()])
        asked.append((images, start, arguments))
        return train(network, images, **arguments)

    def spy_accuracy(network, images, statistics):
        tested.append(images)
        return accuracy(network, images, statistics)

    monkeypatch.setattr(comparison, "train", spy_train)
    monkeypatch.setattr(comparison, "accuracy", spy_accuracy)
    return asked, tested


def rows(images):
    return {tuple(row) for row in images.pixels.flatten(1).tolist()}


def test_the_protocol(trainings):
    """Arms are paired; strengths are chosen without the test images, which every final network sees once."""
    asked, tested = trainings
    result = compare(SETS, arms=("none", "crop+flip", "affine", "affine+flip"), **QUICK)
    assert [len(arm.accuracies) for arm in result.arms] == [2, 2, 2, 2]
    test = rows(SETS[1])
    final = [a for a, t in zip(asked, tested, strict=True) if rows(t) == test]
    chosen = [(a, t) for a, t in zip(asked, tested, strict=True) if rows(t) != test]
    assert len(final) == 8
    assert len(chosen) == 8  # two strengths for each of the two arms that have a choice, on the part of each seed
    for (images, _, arguments), check in chosen:
        assert rows(images) | rows(check) == rows(final[4 * arguments["seed"]][0])
        assert not rows(images) & rows(check)
        assert not (rows(images) | rows(check)) & test
    for seed in range(2):
        arms = final[4 * seed : 4 * seed + 4]
        for images, start, arguments in arms:
            assert len(images) == 40
            assert torch.equal(images.pixels, arms[0][0].pixels)
            assert torch.equal(start, arms[0][1])
            assert {arguments[k] for k in ("seed", "epochs", "batch")} == {seed, 2, 16}
        assert [arguments["flip"] for *_, arguments in arms] == [False, True, False, True]
        assert [type(arguments["augment"]).__name__ for *_, arguments in arms] == [
            "NoneType",
            "CropFlip",
            "GeneratorAugment",
            "GeneratorAugment",
        ]
    assert not torch.equal(final[0][1], final[4][1])
    affine = result.arms[2]
    assert affine.strength == max(affine.validation, key=lambda pair: pair[1])[0]


def test_enough_images_choose_a_strength(trainings, monkeypatch):
    """Seeds take part in the choice until there are so many images, of which each gives eight here."""
    monkeypatch.setattr(comparison, "_DECIDING", 8)
    asked, tested = trainings
    result = compare(SETS, arms=("affine",), **QUICK)
    chosen = [(a, t) for a, t in zip(asked, tested, strict=True) if len(t) < len(SETS[1])]
    assert [len(t) for _, t in chosen] == [8] * 2
    assert {arguments["seed"] for (*_, arguments), _ in chosen} == {0}
    assert len(result.arms[0].validation) == 2


def test_strengths_that_are_given_are_not_chosen(trainings):
    asked, tested = trainings
    result = compare(SETS, arms=("flip", "crop+flip=3", "affine=0.15"), **{**QUICK, "shifts": (1, 2)})
    assert [(arm.name, arm.strength, arm.validation) for arm in result.arms] == [
        ("flip", None, ()),
        ("crop+flip", 3.0, ()),
        ("affine", 0.15, ()),
    ]
    assert all(rows(images) == rows(SETS[1]) for images in tested)
    assert [arguments["augment"].padding for *_, arguments in asked[1::3]] == [3, 3]
    assert [arguments["augment"].strength for *_, arguments in asked[2::3]] == [0.15, 0.15]


class Interrupted(Exception):
    pass


def test_a_comparison_that_is_continued(tmp_path, trainings):
    asked, _ = trainings
    whole = compare(SETS, arms=("none", "affine"), **QUICK)
    trained = len(asked)

    def stop(what, epoch, epochs):
        if what.endswith("seed 1") and epoch == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        compare(SETS, tmp_path / "run", arms=("none", "affine"), progress=stop, **QUICK)
    begun = len(asked)
    continued = compare(SETS, tmp_path / "run", arms=("none", "affine"), resume=True, **QUICK)
    assert continued == whole
    assert len(asked) - begun == trained - (begun - trained) + 1  # the interrupted one is taken up again
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == json.loads(json.dumps(whole.to_dict()))
    assert not list((tmp_path / "run").glob("*.safetensors"))

    more = compare(SETS, tmp_path / "run", arms=("none", "flip", "affine"), resume=True, **{**QUICK, "seeds": 3})
    assert more.arms[0].accuracies[:2] == whole.arms[0].accuracies
    assert [len(arm.accuracies) for arm in more.arms] == [3, 3, 3]
    with pytest.raises(UserError, match="epochs"):
        compare(SETS, tmp_path / "run", arms=("none",), resume=True, **{**QUICK, "epochs": 3})


def test_other_generators_are_other_trainings(tmp_path, trainings):
    asked, _ = trainings
    quick = {**QUICK, "seeds": 1, "strengths": (0.2,)}
    affine = {"learned": partial(GeneratorAugment, affine_field())}
    compare(SETS, tmp_path / "run", arms=("learned",), augments=affine, **quick)
    compare(
        SETS,
        tmp_path / "run",
        arms=("learned",),
        augments=affine,
        resume=True,
        **quick,
    )
    assert len(asked) == 1
    other = SymbolicField(PLANE, [{"dx": "x*y"}])
    compare(
        SETS,
        tmp_path / "run",
        arms=("learned",),
        augments={"learned": partial(GeneratorAugment, other)},
        resume=True,
        **quick,
    )
    assert len(asked) == 2
    augment = asked[1][2]["augment"]
    assert torch.equal(augment.field.values, GeneratorAugment(other, 0.2).field.values)


def test_a_module_is_an_arm_without_strength(tmp_path, trainings):
    """Of a module there is nothing to choose: it trains once a seed, and another one is another training."""
    asked, _ = trainings
    quick = {**QUICK, "seeds": 1}
    for count, module in enumerate((torch.nn.Identity(), torch.nn.Identity(), torch.nn.Tanh())):
        mine = {"mine": module}
        found = compare(SETS, tmp_path / "run", arms=("mine+flip",), augments=mine, resume=count > 0, **quick)
        assert found.arms[0].strength is None
        assert found.arms[0].validation == ()
        assert len(asked) == (1, 1, 2)[count]
    assert asked[1][2]["augment"] is module
    assert asked[1][2]["flip"]
    with pytest.raises(UserError, match="where there is a strength"):
        compare(SETS, arms=("mine=0.1",), augments={"mine": module}, **quick)


WORKER = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from test_comparison import QUICK, SETS, compare

result = compare(SETS, sys.argv[2], arms=("none", "affine"), resume=sys.argv[3] == "resume", **QUICK)
with open(f"{sys.argv[2]}-{os.environ['RANK']}.json", "w") as file:
    json.dump(result.to_dict(), file)
"""


@pytest.mark.slow
def test_workers_compare_together(tmp_path):
    """Two gloo processes under torchrun come to one result, which worker 0 writes; a second call finds it finished."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    arguments = [str(script), str(Path(__file__).parent), str(tmp_path / "run")]
    for how in ("begin", "resume"):
        subprocess.run(
            [*launcher, *arguments, how], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=500
        )
        found = [json.loads((tmp_path / f"run-{rank}.json").read_text()) for rank in range(2)]
        assert found[0] == found[1] == json.loads((tmp_path / "run" / "result.json").read_text())
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert sum('"step"' not in line for line in lines) == 8  # two strengths and two arms, with two seeds each


def test_errors(tmp_path):
    for arguments, error, sentence in (
        ({"arms": ("none", "rotation")}, UserError, "`arms` must be some of none"),
        ({"arms": ("none", "none")}, UserError, "each once"),
        ({"arms": ()}, UserError, "got none"),
        ({"arms": ("learned",)}, UserError, "needs generators"),
        ({"arms": ("crop", "crop=4")}, UserError, "each once"),
        ({"arms": ("flip=1",)}, UserError, "where there is a strength"),
        ({"arms": ("affine=",)}, UserError, "the strength of 'affine' in `arms` must be a number, got ''"),
        ({"arms": ("affine=-1",)}, UserError, "the strength of 'affine' in `arms` must be positive"),
        ({"arms": ("crop=2.5",)}, UserError, "the strength of 'crop' in `arms` must be whole"),
        ({"network": "large"}, UserError, "small, resnet18"),
        ({"fraction": 0.0}, UserError, "`fraction`"),
        ({"seeds": 0}, UserError, "`seeds`"),
        ({"epochs": 0}, UserError, "`epochs`"),
        ({"batch": 0}, UserError, "`batch`"),
        ({"strengths": (-0.1,)}, UserError, "positive"),
        ({"shifts": ()}, UserError, "positive"),
        ({"shifts": (2.5,)}, UserError, "whole numbers"),
    ):
        with pytest.raises(error, match=sentence):
            compare(SETS, **{"arms": ("none",), **QUICK, **arguments})
    with pytest.raises(UserError, match="not there"):
        compare(tmp_path / "nowhere", arms=("none",))


@pytest.mark.parametrize("given", [3, lambda strength: lambda images: images])
def test_what_is_no_augmentation_is_named(given):
    with pytest.raises(UserError, match="`augments` must hold torch modules, or functions from a strength to one, got"):
        compare(SETS, arms=("mine=0.1",), augments={"mine": given}, **QUICK)

"""``result.json`` of images: what is written is read back, and what was not written by us is refused."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace

import pytest
import torch

from symflow.discovery import Verdicts
from symflow.errors import UserError
from symflow.pde import load_result
from symflow.report import write_report
from symflow.runs import save_tensors
from symflow.vision.augmentation.augmentation import balanced
from symflow.vision.discovery import learned_arms
from symflow.vision.discovery.result import (
    FIELDS,
    Colour,
    Colours,
    ComparedSpan,
    Generator,
    ImageResult,
    Setting,
    load_image_result,
)
from symflow.vision.discovery.verdicts import data_verdict, generator_verdict
from symflow.vision.search.plane import PLANE, grid_field


def example() -> ImageResult:
    span = ComparedSpan([0.4, 0.5], [0.99, 0.3], [0.1, 1.2], 0.25)
    fields = torch.randn(30, 2, 2, generator=torch.Generator().manual_seed(0))
    rotation = Generator(
        name="V1",
        closed_form={"dx": "-y+1/4", "dy": "x"},
        learned=True,
        score=0.6,
        control=1.0,
        data=generator_verdict(0.6),
        motion="rotation",
        angle=0.1,
        value=0.4,
        ratio=0.39,
        affineness=0.99,
        turned=[0.1, 0.2, 0.3],
    )
    other = replace(
        rotation,
        name="V2",
        closed_form=None,
        learned=False,
        score=0.7,
        control=0.75,
        data=generator_verdict(0.7),
        motion=None,
        angle=None,
        value=0.5,
        ratio=0.45,
        affineness=0.3,
        turned=[0.4, 0.6, 0.9],
    )
    return ImageResult(
        verdicts=Verdicts(data=data_verdict(1, 2)),
        rank=1,
        generators=[rotation, other],
        coordinates=PLANE,
        seed=3,
        seconds={"form": 1.5},
        data="pictures",
        network="SmallResNet",
        accuracy=0.84,
        setting=Setting(
            images=100, shape=[3, 5, 6], locality=0.1, degree=5, mu=1.0, length=0.1, displacements=[0.1, 0.2, 0.4]
        ),
        found=span,
        gap=(1, 1.25),
        controls={"random network": ComparedSpan([0.9, 1.1], [0.2, 0.4], [0.7, 1.5], None), "no score": span},
        affineness_uniform=[0.98, 0.35],
        colours=Colours(
            [
                Colour("C1", "brightness", [[0.0, 0.0, 0.0, 1.0]] * 3, 0.1, 0.5, [0.1, 0.2]),
                Colour("C2", "contrast", [[*row, -0.5] for row in torch.eye(3).tolist()], 0.3, 1.9, [0.2, 0.4]),
            ],
            displacements=[0.1, 0.2],
            mean=[0.5] * 3,
            std=[0.25] * 3,
        ),
        structure_constants=[[[0.0, 0.0], [0.5, 0.1]], [[-0.5, -0.1], [0.0, 0.0]]],
        omega=torch.full((5, 6), 1 / 30, dtype=torch.float64),
        field=grid_field(fields, 5, 6),
    )


def test_a_result_comes_back_with_its_fields(tmp_path):
    result = example()
    result.save(tmp_path / "result.json")
    again = load_image_result(tmp_path / "result.json")
    assert again == result
    assert again.seconds == result.seconds
    assert torch.equal(again.field.values, result.field.values)
    assert torch.equal(again.omega, result.omega)
    content = json.loads((tmp_path / "result.json").read_text())
    assert (content["schema"], content["kind"], again.verdict) == (3, "images", "cannot be told")
    assert content["found"]["affineness"] == [0.99, 0.3]
    assert content["found"]["values"] == [0.4, 0.5]
    assert content["controls"]["random network"]["affineness"] == [0.2, 0.4]


def test_the_cheapest_generators_are_those_before_the_gap():
    result = example()
    assert torch.equal(result.first().values, result.field.values[:1])
    assert torch.equal(result.first(2).values, result.field.values)
    for count in (0, 3):
        with pytest.raises(UserError, match=f"`count` of the first generators must be from 1 to 2, got {count}"):
            result.first(count)


def test_strengths_beyond_what_was_measured_get_a_sentence():
    with pytest.raises(UserError, match=r"`strength` must be from 0 to 0\.407 for 2 generators, got 0\.45"):
        example().augment(0.45, 2, unproved=True)


def test_augmentation_is_balanced():
    result = example()
    augment = result.augment(0.1, 2, unproved=True)  # a number that is given counts those that were not learned, too
    expected = balanced([0.1, 0.2, 0.4], [[0.1, 0.2, 0.3], [0.4, 0.6, 0.9]], 0.1)
    assert augment.deviations.tolist() == pytest.approx(expected)
    assert result.augment(0.1, unproved=True).field.generators == 1


def test_no_motion_of_images_is_used_unless_told():
    """There is no rule for what is valid in images: nothing is called so, and nothing is moved without being told."""
    result = replace(example(), rank=2, gap=(2, 1.25))
    assert not any(g.valid for g in result.generators)
    sentence = "no rule says yet how little a motion must change for an image to stay valid; `unproved=True`"
    for use in (
        lambda: result.augment(0.1),
        lambda: result.augment(0.1, 2),
        lambda: result.augment_colours(0.1),
        lambda: learned_arms(result),
    ):
        with pytest.raises(UserError, match=sentence):
            use()

    def along(augment, k: int) -> bool:
        """Whether it moves along one generator, which it scales."""
        directions = [values.flatten() for values in (augment.field.values, result.field.values[k])]
        return bool(torch.isclose(torch.cosine_similarity(*directions, dim=0), torch.tensor(1.0)))

    assert along(result.augment(0.1, unproved=True), 0)
    arms = learned_arms(result, unproved=True)
    assert arms["learned"](0.1).field.generators == 2  # a comparison shows what all are worth
    swapped = [replace(g, learned=not g.learned) for g in result.generators]
    assert along(replace(result, generators=swapped).augment(0.1, unproved=True), 1)
    none = [replace(g, learned=False) for g in result.generators]
    with pytest.raises(UserError, match="before the widest gap that was learned, got none"):
        replace(result, generators=none).augment(0.1, unproved=True)


def test_what_is_said_of_images_is_the_same_everywhere(tmp_path):
    result = example()
    sentence = "no rule says yet how little a motion must change for an image to stay valid; 1 of 2 motions cost less"
    result.save(tmp_path / "result.json")
    page = write_report(tmp_path).read_text()
    assert f"data cannot be told {sentence}" in " ".join(str(result).split())
    assert f"<dt>data</dt><dd>cannot be told</dd><dd>{sentence}" in page
    assert json.loads((tmp_path / "result.json").read_text())["verdicts"]["data"]["word"] == result.verdict
    assert repr(result) == f"<ImageResult: {result.headline}>"


def test_the_command_refuses_motions_of_images_unless_told(tmp_path, monkeypatch, capsys):
    from symflow.cli import main

    example().save(tmp_path / "result.json")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refusal:
        main(["train-classifier", "nowhere", "--out", "run", "--generators", "."])
    assert refusal.value.code == 2
    assert "no rule says yet how little a motion must change" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_files_that_called_learned_motions_valid_are_read(tmp_path):
    """Those of schema 3 before there was the word learned: nothing of them is valid any more."""
    content = example().to_dict()
    for g in content["generators"]:
        g["valid"] = g.pop("learned")
        g["data"] = {"word": "measured", "reason": "", "figure": g["score"]}
    content["verdicts"]["data"] = {"word": "measured", "reason": "1 of 2 generators cost less", "figure": None}
    (tmp_path / "result.json").write_text(json.dumps(content))
    assert load_image_result(tmp_path) == example()


def test_colours_are_balanced_and_normalised():
    """Brightness turns features half as much as contrast about 1/2; images have a mean of .5 and a deviation of .25."""
    augment = example().augment_colours(0.05, unproved=True)
    torch.testing.assert_close(augment.deviations, 0.05 / math.sqrt(5) * torch.tensor([2.0, 1.0]))
    grey = torch.zeros(1, 3, 2, 2)
    weights = torch.tensor([[0.1, 0.0], [0.0, 0.1]])
    torch.testing.assert_close(augment.move(grey, weights)[0, :, 0, 0, 0], torch.tensor([0.4, 0.0]))
    torch.testing.assert_close(augment.move(grey + 1, weights)[0, :, 0, 0, 0], torch.tensor([1.4, math.exp(0.1)]))


def test_only_learned_colours_are_used():
    result = example()
    colours = result.colours
    contrast = replace(colours.generators[1], control=0.2)
    result = replace(result, colours=replace(colours, generators=[colours.generators[0], contrast]))
    assert [g.learned for g in result.colours.generators] == [True, False]
    assert result.augment_colours(0.05, unproved=True).deviations.tolist() == pytest.approx([0.05])
    assert set(learned_arms(result, unproved=True)) == {"learned", "learned+colours"}
    none = replace(colours, generators=[contrast])
    for without in (None, none):
        with pytest.raises(UserError, match="must have learned changes of colour"):
            replace(result, colours=without).augment_colours(0.1, unproved=True)
        assert set(learned_arms(replace(result, colours=without), unproved=True)) == {"learned"}


def test_without_the_file_of_fields_the_rest_is_read(tmp_path):
    example().save(tmp_path / "result.json")
    (tmp_path / FIELDS).unlink()
    again = load_image_result(tmp_path / "result.json")
    assert again.field is None
    with pytest.raises(UserError, match=r"must have its fields, in fields\.safetensors beside it, got none"):
        again.first()
    assert again.omega is None


def test_a_person_reads_the_table():
    text = str(example())
    assert "2 generators of pictures (100 images), by the features of SmallResNet, 84.0% right on unseen images" in text
    assert "rotation" in text
    assert "(-y+1/4) dx + x dy" in text
    assert "random network" in text
    assert max(map(len, text.splitlines())) <= 120


def test_formulas_are_fields():
    field = example().symbolic_field
    torch.testing.assert_close(field(torch.tensor([0.5, 1.0])), torch.tensor([[-0.75, 0.5]]))


HOSTILE = {
    "a missing key": lambda d: d.pop("found"),
    "another schema": lambda d: d.update(schema=1),
    "another kind": lambda d: d.update(kind="pde"),
    "a string for a number": lambda d: d["generators"][0].update(value="0.4"),
    "a formula that is a program": lambda d: d["generators"][0].update(
        closed_form={"dx": "__import__('os')", "dy": "0"}
    ),
    "a formula that explodes": lambda d: d["generators"][0].update(closed_form={"dx": "9**9**9**9", "dy": "0"}),
    "a component of another space": lambda d: d["generators"][0].update(closed_form={"du": "1"}),
    "a motion that we do not know": lambda d: d["generators"][0].update(motion="$\\frac$"),
    "too few numbers": lambda d: d["found"]["affineness"].pop(),
    "too few of a control": lambda d: d["controls"]["no score"]["affineness"].pop(),
    "no generator": lambda d: d.update(generators=[]),
    "constants of another size": lambda d: d.update(structure_constants=[[[0.0]]]),
    "a shape with two sides": lambda d: d["setting"].update(shape=[3, 5]),
    "an angle too few": lambda d: d["generators"][0]["turned"].pop(),
    "an angle below zero": lambda d: d["generators"][0]["turned"].__setitem__(0, -0.1),
    "displacements that fall": lambda d: d["setting"].update(displacements=[0.1, 0.4, 0.2]),
    "no displacement": lambda d: d["setting"].update(displacements=[]),
    "a matrix of another size": lambda d: d["colours"]["generators"][0]["matrix"].pop(),
    "a change that we do not know": lambda d: d["colours"]["generators"][0].update(change="<b>"),
    "a deviation of zero": lambda d: d["colours"].update(std=[0.0, 1.0, 1.0]),
    "no change of colour": lambda d: d["colours"].update(generators=[]),
    "a number that is none": lambda d: d["found"]["values"].__setitem__(0, float("nan")),
    "an infinite time": lambda d: d["seconds"].update(form=float("inf")),
}


@pytest.mark.parametrize("change", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_get_a_sentence(tmp_path, change):
    content = copy.deepcopy(example().to_dict())
    change(content)
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="must be a result of symflow"):
        load_image_result(path)


@pytest.mark.parametrize(
    "tensors",
    [
        {"values": torch.zeros(3, 6, 5, 2), "omega": torch.zeros(5, 6)},
        {"values": torch.zeros(2, 6, 5, 3), "omega": torch.zeros(5, 6)},
        {"values": torch.zeros(2, 6, 5, 2), "omega": torch.zeros(6, 5)},
        {"values": torch.full((2, 6, 5, 2), torch.nan), "omega": torch.zeros(5, 6)},
        {"values": torch.zeros(2, 6, 5, 2, dtype=torch.int32), "omega": torch.zeros(5, 6)},
        {"omega": torch.zeros(5, 6)},
    ],
)
def test_fields_that_do_not_fit_get_a_sentence(tmp_path, tensors):
    example().save(tmp_path / "result.json")
    save_tensors(tmp_path / FIELDS, tensors, {})
    with pytest.raises(UserError, match="must hold the values of 2 fields and a weight"):
        load_image_result(tmp_path / "result.json")


def test_results_of_the_two_domains_are_told_apart(tmp_path):
    example().save(tmp_path / "result.json")
    with pytest.raises(UserError, match="must be a result of symflow"):
        load_result(tmp_path / "result.json")


def test_the_report_is_one_file_without_scripts_and_the_same_each_time(tmp_path):
    result = example()
    result.save(tmp_path / "result.json")
    pictures = torch.rand(2, 3, 3, 5, 6)
    lengths = torch.tensor([-0.5, 0.0, 0.5])
    evidence = {"lengths": lengths, "moved": pictures, "changes": 0.4 * lengths, "coloured": 1 - pictures}
    save_tensors(tmp_path / "evidence.safetensors", evidence, {})
    page = write_report(tmp_path).read_text()
    assert page == write_report(tmp_path).read_text()
    assert page.count('role="img"') == 5
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == [
        "coloured.svg",
        "controls.svg",
        "fields.svg",
        "moved.svg",
        "products.svg",
    ]


def test_the_report_leaves_out_what_the_run_does_not_hold(tmp_path):
    example().save(tmp_path / "result.json")
    (tmp_path / FIELDS).unlink()
    save_tensors(
        tmp_path / "evidence.safetensors", {"lengths": torch.zeros(3), "moved": torch.zeros(2, 9, 3, 5, 6)}, {}
    )
    assert write_report(tmp_path).read_text().count('role="img"') == 1


def test_names_from_files_are_text(tmp_path):
    content = example().to_dict()
    content["data"] = "<script>alert(1)</script>"
    content["controls"]["<b>$\\frac$</b>"] = content["controls"].pop("no score")
    (tmp_path / "result.json").write_text(json.dumps(content))
    page = write_report(tmp_path).read_text()
    assert "<script" not in page
    assert "<b>$" not in page

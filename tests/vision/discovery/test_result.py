"""``result.json`` of images: what is written is read back, and what was not written by us is refused."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch

from symflow.discovery import DataVerdict, Verdicts
from symflow.errors import UserError
from symflow.pde import load_result
from symflow.report import write_report
from symflow.runs import save_tensors
from symflow.vision.augmentation.augmentation import balanced
from symflow.vision.discovery import learned_arms
from symflow.vision.discovery.entries import (
    AFFINE_MOTIONS,
    AffineMotion,
    Colour,
    Colours,
    ComparedSpan,
    Generator,
    Setting,
    Trial,
)
from symflow.vision.discovery.result import FIELDS, ImageResult, load_image_result
from symflow.vision.discovery.verdicts import BY_AGREEMENT, UNTESTED, data_verdict, untold
from symflow.vision.search.plane import PLANE, grid_field
from symflow.vision.validity import AffineClaim, HeldOut

SEEN = HeldOut((0.4, 0.01), (0.7, 0.02), [])
MEASURED, REFUTED = DataVerdict("measured", str(SEEN), 0.4), DataVerdict("refuted", "lambda 1.02 ± 0.02", 1.02)
UNTOLD = DataVerdict("cannot be told", "lambda 0.99 ± 0.02", 0.99)


def with_words(result: ImageResult, *words: DataVerdict) -> ImageResult:
    """The same with other words for its generators."""
    generators = [replace(g, data=w, valid=w.word == "measured") for g, w in zip(result.generators, words, strict=True)]
    return replace(result, generators=generators)


def example() -> ImageResult:
    span = ComparedSpan([0.4, 0.5], [0.99, 0.3], [0.1, 1.2], 0.25)
    fields = torch.randn(30, 2, 2, generator=torch.Generator().manual_seed(0))
    rotation = Generator(
        name="V1",
        closed_form={"dx": "-y+1/4", "dy": "x"},
        valid=True,
        score=0.6,
        control=1.0,
        data=MEASURED,
        held_out=SEEN,
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
        valid=False,
        score=0.7,
        control=0.75,
        data=REFUTED,
        motion=None,
        angle=None,
        value=0.5,
        ratio=0.45,
        affineness=0.3,
        turned=[0.4, 0.6, 0.9],
    )
    return ImageResult(
        verdicts=Verdicts(data=data_verdict([MEASURED, REFUTED], ["V1 rotation", "V2"], 1, 200, BY_AGREEMENT)),
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
        trial=Trial(200, ["SmallResNet", "ridge classifier of patches"], [0.84, 0.62], 1, []),
        motions=[AffineMotion(name, MEASURED, SEEN) for name in AFFINE_MOTIONS],
        affine=AffineClaim("measured", 0.05, 5.2, [1.0, 1.2, 1.4, 1.6], 1.3),
        gap=(1, 1.25),
        controls={"random network": ComparedSpan([0.9, 1.1], [0.2, 0.4], [0.7, 1.5], None), "no score": span},
        affineness_uniform=[0.98, 0.35],
        colours=Colours(
            [
                Colour("C1", "brightness", [[0.0, 0.0, 0.0, 1.0]] * 3, 0.1, 0.5, [0.1, 0.2], MEASURED, SEEN),
                Colour(
                    "C2",
                    "contrast",
                    [[*row, -0.5] for row in torch.eye(3).tolist()],
                    0.3,
                    1.9,
                    [0.2, 0.4],
                    MEASURED,
                    SEEN,
                ),
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
    assert (content["schema"], content["kind"], again.verdict) == (3, "images", "measured")
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
        with_words(example(), MEASURED, MEASURED).augment(0.45, 2)


def test_augmentation_is_balanced():
    augment = with_words(example(), MEASURED, MEASURED).augment(0.1, 2)
    expected = balanced([0.1, 0.2, 0.4], [[0.1, 0.2, 0.3], [0.4, 0.6, 0.9]], 0.1)
    assert augment.deviations.tolist() == pytest.approx(expected)
    assert example().augment(0.1).field.generators == 1


def test_images_move_along_what_is_measured_and_never_along_what_is_refuted():
    result = replace(example(), gap=(2, 1.25))

    def used(words: tuple[DataVerdict, ...], **how) -> list[int]:
        """The generators that it moves along, which it scales."""
        values = with_words(result, *words).augment(0.1, **how).field.values.flatten(1)
        own = result.field.values.flatten(1)
        return [int(torch.cosine_similarity(v[None], own).argmax()) for v in values]

    assert used((MEASURED, UNTOLD)) == [0]
    assert used((MEASURED, UNTOLD), unproved=True) == [0, 1]
    assert used((REFUTED, MEASURED), unproved=True) == [1]
    assert used((REFUTED, MEASURED), count=2) == [1]
    arms = learned_arms(with_words(result, UNTOLD, MEASURED))
    assert arms["learned"](0.1).field.generators == 1
    for words, how in (((UNTOLD, UNTOLD), {}), ((REFUTED, REFUTED), {"unproved": True}), ((REFUTED, UNTOLD), {})):
        for use in (
            partial(with_words(result, *words).augment, 0.1),
            partial(learned_arms, with_words(result, *words)),
        ):
            with pytest.raises(UserError, match=r"must hold .*valid.* to move along, got .*`unproved=True`"):
                use(**how)


def test_what_is_said_of_images_is_the_same_everywhere(tmp_path):
    result = example()
    sentence = (
        "at least 1 independent motion changes what two classifiers agree on less than their patches out of step do, "
        "on 200 held-out images; refuted: V2"
    )
    affine = (
        "5.2 of the first six fields at mu = 0.05 is affine; untrained networks 1.0 to 1.6, random fields at most 1.3"
    )
    result.save(tmp_path / "result.json")
    page = write_report(tmp_path).read_text()
    printed = " ".join(str(result).split())
    assert f"data measured {sentence}" in printed
    assert f"affine measured {affine}" in printed
    assert f"<dt>data</dt><dd>measured</dd><dd>{sentence}" in page
    assert f"<dt>affine</dt><dd>measured</dd><dd>{affine}" in page
    assert json.loads((tmp_path / "result.json").read_text())["verdicts"]["data"]["word"] == result.verdict
    assert repr(result) == f"<ImageResult: {result.headline}>"


def test_the_word_for_all_is_that_of_the_best_or_of_all():
    def word(*said: DataVerdict) -> str:
        return data_verdict(said, [f"V{k}" for k in range(len(said))], 0, 200, BY_AGREEMENT).word

    assert word(MEASURED, REFUTED, UNTOLD) == "measured"
    assert word(REFUTED, REFUTED) == "refuted"
    assert word(REFUTED, UNTOLD) == word(UNTOLD) == "cannot be told"


def test_the_command_refuses_motions_of_images_unless_told(tmp_path, monkeypatch, capsys):
    from symflow.cli import main

    with_words(example(), UNTOLD, UNTOLD).save(tmp_path / "result.json")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as refusal:
        main(["train-classifier", "nowhere", "--out", "run", "--generators", "."])
    assert refusal.value.code == 2
    assert "must hold motions that are valid to move along, got none" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("named", ["valid", "learned"])
def test_files_from_before_motions_were_judged_are_read(tmp_path, named):
    """Those of schema 3, which called valid, and later learned, what was below the lowest ratio of a control."""
    result = example()
    content = result.to_dict()
    for g in content["generators"]:
        g["valid"], g[named] = False, True
        g.pop("held_out")
        g["data"] = {"word": "measured", "reason": "", "figure": g["score"]}
    for g in content["colours"]["generators"]:
        del g["data"], g["held_out"]
    for name in ("trial", "motions", "affine"):
        del content[name]
    content["rank"] = 1
    (tmp_path / "result.json").write_text(json.dumps(content))
    again = load_image_result(tmp_path)
    assert again.verdict == "cannot be told"
    assert again.rank == 0
    untested = [*again.generators, *again.colours.generators]
    assert {(g.data, g.held_out, g.valid) for g in untested} == {(untold(UNTESTED), None, False)}
    assert again.found == result.found
    assert UNTESTED in str(again)
    assert write_report(tmp_path).read_text().count(UNTESTED) == 1


def test_colours_are_balanced_and_normalised():
    """Brightness turns features half as much as contrast about 1/2; images have a mean of .5 and a deviation of .25."""
    augment = example().augment_colours(0.05)
    torch.testing.assert_close(augment.deviations, 0.05 / math.sqrt(5) * torch.tensor([2.0, 1.0]))
    grey = torch.zeros(1, 3, 2, 2)
    weights = torch.tensor([[0.1, 0.0], [0.0, 0.1]])
    torch.testing.assert_close(augment.move(grey, weights)[0, :, 0, 0, 0], torch.tensor([0.4, 0.0]))
    torch.testing.assert_close(augment.move(grey + 1, weights)[0, :, 0, 0, 0], torch.tensor([1.4, math.exp(0.1)]))


def test_only_valid_colours_are_used():
    result = example()
    colours = result.colours
    brightness, contrast = colours.generators
    result = replace(result, colours=replace(colours, generators=[brightness, replace(contrast, data=UNTOLD)]))
    assert [g.valid for g in result.colours.generators] == [True, False]
    assert result.augment_colours(0.05).deviations.tolist() == pytest.approx([0.05])
    assert len(result.augment_colours(0.05, unproved=True).deviations) == 2
    assert set(learned_arms(result)) == {"learned", "learned+colours"}
    for without in (None, replace(colours, generators=[replace(contrast, data=REFUTED)])):
        with pytest.raises(UserError, match="must hold a valid change of colour, got none"):
            replace(result, colours=without).augment_colours(0.1, unproved=True)
        assert set(learned_arms(replace(result, colours=without))) == {"learned"}


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
    "a valid motion that is refuted": lambda d: d["generators"][1].update(valid=True),
    "a word that is none": lambda d: d["generators"][0]["data"].update(word="proved"),
    "a negative error": lambda d: d["generators"][0]["held_out"].update(ratio=[0.4, -0.1]),
    "a number of motions beside that of the trial": lambda d: d.update(rank=2),
    "more motions than generators": lambda d: (d.update(rank=3), d["trial"].update(at_least=3)),
    "an affine motion too few": lambda d: d["motions"].pop(),
    "judges without accuracies": lambda d: d["trial"]["accuracies"].pop(),
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
    assert page.count('role="img"') == 5 + 2  # the image as it moves along each of two
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
    page = write_report(tmp_path).read_text()
    assert page.count('role="img"') == 1 + 1  # and a net, which the one closed form moves
    assert "<image" not in page[: page.index("<details")]


def test_names_from_files_are_text(tmp_path):
    content = example().to_dict()
    content["data"] = "<script>alert(1)</script>"
    content["controls"]["<b>$\\frac$</b>"] = content["controls"].pop("no score")
    (tmp_path / "result.json").write_text(json.dumps(content))
    page = write_report(tmp_path).read_text()
    assert "<script" not in page
    assert "<b>$" not in page

"""Discovery in images from end to end, on small ones."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from symflow.errors import UserError
from symflow.runs import Run
from symflow.vision.classifiers.classifiers import accuracy
from symflow.vision.data.batches import Statistics
from symflow.vision.data.files import load
from symflow.vision.data.images import Images
from symflow.vision.discovery.checks import DISPLACEMENTS, finite_check, turning
from symflow.vision.discovery.discovery import discover_images
from symflow.vision.discovery.evidence import collect
from symflow.vision.discovery.networks import split_for_discovery
from symflow.vision.discovery.result import ImageResult, load_image_result
from symflow.vision.features.features import Normalised
from symflow.vision.features.networks import SmallResNet, save_network
from symflow.vision.search.plane import Basis, grid_field
from symflow.vision.search.scores import ALMOST_EQUAL


def pictures(count: int = 120, size: int = 12, channels: int = 1) -> Images:
    """Bright bars, lying or standing, at random places."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    z = torch.linspace(-1, 1, size)
    centres = torch.rand(count, 2, generator=random) - 0.5
    wide = torch.stack([torch.where(labels == 0, 0.45, 0.12), torch.where(labels == 0, 0.12, 0.45)], 1)
    profiles = torch.exp(-((z - centres[..., None]) ** 2) / (2 * wide[..., None] ** 2))  # [N, 2, size]
    shapes = profiles[:, 1, :, None] * profiles[:, 0, None, :]
    noise = 0.05 * torch.rand(count, channels, size, size, generator=random)
    pixels = ((0.9 * shapes[:, None] + noise) * 255).to(torch.uint8)
    return Images(pixels, labels, ("lying", "standing"), "bars")


@pytest.fixture(scope="module")
def network() -> SmallResNet:
    return SmallResNet(2, 1, width=4, stages=1, seed=0).eval()


def test_a_run_from_images_to_file(tmp_path, network):
    images = pictures()
    seen = []
    result = discover_images(
        images,
        network=network,
        generators=7,
        locality=0.2,
        seed=5,
        progress=lambda stage, done, _: seen.append((stage, done)),
    )
    stages = ["data", "network", "form", "controls", "colours", "finite flow", "held-out images"]
    assert [stage for stage, done in seen if done == 1.0] == stages
    assert result.setting.images == 96
    assert len(result.generators) == 7
    assert result.found.values == sorted(result.found.values)
    assert set(result.controls) == {
        "mu = 0",
        "mu = 0.05",
        "random network",
        "random network, mu = 0.05",
        "random network, mu = 0",
        "no score",
        "smoothness only",
    }
    assert all(len(span.affineness) == 7 for span in result.controls.values())
    values = result.field.values.detach().double()
    gram = torch.einsum("kxyd,lxyd,yx->kl", values, values, result.omega)
    torch.testing.assert_close(gram, torch.eye(7, dtype=torch.float64), rtol=0, atol=1e-5)
    result.save(tmp_path / "result.json")
    assert load_image_result(tmp_path / "result.json") == result
    moved = collect(images, result)["moved"]
    assert moved.shape == (7, 7, 1, 12, 12)
    torch.testing.assert_close(moved[:, 3], (images.pixels[:1].float() / 255).expand(7, -1, -1, -1), rtol=0, atol=1e-6)


def test_the_same_arguments_give_the_same_result(network):
    first, again = (discover_images(pictures(), network=network, seed=2) for _ in range(2))
    assert first == again
    assert torch.equal(first.field.values, again.field.values)
    assert discover_images(pictures(), network=network, seed=3).found != first.found


def test_smoothness_alone_is_affine(network):
    """Why affine-ness is no evidence by itself."""
    control = discover_images(pictures(), network=network, seed=0).controls["smoothness only"]
    assert min(control.affineness[:6]) > 0.97
    assert max(control.affineness[6:]) < 0.3
    assert control.largest_angle < 25  # what is asked of generators that were found in images


def test_the_network_of_the_caller_stays_as_it_was():
    network = SmallResNet(2, 1, width=2, stages=1, seed=0).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    discover_images(pictures(30), network=network, generators=6)
    assert network.training
    assert all(p.requires_grad for p in network.parameters())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_is_trained_kept_and_found_again(tmp_path):
    images = pictures()
    run = Run(tmp_path / "run", {})
    first = discover_images(images, epochs=1, generators=6, run=run)
    assert first.accuracy is not None
    assert [path.name for path in (tmp_path / "run").glob("network*")] == ["network.safetensors"]
    records = []
    again = discover_images(
        images, epochs=1, generators=6, run=Run(tmp_path / "run", {}, resume=True),
        progress=lambda stage, done, record: records.append(record),
    )  # fmt: skip
    assert again == first
    assert not any("loss" in record for record in records)  # not trained once more


def test_the_file_of_a_network_says_how_images_are_normalised(tmp_path, network):
    images = pictures()
    statistics = Statistics.of(split_for_discovery(images)[0])
    save_network(tmp_path / "net.safetensors", network, {"statistics": asdict(statistics)})
    found, expected = (discover_images(images, network=n).found for n in (tmp_path / "net.safetensors", network))
    assert found.values == pytest.approx(expected.values, rel=1e-3)  # the file is read with channels last
    save_network(tmp_path / "net.safetensors", network, {"statistics": {"mean": "much"}})
    with pytest.raises(UserError, match="must say how images are normalised"):
        discover_images(images, network=tmp_path / "net.safetensors")


def test_the_finite_check_sees_an_invariance_and_its_absence():
    """The power spectrum of spots inside the frame: shifts leave it, the same shifts out of step do not."""
    z = torch.linspace(-1, 1, 24)
    random = torch.Generator().manual_seed(0)
    centres = torch.rand(20, 2, generator=random) - 0.5
    shapes = torch.exp(-((z - centres[..., None]) ** 2) / (2 * 0.2**2))
    images = (shapes[:, 1, :, None] * shapes[:, 0, None, :])[:, None]
    images = torch.where(images > 1e-3, images, 0.0)

    def power(x: torch.Tensor) -> torch.Tensor:
        return torch.fft.fft2(x[:, 0])[:, :5, :5].abs().flatten(1)

    basis = Basis.polynomials(24, 24, 1)
    moved, control = finite_check(Normalised(power), images, basis.values, 0.2, 0)
    # translations; by a part of a pixel the interpolation smooths the spots, which leaves .076
    assert max(moved[:2]) < 0.1 * min(control[:2])
    assert min(m / c for m, c in zip(moved[2:], control[2:], strict=True)) > 0.3


def test_features_turn_by_what_they_see_of_a_motion():
    """A spot's place along x as an angle: moving by d along x turns it by d, moving along y not at all."""
    z = torch.linspace(-1, 1, 32)
    centres = 0.6 * torch.rand(40, 2, generator=torch.Generator().manual_seed(0)) - 0.3
    shapes = torch.exp(-((z - centres[..., None]) ** 2) / (2 * 0.08**2))
    images = (shapes[:, 1, :, None] * shapes[:, 0, None, :])[:, None]

    def place(x: torch.Tensor) -> torch.Tensor:
        column = x[:, 0].sum(1)
        angle = (column * z).sum(1) / column.sum(1)
        return torch.stack([angle.cos(), angle.sin()], 1)

    basis = Basis.polynomials(32, 32, 0)
    along, across = turning(place, images, grid_field(3 * basis.values, 32, 32))
    assert along == pytest.approx(DISPLACEMENTS, rel=2e-3)
    assert across == pytest.approx([math.acos(ALMOST_EQUAL)] * len(DISPLACEMENTS), rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"generators": 0}, "`generators` must be an integer from 1 to 42, got 0"),
        ({"generators": 2.5}, "`generators` must be an integer"),
        ({"generators": True}, "`generators` must be an integer"),
        ({"mu": -0.1}, "`mu` must be from 0 to 3, got -0.1"),
        ({"mu": float("nan")}, "`mu` must be from 0 to 3, got nan"),
        ({"locality": 0.0}, "`locality` must be from 0.01 to 1, got 0.0"),
        ({"seed": -1}, "`seed` must be an integer"),
        ({"epochs": 0}, "`epochs` must be an integer"),
        ({"network": "nowhere.safetensors"}, "there is no file 'nowhere.safetensors'"),
        ({"labels": False, "network": SmallResNet(2, 1)}, "`network` must not be given when `labels` are not to be"),
        ({"labels": False, "second": SmallResNet(2, 1)}, "`second` must not be given when `labels` are not to be"),
        ({"second": "nowhere.safetensors"}, "there is no file 'nowhere.safetensors'"),
        ({"second": SmallResNet(2, 3, width=2)}, "`second` must be for images of 1 channels, got 3"),
        ({"second": SmallResNet(3, 1, width=2)}, "`second` must have the 2 classes of the network, got 3"),
        ({"network": SmallResNet(2, 3, width=2)}, "`network` must be for images of 1 channels, got 3"),
    ],
)
def test_wrong_arguments_get_a_sentence(arguments, message):
    with pytest.raises(UserError, match=message):
        discover_images(pictures(20), **arguments)


def test_images_that_are_too_few_or_too_small_get_a_sentence(tmp_path, network):
    with pytest.raises(UserError, match="`images` must hold at least 2 images, got 1"):
        discover_images(pictures()[:1], network=network)
    with pytest.raises(UserError, match="`images` must have sides of at least 6 pixels, got 5 x 5"):
        discover_images(pictures(size=5), network=network)
    with pytest.raises(UserError, match="must be a folder of images"):
        discover_images(tmp_path / "nowhere", network=network)


def data(name: str) -> Path:
    folder = os.environ.get("SYMFLOW_DATA")
    if folder is None or not (Path(folder) / name).exists():
        pytest.skip(f"SYMFLOW_DATA does not name a folder with {name}")
    return Path(folder) / name


@pytest.mark.slow
def test_real_images_have_affine_generators_without_any_label():
    """2,000 images of CIFAR-10 with weaker bounds than those of 8,000 and of a trained network."""
    train, _ = load(data("cifar-10-batches-py"))
    result = discover_images(train[:2_200], labels=False, seed=0)
    blank = result.controls["random network, mu = 0"]
    assert result.network == "PatchFeatures"
    assert {g.motion for g in result.generators[:3]} & {"translation x", "translation y", "slant x", "slant y"}
    assert min(result.found.affineness[:6]) > 0.8
    assert max(result.found.affineness[6:]) < 0.5
    assert result.found.largest_angle < 40
    assert result.controls["random network"].largest_angle > 60
    alone = result.controls["mu = 0"]
    assert sum(a**2 for a in alone.affineness[:8]) > sum(a**2 for a in blank.affineness[:8]) + 1.5
    assert max(g.ratio for g in result.generators[:6]) < min(blank.values)
    assert all(g.moved < g.control for g in result.generators)
    assert result.trial.images == 400
    assert result.rank == 0 or result.rank > max(result.trial.untrained)
    assert "refuted" not in {g.data.word for g in result.generators[:2]}
    assert result.affine.share > max(result.affine.untrained)


@pytest.mark.slow
def test_digits_move_along_x_and_slant():
    """MNIST's test digits; their border is empty, and only the first few fields are told apart."""
    result = discover_images(data("mnist"), locality=0.15, flip=False, epochs=3, seed=0)
    blank = result.controls["random network, mu = 0"]
    assert result.accuracy > 0.9
    assert min(result.found.affineness[:2]) > 0.9
    assert max(g.ratio for g in result.generators[:2]) < min(blank.values)
    assert all(g.moved < g.control for g in result.generators[:2])
    assert result.colours is None


@pytest.mark.parametrize("channels", [1, 3])
def test_images_that_vary_in_one_pixel_have_generators(channels):
    """Their forms have rank 2 and rounding of single precision besides, of either sign."""
    pixels = torch.zeros(60, channels, 12, 12, dtype=torch.uint8)
    random = torch.Generator().manual_seed(0)
    pixels[:, :, 6, 6] = torch.randint(0, 256, (60, channels), generator=random, dtype=torch.uint8)
    images = Images(pixels, torch.arange(60) % 2, ("a", "b"), "one pixel")
    result = discover_images(images, labels=False, generators=3)
    assert all(math.isfinite(g.value) for g in result.generators)


@pytest.mark.parametrize("varied", [False, True])
def test_images_that_do_not_vary_are_refused(varied):
    random = torch.Generator().manual_seed(0)
    grey = torch.randint(0, 256 if varied else 1, (60, 1, 1, 1), generator=random, dtype=torch.uint8)
    images = Images(grey.expand(60, 1, 12, 12).contiguous(), torch.arange(60) % 2, ("a", "b"), "flat")
    with pytest.raises(UserError, match="`images` must vary from image to image and from place to place"):
        discover_images(images, labels=False, generators=3)


@pytest.fixture(scope="module")
def told() -> ImageResult:
    """Of bars that lie or stand, by a network and a ridge classifier."""
    return discover_images(pictures(3_000), epochs=4, generators=6, locality=0.2)


def test_bars_that_lie_or_stand_may_move_but_not_be_squeezed(told):
    """A squeeze makes one of the other; shifts do not, nor do a turn or a stretch of both sides to first order."""
    words = {m.name: m.data.word for m in told.motions}
    assert words["squeeze"] == "refuted"
    kept = [words[name] for name in ("translation x", "translation y", "rotation", "scale")]
    assert "refuted" not in kept
    assert kept.count("measured") >= 2
    assert told.verdict == "measured"
    assert told.rank >= 1
    assert any(g.valid for g in told.generators)
    assert told.trial.images == 600
    assert min(told.trial.accuracies) > 0.95
    for g in told.generators:
        assert g.data.word != "measured" or g.held_out.ratio[0] < 1 > g.held_out.agreement[0]


def test_the_second_network_may_be_given(network):
    other = SmallResNet(2, 1, width=4, stages=1, seed=1).eval()
    train, test = split_for_discovery(pictures(600))
    expected = [accuracy(n, test, Statistics.of(train)) for n in (network, other)]
    result = discover_images(pictures(600), network=network, second=other, generators=2)
    assert result.trial.judges == ["SmallResNet", "SmallResNet"]
    assert result.trial.images == 100
    assert result.trial.accuracies == expected


def test_without_labels_features_are_judged_beside_untrained_networks():
    result = discover_images(pictures(600), labels=False, generators=6, locality=0.2)
    assert result.trial.judges == ["PatchFeatures"]
    assert result.trial.accuracies == [None]
    assert len(result.trial.untrained) == 4
    for g in result.generators:
        assert g.held_out.agreement is None
        assert len(g.held_out.untrained) == 4
        if g.data.word == "measured":
            assert g.held_out.ratio[0] < min(1.0, *g.held_out.untrained)


def test_of_few_images_nothing_can_be_told(network):
    result = discover_images(pictures(), network=network, generators=3)
    assert result.verdict == "cannot be told"
    assert result.verdicts.data.reason == "24 images were held out, and at least 100 are needed"
    assert result.trial is None
    assert result.rank == 0
    assert result.affine is None


def test_a_network_of_other_classes_needs_a_second_one():
    network = SmallResNet(5, 1, width=4, stages=1, seed=0)
    result = discover_images(pictures(600), network=network, generators=2)
    assert result.verdict == "cannot be told"
    assert "the network has 5 classes and the images 2" in result.verdicts.data.reason
    again = discover_images(pictures(600), network=network, second=network, generators=2)
    assert again.trial.judges == ["SmallResNet", "SmallResNet"]


def test_the_command_exits_with_the_word(tmp_path, told, capsys, monkeypatch):
    from symflow import vision
    from symflow.cli import main

    monkeypatch.setattr(vision, "load", lambda path: (pictures(20), pictures(20)), raising=False)
    untold = discover_images(pictures(), network=SmallResNet(2, 1, width=2, stages=1), generators=2)
    for result, code in ((told, 0), (untold, 3)):
        monkeypatch.setattr(vision, "discover_images", lambda *_, r=result, **__: r, raising=False)
        arguments = ["discover-images", "bars", "--out", str(tmp_path / str(code))]
        if code:
            with pytest.raises(SystemExit) as end:
                main(arguments)
            assert end.value.code == code
        else:
            main(arguments)
        assert result.verdicts.data.reason.split(",")[0].split(" and ")[0] in " ".join(capsys.readouterr().out.split())

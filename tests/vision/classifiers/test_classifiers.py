"""Training: it learns, it repeats itself bit for bit, it continues where it was interrupted, workers agree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from symflow.errors import UserError
from symflow.learning.training import schedule
from symflow.vision.augmentation.augmentation import CropFlip, GeneratorAugment, affine_field
from symflow.vision.classifiers import classifiers
from symflow.vision.classifiers.classifiers import accuracy, train
from symflow.vision.data.batches import Statistics
from symflow.vision.data.images import Images
from symflow.vision.features.networks import ResNet18, SmallResNet


def stripes(count=240, seed=0):
    """Waves along x or y with a random phase and noise: two classes that no single pixel tells apart."""
    rng = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    phases = torch.rand(count, 1, 1, generator=rng) * 6.3
    line = torch.arange(16) * 0.8
    waves = torch.where(labels[:, None, None] == 0, torch.sin(line + phases), torch.sin(line[:, None] + phases))
    noisy = 128 + 60 * waves + 30 * torch.randn(count, 16, 16, generator=rng)
    return Images(noisy.clamp(0, 255).to(torch.uint8)[:, None], labels, ("upright", "lying"), "stripes")


def small():
    return SmallResNet(2, channels=1, width=4, stages=2, seed=1)


def state(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def without_seconds(history):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history]


def test_it_learns_and_the_test_is_on_other_images():
    network, images = small(), stripes()
    history = train(network, images, epochs=4, seed=0, batch=16)
    assert not network.training
    assert [record["epoch"] for record in history] == [1, 2, 3, 4]
    assert history[-1]["loss"] < history[0]["loss"]
    assert accuracy(network, stripes(100, seed=1), Statistics.of(images)) > 0.9


def test_the_rate_rises_and_falls_and_reaches_zero(monkeypatch):
    rates = []

    class Spy(torch.optim.SGD):
        def step(self, closure=None):
            rates.append(self.param_groups[0]["lr"])
            super().step(closure)

    monkeypatch.setattr(torch.optim, "SGD", Spy)
    train(small(), stripes(), epochs=2, seed=0, batch=24, rate=0.2)
    assert rates == pytest.approx([0.2 * schedule((n + 1) / 20) for n in range(20)])
    assert max(rates) == pytest.approx(0.2)
    assert rates[-1] == pytest.approx(0.0)


def test_weights_decay_and_biases_do_not():
    """With gradients that vanish, one step multiplies the weights by 1 - rate decay."""
    network = small()
    optimizer = classifiers._optimizer(network, 0.1, 0.5)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    for p in network.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    for name, p in network.named_parameters():
        factor = 1 - 0.1 * 0.5 * 1.9 if p.dim() > 1 else 1.0  # Nesterov's first step goes 1 + .9 times as far
        torch.testing.assert_close(p.detach(), factor * before[name])


@pytest.mark.parametrize(
    "augment", [None, CropFlip(2), GeneratorAugment(affine_field(), 0.2)], ids=["none", "crop", "affine"]
)
def test_the_seed_decides_every_bit(augment):
    states = []
    for seed, noise in ((0, 1), (0, 2), (3, 1)):
        network = small()
        torch.manual_seed(noise)
        train(network, stripes(), epochs=1, seed=seed, augment=augment, flip=True, batch=32)
        states.append(state(network))
        expected = torch.Generator().manual_seed(noise)
        assert torch.equal(torch.rand(3), torch.rand(3, generator=expected))  # torch's own generator goes on untouched
    assert_same_bits(states[0], states[1])
    assert not torch.equal(states[0]["head.weight"], states[2]["head.weight"])


def test_arms_see_the_same_order(monkeypatch):
    """Whatever is drawn by the augmentation, labels come in the same order."""
    orders: list[list[int]] = []
    cross_entropy = torch.nn.functional.cross_entropy

    def spy(logits, labels):
        orders[-1].extend(labels.tolist())
        return cross_entropy(logits, labels)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", spy)
    for augment in (None, CropFlip(2), GeneratorAugment(affine_field(), 0.2)):
        orders.append([])
        train(small(), stripes(60), epochs=2, seed=0, augment=augment, batch=20)
    assert orders[0] == orders[1] == orders[2]
    assert len(orders[0]) == 120


class Interrupted(Exception):
    pass


@pytest.mark.parametrize("bfloat16", [False, True])
def test_a_training_that_is_continued_has_the_same_bits(tmp_path, monkeypatch, bfloat16):
    monkeypatch.setattr(classifiers, "CHECKPOINT_SECONDS", 0.0)
    arguments = {"epochs": 3, "seed": 0, "augment": CropFlip(2), "batch": 32, "bfloat16": bfloat16, "flip": True}
    whole = small()
    history = train(whole, stripes(), **arguments)

    def stop(epoch, record):
        if epoch == 2:
            raise Interrupted

    path = tmp_path / "training.safetensors"
    with pytest.raises(Interrupted):
        train(small(), stripes(), checkpoint=path, progress=stop, **arguments)
    continued, done = small(), []
    again = train(continued, stripes(), checkpoint=path, progress=lambda epoch, _: done.append(epoch), **arguments)
    assert done == [3]
    assert_same_bits(state(whole), state(continued))
    assert without_seconds(again) == without_seconds(history)
    finished = small()
    train(finished, stripes(), checkpoint=path, **arguments)
    assert_same_bits(state(whole), state(finished))


def test_a_checkpoint_of_something_else(tmp_path):
    path = tmp_path / "training.safetensors"
    arguments = {"epochs": 1, "seed": 0, "augment": CropFlip(2), "batch": 32, "checkpoint": path}
    train(small(), stripes(), **arguments)
    for changed, sentence in (
        ({"seed": 1}, "seed = 0 .now 1."),
        ({"augment": CropFlip(1)}, "augment"),
        ({"augment": None}, "augment"),
        ({"statistics": Statistics((0.0,), (1.0,))}, "statistics"),
    ):
        with pytest.raises(UserError, match=sentence):
            train(small(), stripes(), **{**arguments, **changed})
    with pytest.raises(UserError, match="images"):
        train(small(), stripes(seed=1), **arguments)
    with pytest.raises(UserError, match="another network"):
        train(SmallResNet(2, channels=1, width=3, stages=2), stripes(), **arguments)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="checkpoint"):
        train(small(), stripes(), **arguments)


def test_another_field_is_another_training(tmp_path):
    arguments = {"epochs": 1, "seed": 0, "batch": 32, "checkpoint": tmp_path / "training.safetensors"}
    train(small(), stripes(), augment=GeneratorAugment(affine_field(), 0.1), **arguments)
    other = GeneratorAugment(affine_field(), 0.1)
    other.field.values.mul_(-1)
    with pytest.raises(UserError, match="augment"):
        train(small(), stripes(), augment=other, **arguments)


def test_a_loss_that_is_not_finite():
    with pytest.raises(UserError, match="training diverged"):
        train(small(), stripes(), epochs=1, seed=0, rate=1e30, batch=16)


def of_side(side, count=12):
    pixels = torch.randint(0, 256, (count, 1, side, side), generator=torch.Generator().manual_seed(0))
    return Images(pixels.to(torch.uint8), torch.arange(count) % 2, ("even", "odd"), "noise")


@pytest.mark.parametrize("side", [8, 12, 16])
def test_a_normalisation_needs_two_images(side):
    """The last block of three stages sees one pixel of pictures up to 15 wide: of one image, nothing to normalise."""
    network = SmallResNet(2, channels=1, width=4)
    for batch, count in ((1, 12), (64, 1)):
        with pytest.raises(UserError, match=f"at least 2, .* got a batch of {batch} and {count} to learn from"):
            train(network, of_side(side, count), epochs=1, seed=0, batch=batch)
    for batch, count in ((2, 12), (64, 2), (3, 7)):  # what fills no batch waits, so that no batch is smaller
        train(network, of_side(side, count), epochs=1, seed=0, batch=batch)
        assert all(p.isfinite().all() for p in network.state_dict().values())


@pytest.mark.parametrize("side", [1, 3, 7])
def test_images_too_small_for_the_network(side):
    network = SmallResNet(2, channels=1, width=4)
    with pytest.raises(UserError, match=f"at least 8 pixels for this SmallResNet, got {side} x {side}"):
        train(network, of_side(side), epochs=1, seed=0, batch=4)
    train(ResNet18(2, channels=1, width=2), of_side(side), epochs=1, seed=0, batch=4)


@pytest.mark.parametrize(("batch", "images", "workers"), [(3, 100, 2), (100, 3, 2), (7, 7, 4), (1, 1, 1)])
def test_every_worker_needs_two_images(batch, images, workers):
    with pytest.raises(UserError, match=f"at least {2 * workers}"):
        classifiers.check_shares(batch, images, workers)
    classifiers.check_shares(max(batch, 2 * workers), max(images, 2 * workers), workers)


def test_accuracy_counts_first_choices():
    images = stripes(40)
    network, statistics = small(), Statistics.of(images)
    network.head.weight.data.zero_()
    network.head.bias.data.copy_(torch.tensor([0.0, 1.0]))
    assert accuracy(network, images, statistics) == 0.5
    network.head.bias.data.copy_(torch.tensor([1.0, 0.0]))
    assert accuracy(network, images[images.labels == 0], statistics) == 1.0


def test_copies_are_averaged():
    images = stripes(40)
    network, statistics = small().eval(), Statistics.of(images)
    network.train()(statistics.normalise(images.pixels))
    augment = CropFlip(2)
    found = accuracy(network, images, statistics, copies=3, augment=augment, seed=5)
    with torch.no_grad():
        x = statistics.normalise(images.pixels)
        torch.manual_seed(5)
        mean = sum(network.eval()(y).softmax(1) for y in (x, augment(x), augment(x)))
    assert found == int((mean.argmax(1) == images.labels).sum()) / 40
    with pytest.raises(ValueError, match="other 2 copies"):
        accuracy(network, images, statistics, copies=3)
    with pytest.raises(ValueError, match="at least 1"):
        accuracy(network, images[:0], statistics)


WORKER = """
import sys, torch
from symflow.learning import distributed
from symflow.vision import classifiers
sys.path.insert(0, sys.argv[1])
from test_classifiers import small, state, stripes

with distributed() as device:
    network = small().to(device)
    # A normalisation sees its worker's share; while they stand still the workers together are one worker.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda m, _: m.eval() and None)
    history = classifiers.train(network, stripes(64), epochs=2, seed=0, batch=16, rate=0.02, bfloat16=False,
                                flip=True, checkpoint=sys.argv[2])
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    torch.save({"state": state(network), "loss": [r["loss"] for r in history]}, f"{sys.argv[3]}-{rank}.pt")
"""


def run_workers(folder: Path, name: str, workers: int, epochs=None):
    script = folder / "worker.py"
    script.write_text(WORKER)
    arguments = [str(script), str(Path(__file__).parent), str(folder / f"{name}.safetensors"), str(folder / name)]
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={workers}"] if workers > 1 else []
    subprocess.run(
        [sys.executable, *launcher, *arguments], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=300
    )
    return [torch.load(folder / f"{name}-{rank}.pt") for rank in range(workers)]


@pytest.mark.slow
def test_two_workers_are_one(tmp_path):
    """Two gloo processes under torchrun, each with half of every batch, against one process with whole batches."""
    (one,) = run_workers(tmp_path, "one", 1)
    first, second = run_workers(tmp_path, "two", 2)
    assert_same_bits(first["state"], second["state"])
    assert first["loss"] == second["loss"]
    torch.testing.assert_close(torch.tensor(first["loss"]), torch.tensor(one["loss"]))
    for name, tensor in one["state"].items():
        torch.testing.assert_close(first["state"][name], tensor, rtol=1e-4, atol=1e-5)
    # Every worker reads the finished checkpoint and ends with its bits.
    again, _ = run_workers(tmp_path, "two", 2)
    assert_same_bits(again["state"], first["state"])

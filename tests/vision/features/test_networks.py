"""Networks: shapes, sizes, seeds, files."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from symflow.errors import UserError
from symflow.runs import save_tensors
from symflow.vision.features.networks import ResNet18, SmallResNet, load_network, resnet18, save_network


def parameters(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(
    ("network", "side", "features"),
    [
        (SmallResNet(10), 32, 192),
        (SmallResNet(7, channels=1, width=8, stages=2), 28, 32),
        (resnet18(10), 32, 512),
        (ResNet18(3, channels=1, width=4), 28, 32),
    ],
)
def test_shapes(network, side, features):
    images = torch.randn(2, network.arguments["channels"], side, side)
    with torch.no_grad():
        assert network.features(images).shape == (2, features)
        assert network(images).shape == (2, network.arguments["classes"])
        torch.testing.assert_close(network.head(network.features(images)), network(images))


def test_resnet18_has_the_published_size():
    # 11.17 million with a 3 x 3 first layer and 10 classes; 18 layers with weights, the straight paths aside.
    network = resnet18(10)
    assert parameters(network) == 11_173_962
    layers = [m for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len([m for m in layers if isinstance(m, nn.Linear) or m.kernel_size == (3, 3)]) == 18


def test_stages_halve_the_resolution():
    network = SmallResNet(10, width=4)
    assert network.body(torch.zeros(1, 3, 32, 32)).shape[2:] == (4, 4)
    assert ResNet18(10, width=4).body(torch.zeros(1, 3, 32, 32)).shape[2:] == (4, 4)


def test_the_seed_decides_the_parameters():
    torch.manual_seed(1)
    one = SmallResNet(10, seed=3)
    torch.manual_seed(2)
    same, other = SmallResNet(10, seed=3), SmallResNet(10, seed=4)
    for a, b in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one.head.weight, other.head.weight)


def test_a_block_begins_as_its_straight_path():
    block = resnet18(10, seed=1).body[3]
    x = torch.randn(2, 64, 8, 8)
    torch.testing.assert_close(block(x), x.relu())


@pytest.mark.parametrize("network", [SmallResNet(5, width=3, stages=2, seed=1), ResNet18(5, channels=1, width=3)])
def test_a_network_comes_back(tmp_path, network):
    images = torch.randn(4, network.arguments["channels"], 16, 16)
    network.train()(images)  # normalisations have seen something
    network.eval()
    meta = {"classes": list("abcde"), "statistics": {"mean": [0.5], "std": [0.2]}}
    save_network(tmp_path / "n.safetensors", network, meta)
    again, about = load_network(tmp_path / "n.safetensors")
    assert about == meta
    assert not again.training
    with torch.no_grad():
        torch.testing.assert_close(again(images), network(images))
    save_network(tmp_path / "m.safetensors", again, about)
    assert (tmp_path / "m.safetensors").read_bytes() == (tmp_path / "n.safetensors").read_bytes()


def test_bad_sizes():
    for arguments in ({"classes": 0}, {"classes": 10, "width": 0}, {"classes": 10, "stages": 0}):
        with pytest.raises(ValueError, match="must be at least 1, got 0"):
            SmallResNet(**arguments)


def test_only_known_networks_are_written(tmp_path):
    with pytest.raises(TypeError, match="SmallResNet, ResNet18, got Linear"):
        save_network(tmp_path / "n.safetensors", nn.Linear(1, 1), {})
    assert not list(tmp_path.iterdir())


def test_bad_files(tmp_path):
    def refused(path, sentence):
        with pytest.raises(UserError, match=sentence) as caught:
            load_network(path)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)

    network, path = SmallResNet(2, width=2, stages=1), tmp_path / "n.safetensors"
    tensors = network.state_dict()
    about = {"architecture": "SmallResNet", "arguments": network.arguments, "meta": {}}
    refused(tmp_path / "nowhere", "no file")
    path.write_bytes(b"nothing")
    refused(path, "checkpoint")
    save_file(tensors, path)
    refused(path, "checkpoint")
    for changed in (
        {**about, "architecture": "Linear"},
        {**about, "arguments": {"classes": 1 << 40}},  # no memory is taken for it
        {**about, "arguments": {"depth": 3}},
        {**about, "arguments": [2]},
        {**about, "arguments": {**network.arguments, "width": 3}},
        {**about, "arguments": {**network.arguments, "stages": 100_000}},
        {**about, "meta": 3},
        {"architecture": "SmallResNet"},
    ):
        save_tensors(path, tensors, changed)
        refused(path, "must hold a network")
    save_tensors(path, {**tensors, "head.bias": torch.zeros(2, dtype=torch.int64)}, about)
    refused(path, "must hold a network")

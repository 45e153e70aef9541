"""Trainings that are interrupted: whatever the optimiser, the one that continues ends with the same bits."""

from __future__ import annotations

import pytest
import torch
from safetensors import safe_open
from torch import nn

from symflow.errors import UserError
from symflow.learning.training import digest, restore_training, save_training, schedule, seeded

CPU = torch.device("cpu")


class Spectral(nn.Module):
    """Convolution, normalisation, a multiplier of Fourier modes, and a parameter that no loss sees."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.lift = nn.Conv2d(2, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.modes = nn.Parameter(torch.randn(width, 4, 3, dtype=torch.complex64))
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.unused = nn.Parameter(torch.ones(2))

    def forward(self, x):
        h = self.norm(self.lift(x))
        return self.scale * torch.fft.irfft2(torch.fft.rfft2(h) * self.modes, s=x.shape[-2:])


def sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.0, momentum=0.9, nesterov=True, weight_decay=1e-3)


def plain_sgd(parameters):
    return torch.optim.SGD(parameters, lr=0.0)


def adam(parameters):
    return torch.optim.Adam(parameters, lr=0.0)


def adamw(parameters):
    return torch.optim.AdamW(parameters, lr=0.0, weight_decay=1e-2, amsgrad=True)


OPTIMIZERS = pytest.mark.parametrize("make", [sgd, plain_sgd, adam, adamw])


def start(make, width=3):
    with seeded(1, CPU):
        network = Spectral(width).to(memory_format=torch.channels_last)
    return network, make(network.parameters())


def run(network, optimizer, steps, history=()):
    """Steps whose random numbers and rates come from the step alone; returns the losses from the first one."""
    losses = list(history)
    for step in range(len(losses), steps):
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * schedule((step + 1) / 8)
        with seeded(step, CPU):
            x, y = torch.randn(4, 2, 4, 4), torch.randn(4, 1, 4, 4)
        loss = (network(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append({"step": step, "loss": loss.item()})
    return losses


@OPTIMIZERS
@pytest.mark.parametrize("at", [1, 5])
def test_an_interrupted_training_ends_with_the_same_bits(tmp_path, make, at):
    path, asked = tmp_path / "training.safetensors", {"seed": 0, "rates": [0.1]}
    whole, optimizer = start(make)
    losses = run(whole, optimizer, 8)

    first = start(make)
    save_training(path, *first, {"asked": asked, "history": run(*first, at)})
    continued, again = start(make)
    history = restore_training(path, continued, again, asked)
    assert repr(history) == repr(losses[:at])  # 1 is not 1.0: both are written again
    assert run(continued, again, 8, history) == losses
    for name, tensor in whole.state_dict().items():
        assert torch.equal(continued.state_dict()[name], tensor), name
    for p, q in zip(whole.parameters(), continued.parameters(), strict=True):
        kept, found = optimizer.state.get(p, {}), again.state.get(q, {})
        assert kept.keys() == found.keys()
        for key, value in kept.items():
            if value is not None:
                assert torch.equal(value, found[key]), key
                assert (value.dtype, value.stride()) == (found[key].dtype, found[key].stride())
    assert not whole.lift.weight.is_contiguous()  # channels last, as files are not


def test_the_names_in_the_file(tmp_path):
    for make, kept in ((sgd, {"momentum_buffer"}), (adam, {"exp_avg", "exp_avg_sq", "step"})):
        path = tmp_path / f"{make.__name__}.safetensors"
        network, optimizer = start(make)
        save_training(path, network, optimizer, {"asked": {}, "history": run(network, optimizer, 1)})
        with safe_open(path, "pt") as file:
            names = set(file.keys())
        assert {f"network.{name}" for name in network.state_dict()} < names
        learned = [name for name, _ in network.named_parameters() if name != "unused"]
        assert {name for name in names if not name.startswith("network.")} == {
            f"optimizer.{key}.{name}" for key in kept for name in learned
        }


def test_without_a_file_nothing_happens(tmp_path):
    network, optimizer = start(adam)
    before = digest(*network.parameters())
    for path in (None, tmp_path / "nothing.safetensors"):
        assert restore_training(path, network, optimizer, {"seed": 0}) == []
    assert digest(*network.parameters()) == before
    assert not optimizer.state


def test_another_training_is_refused(tmp_path):
    path = tmp_path / "training.safetensors"
    network, optimizer = start(adam)
    save_training(path, network, optimizer, {"asked": {"seed": 0}, "history": run(network, optimizer, 1)})
    with pytest.raises(UserError, match=r"cannot be continued: it was begun with seed = 0 \(now 1\)"):
        restore_training(path, *start(adam), {"seed": 1})
    with pytest.raises(UserError, match=r"begun with optimizer = 'Adam' \(now 'SGD'\)"):
        restore_training(path, *start(sgd), {"seed": 0})
    with pytest.raises(UserError, match="cannot be continued: it belongs to another network"):
        restore_training(path, *start(adam, width=2), {"seed": 0})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError, match="must be a checkpoint"):
        restore_training(path, *start(adam), {"seed": 0})


def test_an_optimiser_that_keeps_more_than_tensors(tmp_path):
    network, _ = start(adam)
    optimizer = torch.optim.LBFGS([p for p in network.parameters() if p.is_floating_point()])
    optimizer.step(lambda: network(torch.ones(4, 2, 4, 4)).square().mean())
    with pytest.raises(TypeError, match="must keep tensors"):
        save_training(tmp_path / "training.safetensors", network, optimizer, {"asked": {}, "history": []})
    assert not list(tmp_path.iterdir())


def test_seeds_leave_the_generator_alone():
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    found = torch.rand(2)
    draws = []
    for seed in (0, 0, 1):
        with seeded(seed, CPU):
            draws.append(torch.rand(2))
    assert torch.equal(torch.cat([found, torch.rand(2)]), expected)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_digests_tell_contents_apart():
    x = torch.arange(6.0).reshape(2, 3)
    assert digest(x) == digest(x.clone().requires_grad_())
    assert digest(x.t()) == digest(x.t().contiguous())
    assert len({digest(x), digest(x.t()), digest(x + 1), digest(x, x), digest(x.to(torch.float64))}) == 5

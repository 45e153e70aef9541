"""SOAP: what it is invariant to, what it becomes without rotations, and that it survives an interruption."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from symflow import Coordinates, NeuralField
from symflow.learning import Soap, learn
from symflow.runs import Run


def rotation(n: int, seed: int) -> Tensor:
    return torch.linalg.qr(torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))[0]


def descent(gradients: list[Tensor], **settings: object) -> Tensor:
    """What SOAP makes of a layer ``[m, n]`` that begins at zero and meets these gradients ``[m, n + 1]``."""
    m, n = gradients[0].shape
    weight, bias = torch.zeros(m, n - 1, dtype=torch.float64), torch.zeros(m, dtype=torch.float64)
    optimizer = Soap([weight.requires_grad_(), bias.requires_grad_()], lr=0.1, **settings)
    for gradient in gradients:
        weight.grad, bias.grad = gradient[:, :-1].clone(), gradient[:, -1].clone()
        optimizer.step()
    return torch.cat([weight, bias[:, None]], 1).detach()


def drawn(count: int = 30) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    sizes = torch.logspace(0, 2, 4, dtype=torch.float64)  # directions of different size, which name the basis
    return [torch.randn(3, 4, dtype=torch.float64, generator=generator) * sizes for _ in range(count)]


def test_it_turns_with_the_gradients() -> None:
    """Rotated gradients give rotated steps, which no method that scales single parameters does."""
    left, right = rotation(3, 1), rotation(4, 2)
    moved = descent(drawn())
    turned = descent([left @ g @ right.T for g in drawn()])
    torch.testing.assert_close(turned, left @ moved @ right.T, rtol=1e-6, atol=1e-9)


def test_a_steady_gradient_gives_steps_of_the_learning_rate() -> None:
    """The first step measures; then a gradient of rank 1 is a single coordinate of its basis, and Adam's step is lr."""
    gradient = torch.outer(torch.tensor([3.0, 4.0, 0.0]), torch.tensor([1e3, 0.0, 0.0, 0.0])).double()
    moved = descent([gradient] * 11)
    torch.testing.assert_close(moved, -10 * 0.1 * gradient / gradient.norm(), rtol=1e-6, atol=1e-6)


def test_layers_side_by_side_are_layers_of_their_own() -> None:
    field = NeuralField(Coordinates(("x", "y")), 2, width=4, head_width=3).double()
    alone = NeuralField(Coordinates(("x", "y")), 2, width=4, head_width=3).double()
    both, one = Soap(field.parameters(), lr=0.1), Soap(alone.parameters(), lr=0.1)
    z = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        for network, optimizer, weights in ((field, both, (1.0, 1.0)), (alone, one, (1.0, 100.0))):
            optimizer.zero_grad()
            (network(z).detach() * network(z) * torch.tensor(weights)[:, None]).sum().backward()
            for parameter in list(network.parameters())[:4]:
                parameter.grad = None  # the trunk, which the heads share, stays
            optimizer.step()
    torch.testing.assert_close(field.out_weight[0], alone.out_weight[0], rtol=0, atol=0)


def test_parameters_in_another_order_are_refused() -> None:
    with pytest.raises(ValueError, match="weights and biases in turn"):
        Soap([torch.zeros(3), torch.zeros(2, 3)], lr=0.1)


class Target:
    """The mean square distance to the field (y, -x) at points drawn from the step."""

    steps = 150

    def rate(self, step: int) -> float:
        return 1e-2

    def backward(self, field: NeuralField, step: int) -> dict[str, float]:
        z = torch.rand(64, 2, generator=torch.Generator().manual_seed(step))
        loss = (field(z)[:, 0] - torch.stack([z[:, 1], -z[:, 0]], -1)).square().mean()
        loss.backward()
        return {"loss": loss.item()}


def test_an_interrupted_run_ends_with_the_same_bits(tmp_path: Path) -> None:
    def network() -> NeuralField:
        return NeuralField(Coordinates(("x", "y")), 1, width=33, head_width=17, seed=5)

    def stop(step: int, record: dict[str, float]) -> None:
        if step == 60:
            raise KeyboardInterrupt

    losses: list[float] = []
    whole, resumed = network(), network()
    learn(whole, Target(), optimizer=Soap, progress=lambda step, record: losses.append(record["loss"]))
    with pytest.raises(KeyboardInterrupt):
        learn(network(), Target(), optimizer=Soap, run=Run(tmp_path / "run", {}), progress=stop)
    learn(resumed, Target(), optimizer=Soap, run=Run(tmp_path / "run", {}, resume=True))
    assert losses[-1] < 0.1 * losses[0]
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)

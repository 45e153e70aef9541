"""Neural operators: windows, draws, training, errors, equivariance."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from symflow import Coordinates, SymbolicField, pde
from symflow.errors import UserError
from symflow.pde.augmentation.equivariance import characteristics
from symflow.pde.operators.operators import Operator, bootstrap, errors, train
from symflow.pde.operators.windows import Penalty, Pool, Task

NEXT = Task(3, (3, 4), True)
LATER = Task(3, (6,), False)


@pytest.fixture(scope="module")
def waves() -> Tensor:
    """``sin(x - t + phase)`` on 12 rows, dt = 0.1, 16 points: the next rows are linear in the first ones."""
    x, t = torch.arange(16) * (2 * torch.pi / 16), 0.1 * torch.arange(12.0)
    phase = torch.linspace(0, 5, 6)
    return torch.sin(x - t[:, None] + phase[:, None, None])


@pytest.fixture(scope="module")
def kdv() -> pde.Trajectories:
    return pde.generate("kdv", samples=3, seed=1, steps=60, keep=30, end=12.0, resolution=128)


def test_the_papers_tasks() -> None:
    kdv, nkdv = (Task.of(pde.CATALOGUE[name].equation) for name in ("kdv", "nkdv"))
    assert (kdv.inputs, kdv.outputs, kdv.length, kdv.moving) == (20, tuple(range(20, 40)), 40, True)
    assert (nkdv.inputs, nkdv.outputs, nkdv.moving) == (20, (89,), False)
    assert list(kdv.tested(140)) == [0, 20, 40, 60, 80, 100]
    assert list(nkdv.tested(140)) == [0]


def test_windows_start_where_all_their_rows_are_valid() -> None:
    valid = torch.tensor([[True] * 5 + [False] + [True] * 6])
    assert NEXT.starts(valid)[0].nonzero()[:, 0].tolist() == [0, 6, 7]
    assert not LATER.starts(valid).any()
    assert LATER.starts(torch.ones(1, 12, dtype=torch.bool))[0].nonzero()[:, 0].tolist() == [0]


def test_draws_are_windows_of_their_sources() -> None:
    u = (100 * torch.arange(4)[:, None] + torch.arange(12)).float()[..., None].expand(-1, -1, 8)
    pool = Pool.of(u, NEXT)
    sources = torch.tensor([2, 0, 3])
    inputs, outputs, starts = pool.draw(sources, NEXT, torch.tensor([[0.3, 0.5, 0.99], [0.0, 0.5, 0.9999]]))
    for k, source in enumerate(sources.tolist()):
        first = 100 * source + starts[k]
        assert inputs[k, :, 0].tolist() == [first, first + 1, first + 2]
        assert outputs[k, :, 0].tolist() == [first + 3, first + 4]
    assert starts.tolist() == [0, 4, 7]


def test_starts_at_multiples() -> None:
    pool = Pool.of(torch.zeros(2, 12, 8), NEXT, every=3)
    assert pool.starts[1, 0].nonzero()[:, 0].tolist() == [0, 3, 6]


def test_all_allowed_starts_are_drawn_alike() -> None:
    valid = torch.tensor([[True] * 5 + [False] + [True] * 6])
    pool = Pool(torch.zeros(1, 1, 12, 8), NEXT.starts(valid)[None])
    chance = torch.stack([torch.zeros(300), torch.arange(300) / 300])
    _, _, starts = pool.draw(torch.zeros(300, dtype=torch.long), NEXT, chance)
    assert torch.bincount(starts, minlength=12)[[0, 6, 7]].tolist() == [100, 100, 100]


def test_an_operator_commutes_with_translations_and_knows_its_seed() -> None:
    first, again, other = (Operator(NEXT, 2.0, width=8, modes=5, layers=2, seed=s) for s in (0, 0, 1))
    u = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(first(u), again(u))
    assert not torch.allclose(first(u), other(u))
    assert torch.allclose(first(u.roll(5, -1)), first(u).roll(5, -1), atol=1e-6)


def test_an_operator_scales_with_its_data() -> None:
    small, large = (Operator(NEXT, s, width=8, modes=5, layers=2, seed=0) for s in (1.0, 10.0))
    u = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(large(10 * u), 10 * small(u), rtol=1e-4, atol=1e-5)


def test_training_learns_what_can_be_learned(waves: Tensor) -> None:
    operator = Operator(NEXT, 0.7, width=8, modes=4, layers=2, seed=0)
    before = float(errors(operator, waves, NEXT).mean())
    history = train(operator, Pool.of(waves, NEXT), NEXT, steps=300, seed=0, batch=4, rate=1e-2)
    after = float(errors(operator, waves, NEXT).mean())
    assert [record["step"] for record in history] == [100, 200, 300]
    assert history[-1]["loss"] < history[0]["loss"]
    assert after < 1e-3 < before


def test_errors_by_hand(waves: Tensor) -> None:
    class Repeat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.nothing = nn.Parameter(torch.zeros(()))

        def forward(self, u: Tensor) -> Tensor:
            return u[:, -1:].expand(-1, 2, -1) + self.nothing

    # |sin(y) - sin(y - a)|^2 = (2 - 2 cos a) / 2 of a whole wave of mean square 1/2
    a = torch.tensor([0.1, 0.2])
    expected = float((2 - 2 * a.cos()).mean())
    assert torch.allclose(errors(Repeat(), waves, NEXT), torch.full((6,), expected, dtype=torch.float64), rtol=1e-4)


def test_an_interrupted_training_ends_with_the_same_bits(waves: Tensor, tmp_path: Path) -> None:
    pool, file = Pool.of(waves, NEXT), tmp_path / "training.safetensors"

    def begin() -> Operator:
        return Operator(NEXT, 0.7, width=4, modes=3, layers=1, seed=0)

    whole, interrupted, continued = begin(), begin(), begin()
    train(whole, pool, NEXT, steps=300, seed=3, batch=4)

    def stop(step: int, record: dict[str, float]) -> None:
        if step == 200:
            raise KeyboardInterrupt

    class Hurried:  # every checkpoint is due
        @staticmethod
        def perf_counter() -> float:
            Hurried.now += 10.0
            return Hurried.now

        now = 0.0

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("symflow.pde.operators.operators.time", Hurried)
        with pytest.raises(KeyboardInterrupt):
            train(interrupted, pool, NEXT, steps=300, seed=3, batch=4, checkpoint=file, progress=stop)
    history = train(continued, pool, NEXT, steps=300, seed=3, batch=4, checkpoint=file)
    assert len(history) == 3
    for a, b in zip(whole.parameters(), continued.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(UserError, match="seed = 3"):
        train(begin(), pool, NEXT, steps=300, seed=4, batch=4, checkpoint=file)


def test_copies_do_not_change_which_sources_a_step_sees(waves: Tensor) -> None:
    class Seen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor, self.sources = nn.Parameter(torch.ones(())), []

        def forward(self, u: Tensor) -> Tensor:
            self.sources.append(u[:, 0, 0].detach().tolist())
            return u[:, :2] * self.factor

    u = torch.arange(1.0, 7.0)[:, None, None].expand(6, 12, 8)
    plain = Pool.of(u, NEXT)
    copies = Pool(u[:, None].expand(-1, 5, -1, -1), plain.starts.expand(-1, 5, -1))
    first, second = Seen(), Seen()
    train(first, plain, NEXT, steps=20, seed=0, batch=4)
    train(second, copies, NEXT, steps=20, seed=0, batch=4)
    assert first.sources == second.sources
    drawn = [s for batch in first.sources for s in batch]
    assert all(drawn[6 * k : 6 * k + 6] != sorted(drawn[6 * k : 6 * k + 6]) for k in range(3))
    assert all(sorted(drawn[6 * k : 6 * k + 6]) == [1, 2, 3, 4, 5, 6] for k in range(13))


def test_characteristics_are_the_derivative_along_the_flow(kdv: pde.Trajectories) -> None:
    """``d/d eps`` of ``u(x - eps t, t) + eps`` for the boost, by Fourier shifts, against ``1 - t u_x``."""
    c = Coordinates(("x", "t", "u"), periods=(kdv.length, None, None))
    field = SymbolicField(c, [{"dx": "t", "du": "1"}, {"dt": "1"}])
    Q = characteristics(field, kdv)
    k = torch.arange(len(kdv.x) // 2 + 1) * (2 * torch.pi / kdv.length)

    def boosted(eps: float) -> Tensor:
        v = torch.fft.rfft(kdv.u) * torch.exp(-1j * k * eps * kdv.t[:, None])
        return torch.fft.irfft(v, len(kdv.x)) + eps

    derivative = (boosted(1e-5) - boosted(-1e-5)) / 2e-5
    derivative /= derivative.square().mean().sqrt()
    assert torch.allclose(Q[:, 0], derivative, atol=1e-6)
    u_t = (kdv.u[:, 2:] - kdv.u[:, :-2]) / (kdv.t[2:] - kdv.t[:-2])[:, None]  # second order in dt = 0.2
    cosine = -(Q[:, 1, 1:-1] * u_t).sum() / (Q[:, 1, 1:-1].norm() * u_t.norm())
    assert cosine > 0.99


def test_the_penalty_is_the_operators_failure_to_commute(waves: Tensor) -> None:
    """An operator that commutes with every translation has none along ``dx``."""
    u_x = torch.cos(torch.asin(waves.clamp(-1, 1)))  # only its size matters below
    k = torch.arange(9)
    u_x = torch.fft.irfft(torch.fft.rfft(waves) * 1j * k, 16)

    class Shift(nn.Module):  # exact: the wave moves by 0.1 a row
        def __init__(self, error: float) -> None:
            super().__init__()
            self.error = nn.Parameter(torch.tensor(error))

        def forward(self, u: Tensor) -> Tensor:
            v = torch.fft.rfft(u[:, -1:])
            rows = torch.tensor([[[0.1], [0.2]]]) + self.error
            return torch.fft.irfft(v * torch.exp(-1j * k * rows), 16) + self.error * u[:, :1] ** 2

    penalty = Penalty(-u_x[:, None], 1.0)
    pool = Pool.of(waves, NEXT)
    losses = [train(Shift(e), pool, NEXT, steps=1, seed=0, penalty=penalty)[0]["loss"] for e in (0.0, 0.3)]
    plain = [train(Shift(e), pool, NEXT, steps=1, seed=0)[0]["loss"] for e in (0.0, 0.3)]
    assert losses[0] < 1e-5
    assert losses[1] > 1.5 * plain[1] > 0.1


def test_an_interval_by_bootstrap_covers_the_mean() -> None:
    generator = torch.Generator().manual_seed(0)
    covered = 0
    for k in range(100):
        low, high = bootstrap(torch.randn(60, generator=generator).exp(), seed=k)
        covered += low <= 2.718281828**0.5 <= high
    assert 85 <= covered <= 99


def test_mistakes_are_sentences(waves: Tensor) -> None:
    with pytest.raises(UserError, match="at least 40 times, got 12"):
        Pool.of(waves, Task.of(pde.CATALOGUE["kdv"].equation))
    operator = Operator(NEXT, 1.0, width=4, modes=3, layers=1)
    with pytest.raises(ValueError, match="`steps` and `batch` must be at least 1"):
        train(operator, Pool.of(waves, NEXT), NEXT, steps=0, seed=0)
    pool = Pool.of(waves, NEXT)
    copies = dataclasses.replace(pool, u=pool.u.expand(-1, 2, -1, -1))
    with pytest.raises(ValueError, match="one copy beside a penalty, got 2"):
        train(operator, copies, NEXT, steps=1, seed=0, penalty=Penalty(waves[:, None], 1.0))
    with pytest.raises(UserError, match="training diverged"):
        train(operator, Pool.of(waves * torch.inf, NEXT), NEXT, steps=1, seed=0)


def test_in_bfloat16_the_fourier_layers_stay_in_single_precision(waves: Tensor) -> None:
    operator = Operator(NEXT, 0.7, width=8, modes=4, layers=2, seed=0)
    with torch.no_grad():
        exact = operator(waves[:, :3])
        with torch.autocast("cpu", torch.bfloat16):
            rough = operator(waves[:, :3])
    assert not torch.equal(rough.float(), exact)
    assert torch.allclose(rough.float(), exact, atol=0.02 * float(exact.abs().max()))
    history = train(operator, Pool.of(waves, NEXT), NEXT, steps=200, seed=0, batch=4, rate=1e-2, bfloat16=True)
    assert history[1]["loss"] < history[0]["loss"]
    assert all(p.dtype in (torch.float32, torch.complex64) for p in operator.parameters())

"""What the commands say of data of every kind: the word, the reason and the exit code, and never a traceback."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
import torch

from symflow.errors import UserError
from symflow.pde import Equation, Trajectories, commands, generate, save
from symflow.pde.settings import Discovery

REFUTED, UNTOLD = 1, 3


@cache
def kdv() -> Trajectories:
    return generate("kdv", 6, 0, resolution=128, steps=80, keep=80, end=40.0)


def called(data: Trajectories, text: str) -> Trajectories:
    return replace(data, equation=Equation(text), name=None)


def holding(u: torch.Tensor) -> Trajectories:
    return replace(kdv(), u=u + torch.zeros_like(kdv().u))


def rows(which: list[int]) -> Trajectories:
    return replace(kdv()[:2], t=kdv().t[which], u=kdv().u[:2, which])


def places(first: int, last: int) -> Trajectories:
    return replace(kdv(), x=kdv().x[first:last], u=kdv().u[..., first:last].contiguous())


def white_noise() -> Trajectories:
    return holding(torch.randn(kdv().u.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)))


def waves(per_row: float) -> Trajectories:
    times = torch.arange(80, dtype=torch.float64) * per_row
    u = torch.sin(6 * math.pi * kdv().x / kdv().length - times[:, None])
    return replace(holding(u), t=times)


def soliton() -> Trajectories:
    x = torch.arange(128, dtype=torch.float64) * (40.0 / 128)
    t = torch.linspace(0, 8, 70, dtype=torch.float64)
    away = (x - 10 - 2 * t[:, None] + 20) % 40 - 20
    return Trajectories(kdv().equation, x, t, (6 / torch.cosh(away / math.sqrt(2)) ** 2)[None])


def filled() -> Trajectories:
    u = kdv().u.clone()
    u[2, 30:33, 10:20] = -999.0
    return replace(kdv(), u=u)


def one_still() -> Trajectories:
    return replace(kdv(), u=torch.cat([kdv().u[:1] * 0 + 0.3, kdv().u[1:]]))


KINDS: dict[str, tuple[Callable[[], Trajectories], int, str]] = {
    "right": (kdv, 0, r"these data solve it \(weak residual"),
    "scaled": (lambda: replace(kdv(), u=1.02 * kdv().u), REFUTED, r"u\*u_x with coefficient 0.98039"),
    "constants": (lambda: holding(torch.tensor(0.1)), UNTOLD, "nothing changes"),
    "zeros": (lambda: holding(torch.tensor(0.0)), UNTOLD, "nothing changes"),
    "a constant each": (lambda: holding(torch.arange(6.0)[:, None, None]), UNTOLD, "nothing changes"),
    "one constant": (one_still, REFUTED, "trajectory 0: nothing changes"),
    "rows that stand still": (lambda: holding(kdv().u[:, :1]), REFUTED, "do not solve it"),
    "no waves in x": (lambda: holding(kdv().u[..., :1]), REFUTED, "do not solve it"),
    "white noise": (white_noise, UNTOLD, "too noisy"),
    "sine waves": (lambda: waves(0.5), REFUTED, "do not solve it"),
    "sine waves in coarse rows": (lambda: waves(1.0), REFUTED, "do not solve it"),
    "one stored time": (lambda: rows([10]), UNTOLD, "one stored time"),
    "two stored times": (lambda: rows([10, 11]), 0, "prediction by one row"),
    "two stored times, wrong label": (
        lambda: called(rows([10, 11]), "u_t + 1.1*u*u_x + u_xxx = 0"),
        REFUTED,
        "prediction by one row",
    ),
    "every 20th row": (lambda: rows([0, 20, 40, 60]), 0, "prediction by one row"),
    "every 20th row, wrong label": (
        lambda: called(rows([0, 20, 40, 60]), "u_t + 1.1*u*u_x + u_xxx = 0"),
        REFUTED,
        "prediction by one row",
    ),
    "one trajectory": (lambda: kdv()[0], 0, "1 of 1 trajectories"),
    "one trajectory, wrong label": (
        lambda: called(kdv()[0], "u_t + 1.02*u*u_x + u_xxx = 0"),
        REFUTED,
        r"u\*u_x with coefficient 1.0000",
    ),
    "a travelling wave": (soliton, 0, "1 of 1 trajectories"),
    "a travelling wave, wrong label": (
        lambda: called(soliton(), "u_t + u*u_x + 0.98*u_xxx = 0"),
        REFUTED,
        "do not solve it",
    ),
    "fill values": (filled, REFUTED, "1 of 6 are unlike the others: trajectory 2"),
    "one of huge values": (
        lambda: replace(kdv(), u=torch.cat([1e100 * kdv().u[:1], kdv().u[1:]])),
        UNTOLD,
        "the values of trajectory 0 are too large",
    ),
    "one of white noise": (
        lambda: replace(kdv(), u=torch.cat([white_noise().u[:1], kdv().u[1:]])),
        REFUTED,
        "trajectory 0: another noise",
    ),
    "overflow": (lambda: holding(1e200 * kdv().u), UNTOLD, "must be finite"),
    "a window": (lambda: places(0, 96), 0, "x is not periodic"),
    "a window, wrong label": (
        lambda: called(places(0, 96), "u_t + 1.02*u*u_x + u_xxx = 0"),
        REFUTED,
        r"u\*u_x with coefficient 1.0000",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_audit(kind, tmp_path):
    data, code, reason = KINDS[kind]
    answer = commands.audit(str(save(data(), tmp_path / "data.h5")))
    assert answer.code == code
    assert re.search(reason, answer.text)


@pytest.mark.parametrize(
    "kind",
    [k if k in ("constants", "one stored time") else pytest.param(k, marks=pytest.mark.slow) for k in KINDS],
)
def test_discover(kind, tmp_path):
    data, code, reason = KINDS[kind]
    path = save(data(), tmp_path / "data.h5")
    answer = commands.discover(str(path), out=tmp_path / "run", settings=Discovery(network="none"))
    assert answer.code == code
    said = " ".join(answer.text.split())
    assert re.search(reason, said)
    assert ("nothing is said of the data" in said) == (code != 0 and "unlike" not in said)


def test_values_that_are_missing_are_named(tmp_path):
    u = kdv().u.clone()
    u[2, 30, 10] = math.nan
    with pytest.raises(UserError, match="`u` must be finite, got nan first in trajectory 2 at t = "):
        replace(kdv(), u=u)

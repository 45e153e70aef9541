"""How often `symflow.discover` counts right: a bench of problems whose number of symmetries is known by theory.

    python benchmarks/problems.py                 # runs all; writes results/problems.json and a table in docs
    python benchmarks/problems.py --only cloud    # families whose name begins so, nothing is written

Every family states the theorem that gives its count. The thresholds of `symflow/problems/count.py` were chosen on
draws with other seeds, of families that are not in `HELD_OUT`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _common import RESULTS, machine, print_table, replace_table
from torch import Tensor, nn

from symflow import Problem, discover, distribution, equivariance, invariance

PAGE = Path(__file__).parents[1] / "docs" / "problems.md"
FAMILIES: dict[str, tuple[Callable[..., Any], int]] = {}
HELD_OUT = ("volume", "symplectic", "two spaces", "laplace", "oscillators", "nearly so(p,q)")


@dataclass(frozen=True)
class Case:
    """A problem, the class of fields and how many of them are symmetries."""

    problem: Problem
    fields: str
    truth: int
    note: str = ""
    derivative: str = "autograd"


def family(name: str, draws: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers a function of a random generator and the number of the draw that makes a `Case`."""

    def register(make: Callable[..., Any]) -> Callable[..., Any]:
        FAMILIES[name] = (make, draws)
        return make

    return register


# ---- draws ----------------------------------------------------------------------------------------------------------


def normal(g: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def pick(g: torch.Generator, low: int, high: int) -> int:
    """An integer from low to high."""
    return int(torch.randint(low, high + 1, (1,), generator=g))


def between(g: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1, generator=g, dtype=torch.float64))


def change(g: torch.Generator, d: int) -> Tensor:
    """A random invertible matrix with a condition number of at most about ten."""
    q, _ = torch.linalg.qr(normal(g, d, d))
    p, _ = torch.linalg.qr(normal(g, d, d))
    return q @ torch.diag(torch.exp(0.7 * normal(g, d)).clamp(0.3, 3.0)) @ p


def signature(g: torch.Generator, d: int) -> Tensor:
    """A random form of any signature, ``[d, d]``."""
    positive = pick(g, 0, d)
    signs = torch.tensor([1.0] * positive + [-1.0] * (d - positive), dtype=torch.float64)
    a = change(g, d)
    return a.T @ torch.diag(signs) @ a


def turns(d: int) -> int:
    """The dimension of so(d)."""
    return d * (d - 1) // 2


def tangent(d: int, degree: int) -> int:
    """Polynomial fields with ``z . S V = 0`` up to a degree: V -> z . S V is onto, degree by degree."""
    return sum(d * math.comb(d + k - 1, k) - math.comb(d + k, k + 1) for k in range(degree + 1))


# ---- functions of one point -----------------------------------------------------------------------------------------


@family("quadratic", 24)
def quadratic(g: torch.Generator, draw: int) -> Case:
    """``z . S z``, S of any signature: so(p, q); with polynomial factors for higher degree (one point: a module)."""
    d = pick(g, 2, 8)
    s = signature(g, d)
    single = draw % 4 == 3
    z = normal(g, 1200, d)
    fields = ("affine", "linear", "polynomial:2")[draw % 3 if d <= 4 else draw % 2]
    truth = tangent(d, 2) if fields == "polynomial:2" else turns(d)
    if single:
        s, z = s.float(), z.float()
    return Case(invariance(lambda z: (z @ s * z).sum(-1), z), fields, truth, f"d = {d}{', float32' if single else ''}")


@family("degenerate quadratic", 10)
def degenerate(g: torch.Generator, draw: int) -> Case:
    """``z . S z`` with S of rank r: so on the range, anything along the kernel."""
    d = pick(g, 3, 6)
    r = pick(g, 2, d - 1)
    a = change(g, d)[:r]
    signs = torch.sign(normal(g, r))
    return Case(
        invariance(lambda z: (z @ a.T).square() @ signs, normal(g, 900, d)),
        "affine",
        turns(r) + (d - r) * (d + 1),
        f"d = {d}, r = {r}",
    )


@family("weighted squares", 12)
def weighted(g: torch.Generator, draw: int) -> Case:
    """``sum a_i |z_i|^2`` over blocks with distinct weights: of the Euclidean motions, rotations in the blocks stay."""
    blocks = [pick(g, 1, 3) for _ in range(pick(g, 2, 3))]
    weights = torch.cat([torch.full((n,), 1.0 + i * between(g, 0.5, 1.0)) for i, n in enumerate(blocks)]).double()
    d = sum(blocks)
    q, _ = torch.linalg.qr(normal(g, d, d))
    return Case(
        invariance(lambda z: (z @ q).square() @ weights, normal(g, 800, d)),
        "isometric",
        sum(turns(n) for n in blocks),
        f"blocks {blocks}",
    )


@family("monomials", 10)
def monomial(g: torch.Generator, draw: int) -> Case:
    """k products of powers of positive coordinates: the scalings that keep them, d - k."""
    d = pick(g, 2, 6)
    k = pick(g, 1, d)
    powers = normal(g, k, d)
    return Case(
        invariance(lambda z: torch.log(z.abs()) @ powers.T, torch.exp(0.4 * normal(g, 900, d))),
        ("affine", "linear")[draw % 2],
        d - k,
        f"d = {d}, k = {k}",
    )


@family("no symmetry", 24)
def nothing(g: torch.Generator, draw: int) -> Case:
    """A random network of tanh units: nothing is kept."""
    d = pick(g, 2, 8)
    out = 1 if draw % 2 else pick(g, d, d + 2)
    w, b, v = normal(g, 40, d), normal(g, 40), normal(g, 40, out)
    fields = ("affine", "linear", "isometric", "polynomial:2")[draw % 4 if d <= 4 else draw % 3]
    z = normal(g, 1500, d)
    if draw % 5 == 4:
        w, b, v, z = w.float(), b.float(), v.float(), z.float()
    return Case(invariance(lambda z: torch.tanh(z @ w.T + b) @ v, z), fields, 0, f"d = {d}, {out} numbers")


@family("ridge", 10)
def ridge(g: torch.Generator, draw: int) -> Case:
    """Functions of k linear forms: every affine field along their common kernel."""
    d = pick(g, 3, 6)
    k = pick(g, 1, d - 1)
    a, w, v = normal(g, k, d), normal(g, 30, k), normal(g, 30, k + 1)
    return Case(
        invariance(lambda z: torch.sin(z @ a.T @ w.T + 1.0) @ v, normal(g, 800, d)), "affine", (d - k) * (d + 1)
    )


# ---- functions of several points ------------------------------------------------------------------------------------


@family("momenta", 24)
def momenta(g: torch.Generator, draw: int) -> Case:
    """All products of n vectors: so(p, q); of their differences: with translations; of their sum alone: so(p, q)."""
    d = pick(g, 2, 6)
    n = d + pick(g, 1, 2)
    s = signature(g, d)
    kind = ("all", "differences", "sum")[draw % 3]
    fields = "polynomial:2" if d <= 3 and draw % 4 == 0 and kind == "all" else "affine"
    count = 150 if kind != "sum" else 1000
    z = normal(g, count, n, d) + (normal(g, d) if kind == "differences" else 0)
    if draw % 6 >= 4:
        s, z = s.float(), z.float()

    def f(z: Tensor) -> Tensor:
        y = {"all": z, "differences": z[:, 1:] - z[:, :1], "sum": z.sum(1, keepdim=True)}[kind]
        return torch.einsum("bni,ij,bmj->bnm", y, s, y).flatten(1)

    return Case(invariance(f, z), fields, turns(d) + (d if kind == "differences" else 0), f"{kind}, d = {d}")


@family("shape", 10)
def shape(g: torch.Generator, draw: int) -> Case:
    """Quotients of distances: Euclidean motions and dilation."""
    d, n = pick(g, 2, 4), pick(g, 4, 6)
    a = change(g, d)

    def f(z: Tensor) -> Tensor:
        y = (z[:, 1:] - z[:, :1]) @ a
        gram = y @ y.mT
        return (gram / gram.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None]).flatten(1)

    return Case(invariance(f, normal(g, 200, n + d, d) + 3 * normal(g, d)), "affine", turns(d) + d + 1, f"d = {d}")


@family("volume", 10)
def volume(g: torch.Generator, draw: int) -> Case:
    """The determinant of d vectors: sl(d); of the differences of d + 1 points: with translations."""
    d = pick(g, 2, 4)
    moved = draw % 2

    def f(z: Tensor) -> Tensor:
        return torch.linalg.det(z[:, 1:] - z[:, :1] if moved else z)

    return Case(invariance(f, normal(g, 1500, d + moved, d)), "affine", d * d - 1 + d * moved, f"d = {d}")


@family("symplectic", 8)
def symplectic(g: torch.Generator, draw: int) -> Case:
    """``z_i . J z_j`` of several vectors: sp(2m)."""
    m = pick(g, 1, 3)
    d = 2 * m
    j = torch.kron(torch.tensor([[0.0, 1.0], [-1.0, 0.0]]), torch.eye(m)).double()
    a = change(g, d)
    j = a.T @ j @ a
    return Case(
        invariance(lambda z: torch.einsum("bni,ij,bmj->bnm", z, j, z).flatten(1), normal(g, 150, d + 1, d)),
        ("linear", "affine")[draw % 2],
        m * (2 * m + 1),
        f"d = {d}",
    )


@family("nearly so(p,q)", 20)
def nearly(g: torch.Generator, draw: int) -> Case:
    """Products of vectors, broken by a function that keeps nothing, at sizes from 1e-5 to .1: no symmetry is left."""
    d = pick(g, 2, 5)
    s = signature(g, d)
    w, v = normal(g, 30, d), normal(g, 30)
    size = 10.0 ** -between(g, 1, 5)

    def f(z: Tensor) -> Tensor:
        y = torch.einsum("bni,ij,bmj->bnm", z, s, z).flatten(1)
        return y + size * (torch.tanh(z @ w.T + 0.3) @ v).sum(-1, keepdim=True)

    return Case(invariance(f, normal(g, 150, d + 1, d)), ("affine", "linear")[draw % 2], 0, f"broken by {size:.1g}")


@family("partly broken", 10)
def partly(g: torch.Generator, draw: int) -> Case:
    """``|z|`` and, weakly, one coordinate: rotations that leave the axis stay."""
    d = pick(g, 3, 6)
    axis = nn.functional.normalize(normal(g, d), dim=0)
    size = 10.0 ** -between(g, 0.5, 4)

    def f(z: Tensor) -> Tensor:
        return (z @ z.mT).flatten(1) + size * (z @ axis).pow(3).sum(-1, keepdim=True)

    return Case(invariance(f, normal(g, 200, d + 1, d)), "affine", turns(d - 1), f"d = {d}, broken by {size:.1g}")


@family("many dimensions", 10)
def many(g: torch.Generator, draw: int) -> Case:
    """Products of vectors in 9 to 20 dimensions: so(p, q)."""
    d = pick(g, 9, 20)
    s = signature(g, d)
    fields = ("isometric", "linear")[draw % 2]
    if fields == "isometric":
        s = torch.eye(d, dtype=torch.float64)
    return Case(
        invariance(lambda z: torch.einsum("bni,ij,bmj->bnm", z, s, z).flatten(1), normal(g, 120, d + 1, d)),
        fields,
        turns(d),
        f"d = {d}",
    )


# ---- maps -----------------------------------------------------------------------------------------------------------


@family("linear flows", 20)
def flows(g: torch.Generator, draw: int) -> Case:
    """``exp(A)`` with known multiplicities: the matrices that commute with it, and the translations that it fixes."""
    a, truth, note = None, 0, ""
    kind = draw % 4
    if kind == 0:  # generic
        d = pick(g, 2, 8)
        a, truth, note = normal(g, d, d) / d**0.5, d, "generic"
    elif kind == 1:  # real eigenvalues with multiplicities
        blocks = [pick(g, 1, 3) for _ in range(pick(g, 2, 3))]
        values = torch.cat([torch.full((n,), 0.4 * (i + 1)) for i, n in enumerate(blocks)]).double()
        d = sum(blocks)
        b = change(g, d)
        a, truth = torch.linalg.solve(b, torch.diag(values) @ b), sum(n * n for n in blocks)
        note = f"multiplicities {blocks}"
    elif kind == 2:  # free particles
        k = pick(g, 1, 3)
        d = 2 * k
        b = change(g, d)
        a = torch.kron(torch.tensor([[0.0, 1.0], [0.0, 0.0]]), torch.eye(k)).double()
        a, truth, note = torch.linalg.solve(b, a @ b), 2 * k * k + k, f"{k} free particles"
    else:  # oscillators of distinct frequencies
        k = pick(g, 1, 3)
        d = 2 * k
        frequencies = torch.diag(0.5 + 0.6 * torch.arange(k)).double()
        zero = torch.zeros(k, k, dtype=torch.float64)
        b = change(g, d)
        a = torch.cat([torch.cat([zero, frequencies], 1), torch.cat([-frequencies, zero], 1)])
        a, truth, note = torch.linalg.solve(b, a @ b), 2 * k, f"{k} frequencies"
    m = torch.matrix_exp(a)
    fields = "affine" if draw % 8 >= 4 else "linear"
    if kind == 2 and fields == "linear":
        truth -= d // 2
    z = normal(g, 400, d)
    if draw % 5 == 4:
        m, z = m.float(), z.float()
    return Case(equivariance(lambda z: z @ m.T, z), fields, truth, note)


@family("oscillators", 8)
def oscillators(g: torch.Generator, draw: int) -> Case:
    """Isotropic oscillators in k dimensions after a time that is no multiple of a quarter period: gl(k, C)."""
    k = pick(g, 1, 4)
    angle = between(g, 0.3, 1.2)
    one, zero = torch.eye(k, dtype=torch.float64), torch.zeros(k, k, dtype=torch.float64)
    j = torch.cat([torch.cat([zero, one], 1), torch.cat([-one, zero], 1)])
    m = math.cos(angle) * torch.eye(2 * k, dtype=torch.float64) + math.sin(angle) * j
    return Case(equivariance(lambda z: z @ m.T, normal(g, 400, 2 * k)), "affine", 2 * k * k, f"k = {k}")


@family("two spaces", 10)
def two(g: torch.Generator, draw: int) -> Case:
    """Linear maps onto another space, and squares of lengths: pairs of fields, counted by hand."""
    d = pick(g, 3, 5)
    if draw % 2:
        s = signature(g, d)
        problem = equivariance(lambda z: (z @ s * z).sum(-1, keepdim=True), normal(g, 900, d), space="out")
        return Case(problem, "affine", turns(d) + 1, f"length, d = {d}")
    m = pick(g, 1, d - 1)
    a = normal(g, m, d)
    problem = equivariance(lambda z: z @ a.T, normal(g, 600, d), space="out")
    return Case(problem, "affine", m * (m + 1) + (d - m) * (d + 1), f"linear, {d} to {m}")


@family("nonlinear flow", 8)
def pendulum(g: torch.Generator, draw: int) -> Case:
    """A nonlinear map conjugate to nothing linear: no affine field commutes with it."""
    d = pick(g, 2, 5)
    w, v = normal(g, 20, d), normal(g, 20, d) / 5
    return Case(equivariance(lambda z: z + torch.sin(z @ w.T + 0.5) @ v, normal(g, 500, d)), "affine", 0, f"d = {d}")


# ---- finite differences ---------------------------------------------------------------------------------------------

FIT = [(i, n - i) for n in range(5) for i in range(n, -1, -1)]  # monomials of a local fit


def patch_derivatives(z: Tensor) -> dict[tuple[int, int], Tensor]:
    """Derivatives of u at the middle of moved patches ``(x, t, u) [B, 25, 3]``, by a local fit of degree 4."""
    x, t, u = (z - z[:, 12:13] * z.new_tensor([1.0, 1.0, 0.0])).unbind(-1)
    sx, st = x.detach().std(1, keepdim=True), t.detach().std(1, keepdim=True)
    a = torch.stack([(x / sx) ** i * (t / st) ** j for i, j in FIT], -1)
    c = torch.linalg.lstsq(a, u[..., None]).solution[..., 0]
    return {
        (i, j): math.factorial(i) * math.factorial(j) * c[:, n] / (sx[:, 0] ** i * st[:, 0] ** j)
        for n, (i, j) in enumerate(FIT)
    }


def patches(g: torch.Generator, u: Callable[[Tensor, Tensor], Tensor], h: float, noise: float, count: int) -> Tensor:
    """``[B, 25, 3]`` around random points."""
    s = torch.arange(-2, 3, dtype=torch.float64) * h
    dx, dt = (v.flatten() for v in torch.meshgrid(s, s, indexing="ij"))
    centre = torch.rand(count, 2, generator=g, dtype=torch.float64) * torch.tensor([6.0, 1.5])
    x, t = centre[:, :1] + dx, centre[:, 1:] + dt
    values = u(x, t)
    return torch.stack([x, t, values + noise * normal(g, *values.shape)], -1)


@dataclass(frozen=True)
class Waves:
    """Random sums of elementary waves, one set for each datum."""

    size: Tensor
    k: Tensor
    phase: Tensor

    @classmethod
    def of(cls, g: torch.Generator, count: int, waves: int = 3) -> Waves:
        draw = torch.rand(count, waves, generator=g, dtype=torch.float64)
        phase = 2 * math.pi * torch.rand(count, waves, generator=g, dtype=torch.float64)
        return cls(normal(g, count, waves), 0.5 + 1.3 * draw, phase)

    def __call__(self, along: Callable[[Tensor, Tensor, Tensor], Tensor], x: Tensor, t: Tensor) -> Tensor:
        return (self.size[:, None] * along(self.k[:, None], x[..., None] + self.phase[:, None], t[..., None])).sum(-1)


def stencil(name: str, truth: int, solution: Callable[..., Callable], residual: Callable[..., Tensor]) -> None:
    """Registers a family of finite-difference residuals on patches."""

    @family(name, 10)
    def make(g: torch.Generator, draw: int) -> Case:
        count = 400
        c = between(g, 0.6, 1.5)
        h = (0.04, 0.06, 0.08, 0.1, 0.12)[draw // 2 % 5]
        noise = 0.0 if draw % 3 else 10.0 ** -between(g, 6, 8)
        z = patches(g, solution(Waves.of(g, count), c), h, noise, count)
        problem = Problem(lambda move, z: residual(patch_derivatives(move(z)), c), z, zero=True)
        return Case(problem, "affine", truth, f"h = {h}, noise {noise:.1g}")


stencil(
    "heat",
    6,  # dx, dt, du, x du, u du, x dx + 2t dt
    lambda waves, c: lambda x, t: waves(lambda k, x, t: torch.exp(-c * k * k * t) * torch.sin(k * x), x, t),
    lambda u, c: u[0, 1] - c * u[2, 0],
)
stencil(
    "wave",
    8,  # dx, dt, du, x du, t du, u du, x dx + t dt, c^2 t dx + x dt
    lambda waves, c: lambda x, t: waves(lambda k, x, t: torch.sin(k * x) * torch.cos(c * k * t), x, t),
    lambda u, c: u[0, 2] - c * c * u[2, 0],
)
stencil(
    "laplace",
    8,  # the same with a rotation
    lambda waves, c: lambda x, t: waves(lambda k, x, t: torch.sin(k * x) * torch.cosh(c * k * t - k), x, t),
    lambda u, c: u[0, 2] + c * c * u[2, 0],
)
stencil(
    "advection",
    10,  # with s = x - c t: s and u to affine functions of both, t to any affine function
    lambda waves, c: lambda x, t: waves(lambda k, x, t: torch.sin(k * (x - c * t)), x, t),
    lambda u, c: u[0, 1] + c * u[1, 0],
)
stencil(
    "telegraph",
    4,  # dx, dt, u du; and nothing in x, t but translations
    lambda waves, c: lambda x, t: waves(lambda k, x, t: torch.sin(k * x) * torch.cos((k * k + c).sqrt() * t), x, t),
    lambda u, c: u[0, 2] - u[2, 0] + c * u[0, 0],
)


@family("nearly wave", 10)
def nearly_wave(g: torch.Generator, draw: int) -> Case:
    """A telegraph equation with a small term: the wave equation's other four symmetries are broken by it."""
    h, c = (0.04, 0.06, 0.08)[draw % 3], 10.0 ** -between(g, 0.5, 1.5)
    waves = Waves.of(g, 400)

    def solution(x: Tensor, t: Tensor) -> Tensor:
        return waves(lambda k, x, t: torch.sin(k * x) * torch.cos((k * k + c).sqrt() * t), x, t)

    def residual(move: Any, z: Tensor) -> Tensor:
        u = patch_derivatives(move(z))
        return u[0, 2] - u[2, 0] + c * u[0, 0]

    return Case(Problem(residual, patches(g, solution, h, 0.0, 400), zero=True), "affine", 4, f"h = {h}, term {c:.2g}")


# ---- clouds ---------------------------------------------------------------------------------------------------------


@family("cloud", 20)
def cloud(g: torch.Generator, draw: int) -> Case:
    """Normal distributions: so(d); screws, rings: 1; a window along which nothing changes; mixtures: nothing."""
    kind = ("normal", "screw", "ring", "strip", "mixture")[draw % 5]
    n = (10_000, 20_000, 40_000)[draw % 3]
    window: list[tuple[float, float] | None] | None = None
    if kind == "normal":
        d = pick(g, 2, 3)
        z, truth = normal(g, n, d) @ change(g, d) + normal(g, d), turns(d)
    elif kind == "screw":
        t = 4 * torch.rand(n, generator=g, dtype=torch.float64) - 2
        angle, r = between(g, 0.7, 1.5) * t + 0.4 * normal(g, n), 1 + 0.2 * normal(g, n)
        z, truth, window = torch.stack([r * angle.cos(), r * angle.sin(), t], -1), 1, [None, None, (-2.0, 2.0)]
    elif kind == "ring":
        r = 2 + 0.3 * normal(g, n)
        angle = 2 * math.pi * torch.rand(n, generator=g, dtype=torch.float64)
        z, truth = torch.stack([r * angle.cos(), r * angle.sin()], -1) @ change(g, 2), 1
    elif kind == "strip":  # dx and y dx
        y = torch.where(torch.rand(n, generator=g) < 0.6, normal(g, n) * 0.3 - 1, normal(g, n) * 0.5 + 1)
        x = 2 * torch.rand(n, generator=g, dtype=torch.float64) - 1
        z, truth, window = torch.stack([x, y], -1), 2, [(-1.0, 1.0), None]
    else:
        d = pick(g, 2, 3)
        centres, which = 2 * normal(g, 5, d), torch.randint(5, (n,), generator=g)
        spreads = torch.stack([0.4 * change(g, d) for _ in range(5)])
        z, truth = centres[which] + torch.einsum("ni,nij->nj", normal(g, n, d), spreads[which]), 0
    return Case(distribution(z, window=window, seed=draw), "affine", truth, f"{kind}, n = {n:,}")


# ---- learned functions ----------------------------------------------------------------------------------------------


def trained(target: Callable[[Tensor], Tensor], d: int, noise: float, seed: int, steps: int = 400) -> nn.Module:
    """A network trained on noisy values of a function at points of its own."""
    g = torch.Generator().manual_seed(seed)
    z = torch.randn(1500, d, generator=g)
    y = target(z) + noise * torch.randn(1500, generator=g)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Linear(d, 48), nn.SiLU(), nn.Linear(48, 48), nn.SiLU(), nn.Linear(48, 1))
    optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        optimizer.zero_grad()
        (net(z)[:, 0] - y).square().mean().backward()
        optimizer.step()
        schedule.step()
    return net.double().requires_grad_(False)


@family("learned", 20)
def learned(g: torch.Generator, draw: int) -> Case:
    """Four networks trained on a function of a quadratic form: so(p, q); on one that keeps nothing: 0."""
    d = pick(g, 2, 3)
    noise = (0.0, 0.05, 0.2)[draw % 3]
    if draw % 2:
        w, v = normal(g, 6, d).float(), normal(g, 6).float()

        def target(z: Tensor) -> Tensor:
            return torch.sin(z @ w.T + 0.5) @ v

        truth, note = 0, "no symmetry"
    else:
        s = signature(g, d)
        s = (s / torch.linalg.matrix_norm(s, 2)).float()

        def target(z: Tensor) -> Tensor:
            return torch.tanh((z @ s * z).sum(-1) / 2) * 2

        truth, note = turns(d), "quadratic form"
    nets = [trained(target, d, noise, 1000 * draw + i) for i in range(4)]
    return Case(invariance(nets, normal(g, 800, d)), "affine", truth, f"{note}, d = {d}, noise {noise}")


@family("learned, nearly", 8)
def learned_nearly(g: torch.Generator, draw: int) -> Case:
    """Four networks trained on a function of a quadratic form that a cubic breaks visibly: nothing is kept."""
    d = pick(g, 2, 3)
    size = between(g, 0.2, 0.4)
    v = nn.functional.normalize(normal(g, d, 3), dim=0).float()

    def target(z: Tensor) -> Tensor:
        return torch.tanh(z.square().sum(-1) / 2) * 2 + size * torch.sin(2 * z @ v + 0.4).sum(-1)

    nets = [trained(target, d, 0.02, 5000 + 1000 * draw + i) for i in range(4)]
    return Case(invariance(nets, normal(g, 800, d)), "affine", 0, f"d = {d}, broken by {size:.1g}")


# ---- numpy ----------------------------------------------------------------------------------------------------------


@family("numpy", 10)
def arrays(g: torch.Generator, draw: int) -> Case:
    """Code without a gradient: distances of points, or eigenvalues of their Gram matrix."""
    d, n = pick(g, 2, 3), pick(g, 3, 4)

    def distances(move: Any, z: Any) -> Any:
        y = move(z)
        return np.linalg.norm(y[:, :, None] - y[:, None], axis=-1).reshape(len(y), -1)

    def moments(move: Any, z: Any) -> Any:
        y = move(z)
        return np.einsum("bni,bmi->bnm", y, y).sum((1, 2))

    data = normal(g, 200, n + d, d).numpy()
    if draw % 2:
        data = normal(g, 800, n, d).numpy()
        return Case(Problem(moments, data), "affine", turns(d), f"sum, d = {d}", "differences")
    return Case(Problem(distances, data), "affine", turns(d) + d, f"distances, d = {d}", "differences")


# ---- the bench ------------------------------------------------------------------------------------------------------


def cases(only: str = "") -> Iterator[tuple[str, int, Case]]:
    """All problems, family by family."""
    for name, (make, draws) in FAMILIES.items():
        if not name.startswith(only):
            continue
        for draw in range(draws):
            yield name, draw, draw_case(name, make, draw)


def draw_case(name: str, make: Callable[..., Any], draw: int) -> Case:
    """A draw of a family, whatever else is in the bench."""
    return make(torch.Generator().manual_seed(zlib.crc32(f"{name} {draw}".encode())), draw)


def run(only: str = "") -> list[dict[str, Any]]:
    """One record for each problem."""
    records = []
    for name, draw, case in cases(only):
        begun = time.perf_counter()
        found = discover(case.problem, case.fields, derivative=case.derivative, seed=draw)
        record = {
            "family": name,
            "draw": draw,
            "held_out": name in HELD_OUT,
            "fields": case.fields,
            "note": case.note,
            "truth": case.truth,
            "rank": found.rank,
            "clear": found.clear,
            "why": list(found.why),
            "source": found.source,
            "last": found.values[found.rank - 1] if found.rank else None,
            "next": found.values[found.rank] if found.rank < len(found.values) else None,
            "noise": found.noise[min(max(case.truth, 1), len(found.noise)) - 1],
            "at_truth": found.values[max(case.truth - 1, 0) : case.truth + 1],
            "seconds": round(time.perf_counter() - begun, 2),
        }
        records.append(record)
        if found.rank != case.truth or not found.clear:
            mark = "wrong" if found.rank != case.truth else "right"
            print(
                f"{name} {draw} ({case.fields}, {case.note}): {found.rank} of {case.truth}, {mark}, "
                f"{'clear' if found.clear else '; '.join(found.why)}; around the truth "
                f"{[f'{v:.2g}' for v in record['at_truth']]}, noise {record['noise']:.2g}",
                flush=True,
            )
    return records


def summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Rates of right counts, clear counts, and clear ones that are wrong."""
    right = [r["rank"] == r["truth"] for r in records]
    clear = [r["clear"] for r in records]
    wrong = sum(c and not ok for c, ok in zip(clear, right, strict=True))
    return {
        "problems": len(records),
        "right": round(sum(right) / len(records), 4),
        "clear": round(sum(clear) / len(records), 4),
        "clear_wrong": wrong,
        "clear_wrong_share": round(wrong / max(1, sum(clear)), 4),
        "seconds": round(sum(r["seconds"] for r in records), 1),
    }


def parts_of(records: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What rates are stated of: all, both halves, kinds of noise, families."""
    parts = {
        "all": records,
        "families seen": [r for r in records if not r["held_out"]],
        "families held out": [r for r in records if r["held_out"]],
    }
    for key, label in (("source", "noise: "), ("family", "")):
        for value in dict.fromkeys(r[key] for r in records):
            parts[label + value] = [r for r in records if r[key] == value]
    return {name: part for name, part in parts.items() if part}


HEADER = ("", "problems", "right", "clear", "clear and wrong", "seconds")


def rows_of(figures: dict[str, dict[str, Any]]) -> list[list[object]]:
    """The summaries as rows of a table."""
    return [
        [name, f["problems"], f"{f['right']:.1%}", f"{f['clear']:.1%}", f["clear_wrong"], f["seconds"]]
        for name, f in figures.items()
    ]


def write(records: list[dict[str, Any]]) -> None:
    """The results, and the table of docs/problems.md."""
    figures = {name: summary(part) for name, part in parts_of(records).items()}
    content = {"machine": machine(), "summary": figures, "problems": records}
    (RESULTS / "problems.json").write_text(json.dumps(content, indent=1) + "\n")
    replace_table(PAGE, "problems", HEADER, rows_of(figures))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="families whose name begins so")
    only = parser.parse_args().only
    records = run(only)
    print_table(HEADER, rows_of({name: summary(part) for name, part in parts_of(records).items()}))
    if not only:
        write(records)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

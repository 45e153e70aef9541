"""Known symmetries of equations as closed forms and as fields of every kind."""

from __future__ import annotations

import math
from collections.abc import Mapping

import sympy
import torch
from torch import Tensor

from symflow import Coordinates, GridField, SymbolicField
from symflow.algebra.readout import structure_constants as exact_constants
from symflow.formulas import expressions

SPACE = Coordinates(("x", "t", "u"), offset=(0.5, 1.0, 0.2), scale=(2.0, 3.0, 0.5))
KDV = [{"dx": "1"}, {"dt": "1"}, {"dx": "t", "du": "1"}, {"dx": "x", "dt": "3*t", "du": "-2*u"}]
BURGERS = [
    {"dx": "1"},
    {"dt": "1"},
    {"dx": "t", "du": "1"},
    {"dx": "x", "dt": "2*t", "du": "-u"},
    {"dx": "t*x", "dt": "t**2", "du": "x - t*u"},
]
# Facts of the literature (Olver, chapter 2; Ibragimov, CRC Handbook of Lie Group Analysis, volume 1).
EQUATIONS = {
    "KdV": (KDV, "A4,9(b = -2/3)"),
    "cylindrical KdV": (
        [
            {"dx": "1"},
            {"dx": "2*sqrt(t+1)", "du": "1/sqrt(t+1)"},
            {"dx": "x", "dt": "3*(t+1)", "du": "-2*u"},
            {"dx": "x*sqrt(t+1)/2", "dt": "(t+1)*sqrt(t+1)", "du": "(x-4*(t+1)*u)/(4*sqrt(t+1))"},
        ],
        "A4,9(b = -2/3)",
    ),
    "KdV with growing coefficient": (
        [
            {"dx": "1"},
            {"dt": "exp(-t/50)"},
            {"dx": "50*(exp(t/50)-1)", "du": "1"},
            {"dx": "x", "dt": "150*(1-exp(-t/50))", "du": "-2*u"},
        ],
        "A4,9(b = -2/3)",
    ),
    "Kuramoto-Sivashinsky": (KDV[:3], "h(1)"),
    "Burgers": (BURGERS, "sl(2,R) semidirect 2A1"),
    "heat, finite part": (
        [
            {"dx": "1"},
            {"dt": "1"},
            {"du": "u"},
            {"dx": "x", "dt": "2*t"},
            {"dx": "2*t", "du": "-x*u"},
            {"dx": "4*t*x", "dt": "4*t**2", "du": "-(x**2+2*t)*u"},
        ],
        "sch(1)",
    ),
    "mKdV": ([{"dx": "1"}, {"dt": "1"}, {"dx": "x", "dt": "3*t", "du": "-u"}], "Bianchi VI(h = -4)"),
    "Fisher": ([{"dx": "1"}, {"dt": "1"}], "2A1"),
    "porous medium": ([{"dx": "1"}, {"dt": "1"}, {"dx": "x", "dt": "2*t"}, {"dx": "x", "du": "2*u"}], "2A2"),
    "sine-Gordon": ([{"dx": "1"}, {"dt": "1"}, {"dx": "t", "dt": "x"}], "e(1,1)"),
}
PLANE = Coordinates(("x", "y", "t", "u"))
ALLEN_CAHN = [{"dx": "1"}, {"dy": "1"}, {"dt": "1"}, {"dx": "y", "dy": "-x"}]


def points(n: int = 400, d: int = 3, seed: int = 0) -> Tensor:
    return torch.rand(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def forms(texts: list[Mapping[str, str]], names: str = "xtu") -> list[dict[str, sympy.Expr]]:
    symbols = {name: sympy.Symbol(name, real=True) for name in names}
    return [{f"d{n}": expressions.parse(text.get(f"d{n}", "0"), symbols) for n in names} for text in texts]


def exact(texts: list[Mapping[str, str]], names: str = "xtu") -> Tensor:
    constants = exact_constants(forms(texts, names))
    assert constants is not None
    return torch.tensor([[[float(v) for v in row] for row in matrix] for matrix in constants], dtype=torch.float64)


def bent(amount: float, seed: int) -> type:
    """KdV's algebra with every component changed by a wave of relative size `amount`, in value and derivative."""
    field = SymbolicField(SPACE, KDV)
    generator = torch.Generator().manual_seed(seed)
    waves = torch.randn(4, 3, 3, generator=generator, dtype=torch.float64)
    waves = waves / waves.norm(dim=-1, keepdim=True)  # wave vectors of length 1
    phases = 2 * math.pi * torch.rand(4, 3, generator=generator, dtype=torch.float64)
    sizes = field(points()).square().sum(-1).mean(0).sqrt()

    class Bent:
        coordinates, generators = SPACE, 4

        def __call__(self, z: Tensor) -> Tensor:
            wave = torch.sin(torch.einsum("kic,...c->...ki", waves, z) + phases) * math.sqrt(2 / 3)
            return field(z) + amount * sizes[:, None] * wave

    return Bent


def tabulated(nodes: int, texts: list[Mapping[str, str]] = BURGERS) -> GridField:
    axis = torch.linspace(0, 1, nodes, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
    return GridField(SPACE, SymbolicField(SPACE, texts)(grid).movedim(-2, 0), (0.0,) * 3, (1.0,) * 3)


CURVED = [{"dx": "exp(x)"}, {"dx": "1"}, {"dx": "exp(-x)"}]  # sl(2,R): [V1, V2] = -V1, [V1, V3] = -2 V2, [V2, V3] = -V3

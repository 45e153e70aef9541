"""float32 against float64, for every operation and every score: values and gradients.

    python benchmarks/precision.py [--out FILE] [--page docs/reliability.md]

The same numbers, those of float32, in both; what is printed is the largest difference over the largest value. Scores
are those of a random network; and of exact symmetries in a table, where a score is what rounding and the data leave: a
score in float32 tells nothing below that.
"""

from __future__ import annotations

import argparse
import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from _common import print_table, replace_table, write_results
from torch import Tensor, nn

from symflow import (
    Coordinates,
    GridField,
    NeuralField,
    SymbolicField,
    flow,
    flow_warp,
    jet_flow,
    pde,
    resample,
    scatter,
    warp,
)
from symflow.fields.series import Series, total_degree
from symflow.learning.losses import lipschitz, orthonormality, sobolev
from symflow.pde.scores import InfinitesimalScore, JetScore, LocalScore, Slots, both_jets, jets_of
from symflow.vision.features import Normalised, SmallResNet
from symflow.vision.search.plane import PLANE
from symflow.vision.search.scores import COLOURS, ColourAngle, FeatureAngle, FeatureDerivative

HEADER = ("what", "value", "gradient", "at symmetries, float32", "float64")
Loss = Callable[[Any, Sequence[Tensor]], Tensor]
"""From a field (or network) and tensors, all of one type, to what is compared."""


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()


def table_of(coordinates: Coordinates, generators: int) -> GridField:
    d = coordinates.dimension
    return GridField(coordinates, 0.3 * draw(generators, *[9] * d, d), [-2.0] * d, [2.0] * d)


def typed(thing: Any, dtype: torch.dtype) -> Any:
    """A copy of a field in a type, its numbers those of float32."""
    return copy.deepcopy(thing).float().to(dtype) if isinstance(thing, nn.Module) else thing


def compared(loss: Loss, field: Any, tensors: Sequence[Tensor]) -> tuple[float, float]:
    """The differences of values and of gradients (of a random functional, in tensors and parameters)."""
    found = []
    for dtype in (torch.float32, torch.float64):
        made = typed(field, dtype)
        leaves = [t.float().to(dtype).requires_grad_() for t in tensors]
        value = loss(made, leaves)
        wanted = [*leaves, *(made.parameters() if isinstance(made, nn.Module) else ())]
        gradients = torch.autograd.grad(value, wanted, draw(*value.shape, seed=9).to(value.dtype), allow_unused=True)
        found.append((value.detach().double(), [g.double() for g in gradients if g is not None]))
    (a, gradients), (b, exact) = found

    def apart(x: Tensor, y: Tensor) -> float:
        return float((x - y).abs().max() / y.abs().max().clamp_min(torch.finfo(torch.float64).tiny))

    return apart(a, b), max((apart(x, y) for x, y in zip(gradients, exact, strict=True)), default=0.0)


def operations() -> dict[str, tuple[Loss, Any, list[Tensor]]]:
    space, plane = Coordinates(("x", "t", "u")), PLANE
    points, weights = draw(4, 500, 3), 0.5 * draw(4, 3, seed=1)
    images, moves = draw(2, 3, 32, 32), 0.1 * draw(4, 3, seed=2)
    grid = draw(3, 20, 20, 2, seed=3)
    truncation = total_degree(3)
    sizes = torch.tensor([0.2 ** sum(m) for m in truncation.monomials]).double()
    surface = draw(len(truncation), 4, 50, 3) * sizes[:, None, None, None]
    t, x = torch.meshgrid(torch.arange(16) / 15, torch.arange(32) / 32, indexing="ij")
    moved = torch.stack([x + 0.02 * (6.283 * x).sin() + 0.1 * t, 0.9 * t, (6.283 * x).cos()], -1).double()[None]
    found: dict[str, tuple[Loss, Any, list[Tensor]]] = {}
    for kind, make in (("network", lambda c: NeuralField(c, 3)), ("table", lambda c: table_of(c, 3))):
        found[f"flow, {kind}"] = lambda f, v: flow(f, *v), make(space), [points, weights]
        found[f"flow_warp, {kind}"] = lambda f, v: flow_warp(f, *v), make(plane), [images, moves]
    found["jet_flow, degree 3"] = (
        lambda f, v: jet_flow(f, Series(truncation, v[0]), v[1]).coefficients, NeuralField(space, 3), [surface, weights]
    )  # fmt: skip
    found["warp"] = lambda f, v: warp(*v), None, [images, grid]
    found["resample"] = lambda f, v: resample(v[0], period=1.0, times=(0.0, 1.0))[0], None, [moved]
    found["scatter"] = (
        lambda f, v: scatter(v[0].flatten(1, 2), (16, 32), period=1.0, times=(0.0, 1.0))[0], None, [moved]
    )  # fmt: skip
    values = draw(50, 3, 2)
    found["orthonormality"] = (
        lambda f, v: orthonormality(v[0] / v[0].square().sum((0, 2)).sqrt()[:, None]),
        None,
        [values],
    )
    found["lipschitz"] = lambda f, v: lipschitz(v[0], (0.1,), (None,)), None, [values]
    found["sobolev"] = lambda f, v: sobolev(v[0], 0, 0.1), None, [values]
    return found


Score = Callable[[Any], Tensor]


def equation_scores() -> dict[str, tuple[Score, NeuralField, GridField]]:
    """Scores, a random network and exact symmetries of KdV, ``d/dx`` and ``t d/dx + d/du``."""
    data = pde.generate("kdv", 4, seed=0, steps=200, keep=64, end=20.0, resolution=128)
    axes = Coordinates(("x", "t", "u"), (data.length, None, None), (0.0, 10.0, 0.0), (data.length, 10.0, 1.0))
    symmetries = SymbolicField(axes, [{"dx": "1"}, {"dx": "t", "du": "1"}])
    exact = GridField.tabulate(symmetries, (2, 2, 2), (0.0, -9.0, -9.0), (None, 9.0, 9.0))
    slots = Slots(data.equation, axes, data, patch=(32, 32))

    def step(field: Any) -> Tensor:
        patches, alpha = (drawn.to(next(field.parameters())) for drawn in slots.draw(0, field.generators))
        return slots._scores(field, patches, alpha, 1e-3)

    scores: dict[str, Score] = {
        "InfinitesimalScore": InfinitesimalScore(data.equation, axes, both_jets(data, 64, 0)[0]),
        "JetScore": JetScore(data.equation, axes, jets_of(data, 64, 0, total_degree(data.equation.order).monomials)),
        "LocalScore": LocalScore(data.equation, axes, data, patches=4),
        "Slots, a step": step,
    }
    return {name: (score, NeuralField(axes, 2), exact) for name, score in scores.items()}


def image_scores() -> dict[str, tuple[Score, NeuralField, GridField]]:
    """Scores, a random network and the field that moves nothing."""
    images, lengths = draw(2, 3, 16, 16, seed=4), torch.tensor([0.7, -1.1], dtype=torch.float64)
    whole = SmallResNet(10).eval()

    def of(make: Callable[[Any], Any], *more: Tensor) -> Score:
        def score(field: Any) -> Tensor:
            dtype = next(field.parameters()).dtype
            found: Tensor = make(Normalised(typed(whole, dtype)))(field, *(t.to(dtype) for t in (images, *more)))
            return found

        return score

    colours = (0.5,) * 3, (0.25,) * 3
    scores = {
        "FeatureAngle": (of(lambda f: FeatureAngle(f, 0.1)), PLANE),
        "FeatureDerivative": (of(lambda f: FeatureDerivative(f), lengths), PLANE),
        "ColourAngle": (of(lambda f: ColourAngle(f, *colours, 0.1)), COLOURS),
    }

    def nothing(axes: Coordinates) -> GridField:
        d = axes.dimension
        return GridField(axes, torch.zeros(2, *[2] * d, d), [-1.0] * d, [1.0] * d)

    return {name: (score, NeuralField(axes, 2), nothing(axes)) for name, (score, axes) in scores.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--page", type=Path, help="a page between whose marks the table is put")
    a = parser.parse_args()
    torch.set_num_threads(1)
    rows, results = [], []
    for name, (loss, field, tensors) in operations().items():
        value, gradient = compared(loss, field, tensors)
        rows.append((name, f"{value:.1e}", f"{gradient:.1e}", "", ""))
        results.append({"what": name, "value": value, "gradient": gradient})
    for name, (score, network, symmetry) in {**equation_scores(), **image_scores()}.items():
        value, gradient = compared(lambda f, _, score=score: score(f), network, [])
        with torch.no_grad():
            floors = [float(score(typed(symmetry, dtype)).max()) for dtype in (torch.float32, torch.float64)]
        rows.append((name, f"{value:.1e}", f"{gradient:.1e}", *(f"{floor:.1e}" for floor in floors)))
        results.append({"what": name, "value": value, "gradient": gradient, "at symmetries": floors})
    print_table(HEADER, rows)
    if a.out:
        write_results("precision", {"results": results}, a.out)
    if a.page:
        replace_table(a.page, "precision", HEADER, rows)


if __name__ == "__main__":
    main()

"""Slots learned from trajectories by the local score alone, beside the true generators (the paper's figure 5)."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from symflow.fields import NeuralField, SymbolicField
from symflow.learning import learn, random_layer, solve, span_field
from symflow.reproduction import Size, Tell
from symflow.runs import CONFIG, Run, one_thread

from ..generation import generate
from ..scores import PAPER, SMALL, LocalForms, LocalScore, Recipe, Slots
from ..symmetries import gap_rank, symmetries
from ..trajectories import Trajectories, data_coordinates, load, save
from .comparison import angles, points_of, slot_table

SLOTS = 4  # the paper's K
NEAR, FAR = 2.0, 3.0  # times the floor of the local score: a slot that is a symmetry, and one that is none
STENCILS, HELD_OUT, FEATURES = 12_000, 4_000, 100  # of the subspace
CEILING = 1.0  # of its values: a field that knows nothing


@dataclass(frozen=True)
class Scale:
    """What a study works on.

    Attributes:
        recipe: how slots are learned.
        samples: trajectories to learn from.
        held: trajectories that slots are scored on.
    """

    recipe: Recipe
    samples: int
    held: int


SCALES: Mapping[Size, Scale] = {"small": Scale(SMALL, 48, 16), "paper": Scale(PAPER, 1024, 64)}


@dataclass(frozen=True)
class SlotsStudy:
    """Slots on the trajectories of one equation.

    Attributes:
        equation: of the catalogue.
        nearly: fields that are no symmetries but may nearly be, to be scored beside the slots.
    """

    equation: str
    nearly: tuple[dict[str, str], ...] = ()

    def __call__(self, size: Size, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
        """Learns the slots, solves for the subspace of the same score, and compares both with the truth."""
        tell(0.0, "data")
        held, train = trajectories(self.equation, size, seed, folder)
        truth = true_field(train)
        field, about = learned(train, size, seed, folder / "slots", tell)
        found = compared(field, truth, held, seed)
        if self.nearly:
            found |= nearly(self.nearly, field, truth, held, seed)
        return about | found | {"subspace": subspace(train, truth, seed)}


@dataclass(frozen=True)
class Ablation:
    """Slots on the trajectories of one equation, learned in several ways.

    Attributes:
        equation: of the catalogue.
        variants: by name, what differs from the recipe (`pde.scores.Recipe`).
    """

    equation: str
    variants: Mapping[str, Mapping[str, Any]]

    def __call__(self, size: Size, seed: int, folder: Path, tell: Tell) -> dict[str, Any]:
        """For each, what `SlotsStudy` finds without the subspace, which has no such settings."""
        tell(0.0, "data")
        held, train = trajectories(self.equation, size, seed, folder)
        truth = true_field(train)
        rows = []
        for i, (name, changes) in enumerate(self.variants.items()):

            def told(done: float, note: str, i: int = i, name: str = name) -> None:
                tell((i + done) / len(self.variants), f"{name}, {note}")

            field, about = learned(train, size, seed, folder / name, told, **changes)
            rows.append(about | compared(field, truth, held, seed))
        return {"variants": list(self.variants), "rows": rows}


def trajectories(equation: str, size: Size, seed: int, folder: Path) -> tuple[Trajectories, Trajectories]:
    """The paper's data on its 256 points in x, made once: those held out, and those to learn from."""
    scale = SCALES[size]
    path = folder / f"{equation}.h5"
    if not path.exists():
        save(generate(equation, scale.held + scale.samples, seed), path)
    held, train = load(path, check=False).coarsen(256).split(scale.held, scale.samples)
    return held, train


def true_field(data: Trajectories) -> SymbolicField:
    """The generators of the equation that keep the period, by exact algebra, in the coordinates of the data."""
    forms = symmetries(data.equation, without=("x",)).forms
    return symbolic(data, [{key: str(f) for key, f in form.items()} for form in forms])


def symbolic(data: Trajectories, forms: Sequence[dict[str, str]]) -> SymbolicField:
    """Closed forms in the coordinates of the data."""
    return SymbolicField(data_coordinates(data, periodic=True), forms)


def learned(
    train: Trajectories, size: Size, seed: int, folder: Path, tell: Tell, **changes: Any
) -> tuple[NeuralField, dict[str, Any]]:
    """The slots, and how they were learned; goes on from what is in the folder."""
    recipe = replace(SCALES[size].recipe, **changes)
    coordinates = data_coordinates(train, periodic=True)
    objective = recipe.objective(train.equation, coordinates, train, seed)
    field = recipe.field(coordinates, SLOTS, seed).to("cuda" if torch.cuda.is_available() else "cpu")
    taken = 0

    def progress(step: int, record: dict[str, float]) -> None:
        nonlocal taken
        taken += 1
        scores = " ".join(f"{record[f'score{k + 1}']:.1f}" for k in range(SLOTS))
        tell(step / objective.steps, f"scores {scores}")

    config = {**vars(recipe), "optimizer": getattr(recipe.optimizer, "__name__", ""), "seed": seed}
    run = Run(folder, config, resume=(folder / CONFIG).exists())
    begun = time.process_time()
    learn(field, objective, stage="slots", optimizer=recipe.optimizer, run=run, progress=progress)
    seconds = (time.process_time() - begun) / taken if taken else None
    run.save_field("field", field)
    about = {"equation": train.equation.text, "sigma": objective.sigma, "tau": objective.tau, "steps": objective.steps}
    return field.cpu().double(), about | {"processor_seconds_of_a_step": seconds}


def compared(field: NeuralField, truth: SymbolicField, held: Trajectories, seed: int) -> dict[str, Any]:
    """Slots beside the truth and beside the floor of the score, on trajectories that they have not seen."""
    table = slot_table(field, truth, score_of(held, truth, seed), points_of(held, truth.coordinates, seed))
    return {
        "generators": truth.generators,
        "slots": asdict(table),
        "symmetries": sum(s <= NEAR * table.floor for s in table.scores),
        "none": sum(s >= FAR * table.floor for s in table.scores),
    }


def score_of(held: Trajectories, field: SymbolicField, seed: int) -> LocalScore:
    """The local score at half the paper's longest flow."""
    return LocalScore(held.equation, field.coordinates, held, length=Slots.sigma / 2, seed=seed)


def nearly(
    forms: Sequence[dict[str, str]], field: NeuralField, truth: SymbolicField, held: Trajectories, seed: int
) -> dict[str, Any]:
    """Fields that may nearly be symmetries: their score, and how much of each lies in the span of the slots."""
    found = symbolic(held, forms)
    points = points_of(held, truth.coordinates, seed)
    score = score_of(held, truth, seed)
    each = [found.slot(k) for k in range(found.generators)]
    return {
        "nearly": [dict(form) for form in forms],
        "nearly_scores": score(found).tolist(),
        "nearly_angles": [angles(field, one, points)[0] for one in each],
        "nearly_angles_true": [angles(truth, one, points)[0] for one in each],
    }


@one_thread()
def subspace(train: Trajectories, truth: SymbolicField, seed: int) -> dict[str, Any]:
    """The same score to first order, solved instead of learned: the bottom of one singular value decomposition.

    Angles are those at the stencils that gave the values, not in the solve: random features say nothing beyond the box
    of their points, and other trajectories leave it.
    """
    begun = time.process_time()
    coordinates = truth.coordinates
    forms = LocalForms.of(train.equation, coordinates, train, STENCILS, seed)
    points = forms.points[:, forms.points.shape[1] // 2]
    layer = random_layer(coordinates, points, seed, FEATURES)
    known, fresh = torch.arange(STENCILS).split([STENCILS - HELD_OUT, HELD_OUT])
    solution = solve(forms.condition(layer.field, known), forms.condition(layer.field, fresh))
    rank = gap_rank(solution.values, forms.floor, CEILING)
    seconds = time.process_time() - begun
    field = span_field(layer.field, solution, rank)
    return {
        "values": solution.values[: 2 * SLOTS].tolist(),
        "floor": forms.floor,
        "rank": rank,
        "angles": angles(field, truth, points[fresh]),
        "processor_seconds": seconds,
    }

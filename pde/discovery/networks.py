"""What a network learns without a library: a span by the determining condition, or the paper's slots."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import torch

from symflow.discovery import Spectrum
from symflow.fields import Coordinates, NeuralField
from symflow.learning import RESOLUTION, Objective, Optimizer, Subspace, eigenfields, span_field
from symflow.runs import one_thread

from ..scores import SMALL, LocalScore
from ..symmetries import gap_rank
from ..trajectories import Trajectories
from .result import NeuralSpan

NEURAL_CEILING = 1e-4  # of a null space that is learned; nearly symmetric fields of the five equations are above 3e-4
WIDTH, FEATURES = 96, 48  # of the network
PAPER_GRID = 256  # the paper's points in x
NEAR = 2.0  # times the floor of the local score: a slot that is a symmetry


class Learn(Protocol):
    """Learns a network on an objective, with checkpoints and progress."""

    def __call__(self, network: NeuralField, objective: Objective, optimizer: Optimizer = ...) -> None:
        """In place."""


def learned_span(objective: Subspace, coordinates: Coordinates, seed: int, learned: Learn) -> NeuralSpan:
    """The default route: features of one network, their span solved for."""
    network = NeuralField(coordinates, 1, width=WIDTH, head_width=FEATURES, seed=seed).double()
    with one_thread():
        learned(network, objective)
        span = eigenfields(network, objective.forms)
    values = span.values[: 2 * objective.generators]
    rank = gap_rank(values, RESOLUTION, NEURAL_CEILING)
    field = span_field(network, span, rank) if rank else None
    return NeuralSpan(Spectrum(values.tolist(), rank, RESOLUTION), [], [], [], field=field)


def learned_slots(
    data: Trajectories, coordinates: Coordinates, generators: int, steps: int, seed: int, learned: Learn
) -> NeuralSpan:
    """The paper's route on its grid, as fast as it goes; slots near the floor of the local score are the symmetries."""
    if len(data.x) % PAPER_GRID == 0:
        data = data.coarsen(PAPER_GRID)
    recipe = replace(SMALL, steps=steps)
    network = recipe.field(coordinates, generators, seed)
    learned(network, recipe.objective(data.equation, coordinates, data, seed), recipe.optimizer)
    with one_thread(), torch.no_grad():
        score = LocalScore(data.equation, coordinates, data, seed=seed)
        scores, order = score(network).double().sort()
    rank = int((scores <= NEAR * score.floor).sum())
    field = None
    if rank:
        chosen = order[:rank]
        field = recipe.field(coordinates, rank, seed).double()
        field.load_state_dict(
            {name: p[chosen] if name.startswith(("head", "out")) else p for name, p in network.state_dict().items()}
        )
    return NeuralSpan(Spectrum(scores.tolist(), rank, score.floor), [], [], [], field=field)

"""The span that a network finds by one linear solve, from jets of an equation or from jets of data with their own u_t.

On jets of an equation a symmetry leaves nothing; on jets of data, a multiple of what they leave of the equation,

    pr V(F) = lambda F,    F/w = the misfit of the jets,

so the misfit is the resolution: where symmetries stand, a field may be one or none. What is said of data is *measured*
when the values beyond the gap are well above it, else it *cannot be told*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from symflow.algebra import subspace_angles
from symflow.discovery import Spectrum
from symflow.fields import Coordinates, NeuralField
from symflow.learning import CANDIDATES, Eigenfields, RandomLayer, random_layer, solve, span_field
from symflow.runs import one_thread

from ..equations import Equation, JetSample
from ..scores import JetForms, Superposed, observed_jets, points_of
from ..symmetries import Superposition, gap_rank
from ..trajectories import Trajectories
from .result import NeuralSpan

SAMPLE, HELD_OUT = 10_000, 4_000  # jets, and how many of them give the values
Word = Literal["found", "measured", "cannot be told"]

RESOLUTION, CEILING = 1e-6, 3e-4  # of values on jets that were held out
FAMILY = 150  # random functions of the independent variables that stand for any
MORE = 3  # values beyond the gap, at least
DRAWN = 15_000  # jets of data, of which those with the best known u_t are taken
SURE = 1e-6  # what the order of the differences may change, RMS: up to there all jets are taken
MISFITS = 3.0  # symmetries of data stand at 1.0 to 3.4 times the misfit (five equations, noise of 0 to 1 %)
CLEAR = 50.0  # times the misfit and the last value in: beyond the gap nothing of data may stand below


@dataclass(frozen=True)
class Span:
    """Candidates over random features, with their values on jets that were held out.

    Attributes:
        layer: the features.
        solution: the candidates.
        superposed: the family modulo which they are fields, if there is one.
    """

    layer: RandomLayer
    solution: Eigenfields
    superposed: Superposed | None

    def neural(self, closed: Tensor | None, points: Tensor, proved: int = 0, misfit: float | None = None) -> NeuralSpan:
        """What is said of it: the count where the values jump most, from below the ceiling.

        Args:
            closed: closed forms ``[N, K, d]`` to compare with.
            points: ``[N, d]``, normalised, where they are.
            proved: how many symmetries there are at least; a smaller count says that the network cannot tell.
            misfit: of jets of data.
        """
        values = self.solution.values
        resolution = max(RESOLUTION, MISFITS * (misfit or 0.0))
        spectrum = Spectrum(values.tolist(), gap_rank(values, resolution, CEILING), resolution)
        word, reason = _word(spectrum, proved, misfit)
        if word == "cannot be told":
            return NeuralSpan(spectrum, [], [], [], word=word, reason=reason, misfit=misfit)
        return NeuralSpan(
            spectrum,
            [],
            [],
            [] if closed is None else self.angles(spectrum.rank, closed, points),
            word=word,
            reason=reason,
            misfit=misfit,
            field=self.field(spectrum.rank),
        )

    def field(self, count: int) -> NeuralField | None:
        """The first fields; ``None`` for none, and modulo a family, where they are no symmetries by themselves."""
        return span_field(self.layer.field, self.solution, count) if count and self.superposed is None else None

    @torch.no_grad()
    def angles(self, count: int, closed: Tensor, points: Tensor) -> list[float]:
        """Principal angles of the first fields to others ``[N, K, d]`` at normalised points, modulo the family."""
        if not count:
            return []
        values = span_field(self.layer.field, self.solution, count)(points)
        if self.superposed is not None:
            basis = torch.linalg.qr(self.superposed.at(points, self.layer.coordinates))[0]
            values, closed = (_modulo(v, basis, self.superposed.unknowns) for v in (values, closed))
        return subspace_angles(values, closed).tolist()


def _word(spectrum: Spectrum, proved: int, misfit: float | None) -> tuple[Word, str]:
    """What can be said of a count, and why."""
    if misfit is not None and (spectrum.resolution >= CEILING or spectrum.above < CLEAR * max(misfit, spectrum.below)):
        return "cannot be told", (
            f"jets of the data leave {misfit:.0e} of the equation's terms, and a field that breaks it by less than "
            f"{CLEAR * max(misfit, spectrum.below):.0e} may be a symmetry or none"
        )
    if spectrum.rank < proved:
        return (
            "cannot be told",
            f"it finds {spectrum.rank} of the {proved} that are proved: the others are beyond its functions",
        )
    return (
        ("found", "")
        if misfit is None
        else ("measured", f"jets of the data leave {misfit:.0e} of the equation's terms")
    )


def _modulo(values: Tensor, basis: Tensor, unknowns: int) -> Tensor:
    """Fields ``[N, K, d]`` whose last components lose their part in the span of the columns ``[N, k]``."""
    own = values[..., -unknowns:]
    own = own - (basis @ (basis.T @ own.flatten(1))).view_as(own)
    return torch.cat([values[..., :-unknowns], own], -1)


@one_thread()
def solved_span(
    equation: Equation,
    sample: JetSample,
    coordinates: Coordinates,
    seed: int,
    superposition: Superposition | None = None,
    expected: int = 0,
) -> Span:
    """The fields of least violation on the first jets of a sample, with their values on the last.

    Args:
        equation: whose determining condition it is.
        sample: at least 10,000 jets.
        coordinates: of the fields.
        seed: of the features.
        superposition: the infinite family of the equation, which is taken out.
        expected: how many symmetries there may be.
    """
    forms = JetForms.of(equation, sample, coordinates, seed)
    points = points_of(sample, coordinates)
    layer = random_layer(coordinates, points, seed)
    superposed = None
    if superposition is not None:
        functions = random_layer(coordinates, points, seed + 1, FAMILY, equation.space.dependent)
        superposed = Superposed(functions, superposition.factor, equation.space)
    known, fresh = torch.arange(len(sample)).split([len(sample) - HELD_OUT, HELD_OUT])
    field = layer.field
    solution = solve(
        forms.condition(field, known, superposed),
        forms.condition(field, fresh, superposed),
        max(CANDIDATES, expected + MORE),
    )
    return Span(layer, solution, superposed)


@one_thread()
def span_of_data(
    data: Trajectories, coordinates: Coordinates, seed: int, superposition: Superposition | None, expected: int
) -> tuple[Span, float] | None:
    """The same on jets of data with their own derivatives, and their misfit; ``None`` where there are too few.

    Of the jets those are taken whose misfit depends least on the errors of the derivatives: as many as it is small for,
    two thirds at least.
    """
    jets = observed_jets(data, DRAWN, seed)
    if jets is None or len(jets.observed) < SAMPLE:
        return None
    doubt = jets.doubt(data.equation, coordinates)
    order = doubt.argsort(stable=True)
    rms = (doubt[order].square().cumsum(0) / torch.arange(1, len(order) + 1)).sqrt()
    taken = order[: max(int((rms <= SURE).sum()), SAMPLE)].sort().values[:SAMPLE]  # in the order of the draw
    misfit = float(jets.misfit(data.equation, coordinates)[taken].square().mean().sqrt())
    span = solved_span(data.equation, jets.observed[taken], coordinates, seed, superposition, expected)
    return span, misfit

"""The stages of a discovery in images: the list, the state they hand on, and each of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from symflow.discovery import Context, Stage, known
from symflow.errors import UserError
from symflow.fields import GridField

from ..classifiers import classifiers
from ..data import Images, Statistics
from ..features import ImageNetwork, PatchFeatures, Whitened, omega, untrained
from ..search import Basis, CheapestFields, Forms, grid_field, motions, sensitivities, smoothest
from ..settings import DEGREE
from .checks import CHECKED, coloured, finite_check, turning
from .networks import NETWORK, network_of, small_network, split_for_discovery
from .result import Colours, ComparedSpan
from .searches import Search, forms_of

MOVED = 8_000  # images behind the form; with 1,500 the affine-ness of a field varies by .03 between draws
COLOURED = 2_000  # images behind the form of colours, of twelve fields


@dataclass(frozen=True)
class Request:
    """What was asked (`discover_images`)."""

    images: Images | str | os.PathLike[str]
    network: ImageNetwork | str | os.PathLike[str] | None
    labels: bool
    generators: int
    mu: float
    locality: float
    flip: bool
    epochs: int
    seed: int


@dataclass(frozen=True)
class Pictures:
    """The images to learn from, those for the accuracy of the network, and those that are moved."""

    train: Images
    test: Images
    chosen: Images


@dataclass(frozen=True)
class Judge:
    """What judges images.

    Attributes:
        model: the network; without labels an untrained one, of which nothing but its size counts.
        statistics: that normalise images for it.
        accuracy: of the network on unseen images.
        pixels: the chosen images, normalised.
        features: of the network, or of patches, whitened on these images; there from the stage of the form on.
    """

    model: ImageNetwork
    statistics: Statistics
    accuracy: float | None
    pixels: Tensor
    features: Whitened | None = None
    name: str = ""


@dataclass(frozen=True)
class Form:
    """The quadratic forms of the images, and the cheapest fields under them."""

    search: Search
    forms: Forms
    fields: CheapestFields


@dataclass(frozen=True)
class Controls:
    """Spans from searches that lack something; the features of the untrained network, and its lowest ratio."""

    spans: dict[str, ComparedSpan]
    blank: Whitened
    lowest: float


@dataclass(frozen=True)
class Checked:
    """The fields as they are read and checked.

    Attributes:
        readings: the names and closed forms.
        coefficients, fields, table: with the signs of the readings.
        angles: by finite flows, and out of step.
        turned: as of `Generator`.
    """

    readings: list[motions.Reading]
    coefficients: Tensor
    fields: Tensor
    table: GridField
    angles: tuple[list[float], list[float]]
    turned: list[list[float]]


@dataclass(frozen=True)
class State:
    """What was asked, and what the stages so far have found."""

    request: Request
    pictures: Pictures | None = None
    judge: Judge | None = None
    form: Form | None = None
    controls: Controls | None = None
    colours: Colours | None = None
    checked: Checked | None = None


def read(state: State, context: Context) -> State:
    """The images, and which of them are moved."""
    train, test = split_for_discovery(state.request.images)
    height, width = train.pixels.shape[2:]
    if min(height, width) <= DEGREE:
        raise UserError(f"`images` must have sides of at least {DEGREE + 1} pixels, got {height} x {width}")
    random = torch.Generator().manual_seed(state.request.seed)
    chosen = train[torch.randperm(len(train), generator=random)[:MOVED]]
    return replace(state, pictures=Pictures(train, test, chosen))


def find_network(state: State, context: Context) -> State:
    """The network that is given, or one that is trained; without labels none."""
    asked, pictures = state.request, known(state.pictures)
    accuracy = None
    if asked.labels:
        model, statistics = network_of(
            asked.network, pictures.train, asked.epochs, asked.flip, asked.seed, context.run, context.tell
        )
        if len(pictures.test):
            accuracy = classifiers.accuracy(model, pictures.test, statistics)
    else:
        model, statistics = small_network(pictures.train, asked.seed), Statistics.of(pictures.train)
    pixels = statistics.normalise(pictures.chosen.pixels)
    return replace(state, judge=Judge(model, statistics, accuracy, pixels))


def solve_form(state: State, context: Context) -> State:
    """The cheapest fields under what motions change in the features, and their roughness."""
    asked, judge = state.request, known(state.judge)
    pixels = judge.pixels
    height, width = pixels.shape[2:]
    basis = Basis.polynomials(height, width, DEGREE)
    try:
        own = judge.model.features if asked.labels else PatchFeatures.of(pixels, asked.seed)
        features = Whitened.of(own, pixels)
        sensitivity = sensitivities(features, pixels, asked.seed)
        weight = omega(sensitivity)
    except ValueError as error:
        raise UserError(f"`images` must vary from image to image and from place to place: {error}") from None
    forms = forms_of(sensitivity, basis, asked.locality, asked.flip)
    if asked.flip:
        weight = (weight + weight.unflatten(0, (height, width)).flip(1).flatten()) / 2
    search = Search(basis, weight, asked.generators)
    name = type(judge.model if asked.labels else own).__name__
    return replace(
        state,
        judge=replace(judge, features=features, name=name),
        form=Form(search, forms, search.solve(forms, asked.mu)),
    )


def leave_out(state: State, context: Context) -> State:
    """The same without smoothness, without learning, without images, and without any score."""
    asked, judge, form = state.request, known(state.judge), known(state.form)
    search, pixels = form.search, judge.pixels
    blank = Whitened.of(untrained(judge.model, asked.seed + 1).features, pixels)
    forms = forms_of(sensitivities(blank, pixels, asked.seed), search.basis, asked.locality, asked.flip)
    alone = search.solve(forms, 0.0)
    spans = {
        "mu = 0": search.span(search.solve(form.forms, 0.0)),
        "random network": search.span(search.solve(forms, asked.mu)),
        "random network, mu = 0": search.span(alone),
        "no score": search.unscored(pixels, asked.seed),
        "smoothness only": search.span(smoothest(search.basis.energy, search.gram, asked.generators)),
    }
    return replace(state, controls=Controls(spans, blank, float(alone.ratios.min())))


def change_colours(state: State, context: Context) -> State:
    """Changes of colour, of images with three channels."""
    asked, judge = state.request, known(state.judge)
    if len(judge.statistics.mean) != 3:
        return state
    features, blank = known(judge.features), known(state.controls).blank
    few = judge.pixels[:COLOURED]
    return replace(state, colours=coloured(features, blank, few, judge.statistics, asked.locality, asked.seed))


def move(state: State, context: Context) -> State:
    """Every field is read and named, and moves images by finite flows, beside a control out of step."""
    asked, judge, form = state.request, known(state.judge), known(state.form)
    search, features, few = form.search, known(judge.features), judge.pixels[:CHECKED]
    height, width = judge.pixels.shape[2:]
    fields = search.basis.fields(form.fields.coefficients)
    readings = [motions.read(fields[:, k], search.basis.points, search.measure) for k in range(asked.generators)]
    signs = fields.new_tensor([r.sign for r in readings])
    coefficients, fields = form.fields.coefficients * signs, fields * signs[:, None]
    moved = finite_check(features, few, fields, asked.locality, asked.seed)
    table = grid_field(fields, height, width)
    turned = turning(features, few, table)
    return replace(state, checked=Checked(readings, coefficients, fields, table, moved, turned))


STAGES: tuple[Stage[State], ...] = (
    Stage("data", read),
    Stage(NETWORK, find_network),
    Stage("form", solve_form),
    Stage("controls", leave_out),
    Stage("colours", change_colours),
    Stage("finite flow", move),
)

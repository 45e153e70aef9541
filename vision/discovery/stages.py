"""The stages of a discovery in images: the list, the state they hand on, and each of them."""

from __future__ import annotations

from dataclasses import replace

import torch

from symflow.discovery import Context, Stage, known
from symflow.errors import UserError

from ..classifiers import classifiers
from ..data import Images, Statistics
from ..features import ImageNetwork, PatchFeatures, Whitened, omega, untrained
from ..search import Basis, grid_field, motions, sensitivities, smoothest
from ..settings import DEGREE
from ..validity import WEAK, affine_claim, random_shares
from .checks import CHECKED, coloured, finite_check, turning
from .entries import AFFINE_RANK
from .judging import judge
from .networks import NETWORK, given_network, network_of, small_network, split_for_discovery
from .searches import Search, forms_of
from .state import Checked, Controls, Form, Network, Pictures, Request, State

MOVED = 8_000  # images behind the form; with 1,500 the affine-ness of a field varies by .03 between draws
UNTRAINED = 4  # networks that have learned nothing, for the spread among them
COLOURED = 2_000  # images behind the form of colours, of twelve fields


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
    """The network that is given, or one that is trained, and the second one; without labels none."""
    asked, pictures = state.request, known(state.pictures)
    accuracy = second = None
    if asked.labels:
        second = _second(asked, pictures.train)
        model, statistics = network_of(
            asked.network, pictures.train, asked.epochs, asked.flip, asked.seed, context.run, context.tell
        )
        if len(pictures.test):
            accuracy = classifiers.accuracy(model, pictures.test, statistics)
    else:
        model, statistics = small_network(pictures.train, asked.seed), Statistics.of(pictures.train)
    pixels = statistics.normalise(pictures.chosen.pixels)
    return replace(state, network=Network(model, statistics, accuracy, pixels, second))


def _second(asked: Request, train: Images) -> tuple[ImageNetwork, Statistics] | None:
    """The second network, refused before another one is trained for minutes."""
    if asked.second is None:
        return None
    second = given_network(asked.second, train, "second")
    classes = len(train.classes)
    if asked.network is not None:
        classes = given_network(asked.network, train, "network")[0].arguments["classes"]
    if second[0].arguments["classes"] != classes:
        raise UserError(
            f"`second` must have the {classes} classes of the network, got {second[0].arguments['classes']}"
        )
    return second


def solve_form(state: State, context: Context) -> State:
    """The cheapest fields under what motions change in the features, and their roughness."""
    asked, net = state.request, known(state.network)
    pixels = net.pixels
    height, width = pixels.shape[2:]
    basis = Basis.polynomials(height, width, DEGREE)
    try:
        own = net.model.features if asked.labels else PatchFeatures.of(pixels, asked.seed)
        features = Whitened.of(own, pixels)
        sensitivity = sensitivities(features, pixels, asked.seed)
        weight = omega(sensitivity)
    except ValueError as error:
        raise UserError(f"`images` must vary from image to image and from place to place: {error}") from None
    forms = forms_of(sensitivity, basis, asked.locality, asked.flip)
    if asked.flip:
        weight = (weight + weight.unflatten(0, (height, width)).flip(1).flatten()) / 2
    search = Search(basis, weight, asked.generators)
    name = type(net.model if asked.labels else own).__name__
    return replace(
        state,
        network=replace(net, features=features, name=name),
        form=Form(search, forms, search.solve(forms, asked.mu)),
    )


def leave_out(state: State, context: Context) -> State:
    """The same without smoothness, without learning, without images, and without any score."""
    asked, net, form = state.request, known(state.network), known(state.form)
    search, pixels = form.search, net.pixels
    blanks, forms = [], []
    for k in range(UNTRAINED):
        blanks.append(Whitened.of(untrained(net.model, asked.seed + 1 + k).features, pixels))
        forms.append(forms_of(sensitivities(blanks[k], pixels, asked.seed), search.basis, asked.locality, asked.flip))
        context.tell((k + 1) / (UNTRAINED + 1), {})
    weak = search.span(search.solve(form.forms, WEAK))
    nulls = [search.span(search.solve(f, WEAK)) for f in forms]
    spans = {
        "mu = 0": search.span(search.solve(form.forms, 0.0)),
        f"mu = {WEAK:g}": weak,
        "random network": search.span(search.solve(forms[0], asked.mu)),
        f"random network, mu = {WEAK:g}": nulls[0],
        "random network, mu = 0": search.span(search.solve(forms[0], 0.0)),
        "no score": search.unscored(pixels, asked.seed),
        "smoothness only": search.span(smoothest(search.basis.energy, search.gram, asked.generators)),
    }
    affine = None
    if asked.generators >= AFFINE_RANK:
        shares = [sum(a * a for a in span.affineness[:AFFINE_RANK]) for span in (weak, *nulls)]
        affine = affine_claim(shares[0], shares[1:], random_shares(search.basis, search.gram, search.measure))
    return replace(state, controls=Controls(spans, blanks, affine))


def change_colours(state: State, context: Context) -> State:
    """Changes of colour, of images with three channels."""
    asked, net = state.request, known(state.network)
    if len(net.statistics.mean) != 3:
        return state
    features, blank = known(net.features), known(state.controls).blanks[0]
    few = net.pixels[:COLOURED]
    return replace(state, colours=coloured(features, blank, few, net.statistics, asked.locality, asked.seed))


def move(state: State, context: Context) -> State:
    """Every field is read and named, and moves images by finite flows, beside a control out of step."""
    asked, net, form = state.request, known(state.network), known(state.form)
    search, features, few = form.search, known(net.features), net.pixels[:CHECKED]
    height, width = net.pixels.shape[2:]
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
    Stage("held-out images", judge),
)

"""The main job on images: which motions of the pixel plane leave what they show the same.

A network that tells the images apart gives the features; the infinitesimal quadratic form (`vision.form`) gives the
fields, in seconds and in order; finite flows through the kernels check each of them. Beside the fields stand those that
come out when something is missing: without smoothness, from a network that has learned nothing, from smoothness alone,
and from the paper's losses without any score. The last two look at no image, and are affine all the same.
"""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property

import torch
from torch import Tensor

from symflow.algebra import subspace_angles
from symflow.errors import UserError
from symflow.fields import GridField
from symflow.learning import learn
from symflow.runs import Run

from ..augmentation import ColourAugment, GeneratorAugment
from ..classifiers import classifiers
from ..data import Images, Statistics, load, split
from ..features import (
    Features,
    ImageNetwork,
    PatchFeatures,
    SmallResNet,
    Whitened,
    load_network,
    omega,
    save_network,
    untrained,
)
from ..search import (
    AFFINE,
    Basis,
    CheapestFields,
    ColourBasis,
    FeatureAngle,
    Forms,
    Slots,
    affineness,
    angles,
    change,
    cheapest_fields,
    colour_generators,
    grid_field,
    motions,
    out_of_step,
    responses,
    sensitivities,
    slot_field,
    smoothest,
    uniform,
    widest_gap,
)
from .result import AFFINE_RANK, Colour, Colours, Generator, ImageResult, Setting, Span

MOVED = 8_000  # images behind the form; with 1,500 the affine-ness of a field varies by .03 between draws
COLOURED = 2_000  # images behind the form of colours, of twelve fields
CHECKED = 100  # images moved by finite flows
DRAWS = 4  # of patches out of step, in the control of a finite flow
DEGREE = 5  # of the polynomials: 42 fields
LENGTH = 0.1  # of finite flows: a pixel and a half of 32
DISPLACEMENTS = (0.025, 0.05, 0.1, 0.2, 0.4)  # at which features are compared; .4 is more than any augmentation's
CHANGES = (0.0125, 0.025, 0.05, 0.1, 0.2)  # the same of colours, which go from 0 to 1, the plane from -1 to 1
STEPS = 4  # of RK4; the fields are smooth on the scale of a flow
HELD_OUT = 0.1  # of images without a test part: only the accuracy of the network is measured on them
EPOCHS = 8
UNSCORED_STEPS, UNSCORED_RATE = 300, 1e-3  # of the control without a score, at ten times the paper's rate
NETWORK = "network"  # the file of a trained network, and the checkpoint it continues from

Progress = Callable[[str, float, dict[str, float]], None]
"""Called with the stage, the fraction of it that is done, and figures worth showing."""


def discover_images(
    images: Images | str | os.PathLike[str],
    *,
    network: ImageNetwork | str | os.PathLike[str] | None = None,
    labels: bool = True,
    generators: int = 10,
    mu: float = 1.0,
    locality: float = 0.1,
    flip: bool = True,
    epochs: int = EPOCHS,
    seed: int = 0,
    run: Run | None = None,
    progress: Progress | None = None,
) -> ImageResult:
    """The generators of images: vector fields on the pixel plane, sorted by what moving along them costs.

    Determinism: the same images, arguments, machine and number of threads give the same result, also when a `run` is
    interrupted and continued.

    Args:
        images: a folder that `load` reads, or images, of which a tenth is then held out.
        network: whose features are used, or the file of one; by default one is trained, on the training part alone.
        labels: whether to use them. Without labels nothing is trained: the features are whitened patches of the images
            (`features.PatchFeatures`), and ``network`` must not be given.
        generators: K, how many to look for.
        mu: weight of smoothness against cost, at most 3, where it is mostly smoothness that decides.
        locality: l, the size of a patch whose motion a coherent one is compared with, in units of the plane, which is 2
            across: a little more than over what neighbouring pixels belong together (.1 for CIFAR-10, .15 for MNIST).
        flip: whether mirror images are as good: they then take part in the training of the network, and the forms are
            averaged with their mirror images. Not so for digits.
        epochs: of the training, when no network is given.
        seed: of the network, of the random features and of all draws.
        run: a run directory for the network and the checkpoints of its training.
        progress: called as the stages go on.

    Raises:
        UserError: an argument is out of range, or images or network cannot be read or do not fit each other.
    """
    basis_size = (DEGREE + 1) * (DEGREE + 2)
    for name, value, least, most in (
        ("generators", generators, 1, basis_size),
        ("epochs", epochs, 1, 10_000),
        ("seed", seed, 0, 2**31 - 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise UserError(f"`{name}` must be an integer from {least} to {most}, got {value!r}")
    for name, number, low, high in (("mu", mu, 0.0, 3.0), ("locality", locality, 0.01, 1.0)):
        if not low <= number <= high:
            raise UserError(f"`{name}` must be from {low:g} to {high:g}, got {number!r}")
    if network is not None and not labels:
        raise UserError("`network` must not be given when `labels` are not to be used, got both")
    stages = _Stages(progress or (lambda stage, done, figures: None))

    with stages("data"):
        train, test = split_for_discovery(images)
        height, width = train.pixels.shape[2:]
        if min(height, width) <= DEGREE:
            raise UserError(f"`images` must have sides of at least {DEGREE + 1} pixels, got {height} x {width}")
        random = torch.Generator().manual_seed(seed)
        chosen = train[torch.randperm(len(train), generator=random)[:MOVED]]
    with stages(NETWORK):
        if labels:
            model, statistics = _network(network, train, epochs, flip, seed, run, stages)
            accuracy = classifiers.accuracy(model, test, statistics) if len(test) else None
        else:
            model, statistics, accuracy = small_network(train, seed), Statistics.of(train), None
        pixels = statistics.normalise(chosen.pixels)
    basis = Basis.polynomials(height, width, DEGREE)
    with stages("form"):
        try:
            features = Whitened.of(model.features if labels else PatchFeatures.of(pixels, seed), pixels)
            sensitivity = sensitivities(features, pixels, seed)
            weight = omega(sensitivity)
        except ValueError as error:
            raise UserError(f"`images` must vary from image to image and from place to place: {error}") from None
        forms = _forms(sensitivity, basis, locality, flip)
        if flip:
            weight = (weight + weight.unflatten(0, (height, width)).flip(1).flatten()) / 2
        search = _Search(basis, weight, generators)
        spectrum = search.solve(forms, mu)
    with stages("controls"):
        blank = Whitened.of(untrained(model, seed + 1).features, pixels)
        random_forms = _forms(sensitivities(blank, pixels, seed), basis, locality, flip)
        random_alone = search.solve(random_forms, 0.0)
        controls = {
            "mu = 0": search.span(search.solve(forms, 0.0)),
            "random network": search.span(search.solve(random_forms, mu)),
            "random network, mu = 0": search.span(random_alone),
            "no score": search.unscored(pixels, seed),
            "smoothness only": search.span(smoothest(basis.energy, search.gram, generators)),
        }
    with stages("colours"):
        colours = None
        if len(statistics.mean) == 3:
            few = pixels[:COLOURED]
            colours = coloured(features, blank, few, statistics, locality, seed)
    with stages("finite flow"):
        fields = basis.fields(spectrum.coefficients)
        readings = [motions.read(fields[:, k], basis.points, weight) for k in range(generators)]
        signs = fields.new_tensor([r.sign for r in readings])
        coefficients, fields = spectrum.coefficients * signs, fields * signs[:, None]
        moved, control = finite_check(features, pixels[:CHECKED], fields, locality, seed)
        field = grid_field(fields, height, width)
        turned = turning(features, pixels[:CHECKED], field)
    found = search.span(spectrum)
    lowest = float(random_alone.ratios.min())
    return ImageResult(
        data=train.name,
        network=type(model if labels else features.features).__name__,
        accuracy=accuracy,
        setting=Setting(
            len(chosen), list(train.pixels.shape[1:]), locality, DEGREE, mu, LENGTH, list(DISPLACEMENTS), seed
        ),
        generators=[
            Generator(
                name=f"V{k + 1}",
                motion=reading.motion,
                closed_form=reading.closed_form,
                angle=reading.angle,
                value=found.values[k],
                ratio=float(spectrum.ratios[k]),
                affineness=found.affineness[k],
                moved=moved[k],
                control=control[k],
                turned=turned[k],
                valid=(moved[k] / control[k]) ** 2 < lowest,
            )
            for k, reading in enumerate(readings)
        ],
        found=found,
        gap=widest_gap(spectrum.values) if generators > 1 else (1, 1.0),
        controls=controls,
        colours=colours,
        structure_constants=search.algebra(coefficients)[0].tolist(),
        seconds=stages.seconds,
        affineness_uniform=affineness(fields, basis.points, uniform(height, width)).tolist(),
        field=field,
        omega=weight.view(height, width),
    )


class _Stages:
    """Tells how far each stage is and how long it took."""

    def __init__(self, tell: Progress) -> None:
        self.tell = tell
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.tell(name, 0.0, {})
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 3)
        self.tell(name, 1.0, {})


def split_for_discovery(images: Images | str | os.PathLike[str]) -> tuple[Images, Images]:
    """The images to learn from, and those on which nothing but the accuracy of the network is measured.

    Raises:
        UserError: they cannot be read, or are too few.
    """
    if isinstance(images, Images):
        if len(images) < 2:
            raise UserError(f"`images` must hold at least 2 images, got {len(images)}")
        test, train = split(images, HELD_OUT, seed=0)
    else:
        train, test = load(images)
    if len(train) < 2:
        raise UserError(f"`images` must hold at least 2 images to learn from, got {len(train)}")
    return train, test


def small_network(images: Images, seed: int) -> SmallResNet:
    """The network that is trained when none is given: three stages from sides of 32 pixels on, else two narrow ones."""
    classes, channels = len(images.classes), images.pixels.shape[1]
    if min(images.pixels.shape[2:]) >= 32:
        return SmallResNet(classes, channels, seed=seed)
    return SmallResNet(classes, channels, width=16, stages=2, seed=seed)


def _network(
    network: ImageNetwork | str | os.PathLike[str] | None,
    train: Images,
    epochs: int,
    flip: bool,
    seed: int,
    run: Run | None,
    stages: _Stages,
) -> tuple[ImageNetwork, Statistics]:
    """The network, in evaluation mode and with parameters that do not learn, and what its images are normalised by."""
    statistics = Statistics.of(train)
    if network is None:
        file = None if run is None else run.path / f"{NETWORK}.safetensors"
        if file is not None and file.exists():
            return _network(file, train, epochs, flip, seed, None, stages)
        model: ImageNetwork = small_network(train, seed)
        classifiers.train(
            model,
            train,
            epochs=epochs,
            seed=seed,
            flip=flip,
            statistics=statistics,
            checkpoint=None if run is None else run.path / f"{NETWORK}-checkpoint.safetensors",
            progress=lambda epoch, record: stages.tell(NETWORK, epoch / epochs, record),
        )
        if file is not None:
            save_network(file, model, {"classes": list(train.classes), "statistics": asdict(statistics)})
    elif isinstance(network, ImageNetwork):
        model = copy.deepcopy(network)  # whose parameters will not learn, while the caller's may
    else:
        model, meta = load_network(network)
        if "statistics" in meta:
            try:
                statistics = Statistics(*(tuple(map(float, meta["statistics"][name])) for name in ("mean", "std")))
            except (KeyError, TypeError, ValueError):
                raise UserError(
                    f"{str(network)!r} must say how images are normalised, got {meta['statistics']!r}"
                ) from None
    channels = train.pixels.shape[1]
    if model.arguments["channels"] != channels or len(statistics.mean) != channels:
        raise UserError(f"`network` must be for images of {channels} channels, got {model.arguments['channels']}")
    return model.eval().requires_grad_(False), statistics


def _forms(sensitivity: Tensor, basis: Basis, locality: float, flip: bool) -> Forms:
    forms = Forms.of(responses(sensitivity, basis.values), locality)
    return forms.averaged(basis.mirror) if flip else forms


@dataclass(frozen=True)
class _Search:
    """What all searches have in common: where fields live, how they are measured, and how many are wanted."""

    basis: Basis
    measure: Tensor
    count: int

    @cached_property
    def gram(self) -> Tensor:
        return self.basis.gram(self.measure)

    def solve(self, forms: Forms, mu: float) -> CheapestFields:
        return cheapest_fields(forms, self.basis.energy, self.gram, mu, self.count)

    def span(self, spectrum: CheapestFields) -> Span:
        values = self.basis.fields(spectrum.coefficients)
        return self.measured(values, spectrum.values.tolist(), self.algebra(spectrum.coefficients)[1])

    def measured(self, values: Tensor, costs: list[float], closure: float | None) -> Span:
        """How affine fields with these values ``[N, K, 2]`` at the pixels are."""
        points, root = self.basis.points, self.measure.sqrt()[:, None, None]
        angles = subspace_angles(values[:, :AFFINE_RANK] * root, AFFINE(points) * root)
        return Span(costs, affineness(values, points, self.measure).tolist(), angles.tolist(), closure)

    def algebra(self, coefficients: Tensor) -> tuple[Tensor, float | None]:
        """Structure constants of the first six fields by least squares, and what of the brackets these leave out.

        The latter is the norm of all brackets' remainders over that of all brackets: 0 for a closed algebra; ``None``
        where all brackets vanish.
        """
        first = coefficients[:, :AFFINE_RANK]
        values, brackets = self.basis.fields(first), self.basis.brackets(first)
        constants = torch.einsum("nabd,nkd,n->abk", brackets, values, self.measure)  # the fields are orthonormal
        remainders = brackets - torch.einsum("abk,nkd->nabd", constants, values)
        rest, size = (
            float((b.square() * self.measure[:, None, None, None]).sum().sqrt()) for b in (remainders, brackets)
        )
        return constants, rest / size if size > 1e-9 else None

    def unscored(self, pixels: Tensor, seed: int) -> Span:
        """The slots of the paper, learned from its losses alone: orthogonal to each other and not too steep."""
        field = slot_field(self.count, seed)
        objective = Slots(pixels, None, self.measure, steps=UNSCORED_STEPS, peak=UNSCORED_RATE, seed=seed)
        learn(field, objective, stage="no score")
        with torch.no_grad():
            return self.measured(field.double()(self.basis.points), [], None)


def finite_check(
    features: Features, images: Tensor, fields: Tensor, locality: float, seed: int
) -> tuple[list[float], list[float]]:
    """RMS angles by which finite flows turn the features of images, and those of the motions out of step.

    Both directions of every flow count. The motion out of step is ``xi V`` with the random functions that define the
    local form, so the square of the quotient of the two numbers is the finite counterpart of ``G/M``.

    Args:
        features: to unit vectors.
        images: ``[B, C, H, W]``.
        fields: of unit norm under omega, ``[H W, K, 2]``.
        locality: l.
        seed: of the random functions.
    """
    height, width = images.shape[2:]
    coherent = grid_field(fields, height, width)
    draws = out_of_step(height, width, locality, DRAWS, seed).flatten(1)
    scattered = [grid_field(fields * xi[:, None, None], height, width) for xi in draws]

    def size(tables: list[GridField]) -> list[float]:
        squares = torch.zeros(fields.shape[1])
        with torch.no_grad():
            for table in tables:
                for length in (LENGTH, -LENGTH):
                    score = FeatureAngle(features, length, STEPS, padding="reflection")
                    squares += torch.cat([score.each(table, part) for part in images.split(20)]).square().mean(0)
        return (squares / (2 * len(tables))).sqrt().tolist()

    return size([coherent]), size(scattered)


@torch.no_grad()
def turning(features: Features, images: Tensor, field: GridField) -> list[list[float]]:
    """RMS angles by which features turn when a generator moves the pixels by each of `DISPLACEMENTS`.

    The displacements are root mean squares over the pixels, as those of `GeneratorAugment`, whose motion it is. Both
    directions count.

    Args:
        features: to unit vectors.
        images: ``[B, C, H, W]``.
        field: K generators.

    Returns:
        K lists, a number for each displacement.
    """
    augment = GeneratorAugment(field, 1.0).to(images)
    one = torch.eye(field.generators).to(images)
    return _turned(features, images, augment.move, one, DISPLACEMENTS)


def coloured(
    features: Features, blank: Features, images: Tensor, statistics: Statistics, locality: float, seed: int
) -> Colours | None:
    """The affine changes of colour with lambda below 1, and how far each turns the features.

    Args:
        features: to unit vectors.
        blank: those of an untrained network.
        images: normalised, ``[N, 3, H, W]``.
        statistics: that normalised them.
        locality: l.
        seed: of all draws.

    Returns:
        ``None`` where no change has a lambda below 1, or the images are grey.
    """
    mean, std = statistics.mean, statistics.std
    scale, offset = (images.new_tensor(v)[:, None, None] for v in (std, mean))
    colours = (images[:CHECKED] * scale + offset).movedim(1, -1).flatten(0, -2)
    try:
        ColourBasis.of(colours, 1)
    except ValueError:  # grey images in three channels
        return None
    found, control = (
        colour_generators(f, images, mean, std, generators=12, locality=locality, seed=seed) for f in (features, blank)
    )
    count = int((found.spectrum.values < 1).sum())
    if count == 0:
        return None
    values, coefficients = found.spectrum.values[:count].tolist(), found.spectrum.coefficients[:, :count]
    controls, matrices = control.forms.quotients(coefficients).tolist(), found.matrices[:count]
    augment = ColourAugment(matrices, 1.0, mean, std)
    turned = _turned(features, images[:CHECKED], augment.move, torch.eye(count), CHANGES)
    generators = [
        Colour(f"C{k + 1}", change(matrices[k], colours), matrices[k].tolist(), values[k], controls[k], turned[k])
        for k in range(count)
    ]
    return Colours(generators, list(CHANGES), list(mean), list(std))


@torch.no_grad()
def _turned(
    features: Features,
    images: Tensor,
    move: Callable[[Tensor, Tensor], Tensor],
    one: Tensor,
    displacements: Sequence[float],
) -> list[list[float]]:
    """RMS angles over both directions, ``[K][D]``, for the rows of ``one`` as weights and each displacement."""
    weights = torch.cat([one * length for d in displacements for length in (d, -d)])
    squares = images.new_zeros(len(weights))
    for part in images.split(20):
        after = features(move(part, weights).flatten(0, 1)).unflatten(0, (len(part), len(weights)))
        squares += angles(features(part)[:, None], after).square().sum(0)
    both = (squares / len(images)).view(len(displacements), 2, len(one)).mean(1)
    return both.sqrt().T.tolist()

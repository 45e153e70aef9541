"""The main job on images: which motions of the pixel plane leave what they show the same.

A network that tells the images apart gives the features; the infinitesimal quadratic form (`vision.search`) gives the
fields, in seconds and in order; finite flows through the kernels check each of them. Beside the fields stand those that
come out when something is missing: without smoothness, from a network that has learned nothing, from smoothness alone,
and from the paper's losses without any score. The last two look at no image, and are affine all the same.
`vision.discovery.stages` has them in order.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass

from symflow.discovery import Progress, Verdicts, known, run_stages
from symflow.errors import UserError, check_integer
from symflow.runs import Run, command
from symflow.settings import with_settings

from ..data import Images
from ..features import ImageNetwork
from ..search import PLANE, affineness, uniform, widest_gap
from .checks import DISPLACEMENTS, LENGTH
from .result import Generator, ImageResult, Setting
from .stages import DEGREE, STAGES, Request, State
from .verdicts import data_verdict, generator_verdict

EPOCHS = 8


@dataclass(frozen=True)
class ImageDiscovery:
    """How generators of images are looked for.

    Attributes:
        labels: use them. Without, nothing is trained: the features are whitened patches of the images.
        generators: how many to look for.
        mu: the weight of smoothness against cost, at most 3, where it is mostly smoothness that decides.
        locality: the size of a patch whose motion a coherent one is compared with, on a plane 2 across: a little more
            than over what neighbouring pixels belong together (.1 for CIFAR-10, .15 for MNIST).
        flip: mirror images are as good as images: they take part in the training of the network, and the forms are
            averaged with their mirror images. Not so for digits.
        epochs: of the training, when no network is given.
        seed: of the network, of the random features and of all draws.

    Raises:
        UserError: a value is out of its range.
    """

    labels: bool = True
    generators: int = 10
    mu: float = 1.0
    locality: float = 0.1
    flip: bool = True
    epochs: int = EPOCHS
    seed: int = 0

    def __post_init__(self) -> None:
        basis_size = (DEGREE + 1) * (DEGREE + 2)
        for name, least, most in (("generators", 1, basis_size), ("epochs", 1, 10_000), ("seed", 0, 2**31 - 1)):
            check_integer(name, getattr(self, name), least, most)
        for name, low, high in (("mu", 0.0, 3.0), ("locality", 0.01, 1.0)):
            if not low <= getattr(self, name) <= high:
                raise UserError(f"`{name}` must be from {low:g} to {high:g}, got {getattr(self, name)!r}")


@with_settings(ImageDiscovery)
def discover_images(
    images: Images | str | os.PathLike[str],
    settings: ImageDiscovery,
    *,
    network: ImageNetwork | str | os.PathLike[str] | None = None,
    run: Run | None = None,
    progress: Progress | None = None,
) -> ImageResult:
    """The generators of images: vector fields on the pixel plane, sorted by what moving along them costs.

    Determinism: the same images, arguments, machine and number of threads give the same result, also when a `run` is
    interrupted and continued.

    Args:
        images: a folder that `load` reads, or images, of which a tenth is then held out.
        settings: its fields are arguments of this function.
        network: whose features are used, or the file of one; by default one is trained, on the training part alone.
            Without labels none must be given.
        run: a run directory for the network and the checkpoints of its training.
        progress: called as the stages go on.

    Raises:
        UserError: an argument is out of range, or images or network cannot be read or do not fit each other.
    """
    if network is not None and not settings.labels:
        raise UserError("`network` must not be given when `labels` are not to be used, got both")
    request = Request(images, network, **asdict(settings))
    state, seconds = run_stages(STAGES, State(request), run=run, progress=progress)
    return _result(state, seconds, None if run is None else command(run.config))


def _result(state: State, seconds: dict[str, float], made_by: str | None) -> ImageResult:
    """What the last stage leaves, as a record."""
    asked, pictures, judge = state.request, known(state.pictures), known(state.judge)
    form, controls, checked = known(state.form), known(state.controls), known(state.checked)
    search, found = form.search, form.search.span(form.fields)
    height, width = pictures.train.pixels.shape[2:]
    learned = [(score / control) ** 2 < controls.lowest for score, control in zip(*checked.angles, strict=True)]
    gap = widest_gap(form.fields.values) if asked.generators > 1 else (1, 1.0)
    return ImageResult(
        verdicts=Verdicts(data=data_verdict(sum(learned), asked.generators)),
        rank=gap[0],
        generators=[
            Generator(
                name=f"V{k + 1}",
                closed_form=reading.closed_form,
                learned=learned[k],
                score=checked.angles[0][k],
                control=checked.angles[1][k],
                data=generator_verdict(checked.angles[0][k]),
                motion=reading.motion,
                angle=reading.angle,
                value=found.values[k],
                ratio=float(form.fields.ratios[k]),
                affineness=found.affineness[k],
                turned=checked.turned[k],
            )
            for k, reading in enumerate(checked.readings)
        ],
        coordinates=PLANE,
        seed=asked.seed,
        seconds=seconds,
        command=made_by,
        data=pictures.train.name,
        network=judge.name,
        accuracy=judge.accuracy,
        setting=Setting(
            images=len(pictures.chosen),
            shape=list(pictures.train.pixels.shape[1:]),
            locality=asked.locality,
            degree=DEGREE,
            mu=asked.mu,
            length=LENGTH,
            displacements=list(DISPLACEMENTS),
        ),
        found=found,
        gap=gap,
        controls=controls.spans,
        colours=state.colours,
        structure_constants=search.algebra(checked.coefficients)[0].tolist(),
        affineness_uniform=affineness(checked.fields, search.basis.points, uniform(height, width)).tolist(),
        field=checked.table,
        omega=form.search.measure.view(height, width),
    )

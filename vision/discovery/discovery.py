"""The main job on images: which motions of the pixel plane leave what they show the same.

A network that tells the images apart gives the features; the infinitesimal quadratic form (`vision.search`) gives the
fields, in seconds and in order; finite flows through the kernels check each of them. Beside the fields stand those that
come out when something is missing: without smoothness, from a network that has learned nothing, from smoothness alone,
and from the paper's losses without any score. The last two look at no image, and are affine all the same.
`vision.discovery.stages` has them in order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, replace

from symflow.discovery import Progress, Verdicts, known, run_stages
from symflow.errors import UserError
from symflow.runs import Run, command
from symflow.settings import with_settings

from ..data import Images
from ..features import ImageNetwork
from ..search import PLANE, affineness, uniform, widest_gap
from ..settings import DEGREE, ImageDiscovery
from ..validity import Judged
from .checks import DISPLACEMENTS, LENGTH
from .entries import AFFINE_MOTIONS, AffineMotion, Colours, Generator, Setting
from .result import ImageResult
from .stages import STAGES
from .state import Request, State


@with_settings(ImageDiscovery)
def discover_images(
    images: Images | str | os.PathLike[str],
    settings: ImageDiscovery,
    *,
    network: ImageNetwork | str | os.PathLike[str] | None = None,
    second: ImageNetwork | str | os.PathLike[str] | None = None,
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
        second: another network, or the file of one, that was trained apart on the same classes: motions are judged on
            held-out images by what both see. By default a ridge classifier of patches, made in seconds.
        run: a run directory for the network and the checkpoints of its training.
        progress: called as the stages go on.

    Raises:
        UserError: an argument is out of range, or images or network cannot be read or do not fit each other.
    """
    if network is not None and not settings.labels:
        raise UserError("`network` must not be given when `labels` are not to be used, got both")
    if second is not None and not settings.labels:
        raise UserError("`second` must not be given when `labels` are not to be used, got both")
    request = Request(images, network, second, **asdict(settings))
    state, seconds = run_stages(STAGES, State(request), run=run, progress=progress)
    return _result(state, seconds, None if run is None else command(run.config))


def _result(state: State, seconds: dict[str, float], made_by: str | None) -> ImageResult:
    """What the last stage leaves, as a record."""
    asked, pictures, net = state.request, known(state.pictures), known(state.network)
    form, controls, checked, words = known(state.form), known(state.controls), known(state.checked), known(state.words)
    search, found = form.search, form.search.span(form.fields)
    height, width = pictures.train.pixels.shape[2:]
    gap = widest_gap(form.fields.values) if asked.generators > 1 else (1, 1.0)
    return ImageResult(
        verdicts=Verdicts(data=words.data),
        rank=0 if words.trial is None else words.trial.at_least,
        generators=[
            Generator(
                name=f"V{k + 1}",
                closed_form=reading.closed_form,
                valid=words.motions[k][0].word == "measured",
                score=checked.angles[0][k],
                control=checked.angles[1][k],
                data=words.motions[k][0],
                held_out=words.motions[k][1],
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
        network=net.name,
        accuracy=net.accuracy,
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
        trial=words.trial,
        motions=[
            AffineMotion(name, *judged)
            for name, judged in zip(AFFINE_MOTIONS, words.motions[asked.generators :], strict=True)
        ],
        affine=controls.affine,
        gap=gap,
        controls=controls.spans,
        colours=_colours(state.colours, words.colours),
        structure_constants=search.algebra(checked.coefficients)[0].tolist(),
        affineness_uniform=affineness(checked.fields, search.basis.points, uniform(height, width)).tolist(),
        field=checked.table,
        omega=form.search.measure.view(height, width),
    )


def _colours(found: Colours | None, judged: Sequence[Judged]) -> Colours | None:
    """The changes of colour with their words."""
    if found is None:
        return None
    pairs = zip(found.generators, judged, strict=True)
    return replace(found, generators=[replace(g, data=word, held_out=figures) for g, (word, figures) in pairs])

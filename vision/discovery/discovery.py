"""The main job on images: which motions of the pixel plane leave what they show the same.

A network that tells the images apart gives the features; the infinitesimal quadratic form (`vision.search`) gives the
fields, in seconds and in order; finite flows through the kernels check each of them. Beside the fields stand those that
come out when something is missing: without smoothness, from a network that has learned nothing, from smoothness alone,
and from the paper's losses without any score. The last two look at no image, and are affine all the same.
`vision.discovery.stages` has them in order.
"""

from __future__ import annotations

import os
from dataclasses import asdict

from symflow.discovery import Progress, Verdicts, known, run_stages
from symflow.errors import UserError
from symflow.runs import Run, command
from symflow.settings import with_settings

from ..data import Images
from ..features import ImageNetwork
from ..search import PLANE, affineness, uniform, widest_gap
from ..settings import DEGREE, ImageDiscovery
from .checks import DISPLACEMENTS, LENGTH
from .result import Generator, ImageResult, Setting
from .stages import STAGES, Request, State
from .verdicts import data_verdict, generator_verdict


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
    valid = [(score / control) ** 2 < controls.lowest for score, control in zip(*checked.angles, strict=True)]
    gap = widest_gap(form.fields.values) if asked.generators > 1 else (1, 1.0)
    return ImageResult(
        verdicts=Verdicts(data=data_verdict(sum(valid), asked.generators)),
        rank=gap[0],
        generators=[
            Generator(
                name=f"V{k + 1}",
                closed_form=reading.closed_form,
                valid=valid[k],
                score=checked.angles[0][k],
                control=checked.angles[1][k],
                data=generator_verdict(valid[k], checked.angles[0][k]),
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

"""The command of neural operators: ``train-operator``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import OmitArgPrefixes

from symflow.console import Answer, Told, check_new, noted
from symflow.errors import UserError, nearest

from . import arguments
from .settings import OperatorTrainings, Reading, Variables

if TYPE_CHECKING:
    from symflow.pde import Trajectories


def train_operator(
    data: Annotated[str, tyro.conf.Positional],
    out: Path,
    settings: OmitArgPrefixes[OperatorTrainings] = OperatorTrainings(),
    generators: Path | None = None,
    equation: str | None = None,
    parameters: tuple[str, ...] = (),
    reading: OmitArgPrefixes[Reading] = Reading(),
    workers: int | None = None,
    resume: bool = False,
    force: bool = False,
) -> Answer:
    """Compares augmentations by the neural operators that they train, fairly: paired seeds, one validated strength.

    Examples:
        symflow train-operator kdv --trajectories 16 --seeds 5 --out runs/operator
        symflow train-operator mine.h5 --arms none learned --generators runs/mine --unproved --out runs/operator

    Args:
        data: a file of trajectories, or the name of an equation, whose trajectories are then generated.
        out: the run directory to make; every finished training is kept there.
        settings: which operators are trained, on what.
        generators: a run of discover whose learned fields, as those of `--network trained`, are used for all seeds.
        equation: what the trajectories of a file solve, as for discover; by default what it says, or fitted to them.
        parameters: numbers for the names in it.
        reading: how a file is read.
        workers: trainings side by side; by default one per processor, and one on a GPU.
        resume: continue an interrupted run, with more seeds or arms if wanted.
        force: replace an earlier run in `out`.
    """
    from symflow import pde
    from symflow.runs import load_field

    needed = settings.seeds * settings.trajectories + settings.validation + settings.test
    if generators is not None and not (generators / "span.safetensors").exists():
        raise UserError(
            "`generators` must be a run of discover whose network learned fields, as `--network trained` does, got "
            f"{str(generators)!r}, which has none"
        )
    field = None if generators is None else load_field(generators / "span.safetensors")
    with noted() as told:
        if Path(data).exists():
            loaded = arguments.load(
                Path(data), equation, arguments.numbers(parameters), Variables(), reading, check=True
            )
        elif data.lower() in pde.CATALOGUE:
            loaded = _generated(data.lower(), needed, out, told)
        else:
            raise UserError(
                f"`data` must be a file of trajectories or one of {', '.join(pde.CATALOGUE)}, got {data!r}, and there "
                f"is no such file{nearest(data, pde.CATALOGUE)}"
            )

        def progress(what: str, done: int, total: int) -> None:
            told("trainings", done / total, f"{done} of {total}, last {what}")

        if settings.points is None:
            settings = replace(settings, points=min(128, len(loaded.x)))
        found = pde.compare_operators(
            loaded,
            out,
            settings=settings,
            field=field,
            workers=workers,
            resume=resume,
            replacing=force,
            progress=progress,
        )
    return Answer(str(found), found.to_dict())


def _generated(name: str, samples: int, out: Path, told: Told) -> Trajectories:
    """Trajectories of an equation by name, on 256 points; kept beside a run, where another one finds them again."""
    from symflow import pde

    path = out.parent / f"{name}-{samples}.h5"
    if path.exists():
        return pde.load(path)
    check_new(path, force=False)
    data = pde.generate(
        name, samples, resolution=256, progress=lambda done: told(f"{samples} trajectories of {name}", done, "")
    )
    pde.save(data, path, overwrite=True)  # another worker may have made the same
    return data

"""The commands of equations: generate, describe, discover, verify, classify, audit, augment, train-operator."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes

from symflow.console import CANNOT_TELL, MISTAKE, REFUTED, Progress, bars, check_new, loading, staged
from symflow.errors import UserError

from . import arguments
from .classify_command import classify
from .settings import Copies, Discovery, Generation, OperatorTrainings, Reading, Variables

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from symflow.pde import Equation, Result, Trajectories
    from symflow.runs import Run


def generate(
    name: Annotated[str, tyro.conf.Positional],
    samples: int,
    out: Path,
    settings: OmitArgPrefixes[Generation] = Generation(),
    force: bool = False,
) -> None:
    """Makes trajectories of an equation from random waves, as an HDF5 file.

    Args:
        name: kdv, ks, burgers, nkdv or ckdv, or a formula such as "u_t + u*u_x + u_xxx = 0".
        samples: number of trajectories.
        out: the file to write.
        settings: what trajectories are made.
        force: replace an existing file.
    """
    from symflow import pde

    check_new(out, force)
    out.parent.mkdir(parents=True, exist_ok=True)
    with bars() as shown:
        task = shown.add_task(f"{samples} trajectories of {name}", total=1.0, note="")
        data = pde.generate(name, samples, settings=settings, progress=lambda done: shown.update(task, completed=done))
    pde.save(data, out, overwrite=force)
    shape = " x ".join(str(n) for n in data.u.shape)
    print(f"{out}: {shape} values of u (trajectory, t, x), float64")


def describe(
    data: Annotated[Path, tyro.conf.Positional],
    reading: OmitArgPrefixes[Reading] = Reading(),
    json: FlagCreatePairsOff[bool] = False,
) -> None:
    """Says what a file of data holds: fields, axes, whether ends meet, resolution, samples that look wrong.

    Args:
        data: a file, or a zarr store, of any layout.
        reading: how it is read.
        json: print it as JSON.
    """
    from symflow import pde

    found = pde.describe(data, samples=reading.samples, group=reading.group, **reading.names)
    print(_json(found.to_dict()) if json else found)


def discover(
    data: Annotated[str | None, tyro.conf.Positional] = None,
    *,
    out: Path | None = None,
    equation: str | None = None,
    equations: Path | None = None,
    parameters: tuple[str, ...] = (),
    variables: OmitArgPrefixes[Variables] = Variables(),
    settings: OmitArgPrefixes[Discovery] = Discovery(),
    reading: OmitArgPrefixes[Reading] = Reading(),
    report: FlagCreatePairsOff[bool] = False,
    resume: bool = False,
    force: bool = False,
) -> None:
    """Finds the symmetries of data or of an equation: how many, which, how sure; with closed forms, proofs, a report.

    Args:
        data: a file of trajectories; without it, the equation alone is studied.
        out: the run directory to make; with `equations` a file for the answers, a JSON object a line.
        equation: a name, or a formula such as "u_t = nu*u_xx + u_x**2" or "u_tt - u_xx + sin(u) = 0"; the equations of
            a system are separated by semicolons. With data, what they solve when the file does not say; fitted to them
            when this does not say it either.
        equations: a file with an equation, as above, a line, or a JSON object {"equation": ..., "name": ...,
            "parameters": {...}}; what follows a # is passed over. They are answered side by side, one process for each
            processor. An equation that is refused gets its sentence, and the exit code is then 2.
        parameters: numbers for the names in the formula, such as nu=0.01.
        variables: names that the formula does not show.
        settings: how symmetries are looked for.
        reading: how a file is read.
        report: write figures and a page of an equation alone too; of data they always are. `symflow report` writes them
            later.
        resume: continue an interrupted run.
        force: replace an earlier run in `out`.
    """
    if equations is not None:
        if data is not None or equation is not None or report or resume:
            raise UserError("`--equations` goes with no data, `--equation`, `--report` or `--resume`")
        _answer_all(equations, out, arguments.numbers(parameters), variables, settings, force)
        return
    if out is None:
        raise UserError("`--out` must name the run directory to make")
    with loading():
        from symflow import pde
        from symflow.pde.discovery import asked_of
        from symflow.pde.discovery import discover as found
        from symflow.runs import RESULT, Run

    source, identity = arguments.read(data, equation, arguments.numbers(parameters), variables, reading)
    alone = isinstance(source, pde.Equation)
    domain, boundary = asked_of(source, settings.domain, reading.conditions)
    settings = replace(settings, domain=domain)
    about = {"data": data, "equation": equation, "parameters": list(parameters), "identity": identity}
    about |= {"boundary": boundary} if boundary else {}
    config = {"command": "discover", **about, **asdict(variables), **asdict(settings)}
    run = Run(out, config, resume=resume, replace=force)
    with staged(lambda figures: f"loss {figures['loss']:.3g}" if "loss" in figures else "") as progress:
        result = found(source, settings=settings, boundary=boundary, run=run, progress=progress)
        result.save(run.path / RESULT)
        if result.neural is not None and result.neural.field is not None:
            run.save_field("span", result.neural.field)
        page = None if alone and not report else _page(run, source, result, progress)
    print(result)
    print(f"written: {run.path / RESULT}" if page is None else f"report: {page}")
    said = result.verdicts.data
    if said is not None and not settings.trust and said.word != "measured":
        sys.exit(REFUTED if said.word == "refuted" else CANNOT_TELL)


def _answer_all(
    equations: Path,
    out: Path | None,
    parameters: dict[str, float],
    variables: Variables,
    settings: Discovery,
    force: bool,
) -> None:
    """Prints a table of the answers of a file, and writes them."""
    with loading():
        from symflow.pde.discovery import discover_many, read_equations, table
        from symflow.runs import replacing

    asked = read_equations(equations, parameters, variables)
    if out is not None:
        check_new(out, force)
        if out.is_dir():
            raise UserError(f"`out` must be a file for the answers, got the directory {str(out)!r}")
        out.parent.mkdir(parents=True, exist_ok=True)
    with bars() as shown:
        task = shown.add_task(f"{len(asked)} equations", total=1.0, note="")
        answers = discover_many(asked, settings, progress=lambda done: shown.update(task, completed=done))
    if out is not None:
        with replacing(out) as temporary:
            temporary.write_text("".join(json.dumps(a.to_dict(), allow_nan=False) + "\n" for a in answers))
    print(table(answers))
    refused = sum(a.result is None for a in answers)
    print(f"{len(answers) - refused} answered, {refused} refused" + (f"; written: {out}" if out is not None else ""))
    if refused:
        sys.exit(MISTAKE)


def verify(result: Annotated[Path, tyro.conf.Positional]) -> None:
    """Proves the generators of a result again, by exact computer algebra from the formulas in the file.

    Args:
        result: ``result.json`` or a run directory.
    """
    from symflow.pde import load_result
    from symflow.runs import RESULT

    loaded = load_result(result / RESULT if result.is_dir() else result)
    print(f"{loaded.equation.text}")
    proven = loaded.verify()
    for g, ok in zip(loaded.generators, proven, strict=True):
        identity = f"pr V(F) = ({g.multiplier}) F" if g.multiplier is not None else "pr V(F) = 0 on solutions"
        print(f"{g.name}  {g.formula}: {'proven, ' + identity if ok else 'NOT proven'}")
    families = loaded.verify_families()
    for family, ok in zip(loaded.families, families, strict=True):
        print(f"{family.sentence}: {'proven' if ok else 'NOT proven'}")
    proven += families
    first = loaded.first_order
    if first is not None:
        again = first.verify(loaded.equation)
        for s, ok in zip(first.stable, again, strict=True):
            print(
                f"{s.formula(first.parameter)}: {'proven' if ok else 'NOT proven'} to first order in {first.parameter}"
            )
        proven += again
    if not all(proven):
        sys.exit(REFUTED)


def audit(
    target: Annotated[str, tyro.conf.Positional],
    equation: str | None = None,
    parameters: tuple[str, ...] = (),
    variables: OmitArgPrefixes[Variables] = Variables(),
    alpha: float = 0.05,
    seed: int = 0,
    reading: OmitArgPrefixes[Reading] = Reading(),
    out: Path | None = None,
    force: bool = False,
) -> None:
    """Asks whether data solve the equation they claim, or whether a transformation of yours is a symmetry of one.

    The transformation is a function in a Python file of yours, ``my_transform.py:function``. It is run as it is, with
    all it may do: audit only code that you would run yourself. The exit code is 0 where it holds, 1 where it
    is refuted, and 3 where it cannot be told.

    Args:
        target: a file of trajectories, or FILE.py:FUNCTION.
        equation: a name or a formula; for data, what they claim to solve when the file does not say.
        parameters: numbers for the names in the formula, such as nu=0.01.
        variables: names that the formula does not show.
        alpha: for data, the probability that any interval of a coefficient misses.
        seed: for a transformation, of the points.
        reading: how a file is read.
        out: a JSON file for the audit.
        force: replace an existing file.
    """
    from symflow import pde
    from symflow.runs import write_json

    if out is not None:
        check_new(out, force)
    if not 0 < alpha < 1:
        raise UserError(f"`alpha` must be a probability between 0 and 1, got {alpha}")
    numbers = arguments.numbers(parameters)
    found: pde.TransformAudit | pde.DataAudit
    if ".py:" in target:
        if equation is None:
            raise UserError("`--equation` must say of which equation the transformation should be a symmetry")
        formula = arguments.formula(equation, numbers, variables)
        found = pde.audit_transform(pde.load_function(target), formula, seed=seed)
    else:
        from symflow.pde.laws import held_out, parts

        loaded = arguments.load(Path(target), equation, numbers, variables, reading, check=False)
        if loaded.settings.get("identified"):
            print(f"{loaded.equation.text}, {parts(loaded)}")
        found = pde.audit_data(held_out(loaded), alpha)
    print(found)
    if out is not None:
        write_json(out, found.to_dict())
    if found.exit_code:
        sys.exit(found.exit_code)


def augment(
    data: Annotated[Path, tyro.conf.Positional],
    generators: str,
    out: Path,
    settings: OmitArgPrefixes[Copies] = Copies(),
    resume: bool = False,
    force: bool = False,
) -> None:
    """Moves trajectories along generators: a file with every trajectory and copies of it that solve the equation too.

    Args:
        data: a file of trajectories, as `symflow generate` writes them.
        generators: a run of discover, or kdv, ks, burgers, nkdv or ckdv for what is known of them.
        out: the file to write.
        settings: which copies are made.
        resume: continue an interrupted run.
        force: replace an existing file.
    """
    from symflow.pde.augmentation import augment_file

    with bars() as shown:
        task = shown.add_task(f"{settings.copies} copies of each", total=1.0, note="")
        found = augment_file(
            data,
            generators,
            out,
            settings=settings,
            resume=resume,
            overwrite=force,
            progress=lambda done: shown.update(task, completed=done),
        )
    print(f"{out}: {found.trajectories} trajectories, {found.kept} of them moved, {found.rows:.1%} of their rows valid")
    print(
        f"residual of the equation, medians: {found.moved:.1e} moved, {found.original:.1e} original; "
        f"moved over its own original {found.ratio:.2f}"
    )


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
) -> None:
    """Compares augmentations by the neural operators that they train, fairly: paired seeds, one validated strength.

    Args:
        data: a file of trajectories, or the name of an equation, whose trajectories are then generated.
        out: the run directory to make; every finished training is kept there.
        settings: which operators are trained, on what.
        generators: a run of discover whose learned fields are used for all seeds.
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
    field = None if generators is None else load_field(generators / "span.safetensors")
    with bars() as shown:
        if Path(data).exists():
            loaded = arguments.load(
                Path(data), equation, arguments.numbers(parameters), Variables(), reading, check=True
            )
        elif data in pde.CATALOGUE:
            loaded = _generated(data, needed, out, shown)
        else:
            raise UserError(
                f"`data` must be a file of trajectories or one of {', '.join(pde.CATALOGUE)}, got {data!r}, and there "
                "is no such file"
            )
        task = shown.add_task("trainings", total=1.0, note="")

        def progress(what: str, done: int, total: int) -> None:
            shown.update(task, completed=done / total, note=f"{done} of {total}, last {what}")

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
    print(found)


def _generated(name: str, samples: int, out: Path, shown: Bars) -> Trajectories:
    """Trajectories of an equation by name, on 256 points; kept beside a run, where another one finds them again."""
    from symflow import pde

    path = out.parent / f"{name}-{samples}.h5"
    if path.exists():
        return pde.load(path)
    task = shown.add_task(f"{samples} trajectories of {name}", total=1.0, note="")
    data = pde.generate(name, samples, resolution=256, progress=lambda done: shown.update(task, completed=done))
    path.parent.mkdir(parents=True, exist_ok=True)
    pde.save(data, path)
    return data


def _page(run: Run, source: Trajectories | Equation, result: Result, progress: Progress) -> Path:
    """Writes figures and page of a run; what they show of the data stays beside it, so that they can be made again."""
    from symflow import pde
    from symflow.pde.discovery import collect
    from symflow.report import write_report

    progress("report", 0.0, {})
    if isinstance(source, pde.Trajectories):
        shown = source if result.of_data else None
        run.save_tensors("evidence", collect(shown, result), {"rank": result.rank})
    page = write_report(run.path)
    progress("report", 1.0, {})
    return page


def _json(record: object) -> str:
    return json.dumps(record, indent=2, allow_nan=False)


COMMANDS = (generate, describe, discover, verify, classify, audit, augment, train_operator)

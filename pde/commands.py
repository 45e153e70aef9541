"""The commands of equations: generate, merge, describe, discover, verify, classify, audit, augment, train-operator."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes

from symflow.console import (
    CANNOT_TELL,
    HOLDS,
    MISTAKE,
    REFUTED,
    Answer,
    Progress,
    check_new,
    loading,
    noted,
    staged,
)
from symflow.errors import UserError

from . import arguments
from .classify_command import classify
from .operator_commands import train_operator
from .settings import Copies, Discovery, Generation, Reading, Variables

if TYPE_CHECKING:
    from symflow.pde import Equation, Result, Trajectories
    from symflow.runs import Run


def generate(
    name: Annotated[str, tyro.conf.Positional],
    samples: int,
    out: Path,
    settings: OmitArgPrefixes[Generation] = Generation(),
    force: bool = False,
) -> Answer:
    """Makes trajectories of an equation from random waves, as an HDF5 file.

    Examples:
        symflow generate kdv --samples 64 --out kdv.h5
        symflow generate "u_t + u*u_x = 0.1*u_xx" --samples 16 --length 2*pi --end 5 --out burgers.h5
        symflow generate "u_t = u_xx" --samples 8 --length 1 --end 0.1 --boundary neumann --out heat.h5

    Args:
        name: kdv, ks, burgers, nkdv or ckdv, or a formula such as "u_t + u*u_x + u_xxx = 0".
        samples: number of trajectories.
        out: the file to write.
        settings: what trajectories are made.
        force: replace an existing file.
    """
    from symflow import pde

    check_new(out, force)
    pde.trajectories.check_written(out)
    with noted() as told:
        data = pde.generate(
            name, samples, settings=settings, progress=lambda done: told(f"{samples} trajectories of {name}", done, "")
        )
    pde.save(data, out, overwrite=force)
    sizes = [len(data), len(data.t), *map(len, data.axes)]
    axes = ["trajectory", "t", *(axis.name for axis in data.axes)]
    record = {"file": str(out), "equation": data.equation.text, "axes": axes, "shape": sizes}
    shape = " x ".join(map(str, sizes))
    return Answer(f"{out}: {shape} values of {', '.join(data.fields)} ({', '.join(axes)}), float64", record)


def merge(
    parts: Annotated[tuple[Path, ...], tyro.conf.Positional],
    out: Path,
    force: bool = False,
) -> Answer:
    """Puts together the parts of a data set that `symflow generate --shard i/n` made.

    Examples:
        symflow merge part1.h5 part2.h5 --out kdv.h5
        symflow merge part2.h5 part1.h5 --out kdv.h5 --force

    Args:
        parts: their files, all of them, in any order.
        out: the file to write: what one call without `--shard` makes.
        force: replace an existing file.
    """
    from symflow import pde

    check_new(out, force)
    pde.merge(parts, out, overwrite=force)
    return Answer(f"{out}: {len(parts)} parts", {"file": str(out), "parts": [str(part) for part in parts]})


def describe(
    data: Annotated[Path, tyro.conf.Positional],
    reading: OmitArgPrefixes[Reading] = Reading(),
) -> Answer:
    """Says what a file of data holds: fields, axes, whether ends meet, resolution, samples that look wrong.

    Examples:
        symflow describe mine.nc
        symflow describe mine.h5 --fields u=Vx,v=Vy --json

    Args:
        data: a file, or a zarr store, of any layout.
        reading: how it is read.
    """
    from symflow import pde

    found = pde.describe(data, samples=reading.samples, group=reading.group, **reading.names)
    return Answer(str(found), found.to_dict())


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
) -> Answer:
    """Finds the symmetries of data or of an equation: how many, which, how sure; with closed forms, proofs, a report.

    Examples:
        symflow discover --equation "u_t = u_xx + u_x**2"
        symflow discover mine.h5 --equation "u_t + u*u_x + u_xxx = 0" --out runs/mine

    Args:
        data: a file of trajectories; or an equation, as for `--equation`, which is then studied alone.
        out: the run directory to make; without one the answer is printed and nothing is written. With `equations` a
            file for the answers, a JSON object a line.
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
        return _answer_all(equations, out, arguments.numbers(parameters), variables, settings, force)
    if out is None and (report or resume or force):
        raise UserError("`--report`, `--resume` and `--force` are about a run directory, which `--out` must name")
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
    config = {"command": "discover", **about, **asdict(variables), **asdict(settings), **asdict(reading)}
    run = None if out is None else Run(out, config, resume=resume, replace=force)
    with staged(lambda figures: f"loss {figures['loss']:.3g}" if "loss" in figures else "") as progress:
        result = found(source, settings=settings, boundary=boundary, run=run, progress=progress)
        text = str(result)
        if run is not None:
            result.save(run.path / RESULT)
            if result.neural is not None and result.neural.field is not None:
                run.save_field("span", result.neural.field)
            page = None if alone and not report else _page(run, source, result, progress)
            text += f"\nwritten: {run.path / RESULT}" if page is None else f"\nreport: {page}"
    said = result.verdicts.data
    holds = said is None or settings.trust or said.word == "measured"
    return Answer(text, result.to_dict(), HOLDS if holds or said is None else _code(said.word))


def _code(word: str) -> int:
    """The exit code for what data say."""
    return {"measured": HOLDS, "refuted": REFUTED}.get(word, CANNOT_TELL)


def _answer_all(
    equations: Path,
    out: Path | None,
    parameters: dict[str, float],
    variables: Variables,
    settings: Discovery,
    force: bool,
) -> Answer:
    """A table of the answers of a file, which are written too."""
    with loading():
        from symflow.pde.discovery import discover_many, read_equations, table
        from symflow.runs import replacing

    asked = read_equations(equations, parameters, variables)
    if out is not None:
        check_new(out, force)
    with noted() as told:
        answers = discover_many(asked, settings, progress=lambda done: told(f"{len(asked)} equations", done, ""))
    if out is not None:
        with replacing(out) as temporary:
            temporary.write_text("".join(json.dumps(a.to_dict(), allow_nan=False) + "\n" for a in answers))
    refused = sum(a.result is None for a in answers)
    summary = f"{len(answers) - refused} answered, {refused} refused" + (f"; written: {out}" if out else "")
    record = {"answers": [a.to_dict() for a in answers]}
    return Answer(f"{table(answers)}\n{summary}", record, MISTAKE if refused else HOLDS)


def verify(result: Annotated[Path, tyro.conf.Positional]) -> Answer:
    """Proves the generators of a result again, by exact computer algebra from the formulas in the file.

    Examples:
        symflow verify runs/mine
        symflow verify result.json --json

    The exit code is 0 where all are proven, 1 where one is not, and 3 where one was not decided in a minute of
    processor time, as of formulas that nobody would find.

    Args:
        result: ``result.json`` or a run directory.
    """
    from symflow.pde import load_result
    from symflow.pde.discovery.result import PROOF_SECONDS
    from symflow.runs import Budget

    loaded = load_result(result)
    said = {True: "proven", False: "NOT proven", None: "not decided"}
    proofs = []
    for g, ok in zip(loaded.generators, loaded.verify(), strict=True):
        identity = f"pr V(F) = ({g.multiplier}) F" if g.multiplier is not None else "pr V(F) = 0 on solutions"
        line = f"{g.name}  {g.formula}: {said[ok]}{', ' + identity if ok else ''}"
        proofs.append((line, {"name": g.name, "formula": g.formula, "proved": ok, "identity": identity}))
    families: list[bool | None] = [*(Budget(PROOF_SECONDS).spend(loaded.verify_families) or [])]
    for family, ok in zip(loaded.families, families or [None] * len(loaded.families), strict=True):
        line = f"{family.sentence}: {said[ok]}"
        proofs.append((line, {"name": None, "formula": family.sentence, "proved": ok, "identity": None}))
    first = loaded.first_order
    if first is not None:
        again: list[bool | None] = [*(Budget(PROOF_SECONDS).spend(lambda: first.verify(loaded.equation)) or [])]
        for s, ok in zip(first.stable, again or [None] * len(first.stable), strict=True):
            formula = s.formula(first.parameter)
            line = f"{formula}: {said[ok]} to first order in {first.parameter}"
            proofs.append((line, {"name": None, "formula": formula, "proved": ok, "identity": None}))
    lines, words = [line for line, _ in proofs], [record["proved"] for _, record in proofs]
    return Answer(
        "\n".join([loaded.equation.text, *lines]),
        {"equation": loaded.equation.text, "proved": all(words), "generators": [record for _, record in proofs]},
        HOLDS if all(words) else REFUTED if False in words else CANNOT_TELL,
    )


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
) -> Answer:
    """Asks whether data solve the equation they claim, or whether a transformation of yours is a symmetry of one.

    The transformation is a function in a Python file of yours, ``my_transform.py:function``. It is run as it is, with
    all it may do: audit only code that you would run yourself. The exit code is 0 where it holds, 1 where it
    is refuted, and 3 where it cannot be told.

    Examples:
        symflow audit mine.h5 --equation burgers --parameters nu=0.01
        symflow audit my_transform.py:boost --equation kdv

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
    lines = []
    if target.endswith(".py"):
        raise UserError(f"`target` must name a function in a file of Python, as {target}:function, got the file alone")
    if ".py:" in target:
        if equation is None:
            raise UserError("`--equation` must say of which equation the transformation should be a symmetry")
        formula = arguments.formula(equation, numbers, variables)
        found = pde.audit_transform(pde.load_function(target), formula, seed=seed)
    else:
        from symflow.pde.laws import held_out, parts

        loaded = arguments.load(Path(target), equation, numbers, variables, reading, check=False, part=True)
        if loaded.settings.get("identified"):
            lines.append(f"{loaded.equation.text}, {parts(loaded)}")
        found = pde.audit_data(held_out(loaded), alpha)
    if out is not None:
        write_json(out, found.to_dict())
    return Answer("\n".join([*lines, str(found)]), found.to_dict(), found.exit_code)


def augment(
    data: Annotated[Path, tyro.conf.Positional],
    generators: str,
    out: Path,
    settings: OmitArgPrefixes[Copies] = Copies(),
    equation: str | None = None,
    parameters: tuple[str, ...] = (),
    variables: OmitArgPrefixes[Variables] = Variables(),
    reading: OmitArgPrefixes[Reading] = Reading(),
    resume: bool = False,
    force: bool = False,
) -> Answer:
    """Moves trajectories along generators: a file with every trajectory and copies of it that solve the equation too.

    Examples:
        symflow augment mine.h5 --generators runs/mine --copies 8 --out more.h5
        symflow augment theirs.nc --equation kdv --generators kdv --out more.h5

    Args:
        data: a file of trajectories of any layout that `symflow discover` reads.
        generators: a run of discover, or kdv, ks, burgers, nkdv or ckdv for what is known of them.
        out: the file to write.
        settings: which copies are made.
        equation: what the trajectories solve, as for discover; by default what the file says.
        parameters: numbers for the names in it.
        variables: names that the formula does not show.
        reading: how a file is read.
        resume: continue an interrupted run.
        force: replace an existing file.
    """
    from symflow.pde.augmentation import augment_file

    numbers = arguments.numbers(parameters)
    with noted() as told, arguments.laid_out(data, out, equation, numbers, variables, reading) as source:
        found = augment_file(
            source,
            generators,
            out,
            settings=settings,
            resume=resume,
            overwrite=force,
            progress=lambda done: told(f"{settings.copies} copies of each", done, ""),
        )
    text = (
        f"{out}: {found.trajectories} trajectories, {found.kept} of them moved, {found.rows:.1%} of their rows valid\n"
        f"residual of the equation, medians: {found.moved:.1e} moved, {found.original:.1e} original; "
        f"moved over its own original {found.ratio:.2f}"
    )
    return Answer(text, {"file": str(out), **_finite(asdict(found))})


def _finite(record: Mapping[str, Any]) -> dict[str, Any]:
    """With nothing in the place of numbers that are none, which JSON cannot hold."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in record.items()
    }


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


COMMANDS = (generate, merge, describe, discover, verify, classify, audit, augment, train_operator)

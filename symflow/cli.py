"""The command line: the commands of every domain, and those that serve all of them.

A mistake of the user's ends with one sentence on the standard error and exit code 2; nothing is overwritten unasked.
Help comes without torch: modules of commands import what they need when they run.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from symflow import domains, options
from symflow._version import __version__
from symflow.console import HOLDS, INTERRUPTED, MEANINGS, MISTAKE, REFUTED, Answer, loading, loudness, noted
from symflow.errors import UserError, is_singular, nearest

DESCRIPTION = "Finds the continuous symmetries of data and names them in closed form, with proof."
SHELLS = Literal["bash", "zsh", "tcsh"]
SHARED = ("train-operator", "train-classifier")
"""The commands whose work is shared out under ``torchrun``. Of the others worker 0 does all."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; `arguments` are those of the process by default."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    talk: Literal["quiet", "normal", "verbose"] = "normal"
    try:
        command = _named(given)
        if _worker() > 0 and given[0] not in SHARED:
            return
        asked = options.ask(command, given[1:])
        talk = "verbose" if asked.output.verbose else "quiet" if asked.output.quiet else "normal"
        with loudness(talk):
            _answer(asked)
    except UserError as error:
        _complain(str(error), talk == "verbose")
    except BrokenPipeError:  # help that nobody reads on
        _hush()
    except OSError as error:
        name = f" {error.filename!r}" if error.filename else ""
        sentence = f"the system refused a file operation on{name}: {error.strerror or error}"
        _complain(sentence, talk == "verbose")
    except (ValueError, RuntimeError) as error:
        if not is_singular(error):
            raise
        said = (str(error).splitlines() or ["singular"])[0]
        sentence = f"the data make a linear system without a solution, as constant or too few ones do ({said})"
        _complain(sentence, talk == "verbose")
    except KeyboardInterrupt:
        print(
            "symflow: interrupted; `--resume` continues a run, and `reproduce` its studies by itself", file=sys.stderr
        )
        sys.exit(INTERRUPTED)


def _answer(asked: options.Asked) -> None:
    """Carries out a command, prints its answer, and ends with its exit code."""
    output = asked.output
    if output.save_config is not None:
        from symflow.runs import write_json

        write_json(output.save_config, asked.configuration())
    answer = asked.answer()
    if _worker() == 0:
        _say(json.dumps(answer.record, indent=2, allow_nan=False) if output.json else answer.text)
    if answer.code != HOLDS:
        sys.exit(answer.code)


def _worker() -> int:
    """Which worker this is under ``torchrun``; 0 without it."""
    return int(os.environ.get("RANK", "0")) if "WORLD_SIZE" in os.environ else 0


def _say(text: str) -> None:
    """Prints to whoever still listens: a reader that has seen enough, as `head` has, is no mistake."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        _hush()


def _hush() -> None:
    """Lets what is still to be printed go nowhere, or the interpreter complains at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def commands() -> dict[str, options.Command]:
    """The commands by name."""
    of_domains = [f for kind in domains.having("commands") for f in domains.part(kind, "commands").COMMANDS]
    return {
        options.name_of(function): function
        for function in (*of_domains, report, tensorboard, reproduce, doctor, completion)
    }


def _named(given: Sequence[str]) -> options.Command:
    """The command that the first word names; without one the list of them, which ends the process.

    Raises:
        UserError: it names none.
    """
    known = commands()
    name = given[0] if given else "--help"
    if name in known:
        return known[name]
    if name == "--version":
        print(f"symflow {__version__}")
        sys.exit(HOLDS)
    if name not in ("--help", "-h", "help"):
        hint = nearest(name, known) or f"; `symflow --help` lists them: {', '.join(known)}"
        raise UserError(f"there is no command {name!r}{hint}")
    codes = "\n".join(f"  {code}: {meaning}" for code, meaning in MEANINGS.items())
    tyro.extras.subcommand_cli_from_dict(
        {name: _titled(function) for name, function in known.items()},
        prog="symflow",
        description=f"{DESCRIPTION}\n\n`symflow COMMAND --help` tells more, `symflow --version` the version.\n\n"
        f"exit codes:\n{codes}",
        args=["--help"],
    )
    sys.exit(HOLDS)


def _titled(command: Callable[..., Answer]) -> Callable[[], None]:
    """What stands for a command in the list of them: its first sentence, without its options."""

    def title() -> None: ...

    title.__doc__ = (command.__doc__ or "").partition("\n")[0]
    return title


def _complain(sentence: str, traced: bool) -> None:
    if traced:
        traceback.print_exc()
    print(f"symflow: {sentence}", file=sys.stderr)
    sys.exit(MISTAKE)


def report(
    run: Annotated[Path, tyro.conf.Positional],
    other: Annotated[Path | None, tyro.conf.Positional] = None,
    *,
    out: Path | None = None,
) -> Answer:
    """Writes the figures and the page of a finished run again; of two runs also a page that shows them side by side.

    Examples:
        symflow report runs/kdv
        symflow report runs/kdv runs/burgers --out both.html

    Args:
        run: the run directory.
        other: another one.
        out: the page of the two; by default `comparison.html` in the first.
    """
    from symflow.report import write_comparison, write_report

    if other is None:
        if out is not None:
            raise UserError("`--out` is of a page of two runs, got one run; its own page is in its directory")
        page = write_report(run)
    else:
        page = write_comparison(run, other, out)
    return Answer(str(page), {"page": str(page)})


def tensorboard(run: Annotated[Path, tyro.conf.Positional]) -> Answer:
    """Writes the curves of a run's trainings as event files, which `tensorboard --logdir RUN` shows.

    The run may be finished or still at work; each call writes what is known by then. TensorBoard has to be installed.

    Examples:
        symflow tensorboard runs/kdv
        symflow tensorboard runs/classifiers --json

    Args:
        run: the run directory.
    """
    from symflow.runs import write_events

    folder = str(write_events(run))
    return Answer(folder, {"folder": folder})


def reproduce(
    what: Annotated[Literal["pde", "images", "augmentation", "operators", "all", "page"], tyro.conf.Positional],
    name: Annotated[str | None, tyro.conf.Positional] = None,
    *,
    size: Literal["small", "paper"] = "small",
    seed: int = 0,
    seeds: int = 1,
    out: Path = Path("benchmarks/results/paper"),
    runs: Path = Path("runs/paper"),
    page: Path = Path("docs/paper.md"),
) -> Answer:
    """Carries out the studies of the paper; what was interrupted goes on, what has a record is passed over.

    Examples:
        symflow reproduce pde --seeds 3
        symflow reproduce page

    Args:
        what: a group of studies, all of them, or the page that shows what was found beside the published figures.
        name: of one study of the group; all by default.
        size: what two cores do in minutes, or the paper's own settings.
        seed: the first seed.
        seeds: how many, from the first on; data, probes and networks are drawn anew for each.
        out: the directory of the records.
        runs: the directory from which interrupted studies go on.
        page: the file of the page.
    """
    with loading():
        from symflow import reproduction

    if what == "page":
        written = [str(reproduction.write_page(out, page))]
    else:
        jobs = reproduction.find(reproduction.GROUPS if what == "all" else (what,), name, size, seeds, first=seed)
        with noted() as told:
            written = [str(path) for path in reproduction.reproduce(jobs, out, runs, told)]
    return Answer("\n".join(written), {"written": written})


def doctor(full: tyro.conf.FlagCreatePairsOff[bool] = False) -> Answer:
    """Says how the package was built, and tries every kernel: is it right, and how much of this machine does it use.

    Each kernel is compared with its reference in plain torch in float64; the exit code is 1 where one is wrong. The
    work that it cannot do without stands beside what the machine does in a product of matrices (sgemm), or, where that
    work is memory, in a copy.

    Examples:
        symflow doctor
        symflow doctor --full --json

    Args:
        full: take larger problems, of about a second each, whose shares say more.
    """
    from symflow import checkup

    with noted() as told:
        found = checkup.check(full, told)
    return Answer(str(found), found.to_dict(), HOLDS if found.right else REFUTED)


def completion(shell: Annotated[SHELLS, tyro.conf.Positional]) -> Answer:
    """Prints what lets a shell complete commands and options.

    Examples:
        symflow completion bash > ~/.local/share/bash-completion/completions/symflow
        symflow completion zsh > ~/.zfunc/_symflow

    Args:
        shell: which one.
    """
    import io
    from contextlib import redirect_stdout, suppress

    script = io.StringIO()
    with redirect_stdout(script), suppress(SystemExit):
        tyro.extras.subcommand_cli_from_dict(
            {name: options.offered(function) for name, function in commands().items()},
            prog="symflow",
            description=DESCRIPTION,
            args=["--tyro-print-completion", shell],
        )
    return Answer(script.getvalue(), {"shell": shell, "script": script.getvalue()})

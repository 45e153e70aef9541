"""The command line: the commands of every domain, and those that serve all of them.

A mistake of the user's ends with one sentence on the standard error and exit code 2; nothing is overwritten unasked.
Help comes without torch: modules of commands import what they need when they run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from symflow import domains
from symflow.console import INTERRUPTED, MISTAKE, loading, noted
from symflow.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; `arguments` are those of the process by default."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        _run(given)
    except UserError as error:
        _complain(str(error))
    except OSError as error:
        name = f" {error.filename!r}" if error.filename else ""
        _complain(f"the system refused a file operation on{name}: {error.strerror or error}")
    except KeyboardInterrupt:
        print(
            "symflow: interrupted; `--resume` continues a run, and `reproduce` its studies by itself", file=sys.stderr
        )
        sys.exit(INTERRUPTED)


def _run(given: list[str]) -> None:
    """One command, and where none is named the list of them: a parser of all their options takes long to make."""
    of_domains = [f for kind in domains.having("commands") for f in domains.part(kind, "commands").COMMANDS]
    commands = {function.__name__.replace("_", "-"): function for function in (*of_domains, report, reproduce, doctor)}
    name = given[0] if given else ""
    if name in commands:
        tyro.cli(commands[name], prog=f"symflow {name}", args=given[1:])
    else:
        tyro.extras.subcommand_cli_from_dict(
            {name: _titled(function) for name, function in commands.items()},
            prog="symflow",
            description="Finds the continuous symmetries of data and names them in closed form, with proof.",
            args=given,
        )


def _titled(command: Callable[..., None]) -> Callable[[], None]:
    """What stands for a command in the list of them: its first sentence, without its options."""

    def title() -> None: ...

    title.__doc__ = (command.__doc__ or "").partition("\n")[0]
    return title


def _complain(sentence: str) -> None:
    print(f"symflow: {sentence}", file=sys.stderr)
    sys.exit(MISTAKE)


def report(run: Annotated[Path, tyro.conf.Positional]) -> None:
    """Writes the figures and the page of a finished run again.

    Args:
        run: the run directory.
    """
    from symflow.report import write_report

    print(write_report(run))


def reproduce(
    what: Annotated[Literal["pde", "images", "augmentation", "operators", "all", "page"], tyro.conf.Positional],
    name: Annotated[str | None, tyro.conf.Positional] = None,
    *,
    size: Literal["small", "paper"] = "small",
    seeds: int = 1,
    out: Path = Path("benchmarks/results/paper"),
    runs: Path = Path("runs/paper"),
    page: Path = Path("docs/paper.md"),
) -> None:
    """Carries out the studies of the paper; what was interrupted goes on, what has a record is passed over.

    Args:
        what: a group of studies, all of them, or the page that shows what was found beside the published figures.
        name: of one study of the group; all by default.
        size: what two cores do in minutes, or the paper's own settings.
        seeds: how many, from 0; data, probes and networks are drawn anew for each.
        out: the directory of the records.
        runs: the directory from which interrupted studies go on.
        page: the file of the page.
    """
    with loading():
        from symflow import reproduction

    if what == "page":
        print(reproduction.write_page(out, page))
        return
    jobs = reproduction.find(reproduction.GROUPS if what == "all" else (what,), name, size, seeds)
    with noted() as report:
        for path in reproduction.reproduce(jobs, out, runs, report):
            print(path, flush=True)


def doctor() -> None:
    """Says how the package was built and what it runs on."""
    import torch

    import symflow
    from symflow.ops import _ext

    print(f"symflow {symflow.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name, value in _ext.build_info().items():
        print(f"{name}: {value}")

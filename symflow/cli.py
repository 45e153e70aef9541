"""The command line: the commands of every domain, and those that serve all of them.

A mistake of the user's ends with one sentence on the standard error and exit code 2; nothing is overwritten unasked.
Help comes without torch: modules of commands import what they need when they run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from symflow import domains
from symflow.console import INTERRUPTED, MISTAKE
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
        print("symflow: interrupted; `--resume` continues a run from its last checkpoint", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _run(given: list[str]) -> None:
    """One command, and where none is named the list of them: a parser of all their options takes long to make."""
    of_domains = [f for kind in domains.having("commands") for f in domains.part(kind, "commands").COMMANDS]
    commands = {function.__name__.replace("_", "-"): function for function in (*of_domains, report, doctor)}
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


def doctor() -> None:
    """Says how the package was built and what it runs on."""
    import torch

    import symflow
    from symflow.ops import _ext

    print(f"symflow {symflow.__version__}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    for name, value in _ext.build_info().items():
        print(f"{name}: {value}")

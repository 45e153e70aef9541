"""The command line: a command of every domain's ``commands``, and those that serve all of them.

A mistake of the user's ends with one sentence on the standard error and exit code 2; nothing is overwritten unasked.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from symflow import domains
from symflow.console import INTERRUPTED, MISTAKE
from symflow.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line; `arguments` are those of the process by default."""
    of_domains = [f for kind in domains.having("commands") for f in domains.part(kind, "commands").COMMANDS]
    functions = [*of_domains, report, doctor]
    commands = {function.__name__.replace("_", "-"): function for function in functions}
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands,
            prog="symflow",
            description="Finds the continuous symmetries of data and names them in closed form, with proof.",
            args=arguments,
        )
    except UserError as error:
        _complain(str(error))
    except OSError as error:
        name = f" {error.filename!r}" if error.filename else ""
        _complain(f"the system refused a file operation on{name}: {error.strerror or error}")
    except KeyboardInterrupt:
        print("symflow: interrupted; `--resume` continues a run from its last checkpoint", file=sys.stderr)
        sys.exit(INTERRUPTED)


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

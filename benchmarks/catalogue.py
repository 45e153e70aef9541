"""A catalogue of equations whose symmetry algebras are known, answered one by one, each with its time.

The catalogue is a JSON file ``{"entries": [{"name", "equation", "parameters", "dimension", "finite"}, ...]}``: the one
beside this file, or that which ``--file`` or the variable SYMFLOW_TRUTH names (a file, or a folder). ``parameters`` is
``"a=0.7,b=2"``; ``dimension`` is a number or "inf", and ``finite`` then the dimension of the finite part, or "-".

All equations are answered in one process, as `pde.discover` answers an equation alone; one that takes longer than
``--limit`` seconds ends that process, and the next one goes on. An answer is

- *right*: the dimension and whether there is an infinite family are those of the catalogue;
- *short*: finite in the catalogue, and the answer has fewer and says how many others there are at most;
- *untold*: infinite in the catalogue, and the answer says no more than that there may be infinitely many;
- *wrong*: anything else;
- *refused*: a sentence instead of an answer, because the equation cannot be read or is beyond its limits;
- *late*: none within the limit.

Beside them stands the whole command, start-up included, for some of the equations, and ``python -c "import torch"``,
started in turn. Seconds are those of the clock; beside them stand those of the processor, which depend less on what
else the machine does.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from _common import medians, options, print_table, print_targets, process, wall_seconds, write_results

LIMIT = 60.0  # seconds for one equation
SHORT = 5.0  # seconds that nearly all of them may take
WHOLE = 12  # equations that are answered by the whole command too
SHARE, BEYOND = 0.95, 1.5  # the least share of them; the most seconds of a whole command beyond an import of torch


@dataclass(frozen=True)
class Known:
    """An entry of the catalogue; a finite part of ``None`` is not known, a dimension of ``None`` is infinite."""

    name: str
    equation: str
    parameters: dict[str, float]
    dimension: int | None
    finite: int | None

    @classmethod
    def read(cls, path: Path) -> list[Known]:
        return [cls.of(entry) for entry in json.loads(path.read_text())["entries"]]

    @classmethod
    def of(cls, entry: dict[str, str]) -> Known:
        pairs = (part.split("=") for part in entry.get("parameters", "").split(",") if part)
        due, finite = entry["dimension"], entry.get("finite", "-")
        dimension = None if due == "inf" else int(due)
        known = dimension if dimension is not None else None if finite == "-" else int(finite)
        parameters = {name.strip(): float(value) for name, value in pairs}
        return cls(entry["name"], entry["equation"], parameters, dimension, known)

    @property
    def due(self) -> str:
        """The dimension in words."""
        return str(self.dimension) if self.dimension is not None else f"{self.finite or '?'} and a family"


def outcome(known: Known, answer: dict[str, Any]) -> str:
    """One of the words above."""
    if "error" in answer:
        return answer["error"]
    if known.dimension is not None:
        good = answer["dimension"] == known.dimension and not answer["families"] and answer["stable"]
        short = answer["dimension"] < known.dimension <= answer["dimension"] + (answer["missing"] or 0)
        return "right" if good else "short" if short and not answer["families"] else "wrong"
    if answer["families"]:
        return "right" if known.finite in (None, answer["dimension"]) else "wrong"
    return "wrong" if answer["stable"] else "untold"


def serve(connection: Connection) -> None:
    """Answers equations until there are no more."""
    from symflow import UserError, pde

    pde.discover("kdv")  # what loads late
    connection.send(None)
    while (asked := connection.recv()) is not None:
        text, parameters = asked
        begun, used = time.perf_counter(), time.process_time()
        answer: dict[str, Any]
        try:
            found = pde.discover(pde.Equation(text, **parameters))
            said = found.verdicts.equation
            assert said is not None
            answer = {
                "dimension": found.rank,
                "families": [family.conditions for family in found.families],
                "stable": said.stable,
                "missing": said.missing,
                "complete": said.complete,
                "searched": said.searched,
                "proved": sum(g.verified for g in found.generators),
                "generators": [g.named for g in found.generators],
                "algebra": None if found.algebra is None else found.algebra.name,
                "stages": found.seconds,
            }
        except UserError as error:
            answer = {"error": "refused", "sentence": str(error)}
        except Exception as error:
            answer = {"error": "broken", "sentence": f"{type(error).__name__}: {error}"}
        spent = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - used}
        connection.send(answer | spent)


class Server:
    """A process that answers; a new one where an answer is late."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs,), daemon=True)
        self.process.start()
        self.connection.recv()

    def answer(self, known: Known) -> dict[str, Any]:
        self.connection.send((known.equation, known.parameters))
        if self.connection.poll(self.limit):
            answer: dict[str, Any] = self.connection.recv()
            return answer
        self.process.kill()
        self.process.join()
        self.start()
        return {"error": "late", "sentence": f"no answer in {self.limit:g} s", "seconds": self.limit}

    def close(self) -> None:
        self.connection.send(None)
        self.process.join()


def whole_commands(entries: Sequence[Known], rounds: int) -> dict[str, float]:
    """The median seconds of the command from the shell, for each equation, and of an import of torch ("")."""
    with TemporaryDirectory() as folder:

        def command(n: int, known: Known) -> None:
            parameters = [f"{name}={value!r}" for name, value in known.parameters.items()]
            words = ["--parameters", *parameters] if parameters else []
            out = str(Path(folder) / str(n))
            process("-m", "symflow", "discover", "--equation", known.equation, *words, "--out", out, "--force")

        calls = {known.name: lambda n=n, known=known: command(n, known) for n, known in enumerate(entries)}
        return medians({"": lambda: process("-c", "import torch")} | calls, rounds, wall_seconds)


def row(run: dict[str, Any]) -> tuple[object, ...]:
    got = run.get("dimension", run.get("sentence", ""))
    more = f" + {len(run['families'])}" if run.get("families") else ""
    return (run["name"][:40], run["outcome"], run["due"], f"{got}{more}"[:60], f"{run['seconds']:.2f}")


def file_of(arguments: argparse.Namespace) -> Path:
    """The catalogue: the one beside this file by default."""
    named = arguments.file or os.environ.get("SYMFLOW_TRUTH")
    if not named:
        return Path(__file__).with_name("catalogue.json")
    path = Path(named)
    return path / "catalogue.json" if path.is_dir() else path


def main() -> None:
    parser = options(__doc__, "every tenth equation, three whole commands, one round")
    parser.add_argument(
        "--file", type=Path, help="the catalogue; by default what SYMFLOW_TRUTH names, or catalogue.json"
    )
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds for one equation")
    arguments = parser.parse_args()
    path = file_of(arguments)
    if not path.exists():
        raise SystemExit(f"`--file` or SYMFLOW_TRUTH must name a catalogue, got {path}")
    entries = Known.read(path)[:: 10 if arguments.quick else 1]
    server = Server(arguments.limit)
    runs: list[dict[str, Any]] = []
    for known in entries:
        answer = server.answer(known)
        about = {"name": known.name, "equation": known.equation, "due": known.due}
        runs.append(about | {"outcome": outcome(known, answer)} | answer)
        print("  ".join(map(str, row(runs[-1]))), file=sys.stderr, flush=True)
    server.close()
    answered = [run for run in runs if run["outcome"] not in ("refused", "broken")]
    if not answered:
        raise SystemExit("not one equation was answered")
    seconds = sorted(run["seconds"] for run in answered)
    used = sorted(run.get("cpu_seconds", arguments.limit) for run in answered)
    names = {run["name"] for run in answered if run["outcome"] != "late"}
    some = [known for known in entries if known.name in names]
    whole = whole_commands(some[:: max(len(some) // (3 if arguments.quick else WHOLE), 1)], 1 if arguments.quick else 3)
    torch = whole.pop("")
    beyond = statistics.median(whole.values()) - torch
    counts = Counter(run["outcome"] for run in runs)
    summary = {
        "equations": len(runs),
        "outcomes": dict(sorted(counts.items())),
        "answered": len(answered),
        "median": statistics.median(seconds),
        "share_short": sum(s < SHORT for s in seconds) / len(seconds),
        "slowest": seconds[-1],
        "cpu_median": statistics.median(used),
        "cpu_share_short": sum(s < SHORT for s in used) / len(used),
        "cpu_slowest": used[-1],
        "import_torch": torch,
        "median_beyond_torch": beyond,
    }
    print_table(("equation", "outcome", "due", "got", "s"), [row(run) for run in runs if run["outcome"] != "right"])
    print()
    slowest = sorted(answered, key=lambda run: -run["seconds"])[:10]
    print_table(("slowest", "outcome", "due", "got", "s"), [row(run) for run in slowest])
    print()
    print_table(("what", "measured"), [(k, f"{v:.3g}" if isinstance(v, float) else v) for k, v in summary.items()])
    targets = print_targets(
        [(f"share of equations that take less than {SHORT:g} s", summary["share_short"], SHARE)],
        [
            ("an equation alone, whole command: s more than an import of torch, median", beyond, BEYOND),
            ("slowest of the equations, s", seconds[-1], LIMIT),
        ],
    )
    content = {"summary": summary, "targets": targets, "slowest": [run["name"] for run in slowest], "whole": whole}
    write_results("catalogue", content | {"runs": runs}, arguments.out)


if __name__ == "__main__":
    main()

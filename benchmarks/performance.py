"""The page of speed, from what the benchmarks wrote: every target beside its figure, and which are missed.

``python benchmarks/performance.py [FOLDER] [--page docs/performance.md]``. A benchmark leaves its targets in its JSON
(`_common.print_targets`); here they are put together, with the machine that each was measured on. What has not been run
is said to be so.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from _common import RESULTS, print_table, replace_table

HEADER = ("benchmark", "figure", "measured", "target", "", "machine")
GPU = "gpu"


def rows(folder: Path) -> list[tuple[str, ...]]:
    """A row for each target of each result."""
    found: list[tuple[str, ...]] = []
    for path in sorted(folder.rglob("*.json")):
        content = json.loads(path.read_text())
        for target in content.get("targets", []) if isinstance(content, dict) else []:
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.append((name, *_figures(target), _machine(content["machine"])))
    return found


def _figures(target: dict[str, Any]) -> tuple[str, str, str, str]:
    least, most = target.get("at_least"), target.get("at_most")
    goal = f"at least {least:.3g}" if least is not None else f"at most {most:.3g}"
    return target["target"], f"{target['measured']:.3g}", goal, "met" if target["met"] else "**missed**"


def _machine(told: dict[str, Any]) -> str:
    name = told.get("gpu") or told["cpu"]
    cores = "" if told.get("gpu") else f", {told['cores']} cores"
    return f"{name}{cores}" + (f", {told['isa']}" if told.get("isa") else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, help="a page between whose marks the table is put")
    arguments = parser.parse_args()
    found = rows(arguments.folder)
    print_table(HEADER, found)
    missed = sum(row[4] != "met" for row in found)
    print(f"{len(found)} targets, {missed} missed")
    if not list(arguments.folder.glob(f"{GPU}/*.json")):
        print("on a GPU: not run")
    if arguments.page is not None:
        replace_table(arguments.page, "performance", HEADER, found)


if __name__ == "__main__":
    main()

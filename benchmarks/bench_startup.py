"""Start-up: what an import or the help of a command takes, beside the libraries under it.

Every figure is the median wall time of processes of their own, started in turn, so that another load meets all alike.
"""

from __future__ import annotations

from _common import medians, options, print_table, print_targets, process, write_results

IMPORTS = {
    "numpy": "import numpy",
    "torch": "import torch",
    "symflow": "import symflow",
    "symflow.pde": "import symflow.pde",
    "pde.discover": "from symflow.pde import discover",
    "symflow.flow": "from symflow import flow",
}
HELP = ([], ["discover"], ["generate"], ["augment"], ["train-operator"], ["discover-images"], ["train-classifier"])
TARGETS = {"symflow": ("numpy", 1.5), "symflow.pde": ("torch", 1.4), "pde.discover": ("torch", 1.4)}
"""The most that each may take, in units of another; help may take three times numpy."""


def main() -> None:
    arguments = options(__doc__, "three rounds").parse_args()
    calls = {name: lambda code=code: process("-c", code) for name, code in IMPORTS.items()}
    helps = {" ".join(["symflow", *words, "--help"]): words for words in HELP}
    calls |= {name: lambda words=words: process("-m", "symflow", *words, "--help") for name, words in helps.items()}
    seconds = medians(calls, rounds=3 if arguments.quick else 9)
    targets = TARGETS | dict.fromkeys(helps, ("numpy", 3.0))
    records = [{"what": name, "seconds": taken} for name, taken in seconds.items()]
    print_table(("what", "s"), [(name, f"{taken:.2f}") for name, taken in seconds.items()])
    wanted = [(f"{name}: x {other}", seconds[name] / seconds[other], most) for name, (other, most) in targets.items()]
    write_results("startup", {"runs": records, "targets": print_targets((), wanted)}, arguments.out)


if __name__ == "__main__":
    main()

"""The dependencies of pyproject.toml at one end of what they admit: ``bounds.py oldest|newest``, a line for pip.

torch is left out: the pinned one is used, for the extension is compiled against it.
"""

import re
import sys
from pathlib import Path

LEFT = ("torch",)


def main() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    (listed,) = re.findall(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    found = []
    for requirement in re.findall(r'"([^"]+)"', listed):
        name, _, least = requirement.partition(">=")
        if name.strip() in LEFT:
            continue
        found.append(f"{name}=={least}" if sys.argv[1] == "oldest" and least else name)
    print(*found)


if __name__ == "__main__":
    main()

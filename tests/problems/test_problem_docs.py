"""The examples of docs/problems.md run as they stand, and hold the answers that the page states."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "problems.md"
BLOCKS = re.findall(r"^## (.*?)$|```python\n(.*?)```", PAGE.read_text(), re.DOTALL | re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    """Blocks by the heading above them."""
    heading, found = "first", []
    for title, block in BLOCKS:
        heading = title or heading
        if block:
            found.append((heading, block))
    return found


@pytest.mark.parametrize(("heading", "block"), [pytest.param(*e, id=e[0]) for e in examples()])
def test_example(heading, block):
    assert "assert " in block
    exec(compile(block, f"{PAGE}: {heading}", "exec"), {"__name__": "example"})


def test_all_examples_are_found():
    assert [heading for heading, _ in examples()] == [
        "first",
        "Momenta",
        "Learned functions",
        "Finite differences of one's own",
        "A flow map",
        "A cloud of points",
        "The package's own scores",
        "Residuals that cannot be used",
    ]

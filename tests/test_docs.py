"""The examples of the documentation run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "kernels.md"
# A block that imports is a program; the others show signatures.
BLOCKS = [
    b for b in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if b.startswith(("import", "from"))
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[2][:40])
def test_examples_of_the_kernels(block):
    exec(compile(block, str(PAGE), "exec"), {"__name__": "example"})


def test_every_operation_has_an_example():
    assert len(BLOCKS) >= 6

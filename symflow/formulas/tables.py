"""Tables as text."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text


def text_table(columns: Sequence[str], rows: Iterable[Sequence[str]], width: int = 110) -> str:
    """A table for a terminal or a log: a line under the names of the columns, no colour, nothing cut off silently.

    Args:
        columns: their names; one that begins with ``>`` is set to the right.
        rows: a text for each column.
        width: characters of a line; longer texts are folded.

    >>> print(text_table(["", ">score"], [["dx", "1e-09"], ["t dx + du", "2e-09"]]))
                 score
     ─────────────────
     dx          1e-09
     t dx + du   2e-09
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(Text(name.removeprefix(">")), justify="right" if name.startswith(">") else "left")
    for row in rows:
        table.add_row(*map(Text, row))
    text = io.StringIO()
    # In a notebook rich would show the table by itself, and return no text.
    Console(file=text, width=width, color_system=None, force_jupyter=False).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())

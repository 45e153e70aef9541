"""Tables as plain text."""

from __future__ import annotations

import io

from rich.console import Console
from rich.table import Table


def plain(table: Table, width: int = 110) -> str:
    """A table of rich without colours, trailing blanks and empty lines.

    >>> from rich import box
    >>> table = Table("term", "u u_x", box=box.SIMPLE_HEAD, pad_edge=False)
    >>> table.add_row("value", "1")
    >>> print(plain(table).splitlines()[-1])
    value  1
    """
    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(table)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines() if line.strip())

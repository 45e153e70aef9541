"""Examples in docstrings, lines that begin with `>>>`, as blocks of code: Markdown would make quotations of them."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"^(?P<block>(?P<indent> *)>>> .*(?:\n(?P=indent)\S.*)*)", re.MULTILINE)


class Doctests(griffe.Extension):
    """Fences around examples."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """The text with its examples in fences.

    >>> print(fenced("One more.\\n\\n>>> 1 + 1\\n2"))
    One more.
    <BLANKLINE>
    ```pycon
    >>> 1 + 1
    2
    ```
    """
    return EXAMPLE.sub(lambda m: f"{m['indent']}```pycon\n{m['block']}\n{m['indent']}```", text)

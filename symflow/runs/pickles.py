"""Pickles of others, read as data: nothing that they name is called, and no size is trusted before it is bounded.

Python's own way to restrict a pickle admits functions by name and calls them. Here a name stands for itself (`Stand`),
with the arguments and the state that it was to be given; whoever reads the file makes of these what they describe.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Collection
from typing import Any

# What pickles of dictionaries, lists, texts, numbers and arrays are made of. The C unpickler trusts sizes and memo
# numbers, and hashes tuples of any depth, so these are bounded before it sees them.
_OPCODES = {
    "PROTO", "FRAME", "STOP", "MARK", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "SETITEM", "SETITEMS", "APPEND", "APPENDS", "BINPUT", "LONG_BINPUT", "MEMOIZE", "BINGET", "LONG_BINGET", "BININT",
    "BININT1", "BININT2", "LONG1", "BINFLOAT", "NONE", "NEWTRUE", "NEWFALSE", "BINSTRING", "SHORT_BINSTRING",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BINUNICODE", "SHORT_BINUNICODE", "GLOBAL", "STACK_GLOBAL", "REDUCE",
    "BUILD",
}  # fmt: skip
_MOST_MEMOS = 1 << 20
_MOST_TUPLES = 1 << 12

PERSISTENT = "persistent"
"""The name of what stands for an object outside the pickle, with its identifier as the argument."""


class Stand:
    """Stands for what a pickle names: keeps arguments, items and state, and does nothing.

    Attributes:
        name: that was asked for.
        arguments: that it was to be called with; ``None`` where it was not.
        items: that were to be put into it by key.
        state: that it was to be given.
    """

    __slots__ = ("arguments", "items", "name", "state")

    def __init__(self, name: str, arguments: tuple[Any, ...] | None = None) -> None:
        self.name, self.arguments = name, arguments
        self.items: dict[Any, Any] = {}
        self.state: Any = None

    def __call__(self, *arguments: Any) -> Stand:
        return Stand(self.name, arguments)

    def __setitem__(self, key: Any, value: Any) -> None:
        self.items[key] = value

    def __setstate__(self, state: Any) -> None:
        self.state = state


def unpickle(content: bytes, names: Collection[str], *, persistent: bool = False) -> Any:
    """The dictionaries, lists, texts and numbers of a pickle, and a `Stand` for each of the names.

    Args:
        content: of the file.
        names: that it may ask for, with their modules: ``"collections.OrderedDict"``. Texts of Python 2 are bytes.
        persistent: whether it may refer to objects outside; each is a `Stand` called `PERSISTENT`.

    Raises:
        pickle.UnpicklingError: it holds anything else.
        Exception: it is damaged, in whatever way the unpickler says so.

    >>> found = unpickle(pickle.dumps({"at": complex(1, 2)}), {"builtins.complex"})
    >>> found["at"].name, found["at"].arguments
    ('builtins.complex', (1.0, 2.0))
    >>> unpickle(pickle.dumps(print), {"builtins.complex"})
    Traceback (most recent call last):
    _pickle.UnpicklingError: it asks for builtins.print
    """

    class Reader(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if f"{module}.{name}" not in names:
                raise pickle.UnpicklingError(f"it asks for {module}.{name}")
            return Stand(f"{module}.{name}")

        def persistent_load(self, pid: Any) -> Any:
            return Stand(PERSISTENT, (pid,))

    _check(content, _OPCODES | {"BINPERSID"} if persistent else _OPCODES)
    return Reader(io.BytesIO(content), encoding="bytes").load()


def _check(content: bytes, opcodes: Collection[str]) -> None:
    tuples = 0
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name not in opcodes:
            raise pickle.UnpicklingError(f"it holds the instruction {opcode.name}")
        if opcode.name == "LONG_BINPUT" and int(argument or 0) >= _MOST_MEMOS:
            raise pickle.UnpicklingError(f"it numbers an object {argument}")
        tuples += opcode.name.startswith("TUPLE")
        if tuples > _MOST_TUPLES:
            raise pickle.UnpicklingError(f"it holds more than {_MOST_TUPLES} tuples")

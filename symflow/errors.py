"""The one exception that stands for a user's mistake, and the checks of numbers that every room makes."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from numbers import Integral
from pathlib import Path
from typing import Any


class UserError(Exception):
    """A mistake in what the user gave: arguments, files, equations.

    The message is one sentence that names the argument, what was expected and what came. The command line prints
    it without a traceback and exits with code 2.
    """


def is_singular(error: BaseException) -> bool:
    """Whether an error says that a linear system has no solution, as numpy and torch do.

    Neither need be imported to ask.
    """
    return any(kind.__name__ in ("LinAlgError", "_LinAlgError") for kind in type(error).__mro__)


def check_integer(
    name: str, value: Any, least: int, most: int | None = None, error: type[Exception] = UserError
) -> None:
    """Refuses what is no integer of a range; ``True`` is none.

    Args:
        name: of the argument.
        value: what came.
        least, most: the ends of the range, both in it; no end by default.
        error: what is raised: a `UserError` for what users give, a ``ValueError`` for calls.

    >>> check_integer("samples", 0, 1)
    Traceback (most recent call last):
    symflow.errors.UserError: `samples` must be an integer of at least 1, got 0
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise error(f"`{name}` must be an integer {limits}, got {value!r}")


def check_positive(**sizes: Any) -> None:
    """Refuses a call with a size below 1.

    Raises:
        ValueError: a size is no integer of at least 1.
    """
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, Integral):
            raise ValueError(f"`{name}` must be an integer of at least 1, got {size!r}")
        if size < 1:
            raise ValueError(f"`{name}` must be at least 1, got {size}")


def path_of(name: str, value: Any, otherwise: str = "") -> Path:
    """The path that an argument is, with ``~`` for the home of the user.

    Args:
        name: of the argument.
        value: what came.
        otherwise: what else it may be, or what makes it one, as the end of the sentence.

    Raises:
        UserError: it is none.

    >>> path_of("path", 3)
    Traceback (most recent call last):
    symflow.errors.UserError: `path` must be the path of a file or a folder, got int
    """
    if not isinstance(value, str | os.PathLike):
        raise UserError(f"`{name}` must be the path of a file or a folder, got {type(value).__name__}{otherwise}")
    return Path(value).expanduser()


def nearest(word: str, names: Iterable[str]) -> str:
    """The end of a sentence about a word that is none of some names: which of them it may have been.

    >>> nearest("burger", ["kdv", "burgers"]), nearest("wave", ["kdv"])
    ("; did you mean 'burgers'?", '')
    """
    lower = {name.lower(): name for name in names}
    close = get_close_matches(str(word).lower(), lower, n=1)
    return f"; did you mean {lower[close[0]]!r}?" if close else ""

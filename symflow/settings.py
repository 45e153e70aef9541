"""Settings once: one frozen dataclass for the arguments of a function and of the command above it.

The fields of the dataclass, with their types, defaults and docstrings, are what the function takes and what the command
line offers (tyro reads the same dataclass); no default is written twice.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from typing import Any, TypeVar

from symflow.errors import nearest

Returned = TypeVar("Returned")


def with_settings(settings: type, elsewhere: str = "") -> Callable[[Callable[..., Returned]], Callable[..., Returned]]:
    """Lets a function be called with the fields of a dataclass, or with ``settings=`` the whole of it.

    The function itself takes an instance as its argument ``settings``. Positional arguments beyond those before it fill
    the fields in their order.

    Args:
        settings: a frozen dataclass; what it raises for values out of range is what the call raises.
        elsewhere: where a name that is no argument may belong, for the sentence about one.

    Raises:
        TypeError: the call names no field, one twice, or both a field and ``settings``.

    >>> from dataclasses import dataclass
    >>> @dataclass(frozen=True)
    ... class Stretch:
    ...     factor: float = 2.0
    ...     offset: float = 0.0
    >>> @with_settings(Stretch)
    ... def stretched(value, settings):
    ...     return value * settings.factor + settings.offset
    >>> stretched(1.0), stretched(1.0, 3.0, offset=1.0), stretched(1.0, settings=Stretch(5.0))
    (2.0, 4.0, 5.0)
    """
    names = [f.name for f in fields(settings)]
    lists = {f.name for f in fields(settings) if "tuple[" in str(f.type)}

    def decorate(function: Callable[..., Returned]) -> Callable[..., Returned]:
        own = list(inspect.signature(function).parameters.values())
        place = [p.name for p in own].index("settings")
        own_names = {p.name for p in own}

        @functools.wraps(function)
        def call(*arguments: Any, **given: Any) -> Returned:
            before, rest = arguments[:place], arguments[place:]
            if len(rest) > len(names):
                raise TypeError(
                    f"{function.__name__}() takes at most {place + len(names)} positional arguments, got "
                    f"{len(arguments)}"
                )
            chosen = dict(zip(names, map(_plain, rest), strict=False))
            for name in [n for n in given if n in names]:
                if name in chosen:
                    raise TypeError(f"{function.__name__}() got two values of `{name}`")
                chosen[name] = _plain(given.pop(name))
            for name in given:
                if name not in own_names:
                    hint = nearest(name, [*names, *own_names]) or (elsewhere and f"; {elsewhere}")
                    raise TypeError(
                        f"{function.__name__}() has no argument `{name}`; it takes {', '.join(names)}{hint}"
                    )
            for name in lists & {*chosen}:
                if chosen[name] is not None and (
                    isinstance(chosen[name], str) or not isinstance(chosen[name], Iterable)
                ):
                    raise TypeError(f"`{name}` must be a list, got {chosen[name]!r}")
            if "settings" in given:
                if chosen:
                    raise TypeError(f"{function.__name__}() takes `settings` or {', '.join(chosen)}, not both")
                return function(*before, **given)
            return function(*before, settings=settings(**chosen), **given)

        signature = inspect.signature(settings)
        inserted = [p.replace(kind=p.POSITIONAL_OR_KEYWORD) for p in signature.parameters.values()]
        parameters = [*own[:place], *inserted, *own[place + 1 :]]
        call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            parameters, return_annotation=inspect.signature(function).return_annotation
        )
        return call

    return decorate


def _plain(value: Any) -> Any:
    """A number of numpy's as Python's, so that files can hold it."""
    return value.item() if type(value).__module__ == "numpy" and getattr(value, "shape", None) == () else value

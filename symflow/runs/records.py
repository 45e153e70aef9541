"""Records: a dataclass is the schema of its file.

`to_json` and `from_json` are each other's inverse; `write_record` and `read_record` do the same with a file. What is
read is checked to the last number: types, entries that are missing or unknown, numbers that are not finite, integers
beyond 64 bits, text that no file or terminal could hold. Whatever is wrong becomes one sentence that names the file,
the place, what was expected and what came.

Annotations may be made of ``None``, bool, int, float, str, ``Literal``, ``X | Y``, list, ``Sequence``, tuple, dict with
keys of text, ``Any`` for JSON as it is, and dataclasses. A field whose class is none of these says how it is written
(`As`), or that it is no part of the file (`ASIDE`).

Why these lines and no library: msgspec and pydantic were tried. msgspec writes numbers that are not finite as null;
pydantic takes 0.3 s to import, as long as all else a command needs to print its help. Neither leaves a field of a
dataclass out, and both describe a mistake in a form of their own. A result is read in a few milliseconds either way.
"""

from __future__ import annotations

import math
import os
import types
from collections import abc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache, partial
from inspect import signature
from pathlib import Path
from typing import Any, Generic, Literal, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

from symflow.errors import UserError

from .files import read_json, write_json

T = TypeVar("T")
R = TypeVar("R")

ASIDE: Mapping[str, Any] = {"aside": True}
"""Metadata of a field that is no part of the file; such a field has a default."""

Figure = NewType("Figure", float)
"""A number that may be infinite or none, as the loss of a training may be; in an annotation of a record.

Metrics and checkpoints hold such numbers, and integers as such; `write_json` refuses what is not finite, for JSON as
others read it has no such numbers."""

LARGEST = 2**63 - 1
WORDS: Mapping[Any, str] = {
    bool: "true or false",
    int: "an integer of at most 64 bits",
    float: "a finite number",
    Figure: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


@dataclass(frozen=True)
class As(Generic[T, R]):
    """Metadata ``{"as": As(...)}`` of a field that is written in another form than its own.

    Attributes:
        schema: the annotation of what is written.
        write: from a value to that; `None` is written as it is.
        read: back; it raises `ValueError`, `TypeError` or `UserError` for what makes no value.
    """

    schema: Any
    write: Callable[[T], R]
    read: Callable[[R], T]


class Mismatch(ValueError):
    """JSON that is no record of the schema; the message says where, what was expected and what came."""


def to_json(record: Any) -> Any:
    """A record as JSON values.

    >>> @dataclass(frozen=True)
    ... class Interval:
    ...     low: float
    ...     high: float | None
    >>> to_json([Interval(0.5, None)])
    [{'low': 0.5, 'high': None}]
    """
    if is_dataclass(record) and not isinstance(record, type):
        return {f.name: to_json(_written(f, getattr(record, f.name))) for f in _fields(type(record))}
    if isinstance(record, Mapping):
        return {key: to_json(value) for key, value in record.items()}
    if isinstance(record, list | tuple):
        return [to_json(value) for value in record]
    return record


def from_json(content: Any, schema: Any) -> Any:
    """The record that `to_json` made JSON of.

    Args:
        content: JSON values.
        schema: a dataclass, or another annotation.

    Raises:
        Mismatch: the content is none.

    >>> @dataclass(frozen=True)
    ... class Interval:
    ...     low: float
    ...     high: float | None
    >>> from_json({"low": 1, "high": None}, Interval)
    Interval(low=1.0, high=None)
    >>> from_json({"low": "1", "high": None}, Interval)
    Traceback (most recent call last):
    symflow.runs.records.Mismatch: `low` must be a finite number, got '1'
    """
    try:
        return _read(content, schema, "")
    except RecursionError:
        raise Mismatch("the record must not be nested so deeply") from None


def write_record(path: str | Path, record: Any) -> None:
    """Writes a record as JSON, whole or not at all."""
    write_json(path, to_json(record))


def read_record(path: str | Path, schema: Any, expected: str = "be a record of symflow") -> Any:
    """The record of a file.

    Raises:
        UserError: there is no such file, or it holds something else.
    """
    content = read_json(path)
    with refusing(path, expected):
        return from_json(content, schema)


@contextmanager
def refusing(path: str | os.PathLike[str], expected: str) -> Iterator[None]:
    """Turns every error that bad content can cause into one sentence: the file must `expected`, got something else."""
    try:
        yield
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, UserError) as e:
        reason = f"there is no {e}" if isinstance(e, KeyError) else " ".join(str(e).split())  # some have several lines
        raise UserError(f"{str(path)!r} must {expected}, got something else: {reason}") from None


@cache
def _fields(schema: type) -> tuple[Field[Any], ...]:
    """The fields of a dataclass that are part of its file."""
    return tuple(f for f in fields(schema) if f.name in signature(schema).parameters and not f.metadata.get("aside"))


@cache
def _annotations(schema: type) -> dict[str, Any]:
    return get_type_hints(schema)


def _written(f: Field[Any], value: Any) -> Any:
    other = f.metadata.get("as")
    return value if other is None or value is None else other.write(value)


def _read(content: Any, kind: Any, at: str) -> Any:
    """The value of an annotation; `at` is the place of the content in the whole, as ``generators[0].score``."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return _plain(content, at)
    if origin in (Union, types.UnionType):
        return _read_one_of(content, arguments, at)
    if origin is Literal:
        if not any(content == a and type(content) is type(a) for a in arguments):
            raise _mismatch(at, " or ".join(map(repr, arguments)), content)
        return content
    if origin in (list, abc.Sequence):
        return [_read(v, arguments[0], f"{at}[{i}]") for i, v in enumerate(_checked(content, list, at))]
    if origin is tuple:
        items = _checked(content, list, at)
        kinds = [arguments[0]] * len(items) if arguments[1:] == (...,) else list(arguments)
        if len(items) != len(kinds):
            raise _mismatch(at, f"a list of {len(kinds)}", content)
        return tuple(_read(v, k, f"{at}[{i}]") for i, (v, k) in enumerate(zip(items, kinds, strict=True)))
    if origin is dict:
        items = _checked(content, dict, at).items()
        return {_checked(name, str, at): _read(v, arguments[1], f"{at}.{name}") for name, v in items}
    if is_dataclass(kind):
        return _read_dataclass(_checked(content, dict, at), kind, at)
    return _checked(content, kind, at)


def _read_one_of(content: Any, kinds: Sequence[Any], at: str) -> Any:
    """By the first kind that fits; where none does, what the last one says."""
    if content is None and type(None) in kinds:
        return None
    *first, last = (k for k in kinds if k is not type(None))
    for kind in first:
        try:
            return _read(content, kind, at)
        except Mismatch:
            continue
    return _read(content, last, at)


def _read_dataclass(content: Mapping[str, Any], schema: Any, at: str) -> Any:
    hints, known = _annotations(schema), {f.name: f for f in _fields(schema)}
    for name, value in content.items():
        if name not in known:
            raise Mismatch(f"{_place(at)} must have no entry {name[:40]!r}, got {_shown(value)}")
    values = {}
    for name, f in known.items():
        place = f"{at}.{name}"
        if name in content:
            other = None if content[name] is None else f.metadata.get("as")
            value = _read(content[name], hints[name] if other is None else other.schema, place)
            values[name] = value if other is None else _made(partial(other.read, value), place)
        elif f.default is MISSING and f.default_factory is MISSING:
            raise Mismatch(f"{_place(at)} must have an entry {name!r}, got none")
    return _made(partial(schema, **values), at)


def _made(make: Callable[[], Any], at: str) -> Any:
    """What a class makes of values of the right types; it may still refuse them."""
    try:
        return make()
    except Mismatch:
        raise
    except (ValueError, TypeError, OverflowError, UserError) as error:
        raise Mismatch(f"{_place(at)} does not hold together: {error}") from None


def _checked(content: Any, kind: Any, at: str) -> Any:
    if kind in (float, Figure) and type(content) in (int, float):
        try:
            number = float(content)
        except OverflowError:
            number = math.inf
        if kind is Figure and type(content) is int and abs(content) <= LARGEST:
            return content  # what is written again has the same bits
        if kind is Figure or math.isfinite(number):
            return number
    elif (
        type(content) is kind and (kind is not int or abs(content) <= LARGEST) and (kind is not str or _whole(content))
    ):
        return content
    raise _mismatch(at, WORDS.get(kind, kind.__name__), content)


def _plain(content: Any, at: str) -> Any:
    """JSON as it is, every number finite."""
    if isinstance(content, dict):
        return {_checked(name, str, at): _plain(value, f"{at}.{name}") for name, value in content.items()}
    if isinstance(content, list):
        return [_plain(value, f"{at}[{i}]") for i, value in enumerate(content)]
    if type(content) in (int, float, str):
        return _checked(content, type(content), at)
    return content


def _whole(text: str) -> bool:
    """Whether a text is one: half a surrogate pair, which JSON may hold, is no character and cannot be written."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _mismatch(at: str, expected: str, content: Any) -> Mismatch:
    return Mismatch(f"{_place(at)} must be {expected}, got {_shown(content)}")


def _place(at: str) -> str:
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in at.removeprefix("."))
    return f"`{shown}`" if at else "the record"


def _shown(content: Any) -> str:
    """What came, short enough for a sentence."""
    if isinstance(content, list | dict):
        return ("an empty " if not content else "a ") + ("list" if isinstance(content, list) else "object")
    if isinstance(content, int) and abs(content) > LARGEST:
        return "one that is larger"
    text = repr(content)
    return text if len(text) <= 40 else f"{text[:36]}..."

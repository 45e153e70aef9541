"""The words after a command, looked through before tyro reads them, so that a mistake in them is one sentence.

tyro answers with a paragraph in a box. It would refuse the same words, which tests ask of both.
"""

from __future__ import annotations

import inspect
import re
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import tyro

from symflow.errors import UserError, nearest

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """What a command takes: an option, or a word that stands for itself.

    Attributes:
        name: as in Python.
        default: its value where nothing is said; `REQUIRED` where something must be.
        kind: the type of one word: str, int, float, bool or a path.
        choices: the words that there are, where they are listed.
        optional: whether None is a value.
        many: whether it takes any number of words.
        positional: whether it stands for itself, without its name.
        paired: of a flag, whether a `no-` before its name takes it back.
    """

    name: str
    default: Any
    kind: type
    choices: tuple[str, ...] = ()
    optional: bool = False
    many: bool = False
    positional: bool = False
    paired: bool = False

    @property
    def typed(self) -> str:
        """As it is typed, or asked for."""
        return self.name.upper() if self.positional else f"--{self.name.replace('_', '-')}"

    @property
    def expected(self) -> str:
        """What a word must be, for a sentence."""
        if self.choices:
            return _listed(self.choices, "or")
        return {int: "an integer", float: "a number", str: "a text"}.get(self.kind, "a path")

    def check(self, words: Sequence[str]) -> None:
        """Refuses words that are not its value.

        Raises:
            UserError: there is none, or one is of another kind.
        """
        if self.kind is bool:
            if words:
                raise UserError(f"`{self.typed}` takes no value, got {words[0]!r}")
        elif not words and not self.many:
            raise UserError(f"`{self.typed}` must be followed by {self.expected}")
        for word in words:
            if not (self.optional and word == "None"):
                self._check(word.strip())

    def _check(self, word: str) -> None:
        if self.choices and word not in self.choices:
            raise UserError(f"`{self.typed}` must be {self.expected}, got {word!r}{nearest(word, self.choices)}")
        try:
            if self.kind in (int, float):
                (int if self.kind is int else number)(word)
        except ValueError as error:
            why = f" ({error})" if self.kind is float else ""
            raise UserError(f"`{self.typed}` must be {self.expected}, got {word!r}{why}") from None


def parameters(function: Callable[..., Any]) -> Iterator[Parameter]:
    """What a function takes, with the fields of dataclasses in the place of these."""
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        if is_dataclass(parameter.default):
            inner = get_type_hints(type(parameter.default), include_extras=True)
            for field in fields(parameter.default):
                yield _parameter(field.name, getattr(parameter.default, field.name), inner[field.name])
        else:
            yield _parameter(name, parameter.default, hints[name])


def _parameter(name: str, default: Any, hint: Any) -> Parameter:
    marks: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *others = get_args(hint)
        marks = tuple(others)
    alternatives = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    (kind,) = (a for a in alternatives if a is not type(None))
    many = get_origin(kind) is tuple
    kind = get_args(kind)[0] if many else kind
    literal = get_origin(kind) is Literal
    return Parameter(
        name,
        default,
        str if literal else kind,
        choices=get_args(kind) if literal else (),
        optional=len(alternatives) > 1,
        many=many,
        positional=tyro.conf.Positional in marks,
        paired=kind is bool and tyro.conf.FlagCreatePairsOff not in marks,
    )


def check(function: Callable[..., Any], name: str, words: Sequence[str], example: str) -> None:
    """Refuses words that a function does not take.

    Args:
        function: what is called with them.
        name: the command as it is typed, `symflow discover`.
        words: what follows it.
        example: a command that is whole, for the sentence about what is missing.

    Raises:
        UserError: an option does not exist, lacks its value or has a wrong one; a word stands where none is taken; what
            must be said is not.
    """
    if {"-h", "--help"} & {*words}:
        return
    known = [*parameters(function)]
    options = _by_name(known)
    places = deque(p for p in known if p.positional)
    rest, given, flag = deque(words), set(), None
    while rest:
        word = rest.popleft()
        values = [word]
        if _is_option(word):
            option, assigned, value = word.partition("=")
            parameter = options.get(option.replace("_", "-"))
            if parameter is None:
                hint = nearest(option, options) or f"; `{name} --help` lists them"
                raise UserError(f"`{name}` has no option {option!r}{hint}")
            values, flag = [value] if assigned else [], option if parameter.kind is bool else None
        elif flag is not None and not places:
            raise UserError(f"`{flag}` takes no value, got {word!r}")
        elif not places:
            raise UserError(
                f"`{name}` does not take the word {word!r} there; a formula with spaces stands in quotation marks, and "
                "an option begins with --"
            )
        else:
            parameter, flag = places.popleft(), None
        while rest and not _is_option(rest[0]) and parameter.kind is not bool and (parameter.many or not values):
            values.append(rest.popleft())
        parameter.check(values)
        given.add(parameter.name)
    missing = [p.typed for p in known if p.default is REQUIRED and p.name not in given and not p.many]
    if missing:
        raise UserError(f"`{name}` needs {_listed([f'`{m}`' for m in missing], 'and')}, as in: {example}")


def _is_option(word: str) -> bool:
    """Whether a word names an option, and is no value such as ``-1``."""
    return re.match("--|-[a-zA-Z]$", word) is not None


def _by_name(known: Sequence[Parameter]) -> dict[str, Parameter]:
    """Options by what is typed for them."""
    found = {p.typed: p for p in known if not p.positional}
    found |= {p.typed.replace("--", "--no-", 1): p for p in known if p.paired}
    return found | {"-v": found["--verbose"]}


def _listed(names: Sequence[str], word: str) -> str:
    """``a, b or c``."""
    return f" {word} ".join([*([", ".join(names[:-1])] if len(names) > 1 else []), names[-1]])


def number(text: str) -> float:
    """A number, or a formula of numbers.

    Raises:
        ValueError: it is none.

    >>> number("0.5"), number("−2e3"), number("2*pi")
    (0.5, -2000.0, 6.283185307179586)
    """
    try:
        return float(text.replace("−", "-"))
    except ValueError:
        from symflow.formulas import expressions

        try:
            return float(expressions.parse(text, {}))
        except UserError as error:
            raise ValueError(str(error)) from None

"""The options that every command has, and what they are read from: words, a file, numbers as people write them.

A command is a function that gives an `Answer`; the command line offers it with `Output` beside its own parameters.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro
from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from symflow.console import Answer
from symflow.errors import UserError, nearest
from symflow.words import REQUIRED, check, number, parameters

Command = Callable[..., Answer]

ASIDE = ("command", "identity")  # entries of a configuration that are no options
WHERE = ("out", "resume", "force")  # options that belong to one call, and not to what it asks


@dataclass(frozen=True)
class Output:
    """How a command answers; the same for all of them.

    Attributes:
        json: print the answer as one JSON object (docs/commands.md) on the standard output.
        quiet: no progress and no notes on the standard error.
        verbose: every step with its time, and where in the code a mistake was noticed.
        config: a JSON object with options by name, such as --save-config writes and a run directory has; what is typed
            beside it counts more.
        save_config: write what is asked to a file that --config reads.
    """

    json: FlagCreatePairsOff[bool] = False
    quiet: FlagCreatePairsOff[bool] = False
    verbose: Annotated[FlagCreatePairsOff[bool], tyro.conf.arg(aliases=["-v"])] = False
    config: Path | None = None
    save_config: Path | None = None


@dataclass(frozen=True)
class Asked:
    """A command with what it was given."""

    command: Command
    arguments: dict[str, Any]
    output: Output

    def answer(self) -> Answer:
        """Carries it out."""
        return self.command(**self.arguments)

    def configuration(self) -> dict[str, Any]:
        """What was asked, by the names of the options, JSON values; where to is left out."""
        flat: dict[str, Any] = {"command": name_of(self.command)}
        for name, value in self.arguments.items():
            if name not in WHERE:
                flat |= (
                    {f.name: getattr(value, f.name) for f in fields(value)} if is_dataclass(value) else {name: value}
                )
        return {name: json.loads(json.dumps(value, default=str)) for name, value in flat.items()}


def name_of(command: Command) -> str:
    """How a command is typed."""
    return command.__name__.replace("_", "-")


def ask(command: Command, words: Sequence[str]) -> Asked:
    """What words ask of a command; help ends the process.

    Raises:
        UserError: the command does not take them, or `--config` names no file with options of it.
    """
    name, call = f"symflow {name_of(command)}", offered(command)
    given = [_as_value(word) for word in _with_file(command, list(words))]
    check(call, name, given, examples(command)[0])
    with _values():
        asked: Asked = tyro.cli(call, prog=name, description=description(command), args=given)
    return asked


def _as_value(word: str) -> str:
    """A word that begins with a minus and names no option, as ``-u_t + u_xx = 0``, so that it is not taken for one."""
    return f" {word}" if re.fullmatch("-[^-].+", word, re.DOTALL) else word


def offered(command: Command) -> Callable[..., Asked]:
    """A function with the parameters of a command and those of `Output`, as tyro reads them."""
    hints = get_type_hints(command, include_extras=True)
    own = inspect.signature(command).parameters.values()

    def call(*given: Any, output: Output, **named: Any) -> Asked:
        names = [p.name for p in own]
        asked = dict(zip(names, given, strict=False)) | named
        return Asked(command, {k: v.lstrip() if isinstance(v, str) else v for k, v in asked.items()}, output)

    for parameter in parameters(command):
        if parameter.positional:  # by its name in the usage, not by its type
            hints[parameter.name] = Annotated[hints[parameter.name], tyro.conf.arg(metavar=parameter.typed)]
    hints |= {"output": OmitArgPrefixes[Output], "return": Asked}
    taken = [p.replace(annotation=hints[p.name]) for p in own]
    taken.append(
        inspect.Parameter("output", inspect.Parameter.KEYWORD_ONLY, default=Output(), annotation=hints["output"])
    )
    call.__name__, call.__doc__, call.__annotations__ = command.__name__, _flowing(inspect.getdoc(command) or ""), hints
    call.__signature__ = inspect.Signature(taken)  # type: ignore[attr-defined]
    return call


def _flowing(docstring: str) -> str:
    """Its arguments a line each: tyro keeps the ends of lines."""
    return re.sub(r"\n {8,}(?=\S)", " ", docstring)


def description(command: Command) -> str:
    """What stands at the head of a command's help: its docstring down to the arguments, and its examples."""
    text = inspect.getdoc(command) or ""
    head = text.partition("\nArgs:")[0].partition("\nExamples:")[0].strip()
    return "\n\n".join([head, "\n".join(["examples:", *(f"  {line}" for line in examples(command))])])


def examples(command: Command) -> list[str]:
    """What its docstring shows being typed, a line each."""
    section = (inspect.getdoc(command) or "").partition("\nExamples:\n")[2].partition("\n\n")[0]
    return [line.strip() for line in section.splitlines()]


# ---- options from a file --------------------------------------------------------------------------------------------


def _with_file(command: Command, words: list[str]) -> list[str]:
    """The words, after those that the file of `--config` stands for."""
    for i, word in enumerate(words):
        option, _, name = word.partition("=")
        if option == "--config":
            file = name or (words[i + 1] if i + 1 < len(words) else "")
            if not file:
                raise UserError("`--config` must be followed by the name of a file")
            own = bool(words) and not words[0].startswith("-")
            return [*([words[0]] if own else []), *_from_file(command, Path(file), own), *words[own:]]
    return words


def _from_file(command: Command, path: Path, positional: bool) -> list[str]:
    """Words for the entries of a file; what has its default value needs none."""
    from symflow.runs import CONFIG, read_record

    file = path / CONFIG if path.is_dir() else path
    content: dict[str, Any] = read_record(file, dict[str, Any], "be a configuration, a JSON object of options by name")
    of = content.get("command", name_of(command))
    if of != name_of(command):
        raise UserError(f"`--config` must be of `symflow {name_of(command)}`, got one of {of!r} in {str(file)!r}")
    known, first = offers(command)
    words: list[str] = []
    for key, value in content.items():
        name = key.replace("-", "_")
        if name == first or (name == "data" and name not in known):
            words = words if positional or value is None else [str(value), *words]
        elif name in known:
            words += _words(name, value, known[name])
        elif name not in ASIDE:
            hint = nearest(name, known)
            raise UserError(f"`--config` names an option {key!r} that there is not, in {str(file)!r}{hint}")
    return words


def _words(name: str, value: Any, default: Any) -> list[str]:
    """What to type for an option."""
    option = f"--{name.replace('_', '-')}"
    if value == (list(default) if isinstance(default, tuple) else default) or value is None:
        return []
    if isinstance(value, bool):
        return [option if value else option.replace("--", "--no-", 1)]
    return [option, *map(str, value if isinstance(value, list) else [value])]


def offers(command: Command) -> tuple[dict[str, Any], str | None]:
    """The options of a command by name, with their defaults, and the name of what stands first."""
    known = [*parameters(command)]
    first = next((p.name for p in known if p.positional), None)
    return {p.name: None if p.default is REQUIRED else p.default for p in known if not p.positional}, first


# ---- words as values ------------------------------------------------------------------------------------------------


def _values() -> ConstructorRegistry:
    """Numbers may be written as `symflow.words.number` reads them, and what may be None shows what else it is."""
    registry = ConstructorRegistry()

    @registry.primitive_rule
    def optional(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        read: dict[type, Callable[[str], Any]] = {int: int, float: number, str: str, Path: Path}
        kind = next((k for k in read if info.type == k | None), None)
        if kind is None:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=kind.__name__.upper(),
            instance_from_str=lambda words: None if words == ["None"] else read[kind](words[0]),
            is_instance=lambda value: value is None or isinstance(value, kind),
            str_from_instance=lambda value: [str(value)],
        )

    @registry.primitive_rule
    def rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[float] | None:
        if info.type is not float:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar="FLOAT",
            instance_from_str=lambda words: number(words[0]),
            is_instance=lambda value: isinstance(value, float | int),
            str_from_instance=lambda value: [f"{value:g}"],
        )

    return registry

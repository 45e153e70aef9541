"""Tables of the records that files are made of, from the dataclasses and what their docstrings say of each field."""

from __future__ import annotations

import ast
import re
from pathlib import Path


def table(root: Path, name: str) -> str:
    """A record as Markdown: its fields in order, with type and meaning.

    Raises:
        ValueError: there is no such class, or a field has no sentence, so that the page would be silent about it.
    """
    module, _, record = name.rpartition(".")
    tree = ast.parse(root.joinpath(*module.split(".")).with_suffix(".py").read_text())
    found = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == record), None)
    if found is None:
        raise ValueError(f"{module} has no class {record}")
    sentences = attributes(ast.get_docstring(found) or "")
    rows = []
    for node in found.body:
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        kind = ast.unparse(node.annotation)
        if kind.startswith("ClassVar") or (node.value and "ASIDE" in ast.unparse(node.value)):
            continue  # of the class; kept in a file of its own
        if node.target.id not in sentences:
            if name.endswith(".Generator") or rows:  # refines what the class above it says
                continue
            raise ValueError(f"{name}.{node.target.id} is not described")
        shown = kind.replace("|", "\\|")
        rows.append(f"| `{node.target.id}` | `{shown}` | {sentences[node.target.id]} |")
    return "\n".join([f"**{record}**", "", "| field | type | meaning |", "| --- | --- | --- |", *rows])


def attributes(docstring: str) -> dict[str, str]:
    """The entries of the section `Attributes:`, by name.

    >>> attributes("A.\\n\\nAttributes:\\n    one: of two\\n        lines.\\n    two: short.")
    {'one': 'of two lines.', 'two': 'short.'}
    """
    found: dict[str, str] = {}
    for section in re.findall(r"^Attributes:\n((?:    .*\n?|\n)*)", docstring, re.MULTILINE):
        for name, text in re.findall(r"^    (\w+): ((?:.*)(?:\n {8}.*)*)", section, re.MULTILINE):
            found[name] = re.sub(r"\s+", " ", text).replace("``", "`").replace("|", "\\|")
    return found

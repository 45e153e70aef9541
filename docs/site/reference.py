"""The pages of the API reference: one for each package, with everything that its `__init__` lists for others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HIDDEN = ("symflow.pde.paper", "symflow.vision.paper", "symflow.reproduction")  # studies, not for others to call


@dataclass(frozen=True)
class Package:
    """A package with its first sentence and the full names of what it lists."""

    name: str
    sentence: str
    members: tuple[str, ...]


def packages(root: Path) -> Iterator[Package]:
    """Every package below a folder that holds the installed layout, `symflow/pde` inside `symflow`."""
    for file in sorted(root.rglob("__init__.py")):
        name = ".".join(file.parent.relative_to(root).parts)
        if name.startswith(HIDDEN) or "._" in name:
            continue
        text = ast.get_docstring(ast.parse(file.read_text())) or ""
        members = tuple(sorted({_defined(root, name, m) for m in _listed(root, name)} - {""}, key=_order))
        yield Package(name, text.split("\n\n")[0].replace("\n", " "), members)


def pages(root: Path) -> dict[str, tuple[Package, str]]:
    """Markdown for mkdocstrings to fill in, by the name of the package.

    What several packages list is described once, by the one nearest to its definition; the others link there.
    """
    found = [p for p in packages(root) if p.members]
    home: dict[str, str] = {}
    for package in found:
        for member in package.members:
            if member.startswith(f"{package.name}.") and len(package.name) > len(home.get(member, "")):
                home[member] = package.name
    made = {}
    for package in found:
        own = [m for m in package.members if home.get(m) == package.name]
        elsewhere = [m for m in package.members if m in home and home[m] != package.name]
        lines = [f"# {package.name}", "", package.sentence, ""]
        if elsewhere:
            lines += ["| name | described in |", "| --- | --- |"]
            lines += [f"| [`{m.rpartition('.')[2]}`][{m}] | [`{home[m]}`]({home[m]}.md) |" for m in elsewhere] + [""]
        for member in (m for m in own if _alone(root, m)):
            lines += [f"::: {member}", ""]
        if together := [m for m in own if not _alone(root, m)]:
            lines += ["Beside these: " + ", ".join(f"`{m}`" for m in together) + ".", ""]
        made[package.name] = (package, "\n".join(lines))
    return made


def _alone(root: Path, member: str) -> bool:
    """Whether a name is defined by itself; of several that are unpacked at once mkdocstrings knows none."""
    module, _, name = member.rpartition(".")
    tree = ast.parse(root.joinpath(*module.split(".")).with_suffix(".py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return True
        targets = (
            [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
        )
        if any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return True
    return False


def _order(name: str) -> tuple[int, str]:
    """Functions first, then classes, then constants, as their capitals tell."""
    last = name.rpartition(".")[2]
    return (2 if last.isupper() else 1 if last[0].isupper() else 0, last)


def _listed(root: Path, package: str) -> dict[str, tuple[str, str]]:
    """What a package lists, `from X import Y as Y`: by name, the module and the name there."""
    folder = root.joinpath(*package.split("."))
    stub = folder / "__init__.pyi"
    tree = ast.parse((stub if stub.exists() else folder / "__init__.py").read_text())
    found = {}
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom):
            continue
        above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
        module = ".".join([*above, *([node.module] if node.module else [])])
        found.update({a.asname: (module, a.name) for a in node.names if a.asname})
    return found


def _defined(root: Path, package: str, name: str) -> str:
    """Where what a package lists is defined: its full name; empty for packages and what is private."""
    module, inner = _listed(root, package)[name]
    if name.startswith("_") or module == package:
        return ""
    if root.joinpath(*module.split("."), "__init__.py").exists():
        return _defined(root, module, inner) if inner in _listed(root, module) else ""
    return f"{module}.{inner}"

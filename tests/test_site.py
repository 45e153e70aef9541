"""What the site makes from the sources without any tool of its own: tables of records, lists of packages."""

from __future__ import annotations

import importlib
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """The sources as they are installed."""
    folder = tmp_path_factory.mktemp("installed")
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "symflow", folder / "symflow", ignore=ignored)
    for domain in ("pde", "vision"):
        shutil.copytree(ROOT / domain, folder / "symflow" / domain, ignore=ignored)
    return folder


@pytest.fixture
def site(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "site"))
    for name in ("records", "reference"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def made(name: str) -> ModuleType:
    return importlib.import_module(name)


def test_every_record_of_the_formats_page_is_described(site, installed: Path) -> None:
    names = re.findall(r"<!-- record: (\S+) -->", (ROOT / "docs" / "formats.md").read_text())
    assert len(names) > 10
    for name in names:
        table = made("records").table(installed, name)
        module, _, record = name.rpartition(".")
        kind = getattr(importlib.import_module(module), record)
        described = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
        assert described <= set(kind.__dataclass_fields__), name
        assert described, name


def test_a_field_without_a_sentence_is_refused(site, tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text(
        'class A:\n    """A.\n\n    Attributes:\n        b: told.\n    """\n    a: int\n    b: int\n'
    )
    with pytest.raises(ValueError, match=r"some\.A\.a is not described"):
        made("records").table(tmp_path, "some.A")


def test_the_reference_lists_what_packages_list(site, installed: Path) -> None:
    """Each name is one that Python finds, and none of a front of the house is left out."""
    pages = made("reference").pages(installed)
    for package, text in pages.values():
        for member in package.members:
            module, _, name = member.rpartition(".")
            assert hasattr(importlib.import_module(module), name), member
            assert member in text or module.split(".")[-1].startswith("_"), member
    for front in ("symflow", "symflow.pde", "symflow.vision"):
        listed = {m.rpartition(".")[2] for m in pages[front][0].members}
        public = importlib.import_module(front)
        names = [n for n in public.__all__ if not n.startswith("_") and not isinstance(getattr(public, n), ModuleType)]
        assert set(names) <= listed


def test_a_name_has_one_home(site, installed: Path) -> None:
    described = [
        m for _, text in made("reference").pages(installed).values() for m in re.findall("^::: (.*)$", text, re.M)
    ]
    assert len(described) == len(set(described)) > 200

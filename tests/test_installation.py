"""What is installed under which name, and what is said where another project has taken the place."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import symflow
from symflow._version import namesake
from symflow.ops import _ext

ROOT = Path(__file__).parents[1]


def test_a_namesake_in_the_same_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "symflow_torch-0.2.0.dist-info").mkdir()
    assert namesake(tmp_path) is None
    (tmp_path / "symflow-0.1.0.dist-info").mkdir()
    sentence = namesake(tmp_path)
    assert sentence is not None
    assert "symflow 0.1.0 of another project" in sentence
    assert "pip uninstall symflow" in sentence


def test_importing_beside_a_namesake_warns(tmp_path: Path) -> None:
    (tmp_path / "symflow").symlink_to(ROOT / "symflow")
    (tmp_path / "symflow-0.1.0.dist-info").mkdir()
    command = [sys.executable, "-S", "-c", "import symflow"]
    # A stand-in for lazy_loader, so that nothing is imported from elsewhere: only this folder is on the path.
    (tmp_path / "lazy_loader.py").write_text("def attach_stub(*_):\n    return None, None, []\n")
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "RuntimeWarning: the package symflow 0.1.0 of another project" in answer.stderr


def test_one_version_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {symflow.__version__}\n" in citation
    released = re.search(r"date-released: \"(\S+)\"", citation)
    assert released is not None
    assert f"## [{symflow.__version__}] - {released[1]}\n" in (ROOT / "CHANGELOG.md").read_text()


def pins(text: str) -> set[tuple[str, str, str]]:
    """Name, version and marker of every line of requirements, as they compare."""
    found = set()
    for line in re.findall(r"^[A-Za-z].*", text, re.MULTILINE):
        requirement = Requirement(line.removesuffix("\\").strip())
        marker = str(requirement.marker or "").replace("python_full_version", "python_version")
        found.add((canonicalize_name(requirement.name), str(requirement.specifier), marker))
    return found


def test_the_lock_has_the_pinned_packages_with_hashes() -> None:
    """All but torch; `make lock` writes it."""
    pinned = pins((ROOT / "constraints.txt").read_text())
    lock = (ROOT / "constraints.lock").read_text()
    assert {p for p in pinned if p[0] != "torch"} == pins(lock)
    blocks = re.split(r"\n(?=[A-Za-z])", lock)[1:]
    assert len(blocks) == len(pinned) - 1
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)
    assert "file:" not in lock


def test_the_extension_keeps_to_the_limited_interface() -> None:
    """Its name says so, and Python finds no other one before it."""
    if not _ext.built:
        return
    assert _ext._C.__file__.endswith(".abi3.so")
    major, minor = map(int, _ext.build_info()["oldest_torch"].split("."))
    assert f'"torch>={major}.{minor}"' in (ROOT / "pyproject.toml").read_text()


def test_how_it_was_compiled_may_be_missing(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "symflow._build", None)  # importing it then fails
    info = _ext.build_info()
    assert info["compilation"] is None
    assert info["built"] == _ext.built


def test_no_page_names_the_other_project_as_this_one() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.py")]
    pages += [p for room in ("symflow", "pde", "vision") for p in (ROOT / room).rglob("*.py")]
    for page in pages:
        assert not re.search(r"pip install '?symflow(?!-torch|_torch)[\[ '`]", page.read_text()), page

"""What an import may load: names come when they are asked for, and help needs none of the large libraries."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

LARGE = ("torch", "sympy", "matplotlib", "numpy", "scipy", "h5py")
COMMANDS = (
    "generate",
    "discover",
    "verify",
    "audit",
    "augment",
    "train-operator",
    "discover-images",
    "train-classifier",
    "report",
    "reproduce",
    "doctor",
)


def loaded(code: str) -> set[str]:
    """The modules that a new process has loaded after running the code."""
    script = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("package", ["symflow", "symflow.pde", "symflow.vision", "symflow.problems"])
def test_a_package_loads_nothing_large_until_a_name_is_asked_for(package: str) -> None:
    assert not loaded(f"import {package}").intersection(LARGE)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_loads_nothing_large(command: str) -> None:
    arguments = [command, "--help"] if command else ["--help"]
    assert not loaded(f"from symflow.cli import main; main({arguments})").intersection(LARGE)


def test_operations_do_without_the_compiler_of_torch_and_without_pictures() -> None:
    modules = loaded("from symflow import flow; from symflow.pde import discover")
    assert not modules.intersection(["torch._dynamo", "torch._inductor", "matplotlib", "tyro"])


@pytest.mark.parametrize("package", ["symflow", "symflow.pde", "symflow.vision", "symflow.problems"])
def test_every_name_that_is_announced_is_there(package: str) -> None:
    module = importlib.import_module(package)
    assert len(dir(module)) > 5
    for name in dir(module):
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = module.nothing

"""What a machine without a GPU can prove of the CUDA build: it links, loads and registers, or says what is wrong."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from cuda_compiler import nvcc

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(nvcc() is None, reason="needs the CUDA compiler nvcc")


def operators_with_glue() -> list[str]:
    """The operators that csrc/ops registers for GPUs: those of *_cuda.cpp, and in headers those for both processors."""
    folder = ROOT / "csrc" / "ops"
    texts = [p.read_text() for p in (*sorted(folder.glob("*_cuda.cpp")), *sorted(folder.glob("*.h")))]
    return [name for text in texts for name in re.findall(r'm\.impl\("(\w+)"', text)]


def copy_of_the_checkout(folder: Path) -> Path:
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    for part in ("csrc", "symflow", "pde", "vision"):
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    for part in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / part, folder / part)
    return folder


def setup(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "setup.py", *arguments]
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_the_extension_links_loads_and_registers(tmp_path):
    """With any torch, also one without CUDA."""
    folder = copy_of_the_checkout(tmp_path)
    done = setup(folder, "build_ext", "--inplace", SYMFLOW_CUDA="1", TORCH_CUDA_ARCH_LIST="9.0", MAX_JOBS="1")
    assert done.returncode == 0, done.stdout + done.stderr
    script = f"""
        import torch
        from symflow.ops import _ext

        assert _ext.built, _ext.problem
        assert _ext.cuda
        assert _ext.build_info()["cuda_architectures"] == ["9.0"]
        for name in {operators_with_glue()}:
            assert torch._C._dispatch_has_kernel_for_dispatch_key("symflow::" + name, "CUDA"), name
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(operators_with_glue()) >= 1


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SYMFLOW_CUDA": "yes"}, "SYMFLOW_CUDA must be auto, 1 or 0, got 'yes'."),
        ({"SYMFLOW_CUDA": "1", "TORCH_CUDA_ARCH_LIST": "hopper"}, "must list compute capabilities"),
    ],
)
def test_the_build_names_what_is_wrong(environment, message):
    done = setup(ROOT, "--version", **environment)
    assert done.returncode != 0
    assert message in done.stderr


@pytest.mark.skipif(torch.version.cuda is not None, reason="torch has CUDA")
@pytest.mark.parametrize("choice", ["auto", "0"])
def test_without_cuda_in_torch_kernels_are_left_out(choice):
    done = setup(ROOT, "--version", SYMFLOW_CUDA=choice)
    assert done.returncode == 0, done.stderr
    assert "CUDA: not part of this build" in done.stdout
    assert "_cuda.cpp" not in done.stdout

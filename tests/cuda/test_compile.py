"""What a machine without a GPU can prove of the CUDA build: it compiles, spills nothing, links and registers."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
KERNELS = sorted((ROOT / "csrc" / "cuda").glob("*.cu"))
ARCHITECTURES = ("80", "86", "89", "90", "100", "120")


def nvcc() -> str | None:
    return shutil.which("nvcc", path=f"{os.environ.get('PATH')}:{os.environ.get('CUDA_HOME')}/bin:/usr/local/cuda/bin")


pytestmark = pytest.mark.skipif(nvcc() is None, reason="needs the CUDA compiler nvcc")


def included(source: Path) -> set[Path]:
    """A file and all of ours that it includes."""
    found, new = set(), {source}
    while new:
        found |= new
        names = {(path, name) for path in new for name in re.findall(r'#include "(.+)"', path.read_text())}
        new = {(path.parent / name).resolve() for path, name in names} - found
    return found


def compile_report(source: Path, architectures, folder: Path) -> str:
    """Compiles one file with every warning an error; what ptxas says of its kernels.

    Minutes of compilation are spared while nothing that a kernel includes has changed: reports are kept in build/.
    """
    flags = ["-c", "-O3", "-std=c++20", "-fmad=false", "--Werror=all-warnings", "-Xptxas=-v"]
    flags += ["-Xcompiler=-Wall,-Wextra,-Werror", *(f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures)]
    version = subprocess.run([nvcc(), "--version"], capture_output=True, text=True, check=True).stdout
    content = hashlib.sha256(repr((flags, version)).encode())
    for path in sorted(included(source)):
        content.update(path.read_bytes())
    kept = ROOT / "build" / "ptxas" / f"{source.stem}-{content.hexdigest()}.txt"
    if not kept.exists():
        command = [nvcc(), *flags, str(source), "-o", str(folder / "kernels.o")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(done.stderr)
    return kept.read_text()


def resources(report: str) -> dict[tuple[str, str], tuple[int, int]]:
    """(kernel, architecture) -> (registers, bytes of spilled or indexed local memory)."""
    found = {}
    kernel = None
    for line in report.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)' for 'sm_(\d+)'", line):
            kernel = (match[1], match[2])
        elif kernel and (match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+)", line)):
            local = sum(map(int, match.groups()))
        elif kernel and (match := re.search(r"Used (\d+) registers", line)):
            found[kernel] = (int(match[1]), local)
            kernel = None
    return found


def assert_no_spills(source: Path, architectures, folder: Path) -> None:
    report = compile_report(source, architectures, folder)
    assert report.count("Compiling entry function") == len(resources(report))
    for (kernel, architecture), (registers, local) in resources(report).items():
        assert local == 0, f"{kernel} for {architecture} keeps {local} bytes in local memory ({registers} registers)"


@pytest.mark.parametrize("source", KERNELS, ids=lambda p: p.stem)
def test_compiles_strictly_without_spills(source, tmp_path):
    assert_no_spills(source, ["90"], tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("source", KERNELS, ids=lambda p: p.stem)
def test_every_architecture(source, tmp_path):
    assert_no_spills(source, ARCHITECTURES, tmp_path)


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

"""What a machine without a GPU can prove of the kernels: they compile without a warning, and spill nothing."""

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from cuda_compiler import nvcc

ROOT = Path(__file__).parents[2]
KERNELS = sorted((ROOT / "csrc" / "cuda").glob("*.cu"))
ARCHITECTURES = ("80", "86", "89", "90", "100", "120")


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

    Minutes of compilation are spared while nothing that a kernel includes has changed: reports are kept in build/, and
    serve for fewer architectures too.
    """
    flags = ["-c", "-O3", "-std=c++20", "-fmad=false", "--Werror=all-warnings", "-Xptxas=-v"]
    flags += ["-Xcompiler=-Wall,-Wextra,-Werror"]
    version = subprocess.run([nvcc(), "--version"], capture_output=True, text=True, check=True).stdout
    content = hashlib.sha256(repr((flags, version)).encode())
    for path in sorted(included(source)):
        content.update(path.read_bytes())
    kept = ROOT / "build" / "ptxas" / f"{source.stem}-{content.hexdigest()}"
    for report in kept.glob("*.txt"):
        if {*architectures} <= {*report.stem.split("-")}:
            return report.read_text()
    flags += [f"-gencode=arch=compute_{a},code=sm_{a}" for a in architectures]
    command = [nvcc(), *flags, str(source), "-o", str(folder / "kernels.o")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept.mkdir(parents=True, exist_ok=True)
    (kept / f"{'-'.join(architectures)}.txt").write_text(done.stderr)
    return done.stderr


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
    found = resources(report)
    assert report.count("Compiling entry function") == len(found)
    assert not found or {*architectures} <= {architecture for _, architecture in found}
    for (kernel, architecture), (registers, local) in found.items():
        assert local == 0, f"{kernel} for {architecture} keeps {local} bytes in local memory ({registers} registers)"


@pytest.mark.parametrize("source", KERNELS, ids=lambda p: p.stem)
def test_compiles_strictly_without_spills(source, tmp_path):
    assert_no_spills(source, ["90"], tmp_path)


@pytest.mark.slow
@pytest.mark.nightly
@pytest.mark.parametrize("source", KERNELS, ids=lambda p: p.stem)
def test_every_architecture(source, tmp_path):
    assert_no_spills(source, ARCHITECTURES, tmp_path)

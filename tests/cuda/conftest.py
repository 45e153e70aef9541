"""Kernels of csrc/cuda on the host: compiled as plain C++ against the emulation of CUDA in tests/cuda/emulation."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor

from symflow.ops import _ext

ROOT = Path(__file__).parents[2]
SOURCES = Path(__file__).parent / "emulation"
MARGIN = 256  # bytes


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not (torch.cuda.is_available() and _ext.cuda):
        pytest.skip("needs a GPU and the kernels compiled for it")


class LaunchError(Exception):
    """The launcher or the emulation refused, with its reason."""


class Guarded:
    """A copy of a tensor with margins before and behind it, of bytes that are NaN in every floating-point type."""

    def __init__(self, tensor: Tensor) -> None:
        assert tensor.is_contiguous()
        self.tensor, count = tensor, tensor.numel() * tensor.element_size()
        self.buffer = torch.full((count + 2 * MARGIN,), 0xFF, dtype=torch.uint8)
        self.inside = self.buffer[MARGIN : MARGIN + count]
        self.inside.copy_(tensor.detach().flatten().view(torch.uint8))

    def pointer(self) -> ctypes.c_void_p:
        return ctypes.c_void_p(self.inside.data_ptr() if self.inside.numel() else None)

    def copy_back(self) -> None:
        self.tensor.detach().view(-1).view(torch.uint8).copy_(self.inside)
        assert (self.buffer[:MARGIN] == 0xFF).all(), "the kernel wrote before the beginning of an array"
        assert (self.buffer[-MARGIN:] == 0xFF).all(), "the kernel wrote behind the end of an array"


class Emulated:
    """The launchers of one library. A call copies its tensors into guarded memory and back.

    Tensors and None become pointers, integers int64_t, numbers double, sequences of numbers arrays of double.
    """

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        library.emulation_problem.restype = ctypes.c_char_p
        self.seed(0)

    def seed(self, seed: int) -> None:
        """Chooses another order of threads and blocks."""
        self.library.emulation_seed(ctypes.c_uint(seed))

    def shared_memory_limit(self, size: int) -> None:
        """The bytes of shared memory that a block may have."""
        self.library.emulation_shared_memory_limit(ctypes.c_int(size))

    def __call__(self, function: str, *arguments: object) -> None:
        guarded = {i: Guarded(a) for i, a in enumerate(arguments) if isinstance(a, Tensor)}
        error = getattr(self.library, function)(
            *(guarded[i].pointer() if i in guarded else _as_c(a) for i, a in enumerate(arguments))
        )
        if error != 0:
            problem = self.library.emulation_problem().decode()
            raise LaunchError(problem or f"{function} returned the CUDA error {error}")
        for g in guarded.values():
            g.copy_back()


def _as_c(argument: object) -> object:
    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, int):
        return ctypes.c_int64(argument)
    if isinstance(argument, float):
        return ctypes.c_double(argument)
    assert isinstance(argument, Sequence)
    return (ctypes.c_double * len(argument))(*argument)


@pytest.fixture(scope="session")
def emulated_library(tmp_path_factory):
    """``emulated_library(name)``: emulation/name.cpp, compiled once per session."""
    folder, libraries = tmp_path_factory.mktemp("emulation"), {}

    def library(name: str) -> ctypes.CDLL:
        if name not in libraries:
            path = folder / f"{name}.so"
            command = ["g++", "-std=c++20", "-O1", "-march=native", "-ffp-contract=off", "-fvisibility=hidden"]
            command += ["-U_FORTIFY_SOURCE"]  # its check of long jumps does not know coroutines
            if checks := os.environ.get("SYMFLOW_SANITIZE"):  # `make sanitize`
                command += [f"-fsanitize={checks}", "-fno-sanitize-recover=undefined", "-g"]
            command += ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-fPIC", "-shared"]
            if checks:  # g++ loses sight of what is set among the checks, and says so itself
                command += ["-Wno-maybe-uninitialized"]
            command += [f"-I{SOURCES}", f"-I{ROOT / 'csrc'}", str(SOURCES / f"{name}.cpp"), "-o", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            libraries[name] = ctypes.CDLL(str(path))
        return libraries[name]

    return library


@pytest.fixture
def emulated(emulated_library):
    """``emulated(name)``: the launchers of emulation/name.cpp."""
    if shutil.which("g++") is None:
        pytest.skip("the emulation of CUDA needs g++")
    return lambda name: Emulated(emulated_library(name))

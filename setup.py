"""Builds the extension `symflow._C`; everything else about the package is in pyproject.toml.

`_C` keeps to the limited interface of Python and the stable one of torch. `symflow._build`, how it was compiled, is
made with pybind11, where that is installed, and ties what is built to the Python at hand.

Environment variables:
    SYMFLOW_ABI3=1      leave `_build` out: a wheel for every Python from 3.10 on.
    SYMFLOW_SKIP_EXT=1  build no extension (documentation, source distributions); `flow` then runs in plain torch.
    SYMFLOW_DEBUG=1     -O0 -g, assertions on, warnings are errors.
    SYMFLOW_SANITIZE    what `make sanitize` compiles with: address,undefined or thread. It builds a copy in build/.
    SYMFLOW_CUDA        1 compiles the CUDA kernels, 0 leaves them out, and auto (the default) compiles them when torch
                        has CUDA and a toolkit is found. No GPU is needed to build, and with 1 no CUDA in torch.
    TORCH_CUDA_ARCH_LIST  compute capabilities to compile for, as in all of torch: "8.0;9.0+PTX".
    CUDA_HOME           the CUDA toolkit, when nvcc is neither on the PATH nor in /usr/local/cuda.
    MAX_JOBS            compile at most so many files at a time.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from setuptools import Extension, find_packages, setup

ROOT = Path(__file__).parent
# The oldest torch whose stable C++ interface the sources use; the library then loads with this and newer ones.
TORCH_TARGET = (2, 11)
# The oldest Python, as in pyproject.toml; torch compiles what keeps to the limited interface for this one.
PYTHON_TARGET = "cp310"
BUILD = "csrc/build.cpp"  # `symflow._build`
# Installed as subpackages of symflow, because `pde` alone would collide with the py-pde package.
DOMAINS = ("pde", "vision")
# From A100 to the cards of 2025; PTX lets later ones compile the last of these for themselves.
CUDA_ARCHITECTURES = "8.0;8.6;8.9;9.0;10.0;12.0+PTX"


def enabled(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")


def packages() -> list[str]:
    found = find_packages(include=["symflow", "symflow.*"])
    for domain in DOMAINS:
        if (ROOT / domain / "__init__.py").exists():
            found += [f"symflow.{domain}"] + [f"symflow.{domain}.{p}" for p in find_packages(domain)]
    return found


def cuda_toolkit() -> Path | None:
    """The folder of the CUDA toolkit. (torch looks for it only when torch itself has CUDA.)"""
    nvcc = shutil.which("nvcc")
    named = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH")]
    folders = [*named, Path(nvcc).resolve().parents[1] if nvcc else None, "/usr/local/cuda"]
    parts = ("bin/nvcc", "include/cuda_runtime.h")
    return next((Path(f) for f in folders if f and all((Path(f) / part).exists() for part in parts)), None)


def cuda_wanted(torch_cuda: str | None) -> Path | None:
    """The toolkit to compile the CUDA kernels with, or None to leave them out."""
    choice, toolkit = os.environ.get("SYMFLOW_CUDA", "auto"), cuda_toolkit()
    if choice not in ("auto", "1", "0"):
        raise SystemExit(f"SYMFLOW_CUDA must be auto, 1 or 0, got {choice!r}.")
    if choice == "1" and toolkit is None:
        raise SystemExit(
            "SYMFLOW_CUDA=1 asks for the CUDA kernels, but no CUDA toolkit, with nvcc and headers, was found: not in "
            "the folder that CUDA_HOME names, not around the nvcc on the PATH, not in /usr/local/cuda."
        )
    if choice == "0" or (choice == "auto" and torch_cuda is None):
        return None
    return toolkit


def cuda_targets() -> list[str]:
    """nvcc's flags for the architectures, e.g. "-gencode=arch=compute_90,code=sm_90"."""
    listed = os.environ.get("TORCH_CUDA_ARCH_LIST") or CUDA_ARCHITECTURES
    flags = []
    for entry in re.split(r"[;\s]+", listed.strip("; ")):
        match = re.fullmatch(r"(\d+)\.(\d[af]?)(\+PTX)?", entry)
        if match is None:
            raise SystemExit(
                f'TORCH_CUDA_ARCH_LIST must list compute capabilities, such as "8.0;9.0+PTX", got {entry!r}.'
            )
        name = match[1] + match[2]
        flags += [f"-gencode=arch=compute_{name},code=sm_{name}"]
        flags += [f"-gencode=arch=compute_{name},code=compute_{name}"] if match[3] else []
    return flags


def extension() -> dict:
    """The `ext_modules`, the `cmdclass` and the `options` of the extensions."""
    try:
        import torch
        from torch.utils import cpp_extension
    except ImportError as error:
        raise SystemExit(
            f"symflow is compiled against the torch it will run with, which is missing here ({error}). Install it "
            "first and then run `pip install --no-build-isolation .`, or set SYMFLOW_SKIP_EXT=1."
        ) from error

    class Build(cpp_extension.BuildExtension):
        """Compiles in build/temp, so that a second editable install finds its objects: setuptools would give it a
        new temporary folder each time."""

        def finalize_options(self) -> None:
            super().finalize_options()
            self.build_temp = str(ROOT / "build" / "temp")

        def run(self) -> None:
            """Libraries of earlier builds go: of those of one name Python prefers one that is tied to its version, and
            what lies in the build folder would be in the wheel."""
            folders = [Path(self.build_lib) / "symflow"]
            if self.inplace or getattr(self, "editable_mode", False):
                folders.append(ROOT / "symflow")
            for old in (path for folder in folders for name in ("_C", "_build") for path in folder.glob(f"{name}.*so")):
                old.unlink()
            super().run()

    debug = enabled("SYMFLOW_DEBUG")
    major, minor = TORCH_TARGET
    flags = ["-O0", "-g", "-Werror"] if debug else ["-O3", "-g0"]
    # No fast-math and no contraction: which products are fused is written in the source, so bits do not depend on
    # the compiler's mood. No -march: one source is compiled per instruction set and chosen when running.
    sanitizers = os.environ.get("SYMFLOW_SANITIZE", "")
    checks = [f"-fsanitize={sanitizers}", "-fno-sanitize-recover=undefined"] if sanitizers else []
    flags = ["-O1", "-g", "-fno-omit-frame-pointer", *checks] if sanitizers else flags
    flags += ["-Wall", "-Wextra", "-fvisibility=hidden", "-ffp-contract=off"]
    flags += [f"-isystem{path}" for path in cpp_extension.include_paths()]
    # Debug code is so large that nvcc warns of it.
    cuda_flags = ["-O0", "-G"] if debug else ["-O3", "--Werror=all-warnings"]
    cuda_flags += ["-fmad=false", "-Xcompiler=-Wall,-Wextra,-Werror,-fvisibility=hidden"]
    macros = [("TORCH_TARGET_VERSION", f"0x{major:02x}{minor:02x}000000000000")]
    sources = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "csrc").rglob("*.cpp"))
    sources.remove(BUILD)
    libraries: dict[str, list[str]] = {}

    toolkit = cuda_wanted(torch.version.cuda)
    if toolkit is None:
        sources = [s for s in sources if not s.endswith("_cuda.cpp")]
    else:
        cpp_extension.CUDA_HOME = str(toolkit)  # torch without CUDA does not look for one
        sources += sorted(str(p.relative_to(ROOT)) for p in (ROOT / "csrc").rglob("*.cu"))
        flags += [f"-isystem{toolkit / 'include'}"]
        cuda_flags += cuda_targets()
        macros += [("SYMFLOW_WITH_CUDA", "1")]
        # The runtime library alone, never those of torch with CUDA: the library then loads with any torch.
        folders = [str(p) for p in (toolkit / "lib64", toolkit / "lib") if p.exists()]
        libraries = {"libraries": ["cudart"], "library_dirs": folders, "runtime_library_dirs": folders}

    shown = " ".join(f for f in flags if not f.startswith("-isystem"))
    build = [] if enabled("SYMFLOW_ABI3") else build_information(flags, shown, torch.__version__)
    print(f"symflow: building symflow._C{' and symflow._build' if build else ''}")
    for name, value in {
        "torch": f"{torch.__version__}, stable interface of {major}.{minor}",
        "compiler flags": shown,
        "CUDA": f"{toolkit}, {' '.join(cuda_flags)}" if toolkit else "not part of this build",
        "sources": " ".join(sources),
    }.items():
        print(f"symflow:   {name}: {value}")
    module = cpp_extension.CppExtension(
        "symflow._C",
        sources,
        depends=sorted(str(p.relative_to(ROOT)) for p in (ROOT / "csrc").rglob("*.h")),
        define_macros=macros,
        extra_compile_args={"cxx": flags, "nvcc": cuda_flags},
        extra_link_args=checks or ([] if debug else ["-s"]),
        py_limited_api=True,
        **libraries,
    )
    options: dict[str, dict[str, str]] = {} if build else {"bdist_wheel": {"py_limited_api": PYTHON_TARGET}}
    if toolkit is not None and enabled("SYMFLOW_ABI3"):
        options["egg_info"] = {"tag_build": "+cuda"}
    return {"ext_modules": [module, *build], "cmdclass": {"build_ext": Build}, "options": options}


def build_information(flags: list[str], shown: str, torch_version: str) -> list[Extension]:
    """`symflow._build`, where pybind11 is there to make it."""
    try:
        import pybind11
    except ImportError:
        return []
    return [
        Extension(
            "symflow._build",
            [BUILD],
            language="c++",
            include_dirs=[pybind11.get_include()],
            define_macros=[("SYMFLOW_FLAGS", f'"{shown}"'), ("SYMFLOW_TORCH", f'"{torch_version}"')],
            extra_compile_args={"cxx": [f for f in flags if not f.startswith("-isystem")], "nvcc": []},
            extra_link_args=["-s"],
        )
    ]


setup(
    packages=packages(),
    package_dir={"symflow": "symflow", **{f"symflow.{domain}": domain for domain in DOMAINS}},
    **({} if enabled("SYMFLOW_SKIP_EXT") else extension()),
)

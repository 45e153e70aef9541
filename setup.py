"""Builds the extension `symflow._C`; everything else about the package is in pyproject.toml.

Environment variables:
    SYMFLOW_SKIP_EXT=1  build no extension (documentation, source distributions); `flow` then runs in plain torch.
    SYMFLOW_DEBUG=1     -O0 -g, assertions on, warnings are errors.
    MAX_JOBS            compile at most so many files at a time.
"""

from __future__ import annotations

import os
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
# The oldest torch whose stable C++ interface the sources use; the library then loads with this and newer ones.
TORCH_TARGET = (2, 11)
# Installed as subpackages of symflow, because `pde` alone would collide with the py-pde package.
DOMAINS = ("pde", "vision")


def enabled(variable: str) -> bool:
    return os.environ.get(variable, "0") not in ("", "0")


def packages() -> list[str]:
    found = find_packages(include=["symflow", "symflow.*"])
    for domain in DOMAINS:
        if (ROOT / domain / "__init__.py").exists():
            found += [f"symflow.{domain}"] + [f"symflow.{domain}.{p}" for p in find_packages(domain)]
    return found


def extension() -> dict:
    """The `ext_modules` and `cmdclass` of the extension."""
    try:
        import pybind11
        import torch
        from torch.utils.cpp_extension import BuildExtension, CppExtension
    except ImportError as error:
        raise SystemExit(
            f"symflow is compiled against the torch it will run with, and torch or pybind11 is missing here ({error}). "
            "Install them first and then run `pip install --no-build-isolation .`, or set SYMFLOW_SKIP_EXT=1."
        ) from error

    class Build(BuildExtension):
        """Compiles in build/temp, so that a second editable install finds its objects: setuptools would give it a
        new temporary folder each time."""

        def finalize_options(self) -> None:
            super().finalize_options()
            self.build_temp = str(ROOT / "build" / "temp")

    debug = enabled("SYMFLOW_DEBUG")
    major, minor = TORCH_TARGET
    flags = ["-O0", "-g", "-Werror"] if debug else ["-O3", "-g0"]
    # No fast-math and no contraction: which products are fused is written in the source, so bits do not depend on
    # the compiler's mood. No -march: one source is compiled per instruction set and chosen when running.
    flags += ["-Wall", "-Wextra", "-fvisibility=hidden", "-ffp-contract=off"]
    flags += [f"-isystem{path}" for path in torch.utils.cpp_extension.include_paths()]
    flags += [f"-isystem{pybind11.get_include()}"]
    sources = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "csrc").rglob("*.cpp"))
    print("symflow: building symflow._C")
    for name, value in {
        "torch": f"{torch.__version__}, stable interface of {major}.{minor}",
        "compiler flags": " ".join(f for f in flags if not f.startswith("-isystem")),
        "CUDA": "not part of this build",
        "sources": " ".join(sources),
    }.items():
        print(f"symflow:   {name}: {value}")
    module = CppExtension(
        "symflow._C",
        sources,
        depends=sorted(str(p.relative_to(ROOT)) for p in (ROOT / "csrc").rglob("*.h")),
        define_macros=[("TORCH_TARGET_VERSION", f"0x{major:02x}{minor:02x}000000000000")],
        extra_compile_args=flags,
        extra_link_args=[] if debug else ["-s"],
    )
    return {"ext_modules": [module], "cmdclass": {"build_ext": Build}}


setup(
    packages=packages(),
    package_dir={"symflow": "symflow", **{f"symflow.{domain}": domain for domain in DOMAINS}},
    **({} if enabled("SYMFLOW_SKIP_EXT") else extension()),
)

"""Loads the compiled kernels `symflow._C`; without them everything still runs, in plain torch."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from typing import Any

import torch  # before _C, which is linked against the libraries that torch loads

_C: Any = None
problem: str | None = None
"""Why there are no kernels, as a sentence; None when there are."""

if importlib.util.find_spec("symflow._C") is None:
    problem = (
        "symflow was installed without its compiled kernels, so flows run in plain torch; "
        "`pip install --no-build-isolation .` in a checkout of symflow builds them"
    )
else:
    try:
        _C = importlib.import_module("symflow._C")
    except ImportError as error:
        problem = (
            f"the compiled kernels of symflow do not load with torch {torch.__version__} ({error}), so flows run in "
            "plain torch; `pip install --no-build-isolation --force-reinstall --no-deps .` rebuilds them"
        )
        warnings.warn(problem, RuntimeWarning, stacklevel=2)

built: bool = problem is None
"""Whether the operators ``torch.ops.symflow.*`` exist."""

cuda: bool = built and bool(_C.cuda_architectures())
"""Whether they were compiled for GPUs too."""


def build_info() -> dict[str, Any]:
    """What was compiled and what of it runs here, JSON-ready.

    >>> sorted(build_info())
    ['available_isas', 'built', 'compilation', 'compiled_isas', 'cuda_architectures', 'isa', 'oldest_torch', 'problem']

    `compilation` (compiler, standard, flags, versions) is None in wheels, which leave it out.
    """
    facts = ("oldest_torch", "compiled_isas", "available_isas", "isa", "cuda_architectures")
    return {
        "built": built,
        "problem": problem,
        **{fact: getattr(_C, fact)() if built else None for fact in facts},
        "compilation": compilation(),
    }


def compilation() -> dict[str, str] | None:
    """How the kernels were compiled; None where `symflow._build`, which is tied to one Python, is not installed."""
    try:
        build = importlib.import_module("symflow._build")
    except ImportError:
        return None
    return {fact: getattr(build, fact) for fact in ("compiler", "standard", "flags", "torch", "python")}

"""Where CUDA's compiler is."""

import os
import shutil


def nvcc() -> str | None:
    """Its path: by PATH, CUDA_HOME, or where CUDA puts it."""
    return shutil.which("nvcc", path=f"{os.environ.get('PATH')}:{os.environ.get('CUDA_HOME')}/bin:/usr/local/cuda/bin")

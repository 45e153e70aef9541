#!/usr/bin/env bash
# Everything for a machine with a GPU: build, tests, compute-sanitizer, benchmarks with a table and JSON.
#
#     benchmarks/gpu.sh [stage ...]      all of them: build tests slow-tests sanitize flow warp
#
# Each stage takes less than ten minutes and needs only the build. What it prints is added to
# benchmarks/results/gpu/STAGE.txt; the last line says what is complete and what failed. It uses the Python that PYTHON
# names (default: .venv/bin/python, or python3), with torch for CUDA, torchdiffeq and the dependencies of the package in
# it, and builds for the GPU it finds.
set -euo pipefail
source "$(dirname "$0")/_stages.sh"

results=benchmarks/results/gpu
mkdir -p runs
capability() { "$PYTHON" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())'; }

build() {
  "$PYTHON" -c 'import torch; assert torch.cuda.is_available(), "torch finds no GPU"
print(torch.__version__, torch.version.cuda, torch.cuda.get_device_name())'
  "$PYTHON" -c 'import pybind11, ninja' || "$PYTHON" -m pip install pybind11 ninja
  TORCH_CUDA_ARCH_LIST="${TORCH_CUDA_ARCH_LIST:-$(capability)}" SYMFLOW_CUDA=1 \
    "$PYTHON" -m pip install --disable-pip-version-check --no-build-isolation --no-deps -v -e . >runs/gpu-build.log 2>&1 ||
    { tail -n 60 runs/gpu-build.log; return 1; }
  "$PYTHON" -m symflow doctor
}

tests() { "$PYTHON" -m pytest -q -n 4 -m "not slow" -p no:cacheprovider; }

slow-tests() { "$PYTHON" -m pytest -q -n 4 -m slow -p no:cacheprovider tests/cuda tests/ops; }

sanitize() {
  local tool
  tool="$(command -v compute-sanitizer || ls /usr/local/cuda/bin/compute-sanitizer 2>/dev/null || true)"
  if [ -z "$tool" ]; then
    echo "compute-sanitizer is not installed here; stage left out"
    return
  fi
  # The tests that run on the device. torch's cached blocks would hide what lies between tensors, and without them it
  # captures no graphs.
  for check in memcheck racecheck; do
    echo "-- $check"
    PYTORCH_NO_CUDA_MEMORY_CACHING=1 "$tool" --tool "$check" --error-exitcode 1 --target-processes all \
      "$PYTHON" -m pytest -q -x -p no:cacheprovider -m "gpu and not slow" -k "not graph" tests/cuda
  done
}

flow() { "$PYTHON" benchmarks/bench_cuda.py --only flow --out "$results/flow.json"; }

warp() { "$PYTHON" benchmarks/bench_cuda.py --only warp --out "$results/warp.json"; }

carry_out "$results" "build tests slow-tests sanitize flow warp" "$@"

#!/usr/bin/env bash
# Everything for a machine with a GPU: build, tests, compute-sanitizer, benchmarks with a table and JSON.
#
#     benchmarks/gpu.sh [stage ...]      all of them: build tests flow warp kernels discover operator classifier
#                                        slow-tests sanitize
#
# The first eight are one visit of twelve minutes: LIMIT=SECONDS (default 120) bounds each but the build, and one that is
# stopped goes on when it is called again. They need only the build. SMOKE=1 rehearses them on the CPU, with the package as
# it is built. What a stage prints is added to benchmarks/results/gpu/STAGE.txt; the last line says what is complete and what
# failed. The Python is that which PYTHON names (default: .venv/bin/python, or python3), with torch for CUDA, torchdiffeq and
# the dependencies of the package in it; the build is for the GPU that is found.
set -euo pipefail
source "$(dirname "$0")/_stages.sh"

results=benchmarks/results/gpu
[ -z "${SMOKE:-}" ] || results=runs/gpu-smoke
export LIMIT="${LIMIT:-120}"
mkdir -p runs
capability() { "$PYTHON" -c 'import torch; print("%d.%d" % torch.cuda.get_device_capability())'; }

build() {
  [ -z "${SMOKE:-}" ] || { "$PYTHON" -m symflow doctor; return; }
  "$PYTHON" -c 'import torch; assert torch.cuda.is_available(), "torch finds no GPU"
print(torch.__version__, torch.version.cuda, torch.cuda.get_device_name())'
  "$PYTHON" -c 'import pybind11, ninja' || "$PYTHON" -m pip install pybind11 ninja
  TORCH_CUDA_ARCH_LIST="${TORCH_CUDA_ARCH_LIST:-$(capability)}" SYMFLOW_CUDA=1 \
    "$PYTHON" -m pip install --disable-pip-version-check --no-build-isolation --no-deps -v -e . >runs/gpu-build.log 2>&1 ||
    { tail -n 60 runs/gpu-build.log; return 1; }
  "$PYTHON" -m symflow doctor
}

# The tests on the device and those of the operations; all others say nothing about the GPU.
tests() { limited "$PYTHON" -m pytest -q -n 4 -m "not slow" -p no:cacheprovider tests/cuda ${SMOKE:+-k compile}; }

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

device() { [ -n "${SMOKE:-}" ] && echo --device cpu --quick; true; }

# shellcheck disable=SC2046
bench() { limited "$PYTHON" benchmarks/bench_cuda.py --only "$1" $(device) --out "$results/$1.json"; }

flow() { bench flow; }

warp() { bench warp; }

kernels() { bench kernels; }

# What a person does first. The algebra and its proofs are work of the CPU; the comparisons below train on the GPU.
discover() {
  data kdv 16
  limited "$PYTHON" -m symflow discover runs/gpu-kdv.h5 --out runs/gpu-kdv --force
  cp runs/gpu-kdv/result.json "$results/discover.json"
}

data() {
  [ -f "runs/gpu-$1.h5" ] || limited "$PYTHON" -m symflow generate "$1" --resolution 256 --samples "$2" --out "runs/gpu-$1.h5"
}

operator() {
  local steps=1000 resume=()
  [ -z "${SMOKE:-}" ] || steps=20
  "$PYTHON" -c 'import neuralop' 2>/dev/null || "$PYTHON" -m pip install --disable-pip-version-check neuraloperator
  data kdv 16
  [ ! -f runs/gpu-operator/config.json ] || resume=(--resume)
  limited "$PYTHON" -m symflow train-operator runs/gpu-kdv.h5 --out runs/gpu-operator --arms none exact --trajectories 8 \
    --seeds 1 --steps "$steps" --validation 4 --test 4 "${resume[@]}"
  cp runs/gpu-operator/result.json "$results/operator.json"
}

# CIFAR-10 as the folder that SYMFLOW_DATA names holds it; without it there is nothing to train on.
classifier() {
  local images="${SYMFLOW_DATA:-}/cifar-10-batches-py" fraction=0.2 resume=()
  if [ ! -d "$images" ]; then
    echo "SYMFLOW_DATA names no folder with cifar-10-batches-py in it; stage left out"
    return
  fi
  [ -z "${SMOKE:-}" ] || fraction=0.01
  [ ! -f runs/gpu-classifier/config.json ] || resume=(--resume)
  limited "$PYTHON" -m symflow train-classifier "$images" --network small --fraction "$fraction" --epochs 4 --seeds 1 \
    --arms none crop+flip --out runs/gpu-classifier "${resume[@]}"
  cp runs/gpu-classifier/result.json "$results/classifier.json"
}

carry_out "$results" "build tests flow warp kernels discover operator classifier slow-tests sanitize" "$@"

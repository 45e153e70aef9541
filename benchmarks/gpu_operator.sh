#!/usr/bin/env bash
# Neural operators at the paper's size on a machine with a GPU: width 256, 5 layers, 32 modes, 256 points; five equations
# with 32, 128 and 512 trajectories; without augmentation, along exact symmetries, along learned ones.
#
#     benchmarks/gpu_operator.sh [stage ...]      all of them: build data kdv ks burgers nkdv ckdv summary
#
# A stage stops after LIMIT seconds (540), keeps every finished training and a checkpoint of the one it was at, and goes
# on when it is called again. The last line says what is complete, what is to be continued and what failed; the exit code
# is 0, 75 or 1. What a stage prints is added to benchmarks/results/gpu_operator/STAGE.txt, and its figures are in JSON
# beside it. It uses the Python that PYTHON names (default: .venv/bin/python, or python3), with torch for CUDA and the
# dependencies of the package; without a network, WHEELS names a folder that holds neuraloperator and what it needs.
# SIZES, SEEDS (3) and STEPS (10000) must stay the same from call to call. With SMOKE=1 everything is tried once, small
# and without a GPU.
set -euo pipefail
source "$(dirname "$0")/_stages.sh"

results=benchmarks/results/gpu_operator
runs=runs/gpu_operator
equations=(kdv ks burgers nkdv ckdv)
sizes="${SIZES:-32 128 512}" seeds="${SEEDS:-3}" steps="${STEPS:-10000}"
validation=128 test=512 shape=(--width 256 --layers 5 --modes 32 --points 256 --batch 16 --rate 1e-3)
if [ -n "${SMOKE:-}" ]; then
  results=runs/gpu_operator_smoke/results runs=runs/gpu_operator_smoke
  sizes="2 3" seeds=2 steps=4 validation=2 test=2 shape=(--width 8 --layers 2 --modes 6 --points 64 --batch 2 --rate 1e-3)
fi
mkdir -p "$runs"

largest() { printf '%s\n' $sizes | sort -n | tail -n 1; }

build() {
  [ -n "${SMOKE:-}" ] || benchmarks/gpu.sh --run build
  "$PYTHON" -c 'import neuralop' 2>/dev/null ||
    "$PYTHON" -m pip install --disable-pip-version-check ${WHEELS:+--no-index --find-links "$WHEELS"} neuraloperator
}

data() {
  local name
  for name in "${equations[@]}"; do
    [ -f "$runs/$name.h5" ] || limited "$PYTHON" -m symflow generate "$name" --resolution 256 \
      --samples $((validation + test + seeds * $(largest))) --out "$runs/$name.h5" || return $?
  done
}

operator() {
  local size out resume
  needs "$runs/$1.h5" data
  for size in $sizes; do
    out="$runs/$1-$size" resume=()
    [ ! -f "$out/config.json" ] || resume=(--resume)
    limited "$PYTHON" -m symflow train-operator "$runs/$1.h5" --out "$out" --arms none exact learned --unproved \
      --trajectories "$size" --seeds "$seeds" --steps "$steps" --validation "$validation" --test "$test" \
      "${shape[@]}" "${resume[@]}" || return $?
    cp "$out/result.json" "$results/$1-$size.json"
  done
}

kdv() { operator kdv; }
ks() { operator ks; }
burgers() { operator burgers; }
nkdv() { operator nkdv; }
ckdv() { operator ckdv; }

summary() {
  "$PYTHON" - "$results" <<'PYTHON'
import json
import pathlib
import sys

for path in sorted(pathlib.Path(sys.argv[1]).glob("*-*.json")):
    for arm in json.loads(path.read_text())["arms"]:
        mean, low, high = arm["changes"].get("none", (None,) * 3)
        change = "" if mean is None else f"{mean:+.0%}" + ("" if low is None else f" ({low:+.0%} to {high:+.0%})")
        print(f"{path.stem:<12} {arm['name']:<8} {arm['mean']:.3e} {change}")
PYTHON
}

carry_out "$results" "build data ${equations[*]} summary" "$@"

#!/usr/bin/env bash
# Neural operators at the paper's size on a machine with a GPU: width 256, 5 layers, 32 modes, 256 points; five equations
# with 32, 128 and 512 trajectories; without augmentation, along exact symmetries, along learned ones.
#
#     benchmarks/gpu_operator.sh [stage ...]      all of them: build data kdv ks burgers nkdv ckdv summary
#
# Each stage takes less than ten minutes: it stops there, keeps every finished training and the checkpoint of the one it
# was at, says that it is not complete, and goes on when it is called again. What it prints goes to
# benchmarks/results/gpu_operator/STAGE.txt too. It uses the Python that PYTHON names (default: .venv/bin/python, or
# python3), with torch for CUDA and the dependencies of the package. Without a network, WHEELS names a folder that holds
# neuraloperator and what it needs. STEPS, SEEDS and SIZES change the amount of work; SMOKE=1 makes it small enough to
# see on a CPU that everything runs.
set -euo pipefail
cd "$(dirname "$0")/.."

results=benchmarks/results/gpu_operator
runs=runs/gpu_operator
equations=(kdv ks burgers nkdv ckdv)
sizes="${SIZES:-32 128 512}" seeds="${SEEDS:-3}" steps="${STEPS:-10000}" limit="${LIMIT:-540}"
validation=128 test=512 shape=(--width 256 --layers 5 --modes 32 --points 256 --batch 16 --rate 1e-3)
if [ -n "${SMOKE:-}" ]; then
  results=runs/gpu_operator_smoke/results runs=runs/gpu_operator_smoke
  sizes="2 3" seeds=2 steps=4 validation=2 test=2 shape=(--width 8 --layers 2 --modes 6 --points 64 --batch 2 --rate 1e-3)
fi
mkdir -p "$results" "$runs"
if [ -z "${PYTHON:-}" ]; then
  PYTHON=.venv/bin/python
  [ -x "$PYTHON" ] || PYTHON=python3
fi

largest() { printf '%s\n' $sizes | sort -n | tail -n 1; }

build() {
  [ -n "${SMOKE:-}" ] || benchmarks/gpu.sh build
  "$PYTHON" -c 'import neuralop' 2>/dev/null ||
    "$PYTHON" -m pip install --disable-pip-version-check ${WHEELS:+--no-index --find-links "$WHEELS"} neuraloperator
}

data() {
  local name
  for name in "${equations[@]}"; do
    [ -f "$runs/$name.h5" ] || timeout "$limit" "$PYTHON" -m symflow generate "$name" --resolution 256 \
      --samples $((validation + test + seeds * $(largest))) --out "$runs/$name.h5" ||
      { echo "not complete: $name; call the stage again"; return; }
  done
  echo "complete"
}

operator() {
  local size out resume begun=$SECONDS left
  for size in $sizes; do
    out="$runs/$1-$size" resume=""
    [ -f "$out/config.json" ] && resume=--resume
    left=$((limit - (SECONDS - begun)))
    if [ "$left" -lt 20 ] || ! timeout --signal=INT "$left" "$PYTHON" -m symflow train-operator "$runs/$1.h5" --out "$out" \
      --arms none exact learned --trajectories "$size" --seeds "$seeds" --steps "$steps" \
      --validation "$validation" --test "$test" "${shape[@]}" $resume; then
      echo "not complete: $1 with $size trajectories; call the stage again"
      return
    fi
    cp "$out/result.json" "$results/$1-$size.json"
  done
  echo "complete"
}

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

# Each stage runs in a shell of its own, where an error ends it: `if` would let it go on.
if [ "${1:-}" = --run ]; then
  case "$2" in
    build | data | summary) "$2" ;;
    *) operator "$2" ;;
  esac
  exit
fi
[ $# -gt 0 ] || set -- build data "${equations[@]}" summary
failed=()
for stage in "$@"; do
  case " build data ${equations[*]} summary " in
    *" $stage "*) ;;
    *) echo "unknown stage '$stage'; there are build data ${equations[*]} summary" >&2; exit 2 ;;
  esac
  echo "== $stage"
  begun=$SECONDS
  if benchmarks/gpu_operator.sh --run "$stage" 2>&1 | tee "$results/$stage.txt"; then :; else failed+=("$stage"); fi
  echo "== $stage took $((SECONDS - begun)) s"
  [ "${failed[*]:-}" != build ] || exit 1
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "failed: ${failed[*]}" >&2
  exit 1
fi

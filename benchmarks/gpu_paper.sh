#!/usr/bin/env bash
# The studies of the paper at its own settings, on a machine with a GPU.
#
#     benchmarks/gpu_paper.sh [stage ...]      all of them: build, the studies by group and name, page
#
# Those of images need SYMFLOW_DATA, the folder that holds cifar-10-batches-py; their stages fail without it, others do not.
# A stage stops after LIMIT seconds (540) with a checkpoint and goes on when it is called again; a study that has its record
# is passed over. The last line says what is complete, what is to be continued and what failed; the exit code is 0, 75 or 1.
# What a stage prints is added to RUNS/STAGE.txt; records and page are those of `symflow reproduce`. SEEDS (1) may rise from
# call to call. With SMOKE=1 the same at `small`, which needs no GPU, in runs/gpu_paper_smoke.
set -euo pipefail
source "$(dirname "$0")/_stages.sh"

studies="pde.kdv pde.ks pde.burgers pde.nkdv pde.ckdv pde.ks-sigma pde.ks-tau images.slots augmentation.cifar10"
for equation in kdv ks nkdv ckdv; do studies="$studies operators.$equation-16 operators.$equation-64"; done
size=paper out=benchmarks/results/paper runs=runs/paper page=docs/paper.md
if [ "${SMOKE:-0}" = 1 ]; then
  size=small runs=runs/gpu_paper_smoke
  out="$runs/results" page="$runs/paper.md"
fi
mkdir -p "$runs" "$out"

build() { [ "$size" = small ] || benchmarks/gpu.sh --run build; }

page() { "$PYTHON" -m symflow reproduce page --out "$out" --page "$page"; }

for study in $studies; do
  # One function for each, as stages are.
  eval "$study() { limited '$PYTHON' -m symflow reproduce ${study%%.*} ${study#*.} --size $size --seeds ${SEEDS:-1} --out '$out' --runs '$runs'; }"
done

carry_out "$runs" "build $studies page" "$@"

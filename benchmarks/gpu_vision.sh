#!/usr/bin/env bash
# The paper's own setting on images, for a machine with a GPU: ResNet-18 trained on CIFAR-10 with flips only, K = 10,
# batches of 128.
#
#     benchmarks/gpu_vision.sh pack FOLDER OUT              FOLDER, cifar-10-batches-py, as parts of 56 MiB with checksums
#     benchmarks/gpu_vision.sh [--parts OUT] [stage ...]    all of them: build unpack classifier discover slots arms bench
#
#     build        the package, for the GPU that is found
#     unpack       the images from the parts in OUT (or CIFAR_PARTS)
#     classifier   ResNet-18 with flips only, one network for each seed
#     discover     the generators from the features of each network, with their controls
#     slots        the paper's own route on the network of seed 0
#     arms         classifiers with all labels: no augmentation, crop+flip, affine+flip, learned+flip, with colours
#     bench        the cost of augmentation beside a training step
#
# A stage stops after LIMIT seconds (540) and continues when it is called again. The last line says what is complete,
# what is to be continued and what failed; the exit code is 0, 75 or 1. Stages need those before them, but slots and arms
# not each other. What a stage prints is added to benchmarks/results/gpu_vision/STAGE.txt, and its figures are in JSON
# beside it; what it continues from is in STATE (runs/gpu_vision). SEEDS (3), EPOCHS of a network (20) and ARM_EPOCHS (10)
# must stay the same from call to call. With SMOKE=1 everything is tried once, small and short, without a GPU too and
# with any images that were packed, in runs/gpu_vision_smoke.
set -euo pipefail

pack() {
  local folder="$1" out="$2"
  [ -d "$folder" ] || { echo "FOLDER must be a folder of images, got '$folder', which is none" >&2; exit 2; }
  mkdir -p "$out"
  [ -z "$(ls -A "$out")" ] || { echo "OUT must be an empty folder, got '$out', which holds files" >&2; exit 2; }
  # The same files make the same parts, whoever packs them and when.
  tar --create --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    --directory "$folder" . | split --bytes="${PART_SIZE:-56M}" --numeric-suffixes --suffix-length=3 \
    --additional-suffix=.part - "$out/images."
  (cd "$out" && sha256sum -- *.part >SHA256SUMS.new && mv SHA256SUMS.new SHA256SUMS)
  du -h "$out"/*
}

if [ "${1:-}" = pack ]; then
  [ $# = 3 ] || { echo "pack needs FOLDER and OUT, got $(($# - 1)) arguments" >&2; exit 2; }
  pack "$2" "$3"
  exit
fi
parts="${CIFAR_PARTS:-}"
if [ "${1:-}" = --parts ]; then
  [ $# -gt 1 ] || { echo "--parts needs the folder with the parts" >&2; exit 2; }
  parts="$2"
  shift 2
fi
[ -z "$parts" ] || export CIFAR_PARTS="$(realpath -m -- "$parts")"
[ -z "${STATE:-}" ] || export STATE="$(realpath -m -- "$STATE")"

source "$(dirname "$0")/_stages.sh"

seeds="${SEEDS:-3}" epochs="${EPOCHS:-20}" arm_epochs="${ARM_EPOCHS:-10}"
network=resnet18 fraction=1 slots=(--steps 19500 --batch 128) quick=()
state="${STATE:-runs/gpu_vision}" results=benchmarks/results/gpu_vision
if [ "${SMOKE:-0}" = 1 ]; then
  seeds="${SEEDS:-2}" epochs="${EPOCHS:-2}" arm_epochs="${ARM_EPOCHS:-1}"
  network=small fraction=0.05 slots=(--steps 30 --batch 2 --images 400) quick=(--quick)
  state="${STATE:-runs/gpu_vision_smoke}"
  results="$state/results"
fi
images="$state/images"
mkdir -p "$state"

build() {
  "$PYTHON" -c 'import h5py, jinja2, PIL, rich, safetensors, sympy, torch, torchdiffeq, tyro'
  if [ "${SMOKE:-0}" = 1 ]; then
    "$PYTHON" -m symflow doctor
  else
    benchmarks/gpu.sh --run build
  fi
}

unpack() {
  if [ -d "$images" ]; then
    echo "$images is there already"
    return
  fi
  [ -n "${CIFAR_PARTS:-}" ] || { echo "--parts or CIFAR_PARTS must name the folder with the parts" >&2; return 1; }
  needs "$CIFAR_PARTS/SHA256SUMS" pack
  # Only the parts that the sums name, in their order; one that is missing or damaged ends the stage.
  (cd "$CIFAR_PARTS" && sha256sum --check --strict SHA256SUMS)
  rm -rf "$images.new"
  mkdir "$images.new"
  local names
  mapfile -t names < <(sed 's/^[0-9a-f]* [ *]//' "$CIFAR_PARTS/SHA256SUMS")
  (cd "$CIFAR_PARTS" && cat -- "${names[@]}") | tar --extract --no-same-owner --directory "$images.new"
  mv "$images.new" "$images"
}

classifier() {
  needs "$images" unpack
  local seed
  for ((seed = 0; seed < seeds; seed++)); do
    [ -e "$state/network-$seed.json" ] ||
      limited "$PYTHON" benchmarks/image_classifier.py "$images" --network "$network" --batch 128 --epochs "$epochs" \
        --seed "$seed" --out "$state/network-$seed.safetensors" || return $?
    cp "$state/network-$seed.json" "$results/classifier-$seed.json"
  done
}

discover() {
  local seed out status
  for ((seed = 0; seed < seeds; seed++)); do
    out="$state/discover-$seed" status=0
    needs "$state/network-$seed.json" classifier
    # Nothing in between is kept when the network is given: what was interrupted begins again.
    [ -e "$out/report.html" ] ||
      limited "$PYTHON" -m symflow discover-images "$images" --network "$state/network-$seed.safetensors" \
        --generators 10 --seed "$seed" --out "$out" --force || status=$?
    case $status in 0 | 1 | 3) ;; *) return $status ;; esac # the verdict: measured, refuted, cannot be told
    cp "$out/result.json" "$results/discover-$seed.json"
  done
}

slots() {
  needs "$state/network-0.json" classifier
  local out="$state/slots"
  if [ ! -e "$out/result.json" ]; then
    limited "$PYTHON" benchmarks/image_slots.py "$images" "$state/network-0.safetensors" --generators 10 "${slots[@]}" \
      --minutes 60 --out "$out" || return $?
  fi
  cp "$out/result.json" "$results/slots.json"
}

arms() {
  needs "$state/discover-0/report.html" discover
  local out="$state/arms" resume=() status=0 learned
  learned="$("$PYTHON" -c 'import sys; from symflow.vision import learned_arms, load_image_result
print(*(arm + "+flip" for arm in learned_arms(load_image_result(sys.argv[1]), unproved=True)))' "$state/discover-0/result.json")"
  [ ! -e "$out/config.json" ] || resume=(--resume)
  limited "$PYTHON" -m symflow train-classifier "$images" --network "$network" --fraction "$fraction" --batch 128 \
    --epochs "$arm_epochs" --seeds "$seeds" --arms none crop+flip affine+flip $learned \
    --generators "$state/discover-0" --unproved --out "$out" "${resume[@]}" || status=$?
  [ ! -e "$out/metrics.jsonl" ] || cat "$out/metrics.jsonl"
  [ ! -e "$out/result.json" ] || cp "$out/result.json" "$results/arms.json"
  return $status
}

bench() { limited "$PYTHON" benchmarks/bench_augment.py "${quick[@]}" --out "$results/bench.json"; }

carry_out "$results" "build unpack classifier discover slots arms bench" "$@"

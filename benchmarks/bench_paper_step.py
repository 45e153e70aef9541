"""Times one training step of the paper's own route at the paper's settings, with its peak memory.

    python benchmarks/bench_paper_step.py [--quick] [--out FILE.json]

KdV, batch 4, patch 64 x 64, 4 flow lengths with 2 Runge-Kutta steps between them, K = 4 slots, width 256
(`pde.scores.slots`). It runs in a process of its own, which reports its peak resident memory with and without the
step. The split comes from one more, profiled step. The official code's figures are a fixed reference, measured on 2 CPU
cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from _common import memory_of_process, options, print_table, write_results

from symflow import Coordinates, NeuralField, pde
from symflow.pde.scores.slots import Slots

OFFICIAL: dict = {"seconds": [50.0, 90.0], "peak_gb": 6.7, "cores": 2}


def measure(path: Path, repeats: int) -> dict[str, float]:
    """In the child: seconds per step, their split, and memory."""
    data = pde.load(path)
    coordinates = Coordinates(
        ("x", "t", "u"),
        periods=(data.length, None, None),
        offset=(0.0, float(data.t[0]), 0.0),
        scale=(data.length, float(data.t[-1] - data.t[0]), float(data.u.std()) / 0.29),
    )
    objective = Slots(data.equation, coordinates, data)
    field = NeuralField(coordinates, 4, width=256)
    _ = objective.residual, objective.sample, objective.lines  # constants of a run, not of a step
    before = memory_of_process("VmHWM")
    seconds, processor_seconds = [], []
    for step in range(repeats + 1):
        start, start_processor = time.perf_counter(), time.process_time()
        record = objective.backward(field, step)
        seconds.append(time.perf_counter() - start)
        processor_seconds.append(time.process_time() - start_processor)
    if not all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in field.parameters()):
        raise SystemExit(f"the gradient of the step is not finite: {record}")
    result = {"seconds": statistics.median(seconds[1:]), "slowest": max(seconds[1:]), "fastest": min(seconds[1:])}
    result |= {"processor_seconds": statistics.median(processor_seconds[1:])}
    result |= {"peak_mib": memory_of_process("VmHWM"), "before_mib": before}
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        start = time.perf_counter()
        objective.backward(field, repeats + 1)
        whole = time.perf_counter() - start
    spent = {event.key: event.cpu_time_total / 1e6 for event in profile.key_averages()}
    parts = {
        "flow_forward": spent.get("symflow::flow", 0.0),
        "local_score": spent.get("_RowByRow", 0.0),
        "flow_backward": spent.get("symflow::flow_backward", 0.0),
    }
    parts["other"] = whole - sum(parts.values())
    return result | {name: value / whole for name, value in parts.items()}


def main() -> None:
    parser = options(__doc__, "one repetition instead of five")
    parser.add_argument("--measure", nargs=2, metavar=("DATA", "REPEATS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        path, repeats = arguments.measure
        print(json.dumps(measure(Path(path), int(repeats))))
        return

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kdv.h5"
        pde.save(pde.generate("kdv", 4, 0).coarsen(256), path)
        command = [sys.executable, __file__, "--measure", str(path), "1" if arguments.quick else "5"]
        child = subprocess.run(command, check=True, capture_output=True, text=True)
    row = json.loads(child.stdout.splitlines()[-1])

    low, high = OFFICIAL["seconds"]
    official = OFFICIAL["peak_gb"] * 1e9 / 2**20
    print("One step of the paper's route on KdV: batch 4, patch 64, 4 lengths, K 4, width 256\n")
    header = ("", "seconds", "range", "CPU s", "flow", "score", "flow back", "other", "peak MiB")
    shares = [f"{100 * row[k]:.0f} %" for k in ("flow_forward", "local_score", "flow_backward", "other")]
    span = f"{row['fastest']:.1f} - {row['slowest']:.1f}"
    ours = (f"{row['seconds']:.2f}", span, f"{row['processor_seconds']:.1f}", *shares, f"{row['peak_mib']:.0f}")
    print_table(
        header,
        [("ours", *ours), ("official code, 2 cores", "", f"{low:.0f} - {high:.0f}", *[""] * 5, f"{official:.0f}")],
    )
    print(f"\n{low / row['seconds']:.1f} to {high / row['seconds']:.1f} times as fast, ", end="")
    print(f"{official / row['peak_mib']:.0f} times less memory;")
    print(f"{row['before_mib']:.0f} MiB of ours are torch, the data and the network.")
    content = {
        "settings": {"equation": "kdv", "batch": 4, "patch": 64, "lengths": 4, "generators": 4, "width": 256},
        "step": row,
        "mean_seconds": row["seconds"],
        "peak_mib": row["peak_mib"],
        "official": OFFICIAL,
    }
    write_results("paper_step", content, arguments.out)


if __name__ == "__main__":
    main()

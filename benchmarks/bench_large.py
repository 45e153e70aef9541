"""Audit, discovery and description of a file larger than memory: the most that each held, and its time.

    python benchmarks/bench_large.py [--quick] [--gigabytes G] [--folder DIR] [--out FILE.json]

The file has G GB of trajectories of KdV in the layout of PDEBench, G = 20 by default, of which only those are on the
disk that are read (one in a few); the others are holes, which would be read as zeros, found constant, and held in
memory. It is deleted at the end. The quick form has 2 GB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
from _common import machine, options, print_table

from symflow.pde import generate
from symflow.pde.trajectories import ENOUGH

KDV = "u_t + u*u_x + u_xxx = 0"
POINTS = 256
COMMANDS = {
    "describe": ["describe"],
    "audit": ["audit", "--equation", KDV],
    "discover": ["discover", "--equation", KDV],
}


def write(path: Path, gigabytes: float) -> dict[str, int]:
    """The file; how many trajectories it says it has, and how many are there."""
    data = generate("kdv", 64, seed=0, resolution=POINTS)
    _, times, points = data.u.shape
    count = int(gigabytes * 1e9 / (8 * times * points))
    step = -(-count // (ENOUGH // (8 * times * points)))
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((count, times, points))
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        h5py.h5d.create(file.id, b"tensor", h5py.h5t.IEEE_F64LE, space, how)
        for i, s in enumerate(range(0, count, step)):
            file["tensor"][s] = data.u[i % 64].roll(i // 64 * 7, -1).numpy()  # moved along x: no two alike
        file["x-coordinate"], file["t-coordinate"] = data.x.numpy(), data.t.numpy()
    return {"trajectories": count, "there": len(range(0, count, step))}


def measure(path: Path, words: list[str]) -> dict[str, Any]:
    """Seconds, the largest resident memory in MB, and the exit code of a command in a process of its own."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "symflow", words[0], str(path), *words[1:]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    return {
        "seconds": time.perf_counter() - begun,
        "megabytes": usage.ru_maxrss / 1024,
        "code": os.waitstatus_to_exitcode(status),
        "said": said.splitlines()[0] if said else "",
    }


def main() -> None:
    assert __doc__ is not None
    parser = options(__doc__, "a file of 2 GB")
    parser.add_argument("--gigabytes", type=float, help="size of the file")
    parser.add_argument("--folder", type=Path, help="where the file is made; a temporary folder by default")
    told = parser.parse_args()
    gigabytes = told.gigabytes or (2.0 if told.quick else 20.0)
    with tempfile.TemporaryDirectory(dir=told.folder) as folder:
        path = Path(folder) / "large.hdf5"
        about = write(path, gigabytes)
        on_disk = path.stat().st_blocks * 512 / 1e6
        found = {name: measure(path, words) for name, words in COMMANDS.items()}
    there = f"{about['there']:,} ({on_disk:.0f} MB) are there"
    print(f"{gigabytes:g} GB, {about['trajectories']:,} trajectories, of which {there}")
    rows = [[name, f"{r['seconds']:.1f}", f"{r['megabytes']:.0f}", r["code"], r["said"]] for name, r in found.items()]
    print_table(("command", "seconds", "peak MB", "exit code", "said"), rows)
    if told.out is not None:
        record = {"gigabytes": gigabytes, "machine": machine(), **about, "commands": found}
        told.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()

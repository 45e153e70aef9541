"""Reliability over time: damaged files, kills, full disks, shared folders. Seeded, bounded in time, resumable.

    python benchmarks/soak.py [--minutes 30] [--seed 0] [--parts state data images kills limits] [--out FILE]

Damaged files are read in processes of their own: one that crashes, hangs, takes memory or raises anything but a
sentence is a fault, and is named so that ``--case TARGET NUMBER`` shows it again. Commands are killed at random
moments, run out of disk, lose their folder or share it, and must end in the bits of a run that nothing befell.

What is done is kept in ``runs/soak``; the same call goes on there until ``--fresh``. Every figure is printed and
written. The exit code is 1 where there was a fault.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import select
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "helpers")]

MEMORY = 2 << 30  # that readers are told the machine has
ABOVE = 3 << 30  # address space of a reader beyond what it has before its first case
SHARES = {"state": 0.25, "data": 0.25, "images": 0.08, "kills": 0.3, "limits": 0.12}


# ---- damaged files --------------------------------------------------------------------------------------------------


def targets(part: str) -> list:
    import targets as found

    return list({"state": found.STATE, "data": found.DATA, "images": found.IMAGES}[part])


def find(name: str):
    return next(t for part in ("state", "data", "images") for t in targets(part) if t.name == name)


def worker(name: str, seed: int, first: int, seconds: float) -> None:
    """Cases of one target, a line before and after each."""
    import torch

    from hostile import case
    from symflow.runs import processes

    torch.set_num_threads(1)
    processes.memory = lambda: float(MEMORY)
    target, number = find(name), first
    with tempfile.TemporaryDirectory() as folder:
        whole, scratch = Path(folder) / "whole", Path(folder) / "scratch"
        whole.mkdir()
        target.make(whole)
        end = time.monotonic() + seconds
        held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (held + ABOVE, held + ABOVE))
        while time.monotonic() < end:
            print(json.dumps({"begin": number}), flush=True)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            outcome = case(target, whole, scratch, seed, number)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
            word, text = outcome.word, outcome.text
            if "does not fit into the memory" in text or "MemoryError" in text:
                word, text = "fault", f"memory was taken before it was bounded: {text}"
            record = {"n": number, "word": word, "seconds": round(outcome.seconds, 3), "grown": grown}
            print(json.dumps(record | ({"text": text} if word == "fault" else {})), flush=True)
            number += 1


def one_target(name: str, seed: int, first: int, seconds: float) -> dict:
    """Counts of one target over some seconds, across the processes that it needs."""
    from hostile import LONGEST

    found = {"cases": 0, "read": 0, "refused": 0, "faults": [], "crashes": 0, "hangs": 0, "slowest": 0.0, "memory": 0}
    end, number = time.monotonic() + seconds, first
    while (left := end - time.monotonic()) > 0.5:
        words = [sys.executable, __file__, "--worker", name, str(number), str(left), "--seed", str(seed)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        running = None
        while True:
            ready, _, _ = select.select([process.stdout], [], [], 2 * LONGEST)
            line = process.stdout.readline() if ready else ""
            if not line:
                break
            said = json.loads(line)
            if "begin" in said:
                running = said["begin"]
                continue
            running, number = None, said["n"] + 1
            found["cases"] += 1
            found["slowest"] = max(found["slowest"], said["seconds"])
            found["memory"] = max(found["memory"], said["grown"])
            if said["word"] == "fault":
                found["faults"].append({"case": said["n"], "text": said["text"][-2000:]})
            else:
                found[said["word"]] += 1
        hung = not ready
        if hung:
            process.kill()
        _, errors = process.communicate()
        if running is not None:
            found["cases"] += 1
            found["hangs" if hung else "crashes"] += 1
            how = "a hang" if hung else f"exit code {process.returncode}"
            found["faults"].append({"case": running, "text": f"{how}: {errors[-1000:]}"})
            number = running + 1
        elif process.returncode:
            found["faults"].append({"case": number, "text": f"the reader did not start: {errors[-2000:]}"})
            break
    return found | {"next": number}


def damaged(part: str, seed: int, seconds: float, ledger: dict) -> None:
    """A turn of all targets of a part, each as long as it is worth."""
    some = targets(part)
    total = sum(t.often for t in some)
    for target in some:
        key = f"{part}: {target.name}"
        earlier = ledger.get(key, {})
        now = one_target(target.name, seed, earlier.get("next", 0), seconds * target.often / total)
        merged = {k: earlier.get(k, 0) + now[k] for k in ("cases", "read", "refused", "crashes", "hangs")}
        merged |= {k: max(earlier.get(k, 0), now[k]) for k in ("slowest", "memory")}
        ledger[key] = merged | {"faults": [*earlier.get("faults", []), *now["faults"]], "next": now["next"]}
        tell(key, ledger[key])
        save(ledger)


# ---- the whole ------------------------------------------------------------------------------------------------------

LEDGER = HERE.parent / "runs" / "soak" / "ledger.json"


def save(ledger: dict) -> None:
    from symflow.runs import write_json

    LEDGER.parent.mkdir(parents=True, exist_ok=True)
    write_json(LEDGER, ledger)


def tell(key: str, record: dict) -> None:
    figures = ", ".join(
        f"{k} {v}" for k, v in record.items() if k not in ("faults", "next") and not isinstance(v, list)
    )
    print(f"{key}: {figures}, faults {len(record['faults'])}", flush=True)
    for fault in record["faults"][-3:]:
        print(f"  case {fault['case']}: {fault['text'].strip().splitlines()[-1][:300]}", flush=True)


def summary(ledger: dict, seed: int, minutes: float) -> dict:
    parts: dict[str, dict] = {}
    for key, record in ledger.items():
        part = parts.setdefault(key.partition(":")[0], {"faults": 0})
        part["faults"] += len(record["faults"])
        for name, value in record.items():
            if isinstance(value, int | float) and name != "next":
                most = name in ("slowest", "memory")
                part[name] = max(part.get(name, 0), value) if most else part.get(name, 0) + value
    return {"seed": seed, "minutes": minutes, "processors": os.cpu_count(), "parts": parts, "targets": ledger}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="+", choices=SHARES, default=list(SHARES))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "soak.json")
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    parser.add_argument("--case", nargs=2, metavar=("TARGET", "NUMBER"), help="one case, with its traceback")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.worker:
        worker(a.worker[0], a.seed, int(a.worker[1]), float(a.worker[2]))
        return
    if a.case:
        from hostile import case

        target = find(a.case[0])
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "whole"
            whole.mkdir()
            target.make(whole)
            print(case(target, whole, Path(folder) / "scratch", a.seed, int(a.case[1])))
        return
    ledger = json.loads(LEDGER.read_text()) if LEDGER.exists() and not a.fresh else {}
    total, end = sum(SHARES[p] for p in a.parts), time.monotonic() + 60 * a.minutes
    for part in a.parts:
        seconds = min(60 * a.minutes * SHARES[part] / total, end - time.monotonic())
        if part in ("kills", "limits"):
            import _interruptions

            getattr(_interruptions, part)(a.seed, seconds, ledger, lambda key: (tell(key, ledger[key]), save(ledger)))
        else:
            damaged(part, a.seed, seconds, ledger)
    found = summary(ledger, a.seed, a.minutes)
    from symflow.runs import write_json

    a.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(a.out, found)
    for part, figures in found["parts"].items():
        print(f"{part}: " + ", ".join(f"{k} {v}" for k, v in figures.items()))
    sys.exit(any(figures["faults"] for figures in found["parts"].values()))


if __name__ == "__main__":
    main()

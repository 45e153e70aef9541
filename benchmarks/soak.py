"""Reliability over time: damaged files, calls of any kind, kills, full disks, shared folders. Seeded, bounded in time,
resumable.

    python benchmarks/soak.py [--minutes 30] [--seed 0] [--parts state data images operators kills limits] [--out FILE]
        [--page docs/reliability.md]

Damaged files are read, and operations called, in processes of their own: what crashes, hangs, takes memory, is wrong or
raises anything but a sentence is a fault, and is named so that ``--case TARGET NUMBER`` shows it again. Commands are
killed at random moments, run out of disk, lose their folder or share it, and must end in the bits of a run that nothing
befell.

Damage and interruptions go on side by side, so that both have the whole time. What is done is kept in ``runs/soak``;
the same call goes on there until ``--fresh``, and begins with what was not reached. Every figure is printed and
written, and what the time did not suffice for is named. The exit code is 1 where there was a fault, or a part of which
nothing was done.
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
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "helpers")]

MEMORY = 2 << 30  # that readers are told the machine has
ABOVE = 3 << 30  # address space of a reader beyond what it has before its first case
# Side by side, one processor each: the parts of a lane follow one another, and have these shares of the time.
LANES = (
    {"state": 0.36, "data": 0.36, "images": 0.1, "operators": 0.18},
    {"kills": 0.75, "limits": 0.25},
)
PARTS = tuple(part for lane in LANES for part in lane)


# ---- damaged files, and calls ---------------------------------------------------------------------------------------

DRAWN = ("state", "data", "images", "operators")


def targets(part: str) -> list:
    if part == "operators":
        import operations

        return list(operations.ALL)
    import targets as found

    return list({"state": found.STATE, "data": found.DATA, "images": found.IMAGES}[part])


def cases(name: str, seed: int, folder: Path):
    """From a number to the outcome of that case of a target."""
    target = next(t for part in DRAWN for t in targets(part) if t.name == name)
    if not hasattr(target, "make"):
        return lambda number: target.outcome(seed, number)
    from hostile import case

    whole = folder / "whole"
    whole.mkdir()
    target.make(whole)
    return lambda number: case(target, whole, folder / "scratch", seed, number)


def worker(name: str, seed: int, first: int, seconds: float) -> None:
    """Cases of one target, a line before and after each.

    What a reader itself prints goes where its errors go.
    """
    import torch

    from symflow.runs import processes

    torch.set_num_threads(1)
    processes.memory = lambda: float(MEMORY)
    number = first
    with os.fdopen(os.dup(1), "w") as told, tempfile.TemporaryDirectory() as folder:
        os.dup2(2, 1)
        case = cases(name, seed, Path(folder))
        end = time.monotonic() + seconds
        held = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (held + ABOVE, held + ABOVE))
        while time.monotonic() < end:
            print(json.dumps({"begin": number}), file=told, flush=True)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            outcome = case(number)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
            word, text = outcome.word, outcome.text
            if "does not fit into the memory" in text or "MemoryError" in text:
                word, text = "fault", f"memory was taken before it was bounded: {text}"
            record = {"n": number, "word": word, "seconds": round(outcome.seconds, 3), "grown": grown}
            print(json.dumps(record | ({"text": text} if word == "fault" else {})), file=told, flush=True)
            number += 1


class Silence(Exception):
    """A worker said nothing for too long."""


def lines(stream: int, longest: float) -> Iterator[bytes]:
    """The lines of a pipe as they come. (A buffered reader would hold back what `select` then waits for.)"""
    rest = b""
    while True:
        ready, _, _ = select.select([stream], [], [], longest)
        if not ready:
            raise Silence
        more = os.read(stream, 1 << 16)
        if not more:
            return
        *whole, rest = (rest + more).split(b"\n")
        yield from whole


def one_target(name: str, seed: int, first: int, seconds: float) -> dict:
    """Counts of one target over some seconds, across the processes that it needs."""
    from hostile import LONGEST

    found = {"cases": 0, "read": 0, "refused": 0, "faults": [], "crashes": 0, "hangs": 0, "slowest": 0.0, "memory": 0}
    begun, number = time.monotonic(), first
    while (left := begun + seconds - time.monotonic()) > 0.5:
        words = [sys.executable, __file__, "--worker", name, str(number), str(left), "--seed", str(seed)]
        running, hung = None, False
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors)
            try:
                for said in map(json.loads, lines(process.stdout.fileno(), 2 * LONGEST)):
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
            except Silence:
                hung = True
                process.kill()
            process.stdout.close()
            process.wait()
            errors.seek(0)
            text = errors.read().decode(errors="replace")
        if running is not None:
            found["cases"] += 1
            found["hangs" if hung else "crashes"] += 1
            how = "a hang" if hung else f"exit code {process.returncode}"
            found["faults"].append({"case": running, "text": f"{how}: {text[-1000:]}"})
            number = running + 1
        elif process.returncode:
            found["faults"].append({"case": number, "text": f"the reader did not start: {text[-2000:]}"})
            break
    return found | {"seconds": round(time.monotonic() - begun, 1), "next": number}


COUNTS = ("cases", "read", "refused", "crashes", "hangs", "seconds")


def turns(seconds: float, worth: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Names in order, each with its share of the seconds that are left when its turn comes.

    One that takes longer than its share takes from all that follow, and from none of them everything.
    """
    end, rest = time.monotonic() + seconds, sum(worth.values())
    for name, value in worth.items():
        yield name, max(0.0, end - time.monotonic()) * value / rest
        rest -= value


def drawn(part: str, seed: int, seconds: float, ledger: dict) -> None:
    """A turn of all targets of a part, each as long as it is worth, those first that were not reached before."""
    first = unreached(part, ledger)
    ordered = sorted(targets(part), key=lambda t: t.name not in first)
    for name, share in turns(seconds, {t.name: t.often for t in ordered}):
        key = f"{part}: {name}"
        earlier = ledger.get(key, {})
        now = one_target(name, seed, earlier.get("next", 0), share)
        merged = {k: round(earlier.get(k, 0) + now[k], 1) for k in COUNTS}
        merged |= {k: max(earlier.get(k, 0), now[k]) for k in ("slowest", "memory")}
        ledger[key] = merged | {"faults": [*earlier.get("faults", []), *now["faults"]], "next": now["next"]}
        tell(key, ledger[key])
        save(ledger)


# ---- the whole ------------------------------------------------------------------------------------------------------

LEDGER = HERE.parent / "runs" / "soak" / "ledger.json"
WRITING = threading.Lock()  # by one lane at a time


def save(ledger: dict) -> None:
    from symflow.runs import write_json

    with WRITING:
        LEDGER.parent.mkdir(parents=True, exist_ok=True)
        write_json(LEDGER, dict(ledger))


def tell(key: str, record: dict) -> None:
    figures = ", ".join(
        f"{k} {v}" for k, v in record.items() if k not in ("faults", "next") and not isinstance(v, list)
    )
    print(f"{key}: {figures}, faults {len(record['faults'])}", flush=True)
    for fault in record["faults"][-3:]:
        print(f"  case {fault['case']}: {fault['text'].strip().splitlines()[-1][:300]}", flush=True)


def unreached(part: str, ledger: dict) -> list[str]:
    """The targets or commands of a part for which there was no time."""
    if part in DRAWN:
        names = [t.name for t in targets(part)]
    else:
        import _interruptions

        names = [c.name for c in _interruptions.COMMANDS]
    return [n for n in names if not ledger.get(f"{part}: {n}", {}).get("next")]


def summary(ledger: dict, seed: int) -> dict:
    parts: dict[str, dict] = {}
    for key, record in ledger.items():
        part = parts.setdefault(key.partition(":")[0], {"faults": 0})
        part["faults"] += len(record["faults"])
        for name, value in record.items():
            if isinstance(value, int | float) and name != "next":
                most = name in ("slowest", "memory")
                part[name] = max(part.get(name, 0), value) if most else round(part.get(name, 0) + value, 1)
    for name, part in parts.items():
        part["not reached"] = unreached(name, ledger)
    return {"seed": seed, "processors": os.cpu_count(), "parts": parts, "targets": ledger}


HEADER = ("part", "what was done", "crashes, hangs", "faults", "minutes")


def rows(found: dict) -> list[tuple[object, ...]]:
    """The table of a page: a line for each part."""
    lines = []
    for part, f in found["parts"].items():
        if "cases" in f:
            done = (
                f"{f['cases']:,} cases: {f['read']:,} right, {f['refused']:,} refused in a sentence; the slowest took "
            )
            done += f"{f['slowest']:.1f} s, the largest {f['memory'] / 1e6:.0f} MB"
            ends = f"{f['crashes']}, {f['hangs']}"
        else:
            done = ", ".join(f"{v} {k}" for k, v in f.items() if k not in ("faults", "seconds", "not reached"))
            ends = ""
        if f["not reached"]:
            done += f"; not reached: {', '.join(f['not reached'])}"
        lines.append((part, done, ends, f["faults"], f"{f['seconds'] / 60:.1f}"))
    return lines


def in_lane(lane: dict[str, float], seed: int, seconds: float, ledger: dict) -> None:
    """The parts of a lane, one after the other."""
    for part, share in turns(seconds, lane):
        if part in DRAWN:
            drawn(part, seed, share, ledger)
        else:
            import _interruptions

            getattr(_interruptions, part)(seed, share, ledger, lambda key: (tell(key, ledger[key]), save(ledger)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "soak.json")
    parser.add_argument("--page", type=Path, help="a page between whose marks the table is put")
    parser.add_argument("--fresh", action="store_true", help="begin anew")
    parser.add_argument("--case", nargs=2, metavar=("TARGET", "NUMBER"), help="one case, with its traceback")
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.worker:
        worker(a.worker[0], a.seed, int(a.worker[1]), float(a.worker[2]))
        return
    if a.case:
        with tempfile.TemporaryDirectory() as folder:
            print(cases(a.case[0], a.seed, Path(folder))(int(a.case[1])))
        return
    ledger = json.loads(LEDGER.read_text()) if LEDGER.exists() and not a.fresh else {}
    asked = [{p: share for p, share in lane.items() if p in a.parts} for lane in LANES]
    with ThreadPoolExecutor(len(LANES)) as pool:
        for lane in [pool.submit(in_lane, lane, a.seed, 60 * a.minutes, ledger) for lane in asked if lane]:
            lane.result()
    ledger = {k: ledger[k] for part in PARTS for k in ledger if k.startswith(f"{part}:")}
    found = summary(ledger, a.seed)
    from symflow.runs import write_json

    a.out.parent.mkdir(parents=True, exist_ok=True)
    write_json(a.out, found)
    if a.page:
        from _common import replace_table

        replace_table(a.page, "soak", HEADER, rows(found))
    for part, figures in found["parts"].items():
        print(f"{part}: " + ", ".join(f"{k} {v}" for k, v in figures.items()))
    untouched = [p for p in a.parts if not any(k.startswith(f"{p}:") and r["next"] for k, r in ledger.items())]
    if untouched:
        print(f"Nothing was done of {', '.join(untouched)}: it takes more minutes than these.")
    sys.exit(bool(untouched) or any(figures["faults"] for figures in found["parts"].values()))


if __name__ == "__main__":
    main()

"""Commands that are killed, run out of disk, lose their folder or share it (`soak.py`)."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SLOWEST = 240.0  # seconds of any command
VARYING = ("seconds", "created")


@dataclass(frozen=True)
class Command:
    """A command, what it writes, and how it is continued.

    Attributes:
        words: of the command line; IN is the folder of inputs, OUT where it writes.
        resume: words to add after a kill; ``None`` for commands that begin anew.
    """

    name: str
    words: tuple[str, ...]
    resume: tuple[str, ...] | None = ("--resume",)


OPERATOR = shlex.split(
    "--trajectories 2 --seeds 2 --points 32 --width 4 --modes 4 --layers 1 --steps 20 --batch 2 --copies 2 "
    "--strengths 0.1 --validation 1 --test 2 --workers 1 --arms none exact --unproved"
)
COMMANDS = (
    Command("generate", ("generate", "kdv", *shlex.split("--samples 6 --end 10 --resolution 64 --out OUT.h5")), None),
    Command("discover equation", ("discover", "kdv", "--report", "--out", "OUT")),
    Command("discover data", ("discover", "IN/kdv.h5", "--network", "trained", "--steps", "60", "--out", "OUT")),
    Command("discover images", ("discover-images", "IN/pictures", *shlex.split("--epochs 1 --generators 6 --out OUT"))),
    Command("augment", ("augment", "IN/ckdv.h5", *shlex.split("--generators ckdv --copies 3 --unproved --out OUT.h5"))),
    Command("train operators", ("train-operator", "IN/more.h5", *OPERATOR, "--out", "OUT")),
    Command("train classifiers", (
        "train-classifier", "IN/pictures", "--arms", "none", "flip", "--seeds", "2", "--epochs", "3", "--batch", "16",
        "--out", "OUT",
    )),
    Command("report", ("report", "IN/run"), None),
)  # fmt: skip


def prepare(folder: Path) -> None:
    """Data, pictures and a finished run."""
    import numpy as np
    from PIL import Image

    from symflow import pde

    for name, samples, equation in (("kdv", 3, "kdv"), ("ckdv", 6, "ckdv"), ("more", 8, "kdv")):
        data = pde.generate(equation, samples, seed=0, steps=60, keep=60, end=12.0, resolution=64)
        pde.save(data, folder / f"{name}.h5")
    pixels = np.random.default_rng(0)
    for label in "ab":
        (folder / "pictures" / label).mkdir(parents=True)
        for n in range(30):
            noise = pixels.integers(0, 128, (12, 12, 3)) + 60 * (label == "b")
            Image.fromarray(noise.astype(np.uint8)).save(folder / "pictures" / label / f"{n}.png")
    subprocess.run([*SYMFLOW, "discover", "kdv", "--out", folder / "run"], check=True, capture_output=True)


SYMFLOW = (sys.executable, "-m", "symflow")


def words(command: Command, inputs: Path, out: Path, more: tuple[str, ...] = ()) -> list[str]:
    placed = [w.replace("IN/", f"{inputs}/").replace("OUT", str(out)) for w in command.words]
    return [*SYMFLOW, *placed, *more]


def bits(out: Path) -> dict[str, str]:
    """What a command has left, by name: what depends on the clock taken out."""
    found = {}
    files = [out.with_suffix(".h5")] if out.with_suffix(".h5").exists() else sorted(out.rglob("*"))
    for path in files:
        if not path.is_file() or path.name.startswith((".", "stage-")) or path.suffix in (".html",):
            continue
        content = path.read_bytes()
        if path.suffix == ".json":
            record = json.loads(content)
            content = json.dumps({k: v for k, v in record.items() if k not in (*VARYING, "command")}).encode()
        if path.suffix == ".h5":
            content = _numbers(path)
        if path.name == "metrics.jsonl":
            content = b"\n".join(sorted(content.splitlines()))
        found[path.name] = hashlib.sha256(content).hexdigest()
    return found


def _numbers(path: Path) -> bytes:
    """Data and attributes of an HDF5 file: its own book-keeping depends on the order of writes."""
    import h5py

    digest = hashlib.sha256()
    with h5py.File(path, "r") as file:
        digest.update(repr(sorted((k, str(v)) for k, v in file.attrs.items())).encode())
        for name in sorted(file):
            digest.update(name.encode() + file[name][()].tobytes())
    return digest.digest()


def clean(folder: Path) -> None:
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def ended(arguments: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(arguments, capture_output=True, text=True, timeout=SLOWEST, **options)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, -signal.SIGKILL, "", f"no end after {SLOWEST:.0f} s")


def fault_of(answer: subprocess.CompletedProcess[str]) -> str | None:
    """What is wrong with how a command ended: a traceback, or a code that is none of its own."""
    if "Traceback" in answer.stderr or answer.returncode not in (0, 1, 2, 3):
        return f"exit code {answer.returncode}: {answer.stderr[-1500:]}"
    return None


def continued(command: Command, inputs: Path, out: Path) -> tuple[subprocess.CompletedProcess[str], bool]:
    """After a kill: resumed where there is something to resume, else begun."""
    if command.resume is not None:
        answer = ended(words(command, inputs, out, command.resume))
        if not (answer.returncode == 2 and "to resume" in answer.stderr):
            return answer, True
    return ended(words(command, inputs, out)), False


class Bench:
    """Inputs, and what each command leaves when nothing befalls it."""

    def __init__(self, folder: Path) -> None:
        self.inputs, self.outputs = folder / "in", folder / "out"
        self.inputs.mkdir()
        self.outputs.mkdir()
        self.out = self.outputs / "run"
        prepare(self.inputs)
        self.whole: dict[str, tuple[dict[str, str], float]] = {}

    def place(self, command: Command) -> Path:
        return self.inputs / "run" if command.name == "report" else self.out

    def reference(self, command: Command) -> tuple[dict[str, str], float]:
        if command.name not in self.whole:
            clean(self.outputs)
            begun = time.monotonic()
            answer = ended(words(command, self.inputs, self.out))
            if answer.returncode not in (0, 1, 3):
                raise RuntimeError(f"{command.name}: {answer.stderr[-2000:]}")
            self.whole[command.name] = bits(self.place(command)), time.monotonic() - begun
        return self.whole[command.name]

    def differing(self, command: Command) -> str | None:
        whole, found = self.reference(command)[0], bits(self.place(command))
        names = sorted(n for n in {*whole, *found} if whole.get(n) != found.get(n))
        return f"other bits in {', '.join(names)}" if names else None


def _records(ledger: dict, part: str, names: tuple[str, ...]) -> dict[str, dict]:
    """What the ledger says of each command in a part, by key."""
    keys = (f"{part}: {command.name}" for command in COMMANDS)
    return {k: ledger.setdefault(k, {**dict.fromkeys(names, 0), "seconds": 0.0, "faults": [], "next": 0}) for k in keys}


def _turns(
    seed: int,
    seconds: float,
    records: dict[str, dict],
    work: Callable[[Bench, Command, random.Random, dict], None],
    told: Callable[[str], object],
) -> None:
    """Commands in turn until the time is over, that first which has had the least of it; ``records`` by their key."""
    end = time.monotonic() + seconds
    if seconds <= 0:
        return
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        while time.monotonic() < end:
            key, record = min(records.items(), key=lambda item: item[1]["seconds"])
            command = next(c for c in COMMANDS if key.endswith(f": {c.name}"))
            begun = time.monotonic()
            bench.reference(command)
            work(bench, command, random.Random(f"{key} {seed} {record['next']}"), record)
            record["next"] += 1
            record["seconds"] = round(record["seconds"] + time.monotonic() - begun, 1)
            told(key)


def kills(seed: int, seconds: float, ledger: dict, told: Callable[[str], object]) -> None:
    """SIGKILL at random moments, up to three times in a row; what is then left must be the whole's bits."""

    def work(bench: Bench, command: Command, draw: random.Random, record: dict) -> None:
        duration = bench.reference(command)[1]
        clean(bench.outputs)
        moments, more = [], ()
        for _ in range(draw.randint(1, 3)):
            moment = draw.uniform(0.2, 1.0) * duration
            process = subprocess.Popen(
                words(command, bench.inputs, bench.out, more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                record["kills"] += 1
                moments.append(round(moment, 2))
            else:
                break
            begun = bench.out.exists() or any(bench.outputs.glob("*.partial"))
            more = command.resume if command.resume is not None and begun else ()
        answer, resumed = continued(command, bench.inputs, bench.out)
        if answer.returncode == 2 and not resumed and "exists" in answer.stderr:  # it had ended before the kill
            answer = ended(["true"])
        record["resumed" if resumed else "begun anew"] += 1
        record["runs"] += 1
        refused = answer.returncode == 2 and answer.stderr
        fault = fault_of(answer) or refused or bench.differing(command)
        if fault:
            record["faults"].append({"case": record["runs"], "text": f"killed after {moments}: {fault}"})

    _turns(seed, seconds, _records(ledger, "kills", ("kills", "resumed", "begun anew", "runs")), work, told)


LIMITED = (
    "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); n = int(sys.argv[1]); "
    "resource.setrlimit(resource.RLIMIT_FSIZE, (n, n)); from symflow.cli import main; main(sys.argv[2:])"
)


def limits(seed: int, seconds: float, ledger: dict, told: Callable[[str], object]) -> None:
    """A full disk, a folder that vanishes, two processes in one folder, a place that cannot be written."""

    def work(bench: Bench, command: Command, draw: random.Random, record: dict) -> None:
        duration = bench.reference(command)[1]
        clean(bench.outputs)
        arguments = words(command, bench.inputs, bench.out)
        own = command.name == "report"  # writes into a run that is there

        def fault(what: str, text: str | None) -> None:
            record[what] += 1
            if text:
                record["faults"].append({"case": record[what], "text": f"{what}: {text}"})

        size = int(10 ** draw.uniform(2, 5.5))
        answer = ended([sys.executable, "-c", LIMITED, str(size), *arguments[3:]])
        text = fault_of(answer)
        if text is None and answer.returncode == 2:
            again, _ = continued(command, bench.inputs, bench.out)
            text = fault_of(again) or (again.stderr if again.returncode == 2 else None) or bench.differing(command)
        fault("full disk", text and f"limit {size}: {text}")
        if own:
            return
        clean(bench.outputs)
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(draw.uniform(0.3, 1.0) * duration)
        shutil.rmtree(bench.outputs, ignore_errors=True)
        out, errors = process.communicate(timeout=SLOWEST)
        fault("vanished", fault_of(subprocess.CompletedProcess(arguments, process.returncode, out, errors)))
        bench.outputs.mkdir(exist_ok=True)
        clean(bench.outputs)
        both = [
            subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
        ]
        ends = [(*p.communicate(timeout=SLOWEST), p.returncode) for p in both]
        texts = [fault_of(subprocess.CompletedProcess(arguments, code, out, err)) for out, err, code in ends]
        if all(code == 2 for *_, code in ends):
            texts.append(f"both were refused: {ends[0][1][-300:]} | {ends[1][1][-300:]}")
        fault("two at once", next(filter(None, texts), None) or bench.differing(command))
        begun = time.monotonic()
        answer = ended(words(command, bench.inputs, Path("/proc/nowhere/run")))
        late = answer.returncode != 2 and "it was not refused"
        slow = time.monotonic() - begun > max(10.0, 0.8 * duration) and "it was refused after the work"
        fault("no place", fault_of(answer) or late or slow or None)

    _turns(seed, seconds, _records(ledger, "limits", ("full disk", "vanished", "two at once", "no place")), work, told)

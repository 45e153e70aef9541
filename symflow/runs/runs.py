"""Run directories: what a run was asked to do, how it goes, where it can continue, what it found.

A run directory holds ``config.json``, ``metrics.jsonl``, checkpoints (safetensors), ``result.json``, figures and
``report.html``. Everything but the metrics is written to a temporary file beside its place and then moved there, so a
kill at any moment leaves either the old file or the new one. A line of the metrics that a kill cut short is dropped
when the run is resumed.
"""

from __future__ import annotations

import errno
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from symflow.errors import UserError
from symflow.fields import Coordinates, NeuralField

CONFIG, METRICS, RESULT, REPORT = "config.json", "metrics.jsonl", "result.json", "report.html"
_OWN = (CONFIG, METRICS, RESULT, REPORT)
_OWN_PATTERNS = ("*.safetensors", "figures/*.png")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path = Path(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes private files
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: str | Path, content: Any) -> None:
    """JSON with a final newline, written whole or not at all; numbers that are not finite are refused."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with replacing(path) as temporary:
        temporary.write_text(text)


def read_json(path: str | Path) -> Any:
    """The content of a JSON file.

    Raises:
        UserError: it is missing or no JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError:
        raise UserError(f"there is no file {str(path)!r}") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(f"{str(path)!r} must be a JSON file, got one that cannot be read ({error})") from None


class Run:
    """A run directory.

    Args:
        path: of the directory; made when it is missing.
        config: what the run is asked to do, JSON values; compared with ``config.json`` when the run is resumed.
        resume: continue a run from its checkpoints instead of beginning one.
        replace: remove an earlier run's own files first; anything else in the directory stays.

    Raises:
        UserError: the directory holds a run and neither `resume` nor `replace` is given, or it holds other files only;
            there is nothing to resume; or the run to resume was asked to do something else.
    """

    def __init__(
        self, path: str | Path, config: Mapping[str, Any], *, resume: bool = False, replace: bool = False
    ) -> None:
        self.path = Path(path)
        config = json.loads(json.dumps(config))
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"`out` must be a directory, got the file {str(path)!r}")
        if resume:
            earlier = read_json(self.path / CONFIG)
            differing = sorted(k for k in {*earlier, *config} if earlier.get(k) != config.get(k))
            if differing:
                raise UserError(
                    f"{str(path)!r} cannot be resumed: it was begun with "
                    + ", ".join(f"{k} = {earlier.get(k)!r} (now {config.get(k)!r})" for k in differing)
                )
            return
        own = [p for p in (self.path / name for name in _OWN) if p.exists()]
        own += [p for pattern in _OWN_PATTERNS for p in self.path.glob(pattern)]
        if self.path.exists() and any(self.path.iterdir()) and not own:
            raise UserError(f"`out` must be a new or empty directory, got {str(path)!r}, which holds other files")
        if own and not replace:
            raise UserError(f"{str(path)!r} holds a run already; resume it, replace it, or name another directory")
        for p in own:
            p.unlink()
        self.path.mkdir(parents=True, exist_ok=True)
        write_json(self.path / CONFIG, config)

    def log(self, record: Mapping[str, Any]) -> None:
        """Appends a line to ``metrics.jsonl``."""
        with open(self.path / METRICS, "a") as file:
            file.write(json.dumps(record) + "\n")

    def rewind(self, stage: str, step: int) -> None:
        """Drops the lines of ``metrics.jsonl`` that a stage wrote at or after a step, and lines cut short."""
        path = self.path / METRICS
        lines = path.read_text().splitlines() if path.exists() else []
        keep = []
        for line in lines:
            try:
                record = json.loads(line)
            except json.JSONDecodeError:
                break
            if record.get("stage") == stage and record.get("step", 0) >= step:
                break
            keep.append(line + "\n")
        with replacing(path) as temporary:
            temporary.write_text("".join(keep))

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
        """Writes ``name.safetensors``; `about` is kept as JSON in its header."""
        save_tensors(self.path / f"{name}.safetensors", tensors, about)

    def save_field(self, name: str, field: NeuralField) -> None:
        """Writes a learned field as ``name.safetensors``; `load_field` reads it back."""
        save_field(self.path / f"{name}.safetensors", field)

    def load_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """What `save_tensors` wrote, or ``None``.

        Raises:
            UserError: the file is no checkpoint.
        """
        return load_tensors(self.path / f"{name}.safetensors")


def save_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Writes tensors as safetensors, whole or not at all; `about` is kept as JSON in the header."""
    content = {k: v.detach().contiguous() for k, v in tensors.items()}
    with replacing(Path(path)) as temporary:
        try:
            safetensors.torch.save_file(content, temporary, metadata={"about": json.dumps(about)})
        except SafetensorError as error:  # the library's name for a failed write
            raise OSError(errno.EIO, str(error), Path(path).name) from None


def load_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """The tensors of a file that `save_tensors` wrote and what was kept about them; ``None`` without a file.

    Raises:
        UserError: the file is no checkpoint.
    """
    if not Path(path).exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            return {k: file.get_tensor(k) for k in file.keys()}, about  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise UserError(f"{str(path)!r} must be a checkpoint of symflow, got a file that is none ({error})") from None


def save_field(path: str | os.PathLike[str], field: NeuralField) -> None:
    """Writes a learned field as safetensors; `load_field` reads it back."""
    width, head_width = field.trunk0_bias.shape[0], field.head_bias.shape[1]
    about = {"coordinates": field.coordinates.to_dict(), "generators": field.generators}
    save_tensors(path, dict(field.named_parameters()), about | {"width": width, "head_width": head_width})


def load_field(path: str | Path) -> NeuralField:
    """A field that `Run.save_field` wrote: ``span.safetensors`` of a discovery, for example.

    Raises:
        UserError: there is no such file, or it holds no field.
    """
    loaded = load_tensors(path)
    if loaded is None:
        raise UserError(f"there is no file {str(path)!r}")
    tensors, about = loaded
    try:
        coordinates = Coordinates(**about["coordinates"])
        field = NeuralField(coordinates, about["generators"], about["width"], about["head_width"])
        field.to(tensors["out_bias"].dtype).load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{str(path)!r} must hold a field, got tensors that make none ({error})") from None
    return field

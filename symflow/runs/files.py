"""Files that are written whole or not at all, and JSON that is read with a sentence for whatever is wrong with it.

Everything goes to a temporary file beside its place and is then moved there, so a kill at any moment leaves either the
old file or the new one. The temporary file that a kill leaves goes when its place is written the next time.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from symflow.errors import UserError, path_of


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with replacing(target) as temporary:
    ...     _ = temporary.write_text("whole")
    >>> target.read_text()
    'whole'

    Raises:
        UserError: it is no path, or that of a folder.
    """
    path = path_of("path", path)
    if path.is_dir():
        raise UserError(f"`path` must be a file, got the folder {str(path)!r}")
    for abandoned in leftovers(path.parent, path.name):
        abandoned.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.{os.getpid()}-", suffix=path.suffix, dir=path.parent)
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


def leftovers(folder: Path, name: str | None = None) -> list[Path]:
    """Temporary files of `replacing` whose process is gone.

    Args:
        folder: where they are.
        name: of the file that they were to become; any by default.
    """
    own = re.compile(rf"\.{'.+' if name is None else re.escape(name)}\.(\d+)-\w{{8}}(\.[^.]*)?")
    found = ((entry, own.fullmatch(entry)) for entry in os.listdir(folder) if entry.startswith("."))
    return [folder / entry for entry, match in found if match and not _alive(int(match[1]))]


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True


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
        return json.loads(path_of("path", path).read_bytes().decode())
    except FileNotFoundError:
        raise UserError(f"there is no file {str(path)!r}") from None
    except UnicodeDecodeError:
        raise UserError(f"{str(path)!r} must be a JSON file, got one that is no text") from None
    except (OSError, ValueError, RecursionError) as error:  # a ValueError also for integers of too many digits
        raise UserError(f"{str(path)!r} must be a JSON file, got one that cannot be read ({error})") from None

"""Claims on directories: while a process has one, no other process writes there.

A claim is a lock of the system on the directory itself (``flock``). It needs no file, and goes with the process that
has it, however that ends. Where a file system knows no such locks, nothing is claimed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from pathlib import Path

from symflow.errors import UserError


class Claim:
    """A directory that this process may write in, until the last of its claims on it is gone."""

    def __init__(self, handle: int) -> None:
        weakref.finalize(self, os.close, handle)


_claims: weakref.WeakValueDictionary[tuple[int, int], Claim] = weakref.WeakValueDictionary()


def claimed(folder: Path) -> Claim:
    """A claim on a directory; all claims of one process on one directory are one.

    Raises:
        UserError: another process has it.
    """
    about = folder.stat()
    key = about.st_dev, about.st_ino
    claim = _claims.get(key)
    if claim is not None:
        return claim
    handle = os.open(folder, os.O_RDONLY)
    claim = Claim(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            raise UserError(f"{str(folder)!r} is in use: another process works in it; wait until it ends") from None
    _claims[key] = claim
    return claim

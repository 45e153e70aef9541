"""Results of any kind, from their files."""

from __future__ import annotations

from pathlib import Path

from symflow import domains
from symflow.errors import UserError
from symflow.runs import read_json

from .reading import file_of
from .result import Result


def load_result(path: str | Path) -> Result:
    """The result of a discovery, whatever its domain.

    Args:
        path: of ``result.json``, or of the run directory that holds it.

    Raises:
        UserError: there is none, or it holds no result.

    >>> import tempfile, torch
    >>> from symflow import discover, invariance
    >>> file = Path(tempfile.mkdtemp()) / "result.json"
    >>> discover(invariance(lambda z: z.square().sum(-1), torch.randn(200, 2))).save(file)
    >>> load_result(file).rank
    1
    """
    result: Result = domains.part(kind_of(path), "discovery").load_result(path)
    return result


def kind_of(path: str | Path) -> str:
    """What kind of result a file or a run directory holds.

    Raises:
        UserError: it holds none.
    """
    file = file_of(path)
    content = read_json(file)
    kind = content.get("kind", "pde") if isinstance(content, dict) else None
    if not isinstance(kind, str) or kind not in domains.PACKAGES:
        raise UserError(f"{str(file)!r} must hold a result of kind {', '.join(domains.PACKAGES)}, got {kind!r}")
    return kind

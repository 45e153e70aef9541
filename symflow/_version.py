"""The version, and whether a namesake is in the way."""

from __future__ import annotations

from pathlib import Path

__version__ = "0.2.0"


def namesake(folder: Path = Path(__file__).parents[1]) -> str | None:
    """What is wrong where the other project called symflow, which is imported by the same name, is installed too.

    Whichever was installed last has overwritten files of the first, and uninstalling either breaks both.
    """
    other = next(folder.glob("symflow-[0-9]*.dist-info"), None)
    if other is None:
        return None
    version = other.name.removesuffix(".dist-info").partition("-")[2]
    return (
        f"the package symflow {version} of another project is installed in {folder}, too, "
        "and the two overwrite each other's files: `pip uninstall symflow`, then "
        "`pip install --force-reinstall --no-deps symflow-torch` (this one)"
    )

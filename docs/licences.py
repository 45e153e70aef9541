"""Writes the licences of everything that symflow needs when it runs, as docs/licences.md, from what is installed.

    python docs/licences.py [--check] [--sbom FILE]

``--check`` refuses a page that is not what would be written; ``--sbom`` writes the same as CycloneDX 1.5, JSON.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

PAGE = Path(__file__).parent / "licences.md"
HEAD = """# Licences

What symflow needs at run time, with what that needs in turn, and under which licence each is given, as the packages
themselves declare it. Written by `make licences`; test and development packages are in `constraints.txt`.

| package | version | licence |
|---|---|---|
"""


def declared() -> list[str]:
    """The names in ``dependencies`` of pyproject.toml."""
    text = (PAGE.parents[1] / "pyproject.toml").read_text()
    (listed,) = re.findall(r"^dependencies = \[(.*?)^\]", text, re.DOTALL | re.MULTILINE)
    return [re.split(r"[><=~! \[]", requirement)[0] for requirement in re.findall(r'"([^"]+)"', listed)]


def needed(names: list[str]) -> dict[str, Distribution]:
    """Packages and all that they require here, extras left out, by name."""
    found: dict[str, Distribution] = {}
    waiting = list(names)
    while waiting:
        wanted = waiting.pop()
        key = re.sub(r"[-_.]+", "-", wanted).lower()
        if key in found:
            continue
        try:
            found[key] = distribution(wanted)
        except PackageNotFoundError:  # for another system or Python
            continue
        for line in found[key].requires or []:
            requirement, _, marker = line.partition(";")
            if "extra" not in marker:
                waiting.append(re.split(r"[ \[<>=!~(]", requirement.strip(), maxsplit=1)[0])
    return dict(sorted(found.items()))


def licence(package: Distribution) -> str:
    """As the package declares it: an expression of SPDX, a classifier, or the first line of its licence."""
    about = package.metadata
    if expression := about.get("License-Expression"):
        return expression
    named = [c.rpartition(" :: ")[2] for c in about.get_all("Classifier") or [] if c.startswith("License :: ")]
    named = [n for n in named if n != "OSI Approved"]
    if named:
        return ", ".join(named)
    text = (about.get("License") or "").strip().splitlines()
    return text[0][:80] if text else "not declared"


def page(packages: dict[str, Distribution]) -> str:
    rows = [f"| {name} | {p.version} | {licence(p)} |" for name, p in packages.items()]
    return HEAD + "\n".join(rows) + "\n"


def bill(packages: dict[str, Distribution]) -> dict:
    """Bill of materials in CycloneDX."""
    parts = [
        {
            "type": "library",
            "name": name,
            "version": p.version,
            "purl": f"pkg:pypi/{name}@{p.version}",
            "licenses": [{"license": {"name": licence(p)}}],
        }
        for name, p in packages.items()
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": parts}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--sbom", type=Path)
    a = parser.parse_args()
    packages = needed(declared())
    if a.sbom is not None:
        a.sbom.write_text(json.dumps(bill(packages), indent=2) + "\n")
    elif a.check:
        if PAGE.read_text() != page(packages):
            sys.exit("docs/licences.md is not what is installed; `make licences` writes it")
    else:
        PAGE.write_text(page(packages))


if __name__ == "__main__":
    main()

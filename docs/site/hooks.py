"""What the site has beyond the pages in docs/: notebooks, the API reference, pages from elsewhere in the checkout."""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

import notebooks  # noqa: E402  (beside this file, which is no package)
import records  # noqa: E402
import reference  # noqa: E402

INSTALLED = ROOT / "build" / "api"  # the sources as they are installed, for mkdocstrings
INSTALLED.mkdir(parents=True, exist_ok=True)  # now: it passes over a folder that is not there when it starts
NOTEBOOKS = ("own_equation", "own_data", "images", "own_function", "audit_transform", "augment_data", "kernels")
ELSEWHERE = {"changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md", "security.md": "SECURITY.md"}
log = logging.getLogger("mkdocs.hooks.symflow")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lays the sources out as they are installed, and lists the pages of the reference."""
    shutil.rmtree(INSTALLED, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.so")
    shutil.copytree(ROOT / "symflow", INSTALLED / "symflow", ignore=ignored)
    for domain in ("pde", "vision"):
        shutil.copytree(ROOT / domain, INSTALLED / "symflow" / domain, ignore=ignored)
    named = {page for section in config.nav or [] for pages in section.values() for page in _addresses(pages)}
    for section in config.nav or []:
        for title, pages in section.items():
            if title == "Measured":  # a page that is new is found before it has a place
                pages += sorted(p.name for p in (ROOT / "docs").glob("*.md") if p.name not in named)
            if title == "API":
                pages += [{name: f"api/{name}.md"} for name in reference.pages(INSTALLED)]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that are made."""
    packages = reference.pages(INSTALLED)
    made: dict[str, str | bytes] = {f"api/{name}.md": text for name, (_, text) in packages.items()}
    made["api/index.md"] = _index([package for package, _ in packages.values()])
    sources = hashlib.sha256()
    for path in sorted(INSTALLED.rglob("*.py")):
        sources.update(path.read_bytes())
    for name in NOTEBOOKS:
        script = ROOT / "examples" / f"{name}.py"
        log.info("notebook %s", name)
        text, shown = notebooks.page(notebooks.executed(script, sources.digest(), ROOT / "build" / "notebooks"), name)
        made[f"notebooks/{name}.md"] = text
        made |= {f"notebooks/{file}": content for file, content in shown.items()}
    made |= {f"examples/{p.name}": p.read_bytes() for p in sorted((ROOT / "examples").glob("*.py"))}
    made |= {address: _within((ROOT / file).read_text()) for address, file in ELSEWHERE.items()}
    for address, content in made.items():
        files.append(File.generated(config, address, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """A list may follow its sentence without an empty line between, as everywhere else Markdown is read."""
    if page.file.src_uri.startswith("api/"):
        return markdown
    markdown = re.sub(r"<!-- record: (\S+) -->", lambda m: records.table(INSTALLED, m[1]), markdown)
    for address, file in ELSEWHERE.items():
        markdown = markdown.replace(f"](../{file}", f"]({address}")
    return _lists(markdown)


def _addresses(pages: list[str | dict[str, str]]) -> list[str]:
    return [address for page in pages for address in ([page] if isinstance(page, str) else page.values())]


def _index(packages: list[reference.Package]) -> str:
    rows = [f"| [`{p.name}`]({p.name}.md) | {p.sentence} |" for p in packages]
    return "\n".join(["# API", "", "| package | what it is for |", "| --- | --- |", *rows, ""])


def _within(text: str) -> str:
    """Links of a page at the top of the checkout, from within the site."""
    return re.sub(r"\]\(docs/", "](", text)


def _lists(text: str) -> str:
    lines: list[str] = []
    fenced = False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        item = re.match(r"(- |\d+\. )", line)
        if item and not fenced and lines and lines[-1].strip() and not re.match(r"(- |\d+\. |\s)", lines[-1]):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)

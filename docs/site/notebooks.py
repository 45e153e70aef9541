"""Examples as notebooks: cells of a script, executed, and the page that shows them with what they printed and drew.

A script has `# %%` before a cell of code and `# %% [markdown]` before one of text, as editors and jupytext read it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

CELL = re.compile(r"^# %%(.*)\n", re.MULTILINE)
SCRIPTS_ONLY = re.compile(
    r"if __name__ == \"__main__\":.*", re.DOTALL
)  # shows figures, which notebooks do by themselves
INLINE = "%matplotlib inline"  # the first cell, which pages leave out
SECONDS = 600  # for a cell: the longest takes 45 on two idle cores


def notebook(script: str) -> NotebookNode:
    """The cells of a script, not executed."""
    parts = CELL.split(script)
    if parts[0].strip():
        raise ValueError("a notebook's script begins with a cell, `# %%`")
    cells = [new_code_cell(INLINE)]
    for head, body in zip(parts[1::2], parts[2::2], strict=True):
        text = SCRIPTS_ONLY.sub("", body).strip()
        if "[markdown]" in head:
            cells.append(new_markdown_cell(re.sub(r"^# ?", "", text, flags=re.MULTILINE)))
        elif text:
            cells.append(new_code_cell(text))
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"  # random ones would make every build another
    return new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def executed(script: Path, sources: bytes, cache: Path) -> NotebookNode:
    """The notebook of a script with its outputs; one made from the same script and sources is read again."""
    key = hashlib.sha256(script.read_bytes() + sources).hexdigest()[:16]
    kept = cache / f"{script.stem}-{key}.ipynb"
    if kept.exists():
        return nbformat.read(kept, as_version=4)
    cache.mkdir(parents=True, exist_ok=True)  # where cells run, too
    book = notebook(script.read_text())
    NotebookClient(book, timeout=SECONDS, kernel_name="python3", resources={"metadata": {"path": str(cache)}}).execute()
    for cell in book.cells:
        cell.metadata.pop("execution", None)
    nbformat.write(book, kept)
    return book


def page(book: NotebookNode, name: str) -> tuple[str, dict[str, bytes]]:
    """Markdown of an executed notebook, and the files that it shows by their names."""
    lines = ["---", "hide:", "  - toc", "---", ""]  # the width is needed for outputs
    files: dict[str, bytes] = {}
    for cell in book.cells:
        if cell.source == INLINE:
            continue
        if cell.cell_type == "markdown":
            lines += [cell.source, ""]
            continue
        lines += ["```python", cell.source, "```", ""]
        for text, picture in _outputs(cell):
            if picture:
                file = f"{name}-{len(files) + 1}.png"
                files[file] = picture
                lines += [f"![What the code above draws]({file})", ""]
            else:
                lines += [text, ""]
    files[f"{name}.ipynb"] = nbformat.writes(book).encode()
    lines += [f"[This page as a notebook]({name}.ipynb) · [as a script](../examples/{name}.py)", ""]
    return "\n".join(lines), files


def _outputs(cell: NotebookNode) -> Iterator[tuple[str, bytes]]:
    printed = ""
    for output in cell.outputs:
        if output.output_type == "stream":
            if output.name == "stderr":
                raise ValueError(f"a cell wrote to the standard error: {output.text}")
            printed += output.text  # in parts, as it was flushed
            continue
        if printed:
            yield _printed(printed), b""
            printed = ""
        if "image/png" in output.get("data", {}):
            yield "", base64.b64decode(output.data["image/png"])
        elif "text/html" in output.get("data", {}):
            yield f'<div class="output-html">{"".join(output.data["text/html"])}</div>', b""
        # What else a cell ends in is some object of matplotlib's, of which a reader learns nothing.
    if printed:
        yield _printed(printed), b""


def _printed(text: str) -> str:
    return '```text title="output"\n' + text.strip("\n") + "\n```"

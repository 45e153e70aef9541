"""What a result of any kind shows beside its text: a table for programs and notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from symflow.errors import UserError


class Rows(NamedTuple):
    """Rows of numbers and words under their names; ``None`` where there is nothing."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Tabled:
    """What has a table: it shows it in a notebook and hands it to pandas.

    A class says `table`, and may say `picture`; its text is that of ``print``.

    >>> class Squares(Tabled):
    ...     def table(self):
    ...         return Rows(["n", "square"], [[n, n * n] for n in range(3)])
    ...     def __str__(self):
    ...         return "squares"
    >>> Squares().table().rows[2], "<td>4</td>" in Squares()._repr_html_()
    ([2, 4], True)
    """

    def table(self) -> Rows:
        """What there is to compare, a row each."""
        raise NotImplementedError

    def picture(self) -> Markup | None:
        """What a notebook shows above the table: HTML or SVG, or nothing."""
        return None

    def to_pandas(self) -> Any:
        """`table` as a DataFrame.

        Raises:
            UserError: pandas is missing.
        """
        try:
            import pandas
        except ImportError:
            raise UserError(
                "`to_pandas` needs pandas, which is not installed: `pip install pandas`; `table()` needs nothing"
            ) from None
        columns, rows = self.table()
        return pandas.DataFrame([list(row) for row in rows], columns=list(columns))

    def _repr_html_(self) -> str:
        """The first line of the text, the picture, the table, and all of the text folded away."""
        text, (columns, rows) = str(self), self.table()
        head = Markup("").join(Markup("<th scope='col'>{}</th>").format(c) for c in columns)
        body = Markup("").join(
            Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(_cell(v)) for v in row))
            for row in rows
        )
        shown = Markup("<p><b>{}</b></p>{}<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(
            text.partition("\n")[0], self.picture() or "", head, body
        )
        return str(shown + Markup("<details><summary>as text</summary><pre>{}</pre></details>").format(text))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)

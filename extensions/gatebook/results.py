"""What does an answer look like below a `%%sql` cell?

Rows as pandas shows them, with a line of what is worth knowing; what the gate says itself (`show tables`, `describe`,
`explain`) in full, for a condition that is cut off explains nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from gatebook.model import Outcome

if TYPE_CHECKING:
    import pandas as pd

_QUESTION = re.compile(r"\s*(?:show|describe|desc|explain)\b", re.IGNORECASE)


class Footer:
    """What is worth knowing about a result: how many rows, how long, which masks, where in the book."""

    def __init__(self, outcome: Outcome) -> None:
        self._text = str(outcome)

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        colour = "var(--jp-ui-font-color2,light-dark(#57606a,#9198a1))"
        return f'<p class="gatebook-footer" style="font-size:.9em;color:{colour}">{escape(self._text)}</p>'


class Result:
    """A table and its footer as one output."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self._footer = Footer(Outcome.from_json(frame.attrs["gatebook"]))

    def __repr__(self) -> str:
        import pandas as pd

        # The footer counts the rows, also those that a frame of the first and the last ones does not have.
        with pd.option_context("display.show_dimensions", False):
            return f"{self._frame!r}\n{self._footer!r}"

    def _repr_html_(self) -> str:
        import pandas as pd

        # Text of a database is no formula: two prices in dollars would otherwise be set by MathJax.
        with pd.option_context("display.html.use_mathjax", False):
            table = self._frame.to_html(
                max_rows=pd.get_option("display.max_rows"), show_dimensions=False, notebook=True
            )
        return f"{table}{self._footer._repr_html_()}"


class Told:
    """What the gate says of a source or a statement: every word, and nothing where there is nothing to say."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._head = [str(name) for name in frame.columns]
        cells = frame.astype(object).where(frame.notna(), "")
        self._rows = [[str(cell) for cell in row] for row in cells.itertuples(index=False, name=None)]
        self._footer = Footer(Outcome.from_json(frame.attrs["gatebook"]))

    def __repr__(self) -> str:
        lines = [self._head, *self._rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        told = ("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
        return "\n".join((*told, repr(self._footer)))

    def _repr_html_(self) -> str:
        head = _cells("th", self._head)
        body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in self._rows)
        table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        return f'<table class="dataframe tex2jax_ignore mathjax_ignore">{table}</table>{self._footer._repr_html_()}'


def is_question(statement: str) -> bool:
    """Whether the gate answers the statement itself."""
    return _QUESTION.match(statement) is not None


def _cells(tag: str, texts: Iterable[str]) -> str:
    # Lab sets the cells of a table to the right, as for numbers.
    return "".join(f'<{tag} style="text-align:left">{escape(text)}</{tag}>' for text in texts)

"""What did a read give? One Arrow table with its outcome, for whichever library is to look at it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING

from gatebook.errors import InvalidInput, LibraryMissing
from gatebook.results import Result

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from gatebook.model import Outcome
    from gatebook.stream import Batches

NULLABLE, ARROW_DTYPES = "nullable", "arrow"
DTYPES = (NULLABLE, ARROW_DTYPES)
PANDAS, ARROW, POLARS, ROWS = "pandas", "arrow", "polars", "rows"
KINDS = (PANDAS, ARROW, POLARS, ROWS)


class Rows:
    """The rows of a read and their outcome.

    Whatever reads Arrow's C stream reads it as it stands: `duckdb.sql("select * from rows")`, `polars.DataFrame(rows)`,
    `pyarrow.table(rows)`.
    """

    def __init__(self, table: pa.Table, outcome: Outcome) -> None:
        self._table = table
        self.outcome = outcome

    def arrow(self) -> pa.Table:
        """The table as it arrived."""
        return self._table

    def df(self, dtypes: str = NULLABLE) -> pd.DataFrame:
        """A DataFrame as `query` gives it: `nullable` dtypes, or `arrow`, which converts nothing."""
        check_dtypes(dtypes)
        from gatebook.frames import frame_of, mark

        return mark(frame_of(self._table, dtypes), self.outcome)

    def to_polars(self) -> pl.DataFrame:
        """A DataFrame of polars; raises `LibraryMissing` where polars is not installed."""
        check_polars()
        import polars as pl

        return pl.DataFrame(self._table)

    def to(self, kind: str, dtypes: str = NULLABLE) -> pd.DataFrame | pa.Table | pl.DataFrame | Rows:
        """The rows as `pandas`, `arrow`, `polars`, or as they are (`rows`)."""
        match kind:
            case "pandas":
                return self.df(dtypes)
            case "arrow":
                return self.arrow()
            case "polars":
                return self.to_polars()
            case "rows":
                return self
            case _:
                message = f"`{kind}` is not known; it is one of {', '.join(KINDS)}"
                raise InvalidInput(message)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The Arrow PyCapsule interface."""
        return self._table.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __repr__(self) -> str:
        return repr(self._shown())

    def _repr_html_(self) -> str:
        return self._shown()._repr_html_()

    def _shown(self) -> Result:
        from gatebook.frames import ends_of, mark

        return Result(mark(ends_of(self._table), self.outcome))


def gathered(batches: Batches, seen: Callable[[int], None] | None = None) -> Rows:
    """All of an answer; `seen` hears how many rows are there. Whatever breaks in hangs up, and nothing remains."""
    import pyarrow as pa

    kept: list[pa.RecordBatch] = []
    count = 0
    with batches:
        for batch in batches:
            kept.append(batch)
            count += batch.num_rows
            if seen is not None:
                seen(count)
    assert batches.outcome is not None
    return Rows(pa.Table.from_batches(kept, batches.schema), batches.outcome)


def check_dtypes(dtypes: str) -> None:
    """Raise `InvalidInput` for a word that is not one of `DTYPES`."""
    if dtypes not in DTYPES:
        message = f"`dtypes` is `{NULLABLE}` or `{ARROW_DTYPES}`, not `{dtypes}`"
        raise InvalidInput(message)


def check_polars() -> None:
    """Raise `LibraryMissing` where polars is not installed: before a statement runs, rather than after it."""
    if importlib.util.find_spec("polars") is None:
        message = "polars is not installed in this environment"
        raise LibraryMissing(message, ask="`pip install polars`, or take the rows as `pandas` or `arrow`")

"""By which way does a read of PostgreSQL come: row by row, or copied as Arrow? One way per read, chosen as it begins.

Rows are sooner there when they are few, and a copy is many times faster when they are many. What is known of the text
decides: how large its answer was the last time, or else what the planner expects, which is asked once. A hint chooses
the way and nothing else: the columns are described anew in the transaction that copies, and whatever a copy cannot take
(a type, a parameter, a full pool, a server that says no) is read row by row.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import psycopg
import pyarrow as pa
from psycopg.pq import TransactionStatus

from gatebook_hub.errors import StatementFailed
from gatebook_hub.model import Limits
from gatebook_hub.sources.arrow_batches import ArrowBatches, fits
from gatebook_hub.sources.arrow_columns import columns_of, outer
from gatebook_hub.sources.arrow_link import ArrowLinks, DriverError, Lent, told
from gatebook_hub.sources.literals import with_literals
from gatebook_hub.sources.postgresql_session import translate
from gatebook_hub.sources.rows import Declaring, RowBatches
from gatebook_hub.sources.sizes import Size, Sizes
from gatebook_hub.sources.stream import Batches, cut

LARGE_ROWS = 4_000
Begin = Callable[[], tuple[Any, "psycopg.Connection[Any]"]]


class PostgresqlRead:
    """One read, as `DrivenStream` drives it. It has one connection at a time: of the one driver, or of the other."""

    def __init__(
        self,
        sql: str,
        parameters: Mapping[str, Any],
        limits: Limits,
        *,
        begin: Begin,
        declaring: Declaring,
        links: ArrowLinks,
        end_process: Callable[[int], None],
        sizes: Sizes,
    ) -> None:
        self._sql = sql
        self._parameters = dict(parameters)
        self._limits = limits
        self._begin = begin
        self._declaring = declaring
        self._links = links
        self._end_process = end_process
        self._sizes = sizes
        self._handing = threading.Lock()  # held while a connection comes or goes, so that no other's read is cancelled
        self._is_cancelled = False
        self._size: Size | None = None
        self._cursor: Any = None
        self._copied: ArrowBatches | None = None
        self._lent: Lent | None = None
        self._pooled, self._connection = begin()

    def execute(self) -> Batches:
        """Choose the way, and run the statement."""
        text = self._text_to_copy()
        if text is not None:
            self._give_rows_back()
            copied = self._copy(text)
            if copied is not None:
                return _Counted(copied, self._tell)
            self._begin_anew()
        self._cursor = self._connection.cursor(name="gatebook")
        self._cursor.execute(self._sql.encode(), self._parameters)
        return _Counted(RowBatches(self._cursor, self._declaring), self._tell)

    def translate(self, error: Exception) -> Exception:
        """An error of either driver as ours."""
        return translate(told(error))

    def cancel(self, *, is_polite: bool) -> None:
        """Stop what runs on the connection that is held now, if one is."""
        with self._handing:
            self._is_cancelled = True
            if self._lent is not None:
                self._cancel_copy(self._lent, is_polite=is_polite)
            elif self._pooled is not None:
                with suppress(psycopg.Error, OSError):
                    if is_polite:
                        self._connection.cancel_safe(timeout=2)
                    else:
                        cut(self._connection.fileno())

    def end(self, *, is_cancelled: bool) -> None:
        """Give the connection back."""
        with self._handing:
            self._is_cancelled |= is_cancelled
        if self._lent is not None:
            self._give_copy_back()
        elif self._pooled is not None:
            self._give_rows_back()

    def _text_to_copy(self) -> str | None:
        """The text with its parameters as literals, if its answer may be large; the transaction is left usable."""
        size = self._size = self._sizes.get(self._sql)
        if size not in {None, Size.LARGE}:
            return None
        try:
            text = with_literals(self._connection, self._sql, self._parameters)
            if text is None:
                self._tell(Size.UNSUITED)
            elif size is None and self._expected_rows(text) < LARGE_ROWS:
                return None
        except psycopg.OperationalError:  # a timeout, or the connection is lost
            raise
        except psycopg.Error:  # the usual way says what is wrong, in its own words
            if self._connection.info.transaction_status != TransactionStatus.INTRANS:
                self._give_rows_back()
                self._begin_anew()
            return None
        return text

    def _expected_rows(self, text: str) -> float:
        row = self._connection.execute(b"EXPLAIN (FORMAT JSON) " + text.encode()).fetchone()
        return float(json.loads(row[0])[0]["Plan"]["Plan Rows"]) if row else 0.0

    def _copy(self, text: str) -> ArrowBatches | None:
        """Begin to copy, or none where that cannot be; raises what the statement itself raises."""
        lent = self._links.lend(self._limits)
        if lent is None:
            return None
        with self._handing:
            self._lent = lent
        self._check()
        columns = self._described(lent, text)
        if columns is not None:
            reader = lent.link.copy(outer(text, columns))
            if fits(reader, columns):
                self._copied = ArrowBatches(reader, columns)
                return self._copied
        self._tell(Size.UNSUITED)
        self._give_copy_back()
        return None

    def _described(self, lent: Lent, text: str) -> Any:
        try:
            return columns_of(lent.link.describe(text))
        except DriverError as error:
            found = told(error)
            if isinstance(found, psycopg.OperationalError):
                raise found from error
            return None

    def _cancel_copy(self, lent: Lent, *, is_polite: bool) -> None:
        if is_polite:
            lent.link.cancel()
        else:
            self._end_process(lent.link.process)

    def _give_copy_back(self) -> None:
        with self._handing:
            lent, self._lent = self._lent, None
            is_clean = not self._is_cancelled
        if lent is not None:
            copied = self._copied
            lent.give_back(is_clean=is_clean and copied is not None and copied.is_exhausted)

    def _give_rows_back(self) -> None:
        with self._handing:
            pooled, self._pooled = self._pooled, None
            is_cancelled = self._is_cancelled
        if pooled is None:
            return
        connection = self._connection
        with suppress(psycopg.Error):
            if self._cursor is not None:
                self._cursor.close()
            if not is_cancelled:
                connection.rollback()
        # A cancellation that is still under way would hit the next statement.
        if is_cancelled or connection.info.transaction_status != TransactionStatus.IDLE:
            pooled.invalidate()
        pooled.close()

    def _begin_anew(self) -> None:
        self._check()
        pooled, connection = self._begin()
        with self._handing:
            self._pooled, self._connection = pooled, connection
        self._check()

    def _check(self) -> None:
        if self._is_cancelled:
            raise StatementFailed("the statement was cancelled")

    def _tell(self, size: Size) -> None:
        """Remember it; what cannot be copied stays so, however large it is."""
        if self._size not in {size, Size.UNSUITED}:
            self._size = size
            self._sizes.tell(self._sql, size)


class _Counted:
    """Batches whose rows are counted, to know the size of the answer the next time."""

    def __init__(self, batches: Batches, tell: Callable[[Size], None]) -> None:
        self._batches = batches
        self._tell = tell
        self._rows = 0

    @property
    def schema(self) -> pa.Schema:
        """Names and types of the columns."""
        return self._batches.schema

    def next(self) -> pa.RecordBatch | None:
        """The next batch."""
        batch = self._batches.next()
        before, self._rows = self._rows, self._rows + (batch.num_rows if batch is not None else 0)
        if before < LARGE_ROWS <= self._rows:
            self._tell(Size.LARGE)
        elif batch is None and self._rows < LARGE_ROWS:
            self._tell(Size.SMALL)
        return batch

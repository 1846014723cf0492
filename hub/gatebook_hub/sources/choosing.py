"""By which way does a read of PostgreSQL come: at once, row by row, or copied as Arrow? Chosen as it begins.

A few rows are soonest there in one round trip, and a copy is many times faster when they are many. What is known of the
text decides: how large its answer was the last time. What the planner expects is not asked: it knows of rows that a
filter hides, and the way would tell. A hint chooses the way and nothing else: the columns are described anew in the
transaction that copies, and whatever a copy cannot take (a type, a parameter, a full pool, a server that says no), or
is more than comes at once, is read row by row.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from gatebook_hub.errors import StatementFailed
from gatebook_hub.model import Limits
from gatebook_hub.sources.arrow_batches import ArrowBatches, fits
from gatebook_hub.sources.arrow_columns import Column, columns_of, outer
from gatebook_hub.sources.arrow_link import ArrowLinks, DriverError, Lent, told
from gatebook_hub.sources.at_once import fetched
from gatebook_hub.sources.literals import with_literals
from gatebook_hub.sources.rows import RowBatches
from gatebook_hub.sources.sizes import CountedBatches, Size, Sizes
from gatebook_hub.sources.stream import Batches, Driven


@dataclass(frozen=True, slots=True, kw_only=True)
class ByRows:
    """A read that goes row by row, and the driver's connection under it."""

    driven: Driven
    connection: psycopg.Connection[Any]


class ChosenRead:
    """One read, as a stream drives it. It has one connection at a time: of the one driver, or of the other."""

    def __init__(
        self,
        sql: str,
        parameters: Mapping[str, Any],
        limits: Limits,
        *,
        lease: Callable[[], ByRows],
        begin: Callable[[], ByRows],
        translate: Callable[[Exception], Exception],
        links: ArrowLinks,
        sizes: Sizes,
        end_process: Callable[[int], None],
    ) -> None:
        self._sql = sql
        self._parameters = dict(parameters)
        self._limits = limits
        self._lease = lease  # a connection without a transaction
        self._begin = begin  # one whose transaction has begun
        self._translate = translate
        self._links = links
        self._sizes = sizes
        self._end_process = end_process
        self._handing = threading.Lock()  # held while a connection comes or goes, so that no other's read is cancelled
        self._is_cancelled = False
        self._size: Size | None = None
        self._copied: ArrowBatches | None = None
        self._lent: Lent | None = None
        self._rows: ByRows | None = None

    def execute(self) -> Batches:
        """Choose the way, and run the statement."""
        self._size = self._sizes.get(self._sql)
        if self._size is Size.SMALL:
            found = self._at_once()
            if found is not None:
                return CountedBatches(found, self._tell)
        text = self._text_to_copy()
        if text is not None:
            self._give_rows_back()
            copied = self._copy(text)
            if copied is not None:
                return CountedBatches(copied, self._tell)
        driven = self._by_rows().driven
        return CountedBatches(RowBatches(driven.execute(), driven), self._tell)

    def translate(self, error: Exception) -> Exception:
        """An error of either driver as ours."""
        return self._translate(told(error))

    def cancel(self, *, is_polite: bool) -> None:
        """Stop what runs on the connection that is held now, if one is."""
        with self._handing:
            self._is_cancelled = True
            if self._rows is not None:
                self._rows.driven.cancel(is_polite=is_polite)
            elif self._lent is not None and is_polite:
                self._lent.link.cancel()
            elif self._lent is not None:
                self._end_process(self._lent.link.process)

    def end(self, *, is_cancelled: bool) -> None:
        """Give the connection back."""
        with self._handing:
            self._is_cancelled |= is_cancelled
        self._give_rows_back()
        self._give_copy_back()

    def _at_once(self) -> RowBatches | None:
        """All rows, or none where they are too many or the connection was lost since it served somebody last."""
        rows = self._hold(self._lease())
        try:
            cursor = fetched(rows.connection, self._sql, self._parameters, self._limits)
        except psycopg.OperationalError:
            if not rows.connection.broken:
                raise
            cursor = None
        if cursor is None:
            self._give_rows_back()
            return None
        return RowBatches(cursor, rows.driven)

    def _text_to_copy(self) -> str | None:
        """The text with its parameters as literals, if its answer may be large; the transaction is left usable."""
        if self._size is not Size.LARGE:
            return None
        connection = self._by_rows().connection
        try:
            text = with_literals(connection, self._sql, self._parameters)
            if text is None:
                self._tell(Size.UNSUITED)
        except psycopg.OperationalError:  # a timeout, or the connection is lost
            raise
        except psycopg.Error:  # the usual way says what is wrong, in its own words
            if connection.info.transaction_status != TransactionStatus.INTRANS:
                self._give_rows_back()
            return None
        return text

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

    def _described(self, lent: Lent, text: str) -> list[Column] | None:
        try:
            return columns_of(lent.link.describe(text))
        except DriverError as error:
            found = told(error)
            if isinstance(found, psycopg.OperationalError):
                raise found from error
            return None

    def _give_copy_back(self) -> None:
        with self._handing:
            lent, self._lent = self._lent, None
            is_cancelled = self._is_cancelled
        if lent is not None:
            is_read = not lent.link.is_copying or (self._copied is not None and self._copied.is_exhausted)
            lent.give_back(is_clean=is_read and not is_cancelled)

    def _give_rows_back(self) -> None:
        with self._handing:
            rows, self._rows = self._rows, None
            is_cancelled = self._is_cancelled
        if rows is not None:
            rows.driven.end(is_cancelled=is_cancelled)

    def _by_rows(self) -> ByRows:
        """The transaction that goes row by row: the one at hand, or another where that was given back."""
        found = self._rows
        if found is None:
            self._check()
            found = self._hold(self._begin())
        return found

    def _hold(self, rows: ByRows) -> ByRows:
        with self._handing:
            self._rows = rows
        self._check()
        return rows

    def _check(self) -> None:
        if self._is_cancelled:
            raise StatementFailed("the statement was cancelled")

    def _tell(self, size: Size) -> None:
        """Remember it; what cannot be copied stays so, however large it is."""
        if self._size not in {size, Size.UNSUITED}:
            self._size = size
            self._sizes.tell(self._sql, size)

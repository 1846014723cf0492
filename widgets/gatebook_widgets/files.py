"""How do rows become a file that a person opens elsewhere? As CSV, a sheet or Parquet, none of which runs anything.

A text that a spreadsheet would take for a formula gets an apostrophe in CSV, and is marked as text in a sheet.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pyarrow as pa

from gatebook.errors import LimitExceeded
from gatebook_widgets.typing_in import typed_text

MOST_SHEET_ROWS = 1_048_575
LONGEST_CELL = 32_767
_EXACT_DIGITS = 15
# What begins a formula, also after blanks and in the wide form that some spreadsheets read alike.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20|%]")
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class Format(StrEnum):
    """A kind of file."""

    CSV = "csv"
    XLSX = "xlsx"
    PARQUET = "parquet"

    @property
    def words(self) -> str:
        """What a person reads."""
        return {"csv": "CSV", "xlsx": "Excel", "parquet": "Parquet"}[self]

    @property
    def media_type(self) -> str:
        """What a browser is told."""
        return {
            "csv": "text/csv",
            "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "parquet": "application/vnd.apache.parquet",
        }[self]


def file_of(table: pa.Table, form: Format) -> bytes:
    """The rows as a file; raises `LimitExceeded` where a sheet cannot hold them."""
    match form:
        case Format.CSV:
            return _csv(table)
        case Format.XLSX:
            return _xlsx(table)
        case Format.PARQUET:
            return _parquet(table)


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def as_it_was(text: str) -> str:
    """The text that `harmless` was given; nothing else that begins with an apostrophe loses it."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text[1:]) else text


def _csv(table: pa.Table) -> bytes:
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow([harmless(name) for name in table.column_names])
    for row in _rows(table):
        writer.writerow([harmless(value) if isinstance(value, str) else typed_text(value) for value in row])
    # With a mark at its beginning, without which Excel reads UTF-8 as something else.
    return written.getvalue().encode("utf-8-sig")


def _xlsx(table: pa.Table) -> bytes:
    import openpyxl
    from openpyxl.cell import WriteOnlyCell

    if table.num_rows > MOST_SHEET_ROWS:
        message = f"a sheet holds {MOST_SHEET_ROWS:,} rows, and these are {table.num_rows:,}"
        raise LimitExceeded(message, ask="CSV or Parquet")
    # Before the sheet is begun, which cannot be left half written.
    rows = [[_for_a_sheet(value) for value in row] for row in (table.column_names, *_rows(table))]
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Rows")

    def cell(plain: object) -> Any:
        made = WriteOnlyCell(sheet, value=plain)
        if isinstance(plain, str):
            made.data_type = "s"
            made.quotePrefix = _FORMULA.match(plain) is not None
        return made

    for row in rows:
        sheet.append([cell(value) for value in row])
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def _parquet(table: pa.Table) -> bytes:
    from pyarrow import parquet

    written = io.BytesIO()
    parquet.write_table(table, written, compression="zstd")
    return written.getvalue()


def _rows(table: pa.Table) -> zip[tuple[Any, ...]]:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)


def _for_a_sheet(value: object) -> object:
    """What a sheet knows as it is; other values as their text, numbers too that it would round."""
    match value:
        case None | bool() | dt.date() if not (isinstance(value, dt.datetime) and value.tzinfo is not None):
            return value
        case int() | Decimal() if len(str(value).strip("-").replace(".", "")) <= _EXACT_DIGITS:
            return value
        case float() if value == value and abs(value) != float("inf"):  # noqa: PLR0124 - NaN alone differs from itself
            return value
        case _:
            text = _NOT_IN_XML.sub("\ufffd", value if isinstance(value, str) else typed_text(value))
    if len(text) > LONGEST_CELL:
        message = f"a text of {len(text):,} characters is longer than a cell of a sheet"
        raise LimitExceeded(message, ask="CSV or Parquet")
    return text

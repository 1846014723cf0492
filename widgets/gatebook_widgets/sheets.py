"""Which rows does a file hold that somebody uploads? Those of CSV, of TSV, or of a workbook's first sheet.

Every value arrives as a text: what it means is for the column to say. Sizes are looked at before anything is unpacked.
"""

from __future__ import annotations

import codecs
import csv
import datetime as dt
import io
import itertools
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gatebook.errors import InvalidInput, LimitExceeded
from gatebook_widgets.files import as_it_was
from gatebook_widgets.typing_in import typed_text

# A page's script says so before it sends more, for a longer message would end its connection.
MOST_BYTES = 900_000
MOST_UNPACKED_BYTES = 64 * 2**20
MOST_COLUMNS = 200
MOST_EMPTY_ROWS = 1_000
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Names of columns and rows of texts, each with as many as there are names; `numbers` are the rows' in the file."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: tuple[int, ...]


def sheet_of(name: str, content: bytes, *, most_rows: int) -> Sheet:
    """The rows of a file, by the end of its name; raises `InvalidInput`, `LimitExceeded` for what cannot be read."""
    if len(content) > MOST_BYTES:
        message = f"the file is larger than {MOST_BYTES // 1000} KB"
        raise LimitExceeded(message, ask="send its rows in parts")
    ending = name.lower().rpartition(".")[2]
    match ending:
        case "csv" | "tsv" | "txt":
            lines = _lines(_text(content), "\t" if ending == "tsv" else None)
        case "xlsx":
            lines = _cells(content, most_rows)
        case _:
            message = f"a file whose name ends in `.{ending}` is not read here"
            raise InvalidInput(message, ask="save it as .csv, .tsv or .xlsx")
    return _sheet(lines, most_rows)


def _sheet(lines: Iterable[list[str]], most_rows: int) -> Sheet:
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if any(text.strip() for text in line))
    first = next(numbered, None)
    if first is None:
        raise InvalidInput("the file has no rows")
    header = [text.strip() for text in first[1]]
    while header and not header[-1]:
        header.pop()
    if len(header) > MOST_COLUMNS or not all(header) or len({name.lower() for name in header}) < len(header):
        message = "the first row has to name each column once"
        raise InvalidInput(message)
    kept = list(itertools.islice(numbered, most_rows + 1))
    if len(kept) > most_rows:
        message = f"the file has more than {most_rows:,} rows, which is the most for one change request"
        raise LimitExceeded(message, ask="send its rows in parts")
    return Sheet(
        header=tuple(header),
        # A line that is too long keeps its surplus, which is said at the row.
        rows=tuple(tuple((line + [""] * len(header))[: max(len(header), _length(line))]) for _, line in kept),
        numbers=tuple(number for number, _ in kept),
    )


def _length(line: list[str]) -> int:
    return max((place for place, text in enumerate(line, start=1) if text.strip()), default=0)


def _text(content: bytes) -> str:
    if not content.startswith(_MARKS):
        encoding = "utf-8"
    else:
        encoding = "utf-8-sig" if content.startswith(codecs.BOM_UTF8) else "utf-16"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        message = "the file is not in UTF-8, so its letters could be taken for others"
        raise InvalidInput(message, ask="save it as `CSV UTF-8`") from error


def _lines(text: str, delimiter: str | None) -> Iterable[list[str]]:
    head = text.partition("\n")[0]
    parted = delimiter or max(",;\t", key=head.count)
    try:
        for line in csv.reader(io.StringIO(text, newline=""), delimiter=parted, strict=True):
            yield [as_it_was(value) for value in line]
    except csv.Error as error:
        message = f"the file cannot be read as text in columns: {error}"
        raise InvalidInput(message) from error


def _cells(content: bytes, most_rows: int) -> Iterable[list[str]]:
    import openpyxl

    try:
        _check_unpacked(content)
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=True, keep_links=False)
        rows = book.worksheets[0].iter_rows(values_only=True, max_col=MOST_COLUMNS + 1)
        lines = [[_cell(value) for value in row] for row in itertools.islice(rows, most_rows + MOST_EMPTY_ROWS)]
        _check_end(rows, most_rows)
        book.close()
    except LimitExceeded:
        raise
    except Exception as error:
        # The library has no error of its own for a file that is none.
        message = "the file cannot be read as a workbook"
        raise InvalidInput(message, ask="save its first sheet as CSV") from error
    return lines


def _check_unpacked(content: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        size = sum(one.file_size for one in packed.infolist())
    if size > MOST_UNPACKED_BYTES:
        message = "the workbook is too large when it is unpacked"
        raise LimitExceeded(message, ask="save its first sheet as CSV")


def _check_end(rows: Iterator[object], most_rows: int) -> None:
    if next(rows, None) is not None:
        message = f"the sheet is longer than {most_rows:,} rows"
        raise LimitExceeded(message, ask="send its rows in parts")


def _cell(value: object) -> str:
    match value:
        case float() if value.is_integer():
            return str(int(value))
        case dt.datetime() if value.time() == dt.time():
            return value.date().isoformat()
        case _:
            return typed_text(value)

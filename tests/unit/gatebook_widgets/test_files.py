"""Is a file harmless in a spreadsheet, and does what comes back from one mean what it says?"""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook.errors import InvalidInput, LimitExceeded
from gatebook.model import Column
from gatebook_widgets import kinds
from gatebook_widgets.fields import NotFitting
from gatebook_widgets.files import Format, as_it_was, file_of, harmless
from gatebook_widgets.kinds import Kind, kind_of
from gatebook_widgets.sheets import MOST_BYTES, Sheet, sheet_of

FORMULAS = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =cmd|' /C calc'!A0",
    "\uff1d1+1",
    "|x",
    "%0A",
    "-",
]
HARMLESS = ["", "a", "a=b", "1", "O'Brien", "'quoted'", "a\n=1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_the_rest_stays(text: str) -> None:
    assert harmless(text) == as_it_was(text) == text


@given(st.text())
def test_it_comes_back_as_it_was(text: str) -> None:
    if not text.startswith("'"):
        assert as_it_was(harmless(text)) == text


TABLE = pa.table(
    {
        "=name": ["=1+1", 'é,"x"\n', None],
        "price": pa.array([Decimal("-1.50"), Decimal("0.00"), None], pa.decimal128(8, 2)),
        "id": [9_007_199_254_740_993, 1, -2],
        "day": [dt.date(2026, 1, 31), None, None],
        "at": pa.array([dt.datetime(2026, 1, 31, 1, 2, tzinfo=dt.UTC), None, None], pa.timestamp("us", tz="UTC")),
        "ok": [True, False, None],
        "many": [["=1"], [], None],
    }
)


def test_csv_is_harmless_and_exact() -> None:
    text = file_of(TABLE, Format.CSV).decode("utf-8-sig")
    assert text.splitlines()[0] == "'=name,price,id,day,at,ok,many"
    assert text.splitlines()[1] == ("'=1+1,-1.50,9007199254740993,2026-01-31,2026-01-31 01:02:00+00:00,yes,['=1']")
    assert '"é,""x""\n",0.00,1,,,no,[]' in text.replace("\r\n", "\n")


def test_a_sheet_has_no_formula_and_rounds_no_number() -> None:
    sheet = openpyxl.load_workbook(io.BytesIO(file_of(TABLE, Format.XLSX))).worksheets[0]
    rows = list(sheet.iter_rows())
    assert [cell.data_type for row in rows for cell in row if cell.data_type == "f"] == []
    assert rows[0][0].value == "=name"
    assert rows[1][0].value == "=1+1"
    assert rows[1][0].data_type == "s"
    assert rows[1][0].quotePrefix
    assert rows[1][1].value == Decimal("-1.5")
    assert rows[1][2].value == "9007199254740993"
    assert str(rows[1][3].value) == "2026-01-31 00:00:00"
    assert rows[1][4].value == "2026-01-31 01:02:00+00:00"


@pytest.mark.parametrize("text", ["a\x00b", "a\x1fb", "\ufffe"])
def test_a_sheet_takes_characters_that_xml_has_not(text: str) -> None:
    content = file_of(pa.table({"a": [text]}), Format.XLSX)
    assert "\ufffd" in str(openpyxl.load_workbook(io.BytesIO(content)).worksheets[0]["A2"].value)


def test_a_text_too_long_for_a_cell_says_so() -> None:
    with pytest.raises(LimitExceeded, match="longer than a cell"):
        file_of(pa.table({"a": ["x" * 40_000]}), Format.XLSX)


def test_parquet_is_the_table() -> None:
    assert pa.parquet.read_table(io.BytesIO(file_of(TABLE, Format.PARQUET))).equals(TABLE)


def read(name: str, content: bytes, most_rows: int = 100) -> Sheet:
    return sheet_of(name, content, most_rows=most_rows)


@pytest.mark.parametrize(
    "name, content",
    [
        ("a.csv", 'id,name\n1,é\n\n2,"x, y"\n'.encode()),
        ("a.CSV", "\ufeffid;name\r\n1;é\r\n;;\r\n2;x, y\r\n".encode()),
        ("a.tsv", "id\tname\n1\té\n\t\n2\tx, y\n".encode("utf-16")),
    ],
)
def test_texts_in_columns(name: str, content: bytes) -> None:
    sheet = read(name, content)
    assert sheet == Sheet(header=("id", "name"), rows=(("1", "é"), ("2", "x, y")), numbers=(2, 4))


def test_what_a_download_made_harmless_is_loaded_as_it_was() -> None:
    made = file_of(pa.table({"id": [1], "name": ["=1+1"]}), Format.CSV)
    assert read("a.csv", made).rows == (("1", "=1+1"),)


def test_a_workbooks_first_sheet() -> None:
    made = file_of(pa.table({"id": [1, 2], "day": [dt.date(2026, 1, 31), None], "x": [1.5, 2.0]}), Format.XLSX)
    assert read("a.xlsx", made).rows == (("1", "2026-01-31", "1.5"), ("2", "", "2"))
    with pytest.raises(LimitExceeded):
        read("a.xlsx", made, most_rows=1)


def test_a_line_with_too_many_values_keeps_them_and_a_short_one_is_filled() -> None:
    assert read("a.csv", b"a,b\n1,2,3\n4\n").rows == (("1", "2", "3"), ("4", ""))


@pytest.mark.parametrize(
    "name, content, told",
    [
        ("a.csv", b"", "no rows"),
        ("a.csv", b"a,a\n1,2\n", "name each column once"),
        ("a.csv", b"a,,b\n1,2,3\n", "name each column once"),
        ("a.csv", "a\né\n".encode("latin-1"), "not in UTF-8"),
        ("a.csv", b'a\n"x\n', "cannot be read"),
        ("a.csv", b"a\n" + b"x" * 200_000, "cannot be read"),
        ("a.xlsx", b"PK nonsense", "cannot be read as a workbook"),
        ("a.exe", b"a\n1\n", "is not read here"),
        ("a", b"a\n1\n", "is not read here"),
    ],
)
def test_what_is_no_table_is_said(name: str, content: bytes, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read(name, content)


def test_sizes_are_looked_at_before_anything_is_unpacked() -> None:
    with pytest.raises(LimitExceeded):
        read("a.csv", b"a\n" + b"1\n" * MOST_BYTES)
    with pytest.raises(LimitExceeded):
        read("a.csv", b"a\n" + b"1\n" * 101)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("xl/worksheets/sheet1.xml", b"0" * (65 * 2**20))
    assert len(bomb.getvalue()) < MOST_BYTES
    with pytest.raises(LimitExceeded, match="unpacked"):
        read("a.xlsx", bomb.getvalue())


@pytest.mark.parametrize(
    "name, kind",
    [
        ("bigint", Kind.WHOLE), ("INTEGER", Kind.WHOLE), ("tinyint(1)", Kind.WHOLE), ("NVARCHAR(160)", Kind.TEXT),
        ("character varying(3)", Kind.TEXT), ("numeric(10, 2)", Kind.DECIMAL), ("decimal(38,2)", Kind.DECIMAL),
        ("double precision", Kind.FLOAT), ("real", Kind.FLOAT), ("date", Kind.DATE), ("datetime", Kind.MOMENT),
        ("timestamp with time zone", Kind.MOMENT), ("time", Kind.TIME), ("boolean", Kind.TRUTH), ("uuid", Kind.ID),
        ("integer[]", Kind.OTHER), ("array", Kind.OTHER), ("interval", Kind.OTHER), ("point", Kind.OTHER),
        ("jsonb", Kind.OTHER), ("bytea", Kind.OTHER), ("", Kind.OTHER), ("longtext", Kind.TEXT), ("year", Kind.WHOLE),
    ],
)  # fmt: skip
def test_kinds_of_columns(name: str, kind: Kind) -> None:
    assert kind_of(name) is kind


@pytest.mark.parametrize(
    "type_name, text, value",
    [
        ("bigint", " 12 ", 12), ("numeric(6, 2)", "1,50", Decimal("1.50")), ("real", "1e3", 1000.0),
        ("date", "2026-01-31", dt.date(2026, 1, 31)),
        ("timestamp", "2026-01-31", dt.datetime.fromisoformat("2026-01-31")),
        ("boolean", "Yes", True), ("boolean", "0", False), ("time", "14:30", dt.time(14, 30)),
        ("varchar(3)", " a ", " a "),
    ],
)  # fmt: skip
def test_texts_that_fit(type_name: str, text: str, value: object) -> None:
    read_value = kinds.read(Column(name="x", type=type_name), text)
    assert read_value == value
    assert type(read_value) is type(value)


@pytest.mark.parametrize(
    "type_name, text",
    [
        ("bigint", "1.5"), ("bigint", "\u0661"), ("numeric(6, 2)", "1.005"), ("numeric(6, 2)", "12345"),
        ("numeric", "NaN"),
        ("numeric", "1e999999"), ("real", "1e400"), ("date", "31.01.2026"), ("timestamp", "today"),
        ("boolean", "maybe"),
        ("varchar(3)", "four"), ("text", "a\0b"), ("uuid", "x"), ("json", "{}"), ("time", "25:00"),
    ],
)  # fmt: skip
def test_texts_that_do_not_fit(type_name: str, text: str) -> None:
    with pytest.raises(NotFitting) as why:
        kinds.read(Column(name="x", type=type_name), text)
    assert str(why.value)

"""Is what is read from MariaDB by columns the very same as what comes row by row?"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url
from tests.conftest import connect_mariadb
from tests.unit.sources.mariadb_ways import begin, by_columns, by_columns_beyond, by_rows, check_same, drained

from gatebook_hub.errors import StatementFailed
from gatebook_hub.sources import mariadb_batches
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.mariadb_columns import columns_of
from gatebook_hub.sources.mariadb_packets import HEADER_BYTES, Packets
from gatebook_hub.sources.rows import RowBatches

mariadb = pytest.mark.mariadb
NASTY = (
    *("''", "' '", "'NULL'", "'\\\\N'", "'\\\\'", "'\"'", "'\"\"'", "','", "'a,\"b\",c'", "'\n'", "'\r\n'", "'\\0'"),
    *("'\\0a\\0'", "'\\''", "'\\t'", "x'fb'", "x'fe'", "x'ff'", "'0000-00-00'", "'1e5'", "'nan'"),
    *(f"repeat('x', {size})" for size in (250, 251, 252, 253, 254, 255, 256, 65_535, 65_536, 65_537)),
)
SIGNS = "Zoë 東京 \U0001f3b5 ' \" \\ %% $x :y \x01 \r\n\t".replace("\\", "\\\\").replace("'", "''")
LATIN = tuple(item for item in NASTY if not item.startswith("x"))
# Types of columns, and what is written into one of each.
TAKEN: dict[str, Sequence[str]] = {
    "tinyint": ("-128", "127"),
    "boolean": ("true", "false"),
    "tinyint unsigned": ("255",),
    "smallint": ("-32768",),
    "mediumint": ("8388607",),
    "int": ("-2147483648",),
    "int(9) unsigned zerofill": ("5", "4294967295"),
    "bigint": ("-9223372036854775808", "9223372036854775807", "0"),
    "bigint unsigned": ("9223372036854775808", "18446744073709551615", "0"),
    "bit(3)": ("b'101'", "0"),
    "bit(64)": ("18446744073709551615", "b'0'"),
    "year": ("2024", "1901", "0"),
    "float": ("1.5", "-0e0", "3.4e38", "1e-45", "123456.789", "0.1", "16777217"),
    "double": ("0.1", "-0e0", "1.7976931348623157e308", "5e-324", "1e22", "123456789012345.678"),
    "decimal(12, 2)": ("0", "-0.01", "9999999999.99", "-9999999999.99", "1.5"),
    "decimal(38, 0)": ("9" * 38, "-" + "9" * 38),
    "decimal(38, 38)": (f"0.{'9' * 38}", f"-0.{'0' * 37}1"),
    "decimal(38, 10)": (f"-{'9' * 28}.{'9' * 10}",),
    "decimal(65, 30)": (f"{'9' * 8}.{'9' * 30}", "1"),
    "decimal(65, 0)": ("9" * 38,),
    "char(70)": ("'ab'", "''", f"'{SIGNS}'"),
    "varchar(70)": ("'ab '", "''", f"'{SIGNS}'"),
    "varchar(70) character set latin1": ("'Zürich'", "'ÿþûü'"),
    "varchar(70) character set ucs2": ("'東京'",),
    "varchar(70) character set utf16 collate utf16_bin": ("'\U0001f3b5'",),
    "mediumtext": (*LATIN, f"'{SIGNS}'"),
    "longtext character set latin1": LATIN,
    "binary(4)": ("x'00'", "x'fb000000'"),
    "varbinary(9)": ("x'00ff'", "''", "x'fefefefefefefefefe'"),
    "blob": ("x'00ff'", "''"),
    "longblob": (*NASTY, "repeat(x'ff', 70000)"),
    "enum('a', 'é', '')": ("'a'", "'é'", "''"),
    "set('a', 'é')": ("'a,é'", "''"),
    "json": ('\'{"a": null, "b": [1.50]}\'', "'null'"),
    "uuid": ("'11111111-2222-3333-4444-55555555555f'",),
    "inet6": ("'::1'", "'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'"),
    "date": ("'0001-01-01'", "'9999-12-31'", "'2024-02-29'"),
    "datetime": ("'0001-01-01'", "'9999-12-31 23:59:59'"),
    "datetime(1)": ("'1969-12-31 23:59:59.5'",),
    "datetime(6)": ("'2024-02-29 12:34:56.123456'", "'1000-01-01 00:00:00.000001'"),
    "timestamp(3) null": ("'2024-02-29 12:34:56.123'",),
    "time": ("'00:00:00'", "'23:59:59'"),
    "time(6)": ("'-838:59:59.999999'", "'838:59:59.999999'", "'24:00:00'", "'-00:00:00.000001'", "'12:34:56.5'"),
}
# The first values tell their types.
BY_ROWS = {"point": "point(1, 2)"}
# No date and no number of Arrow is like that.
REFUSED = {
    "decimal(65, 0)": "9" * 39,
    "decimal(65, 10)": "9" * 40,
    "decimal(65, 30)": f"{'9' * 9}.{'9' * 30}",
    "decimal(64, 30)": f"{'9' * 30}.{'9' * 30}",
    "date": "'0000-00-00'",
    "date null": "'2024-00-00'",
    "datetime": "'0000-00-00'",
    "datetime(3)": "'2024-01-00 01:00:00'",
    "timestamp null": "0",
    "date not null": "'0000-01-01'",
}


@pytest.fixture
def make(chinook_mariadb: str) -> Iterator[Callable[[str], None]]:
    """Run a statement from outside."""
    with closing(connect_mariadb(chinook_mariadb)) as connection, connection.cursor() as cursor:
        connection.select_db(make_url(chinook_mariadb).database or "")
        cursor.execute("set names utf8mb4, sql_mode = ''")
        yield lambda sql: cursor.execute(sql.replace("%%", "%")) and connection.commit()
        cursor.execute("drop table if exists typed")


@mariadb
def test_what_is_read_by_columns_is_the_same_as_row_by_row(
    mariadb_source: MariadbSource, make: Callable[[str], None]
) -> None:
    columns = ", ".join(f"c{index} {kind}" for index, kind in enumerate(TAKEN))
    make(f"create table typed (n int auto_increment primary key, {columns}) row_format = dynamic")
    for index, items in enumerate(TAKEN.values()):
        make(f"insert into typed (c{index}) values (null), ({'), ('.join(items)}), (null)")
    make("insert into typed (n) values (100000)")
    for index, (kind, items) in enumerate(TAKEN.items()):
        found = check_same(mariadb_source, f"SELECT c{index} FROM typed ORDER BY n")
        assert found.num_rows - found[0].null_count == len(items), kind
        check_same(mariadb_source, f"SELECT c{index} FROM typed WHERE c{index} IS NOT NULL ORDER BY n")
        check_same(mariadb_source, f"SELECT c{index} FROM typed WHERE n = 100000")
        assert check_same(mariadb_source, f"SELECT c{index}, n FROM typed WHERE n < 0").num_rows == 0
    check_same(mariadb_source, "SELECT * FROM typed ORDER BY n DESC")
    check_same(mariadb_source, "SELECT t.* FROM typed t, seq_1_to_9 s ORDER BY s.seq, t.n")
    make("drop table typed")


@mariadb
def test_what_neither_way_can_say_is_the_same_error(mariadb_source: MariadbSource, make: Callable[[str], None]) -> None:
    for kind, value in REFUSED.items():
        make(f"create table typed (x {kind})")
        make(f"insert into typed values ({value})")
        told = set()
        for read in (by_rows, by_columns):
            with pytest.raises(StatementFailed) as caught:
                read(mariadb_source, "SELECT x FROM typed, seq_1_to_100")
            told.add(str(caught.value))
        assert len(told) == 1, (kind, told)
        assert by_columns(mariadb_source, "SELECT CAST(x AS CHAR) AS x FROM typed").num_rows == 1
        make("drop table typed")


@mariadb
def test_expressions_are_the_same_too(mariadb_source: MariadbSource) -> None:
    for item in (
        *("1", "-1.50", "1e0", "0.1 + 0.2", "true", "1 = 2", "'x'", "x'00'", "1 / 3", "sum(1.5)", "count(*)"),
        *(
            "avg(seq)",
            "current_date",
            "maketime(-100, 1, 2.5)",
            "timestamp('2024-01-01 01:02:03.4')",
            "group_concat(seq)",
        ),
        *("convert('é' using latin1)", "json_object('a', 1)", "9223372036854775808 - 1", "pi()", "char(0)", "md5(1)"),
    ):
        sql = f"SELECT {item} AS x FROM seq_1_to_3"
        check_same(mariadb_source, sql)
        check_same(mariadb_source, f"SELECT IF(n > 1, x, NULL) AS x FROM ({sql}) q, (SELECT 1 AS n UNION SELECT 2) r")
    values = {"a": "',\"\n", "b": 1.5, "c": b"\0\xff"}
    check_same(mariadb_source, 'SELECT %(a)s AS a, %(b)s AS `a`, %(c)s AS `é" , `', values)


@mariadb
def test_a_type_that_is_not_told_takes_the_statement_row_by_row(
    mariadb_source: MariadbSource, make: Callable[[str], None]
) -> None:
    for kind, value in BY_ROWS.items():
        make(f"create table typed (x {kind})")
        make(f"insert into typed values ({value})")
        for sql in ("SELECT seq, x FROM typed, seq_1_to_200", "SELECT x, NULL AS y FROM typed", "SELECT NULL AS x"):
            stream = begin(mariadb_source, sql)
            assert type(stream._batches._batches) is RowBatches  # type: ignore[attr-defined]
            assert drained(stream).equals(by_rows(mariadb_source, sql)), kind
        make("drop table typed")


@mariadb
def test_values_that_look_like_something_else_stay_where_they_are(mariadb_source: MariadbSource) -> None:
    for item in NASTY:
        sql = f"SELECT 'a' AS a, CAST({item} AS BINARY) AS x, 'b' AS b, NULLIF(1, 1) AS c FROM seq_1_to_90"
        found = check_same(mariadb_source, sql)
        assert (found["a"].to_pylist(), found["b"].to_pylist()) == (["a"] * 90, ["b"] * 90)


# ── rows that no server was asked for ──


def coded(value: bytes | None) -> bytes:
    """A value behind its length, as a server sends it."""
    match value:
        case None:
            return b"\xfb"
        case _ if len(value) < 0xFB:
            return bytes([len(value)]) + value
        case _ if len(value) < 2**16:
            return b"\xfc" + struct.pack("<H", len(value)) + value
        case _:
            return b"\xfd" + struct.pack("<I", len(value))[:3] + value


def packets_of(rows: Sequence[bytes]) -> Packets:
    data, starts = b"", []
    for row in rows:
        data += b"\xff" * HEADER_BYTES
        starts.append(len(data))
        data += row
    return Packets(data=data, starts=starts)


_SIZES = st.one_of(st.integers(0, 9), st.sampled_from([250, 251, 252, 255, 256, 257, 65_535, 65_536, 66_000]))
_VALUES = st.one_of(st.none(), st.builds(lambda size, octet: octet * size, _SIZES, st.binary(min_size=1, max_size=1)))


@given(st.integers(1, 4).flatmap(lambda count: st.lists(st.tuples(*[_VALUES] * count), min_size=1, max_size=9)))
def test_values_are_cut_where_they_end(rows: list[tuple[bytes | None, ...]]) -> None:
    packets = packets_of([b"".join(map(coded, row)) for row in rows])
    found = columns_of(packets, [pa.binary()] * len(rows[0]))
    assert found is not None
    assert [column.to_pylist() for column in found] == [list(column) for column in zip(*rows, strict=True)]
    assert list(packets.rows()) == [b"".join(map(coded, row)) for row in rows]


def test_what_is_unusual_is_left_to_the_driver() -> None:
    good = coded(b"1") + coded(b"x")
    kinds = [pa.int64(), pa.string()]
    found = columns_of(packets_of([good, good]), kinds)
    assert found is not None
    assert [column.to_pylist() for column in found] == [[1, 1], ["x", "x"]]
    for row in (
        *(b"", b"\x01", b"\x011", good + b"\x00", good[:-1], coded(b"1"), b"\x091\x01x", b"\xfa" + b"1" * 9, b"\xfc"),
        *(b"\xfd\xff\xff\xff", b"\xfe" + struct.pack("<Q", 1) + b"1\x01x", b"\xff1\x01x", b"\xfc\xff\xff" + b"1" * 9),
        *(coded(b"1.5") + coded(b"x"), coded(b"") + coded(b"x")),
        *(coded(b"1") + coded(b"\xff"), coded(b"1") + coded(b"\xed\xa0\x80")),
    ):
        for rows in ([row], [good, row], [row, good], [good, row, good]):
            assert columns_of(packets_of(rows), kinds) is None, rows


def test_a_number_that_has_no_room_is_left_to_the_driver() -> None:
    for digits, scale in ((39, 0), (50, 0), (76, 0), (77, 0), (90, 5), (39, 38), (37, 2), (9, 30), (1, 38)):
        for sign in (b"", b"-"):
            text = sign + b"9" * digits + (b"." + b"1" * scale if scale else b"")
            assert columns_of(packets_of([coded(text)]), [pa.decimal128(38, scale)]) is None, text
    for digits, scale in ((38, 0), (36, 2), (8, 30), (1, 37), (20, 18)):
        text = b"-" + b"9" * digits + (b"." + b"1" * scale if scale else b"")
        (found,) = columns_of(packets_of([coded(text), coded(None)]), [pa.decimal128(38, scale)]) or []
        assert found.to_pylist() == [Decimal(text.decode()), None]


def test_times_beyond_a_day_are_durations() -> None:
    texts = {b"838:59:59.5": timedelta(hours=838, minutes=59, seconds=59.5), b"-00:00:01": timedelta(seconds=-1)}
    within = {b"23:59:59.999999": timedelta(days=1, microseconds=-1), b"00:00:00": timedelta()}
    for expected in (within, {**within, **texts}):
        (found,) = columns_of(packets_of([*map(coded, expected), coded(None)]), [pa.duration("us")]) or []
        assert found.to_pylist() == [*expected.values(), None]


@mariadb
def test_few_rows_are_not_worth_it(mariadb_source: MariadbSource) -> None:
    for count, batches in ((1, 0), (60, 0), (200, 1), (40_000, 4)):
        with by_columns_beyond(mariadb_batches._FEW_ROWS) as told:
            found = drained(begin(mariadb_source, f"SELECT seq FROM seq_1_to_{count}"))
        assert found["seq"].to_pylist() == list(range(1, count + 1))
        assert told == [True] * batches

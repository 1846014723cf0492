"""A value arrives as the engine's own driver gives it: as a row, in a frame, in Arrow, in a small answer and a large.

Which way a read takes (row by row, or in bulk) is not seen here; a large one is asked for again and again, since a way
may be chosen by how large the answer was the last time.
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tests.stories.alone import Alone
from tests.stories.columns import COLUMNS, Column
from tests.stories.owns import Row, Run, numbers, own_driver
from tests.stories.sandboxes import ENGINES, open_sandboxes

import gatebook
import gatebook.dbapi

REPEATED = 150  # of about ten rows
LATE = 20_000
MIXED = {
    "int_then_float": ("7", "0.5"),
    "float_then_int": ("0.5", "7"),
    "float_then_large_int": ("0.5", "9007199254740993"),
    "int_then_infinity": ("7", "9e999"),
    "int_then_text": ("7", "'abc'"),
    "int_then_digits": ("7", "'7'"),
    "float_then_digits": ("0.5", "'0.5'"),
    "null_then_text": ("null", "'abc'"),
    "null_then_int": ("null", "7"),
    "null_then_float": ("null", "0.5"),
    "null_then_blob": ("null", "x'616263'"),
    "text_then_int": ("'abc'", "7"),
    "text_then_blob": ("'abc'", "x'616263'"),
    "text_then_bytes": ("'abc'", "x'ff00'"),
    "blob_then_text": ("x'616263'", "'abc'"),
    "blob_then_int": ("x'616263'", "7"),
}
CASES = [pytest.param(case, when, id=f"{case} {when}") for case in MIXED for when in ("soon", "late")]


class Stand:
    """A gateway over databases that were filled before it, and what their own drivers say of them."""

    def __init__(self, gateway: Alone, own: dict[str, list[Row]]) -> None:
        self.gateway = gateway
        self.own = own
        self._who = (gateway.url, gateway.token("ann", "builders"))

    def rows(self, engine: str, sql: str) -> tuple[list[Row], pa.Schema]:
        """As PEP 249 has them."""
        with gatebook.dbapi.connect(f"lab_{engine}", *self._who) as connection, connection.cursor() as cursor:
            found = cursor.execute(sql).fetchall()
            assert cursor.rowcount == len(found)
            return found, cursor._schema

    def frame(self, engine: str, sql: str) -> list[Row]:
        """As pandas has them."""
        found = gatebook.connect(f"lab_{engine}", *self._who).query(sql)
        assert isinstance(found, pd.DataFrame)
        return list(zip(*(list(found.iloc[:, index]) for index in range(found.shape[1])), strict=True))

    def arrow(self, engine: str, sql: str) -> tuple[list[Row], pa.Schema]:
        """As Arrow has them."""
        found = gatebook.connect(f"lab_{engine}", *self._who).arrow(sql)
        found.validate(full=True)
        return list(zip(*(item.to_pylist() for item in found.columns), strict=True)), found.schema


@pytest.fixture(scope="module")
def stand(
    chinook_template: Path,
    make_postgres: Callable[[], str],
    make_mariadb: Callable[[], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("types")
    servers = {"postgresql": make_postgres(), "mariadb": make_mariadb()}
    own = {engine: fill(engine, servers.get(engine, f"{folder}/lab.{engine}")) for engine in ENGINES}
    gateway = open_sandboxes(folder, chinook_template, servers)
    yield Stand(gateway, own)
    gateway.stop()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# ── what stands in the databases ──


def fill(engine: str, place: str) -> list[Row]:
    """Make the tables, and read the small one as the engine's own driver does."""
    columns = COLUMNS[engine]
    with own_driver(engine, place) as run:
        if engine == "postgresql":
            run("create type mood as enum ('sad', 'glad')")
        defined = ", ".join(f'"{item.name}" {item.type}'.replace('"', _quote(engine)) for item in columns)
        for name in ("kinds", "many"):
            run(f"create table {name} (id bigint primary key, {defined})")
        for number in range(max(len(item.literals) for item in columns) + 2):
            # The first row is of NULL, and so is the last.
            values = (item.literals[number - 1] if 0 < number <= len(item.literals) else "null" for item in columns)
            run(f"insert into kinds values ({number}, {', '.join(values)})")
        run(f"create table numbers as {numbers(engine, LATE + 10)}")
        names = ", ".join(f'"{item.name}"'.replace('"', _quote(engine)) for item in columns)
        crossed = f"numbers cross join kinds where number < {REPEATED}"
        run(f"insert into many select number * 100 + id, {names} from {crossed}")
        late = f"case when number < {LATE} then number end, case when number < {LATE} then null else number end"
        run("create table late (id bigint primary key, early_int integer, late_int integer)")
        run(f"insert into late select number, {late} from numbers")
        run(f"create table long_text (id integer primary key, tx {'longtext' if engine == 'mariadb' else 'text'})")
        long = f"case when number = 1100 then {_long(engine)} end"
        run(f"insert into long_text select number, {long} from numbers where number < 1200")
        if engine == "postgresql":
            run("create table late_parts (id integer primary key, a integer[], i inet)")
            run(f"insert into late_parts select number, case when number < {LATE} then null else array[1, null] end, "
                f"case when number < {LATE} then inet '10.0.0.1' else inet '::1' end from numbers")  # fmt: skip
        if engine == "mariadb":
            run("create table late_parts (id integer primary key, y year, b bit(8))")
            run(f"insert into late_parts select number, case when number < {LATE} then null else 2024 end, "
                f"case when number < {LATE} then null else b'1' end from numbers")  # fmt: skip
            run("create table wide (id integer primary key, u bigint unsigned, n decimal(65,0))")
            run(f"insert into wide values (1, 18446744073709551615, 1), (2, 1, {'9' * 65})")
        if engine == "sqlite":
            _mix(run)
        asked = ", ".join(item.own or f'"{item.name}"'.replace('"', _quote(engine)) for item in columns)
        found = run(f"select {asked} from kinds order by id")
    return [
        (number, *(None if value is None else item.form(value) for item, value in zip(columns, row, strict=True)))
        for number, row in enumerate(found)
    ]


def _mix(run: Run) -> None:
    """Columns in which SQLite keeps what it is given, of another class soon, or late."""
    for name, (first, then) in MIXED.items():
        for when, place in (("soon", 1), ("late", LATE)):
            run(f"create table {name}_{when} (id integer primary key, x)")
            run(f"insert into {name}_{when} select number, case when number < {place} then {first} else {then} end "
                f"from numbers where number <= {place}")  # fmt: skip


def _quote(engine: str) -> str:
    return "`" if engine == "mariadb" else '"'


def _long(engine: str) -> str:
    if engine == "sqlite":
        return "replace(printf('%.*c', 1000000, 'x'), 'x', 'éa')"
    return "repeat('éa', 1000000)"


# ── what is the same ──


def plain(value: Any) -> Any:
    """A value of Arrow's or of pandas as Python has it."""
    value = _of_python(value)
    match value:
        case np.ndarray() | list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case dt.datetime() if value.tzinfo is not None:
            return value.astimezone(dt.UTC)
        case uuid.UUID():
            return str(value)
        case memoryview() | bytearray():
            return bytes(value)
        case _:
            return value


def _of_python(value: Any) -> Any:
    match value:
        case pa.MonthDayNano():
            return _span(months=value.months, days=value.days, nanoseconds=value.nanoseconds)
        case pd.DateOffset():
            return _span(**value.kwds)
        case _ if value is pd.NA or value is pd.NaT:
            return None
        case np.generic():
            return value.item()
        case pd.Timestamp():
            assert value.nanosecond == 0
            return value.to_pydatetime()
        case pd.Timedelta():
            return value.to_pytimedelta()
        case _:
            return value


def _span(*, months: int = 0, nanoseconds: float = 0, **parts: float) -> dt.timedelta:
    assert not months
    assert nanoseconds % 1_000 == 0
    return dt.timedelta(**parts) + dt.timedelta(microseconds=nanoseconds / 1_000)


def same(found: Any, wanted: Any) -> bool:
    """The same value of the same type."""
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(same(found[name], wanted[name]) for name in wanted)
    if isinstance(found, float) and isinstance(wanted, float):
        return repr(found) == repr(wanted)  # not a number is not itself, and nought has two signs
    kinds = {type(found).__name__, type(wanted).__name__}
    return bool(found == wanted) and (len(kinds) == 1 or kinds == {"int", "Decimal"})


def lacking(value: Any) -> Any:
    """In a frame a number that is none stands for NULL, and where it stands in a column of floats, NULL for it."""
    if isinstance(value, list):
        return [lacking(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def check(found: Sequence[Row], wanted: Sequence[Row], names: Sequence[str], *, is_frame: bool = False) -> None:
    assert len(found) == len(wanted)
    wrong = {}
    for ours, theirs in zip(found, wanted, strict=True):
        for name, mine, other in zip(names, ours, theirs, strict=True):
            if type(mine) is type(other) and isinstance(mine, int | str | bytes) and mine == other:
                continue
            a, b = plain(mine), plain(other)
            if not (same(lacking(a), lacking(b)) if is_frame else same(a, b)):
                wrong.setdefault(name, (mine, other))
    assert wrong == {}


def names_of(engine: str) -> list[str]:
    return ["id", *(item.name for item in COLUMNS[engine])]


def test_a_small_answer_has_each_value(stand: Stand, engine: str) -> None:
    sql, wanted, names = "select * from kinds order by id", stand.own[engine], names_of(engine)
    check(stand.rows(engine, sql)[0], wanted, names)
    check(stand.frame(engine, sql), wanted, names, is_frame=True)
    check(stand.arrow(engine, sql)[0], wanted, names)


def test_a_large_answer_has_each_value_whenever_it_is_asked_for(stand: Stand, engine: str) -> None:
    sql, names = "select * from many order by id", names_of(engine)
    own = stand.own[engine]
    wanted = [(number * 100 + row[0], *row[1:]) for number in range(REPEATED) for row in own]
    assert len(wanted) > 1_000
    first, schema = stand.rows(engine, sql)
    check(first, wanted, names)
    check(stand.frame(engine, sql), wanted, names, is_frame=True)
    again, as_arrow = stand.arrow(engine, sql)
    check(again, wanted, names)
    assert as_arrow == schema


def test_each_type_alone_is_the_same_whenever_it_is_asked_for(stand: Stand, engine: str) -> None:
    """One column that cannot go in bulk takes its neighbours with it; here each goes as it can."""
    own = stand.own[engine]
    for index, item in enumerate(COLUMNS[engine], 1):
        sql = f"select id, {_name(engine, item)} from many order by id"
        wanted = [(number * 100 + row[0], row[index]) for number in range(REPEATED) for row in own]
        first, schema = stand.rows(engine, sql)
        check(first, wanted, ["id", item.name])
        again, as_arrow = stand.arrow(engine, sql)
        check(again, wanted, ["id", item.name])
        assert as_arrow == schema, item.name


def test_an_empty_answer_has_the_types_of_a_full_one(stand: Stand, engine: str) -> None:
    _, full = stand.arrow(engine, "select * from kinds order by id")
    for _ in range(2):
        rows, empty = stand.arrow(engine, "select * from kinds where id < 0 order by id")
        assert rows == []
        assert empty.names == full.names
        known = [item.name for item in COLUMNS[engine] if item.is_declared]
        assert {name: empty.field(name).type for name in known} == {name: full.field(name).type for name in known}
    assert stand.frame(engine, "select * from kinds where id < 0 order by id") == []


def _name(engine: str, item: Column) -> str:
    return f'"{item.name}"'.replace('"', _quote(engine))


def test_null_comes_and_goes_late(stand: Stand, engine: str) -> None:
    """After the first batch, by which a driver may guess a type; where it cannot be, an error names the column."""
    wanted: list[Row] = [(n, n if n < LATE else None, n if n >= LATE else None) for n in range(LATE + 10)]
    if engine == "sqlite":
        early, late = (f"select id, {name} from late order by id" for name in ("early_int", "late_int"))
        check(stand.rows(engine, early)[0], [row[:2] for row in wanted], ["id", "early_int"])
        right_or_an_error(stand, engine, late, [(row[0], row[2]) for row in wanted], "late_int")
        return
    sql, names = "select id, early_int, late_int from late order by id", ["id", "early_int", "late_int"]
    check(stand.rows(engine, sql)[0], wanted, names)
    check(stand.frame(engine, sql), wanted, names, is_frame=True)
    check(stand.arrow(engine, sql)[0], wanted, names)


def right_or_an_error(stand: Stand, engine: str, sql: str, wanted: Sequence[Row], name: str) -> None:
    """Never another value."""
    for read in (stand.rows, stand.arrow, stand.rows):
        try:
            found, schema = read(engine, sql)
        except (gatebook.dbapi.DatabaseError, gatebook.GatebookError) as error:
            assert f"`{name}`" in str(error)  # noqa: PT017 - an error is one of two good ends
        else:
            # A whole number may come as a float that is the same, or the other way round.
            kind = schema.field(name).type
            of = float if pa.types.is_floating(kind) else int if pa.types.is_integer(kind) else None
            check(found, [(row[0], bent(row[1], of)) for row in wanted], ["id", name])


def bent(value: Any, of: Callable[[Any], Any] | None) -> Any:
    """A number as one of another type, if that is the same number."""
    try:
        made = of(value) if of is not None and isinstance(value, int | float) else value
    except OverflowError:
        return value
    return made if made == value else value


@pytest.mark.parametrize(
    "engine, name",
    [("postgresql", "a"), ("mariadb", "b"), ("mariadb", "y")],
)
def test_a_type_that_the_first_rows_do_not_tell_is_right_or_an_error(stand: Stand, engine: str, name: str) -> None:
    value = {"a": [1, None], "y": 2024, "b": b"\1"}[name]
    wanted = [(n, None if n < LATE else value) for n in range(LATE + 10)]
    right_or_an_error(stand, engine, f"select id, {name} from late_parts order by id", wanted, name)


def test_addresses_of_both_versions_stand_in_one_column(stand: Stand) -> None:
    found, _ = stand.rows("postgresql", f"select i from late_parts where id between {LATE - 1} and {LATE} order by id")
    assert found == [("10.0.0.1",), ("::1",)]


@pytest.mark.parametrize("case, when", CASES)
def test_a_column_of_sqlite_with_several_kinds_is_right_or_an_error(stand: Stand, case: str, when: str) -> None:
    table = f"{case}_{when}"
    with own_driver("sqlite", str(stand.gateway.folder / "lab.sqlite")) as run:
        wanted = run(f"select id, x from {table} order by id")
    right_or_an_error(stand, "sqlite", f"select id, x from {table} order by id", wanted, "x")


def test_a_long_text_is_whole(stand: Stand, engine: str) -> None:
    text = "éa" * 1_000_000
    sql = "select id, tx from long_text order by id"
    wanted = [(n, text if n == 1100 else None) for n in range(1200)]
    for _ in range(2):
        assert stand.rows(engine, sql)[0] == wanted
    assert stand.arrow(engine, sql)[0] == wanted
    check(stand.frame(engine, sql), wanted, ["id", "tx"], is_frame=True)
    assert stand.rows(engine, "select tx from long_text where id = 1100")[0] == [(text,)]


def test_the_largest_whole_number_of_mariadb_arrives(stand: Stand) -> None:
    assert stand.rows("mariadb", "select u from wide order by id")[0] == [(2**64 - 1,), (1,)]


def test_a_decimal_of_mariadb_that_no_type_holds_is_an_error(stand: Stand) -> None:
    with pytest.raises(gatebook.dbapi.DatabaseError, match="`n`"):
        stand.rows("mariadb", "select n from wide order by id")

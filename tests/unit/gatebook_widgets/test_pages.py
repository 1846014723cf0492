"""Does paging visit every row exactly once and in order, forwards and backwards, on every engine?"""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from itertools import chain
from pathlib import Path

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.stories.alone import Alone
from tests.stories.sandboxes import ENGINES, opened
from tests.unit.gatebook_widgets.desks import as_person

import gatebook
import gatebook.dbapi
from gatebook import Outcome
from gatebook.errors import InvalidInput, NotFound
from gatebook_widgets import BulkUpload, RecordTable
from gatebook_widgets.keyset import Comparison, Filter, Wanted, comparisons_of, quoted, statement, stretches
from gatebook_widgets.kinds import Kind
from gatebook_widgets.pages import Pages

pytestmark = pytest.mark.slow
TEXTS = (
    None,
    None,
    "",
    " ",
    "a",
    "A",
    "ä",
    "Z",
    "z",
    "é",
    "e",
    "ß",
    "ss",
    "10",
    "9",
    "a%b",
    "a_b",
    "a ",
    "Ünï",
    "日本",
)
NUMBERS = (None, 0.1, -0.1, 1 / 3, 1e300, -1e-300, 0.0, 2.5)
SIZE = 137
DESK = {"a": "integer not null", "the text": "varchar(20)", "n": "numeric(8, 2)", "d": "date"}


def name_of(engine: str, name: str) -> str:
    return quoted(name, engine)


@pytest.fixture(scope="module")
def stand(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, chinook_template: Path
) -> Iterator[Alone]:
    yield from opened(request, tmp_path_factory.mktemp("pages"), chinook_template)


@pytest.fixture(scope="module")
def filled(stand: Alone) -> None:
    with as_person(stand, "builder", "builders"):
        for engine in ENGINES:
            fill(engine)


@pytest.fixture(autouse=True)
def builder(stand: Alone, filled: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEBOOK_URL", stand.url)
    monkeypatch.setenv("GATEBOOK_TOKEN", stand.token("builder", "builders"))


def fill(engine: str) -> None:
    """A table with an odd name and NULLs, ties, texts of every sort; its key is of two columns."""
    drawn = random.Random(7)
    source, kinds = f"lab_{engine}", {"a": "integer", "b": "varchar(20)", "t": "varchar(20)", "n": "numeric(8, 2)"}
    kinds |= {"f": "double precision", "d": "date", "odd name": "integer"}
    columns = ", ".join(f"{name_of(engine, name)} {kind}" for name, kind in kinds.items())
    table = name_of(engine, "odd table")
    gatebook.query(source, f"create table {table} ({columns}, primary key (a, b))")
    sets = [
        {
            "a": place % 11, "b": f"k{place // 11}", "t": drawn.choice(TEXTS), "f": drawn.choice(NUMBERS),
            "n": drawn.choice((None, Decimal("0.10"), Decimal("-3.00"), Decimal("123456.78"))),
            "d": drawn.choice((None, dt.date(2020, 1, 1), dt.date(1999, 12, 31))), "odd": drawn.choice((None, 1, 2)),
        }
        for place in range(SIZE)
    ]  # fmt: skip
    with closing(gatebook.dbapi.connect(source, autocommit=True)) as connection:
        names = ", ".join(name_of(engine, name) for name in kinds)
        connection.cursor().executemany(f"insert into {table} ({names}) values (:a, :b, :t, :n, :f, :d, :odd)", sets)


def walk(pages: Pages) -> tuple[list[object], list[object]]:
    """Every key, forwards and then back again."""

    def keys() -> list[object]:
        return [tuple(record[name] for name in pages.wanted.key) for record in pages.records]

    pages.first()
    forwards = [keys()]
    while pages.has_next:
        pages.next()
        forwards.append(keys())
    backwards = [keys()]
    while pages.has_previous:
        pages.previous()
        backwards.append(keys())
    assert not pages.has_previous
    return list(chain.from_iterable(forwards)), list(chain.from_iterable(reversed(backwards)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("is_descending", [False, True])
@pytest.mark.parametrize("sort", [None, "a", "b", "t", "n", "f", "d", "odd name"])
def test_every_row_is_visited_once_and_in_order(engine: str, sort: str | None, is_descending: bool) -> None:
    pages = Pages(f"lab_{engine}", "odd table", rows=10)
    pages.sort(sort, is_descending=is_descending)
    forwards, backwards = walk(pages)
    assert len(set(forwards)) == len(forwards) == SIZE
    assert forwards == backwards
    assert forwards == in_order(engine, sort, is_descending=is_descending)


def in_order(engine: str, sort: str | None, *, is_descending: bool) -> list[object]:
    """What the engine itself says the order is, told to have NULLs at the end."""
    way = " desc" if is_descending else ""
    names = dict.fromkeys((*((sort,) if sort else ()), "a", "b"))
    order = ", ".join(name_of(engine, name) + way for name in names)
    if sort is not None:
        order = f"case when {name_of(engine, sort)} is null then 1 else 0 end, {order}"
    frame = gatebook.query(f"lab_{engine}", f"select a, b from {name_of(engine, 'odd table')} order by {order}")
    return list(frame.itertuples(index=False, name=None))


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_filter_and_size_of_page_visits_every_row_once(engine: str, data: st.DataObject) -> None:
    pages = Pages(f"lab_{engine}", "odd table", rows=data.draw(st.integers(1, 60)))
    pages.sort(data.draw(st.sampled_from([None, *pages.sortable])), is_descending=data.draw(st.booleans()))
    comparison = data.draw(st.sampled_from([*Comparison, None]))
    if comparison is not None:
        text = data.draw(st.sampled_from([text for text in TEXTS if text is not None]))
        pages.filter((Filter(column="t", comparison=comparison, value=text if comparison.needs_value else None),))
    forwards, backwards = walk(pages)
    assert len(set(forwards)) == len(forwards)
    assert forwards == backwards
    assert set(forwards) <= set(in_order(engine, None, is_descending=False))


@pytest.mark.parametrize("engine", ENGINES)
def test_filters_are_parameters_and_mean_what_they_say(engine: str) -> None:
    pages = Pages(f"lab_{engine}", "odd table", rows=200)

    def found(column: str, comparison: Comparison, value: object = None) -> list[object]:
        pages.filter((Filter(column=column, comparison=comparison, value=value),))
        return pages.first()[column].tolist()

    assert set(found("t", Comparison.CONTAINS, "%")) == {"a%b"}
    assert set(found("t", Comparison.CONTAINS, "A_")) == {"a_b"}
    assert found("t", Comparison.EQUALS, "' or 1 = 1 --") == []
    assert {float(one) for one in found("n", Comparison.AT_LEAST, Decimal("0.10"))} == {0.1, 123456.78}
    assert {float(one) for one in found("n", Comparison.AT_MOST, Decimal("0.05"))} == {-3.0}
    assert {str(one)[:10] for one in found("d", Comparison.EQUALS, dt.date(2020, 1, 1))} == {"2020-01-01"}
    both = len(found("odd name", Comparison.IS_NULL)) + len(found("odd name", Comparison.IS_SET))
    assert both == SIZE


def test_a_page_is_read_again_where_it_is_and_rows_that_go_move_no_other() -> None:
    pages = Pages("lab_postgresql", "odd table", rows=10)
    pages.sort("t")
    pages.first()
    pages.next()
    before = [(one["a"], one["b"]) for one in pages.records]
    pages.again()
    assert [(one["a"], one["b"]) for one in pages.records] == before
    assert (pages.number, pages.has_previous, pages.has_next) == (2, True, True)


def test_numbers_that_are_none_are_passed_too() -> None:
    """PostgreSQL sorts NaN behind everything; JSON has no word for it."""
    gatebook.query("lab_postgresql", "create table nan (id bigint primary key, f double precision)")
    for place, text in enumerate(("NaN", "NaN", "Infinity", "-Infinity", "1", "NaN")):
        insert = "insert into nan (id, f) values (:id, cast(:f as double precision))"
        gatebook.query("lab_postgresql", insert, id=place, f=text)
    gatebook.schema("lab_postgresql")
    pages = Pages("lab_postgresql", "nan", rows=1)
    pages.sort("f")
    forwards, backwards = walk(pages)
    assert [one[0] for one in forwards] == [3, 4, 2, 0, 1, 5]
    assert forwards == backwards


@pytest.mark.parametrize("name", ["nothing", 'x" or 1=1 --', "gatebook_ledger"])
def test_what_the_schema_has_not_is_not_there(name: str) -> None:
    with pytest.raises(NotFound):
        Pages("lab_postgresql", name)
    with pytest.raises(NotFound):
        Pages("lab_postgresql", "odd table", columns=(name,))
    with pytest.raises(NotFound):
        Pages("lab_postgresql", "odd table").sort(name)


def test_a_table_without_a_key_says_so() -> None:
    gatebook.query("lab_postgresql", "create table loose (a integer)")
    gatebook.schema("lab_postgresql")
    with pytest.raises(InvalidInput, match="no primary key"):
        Pages("lab_postgresql", "loose")


def test_names_are_quoted_by_the_engines_rules() -> None:
    assert quoted('a"b`c', "postgresql") == '"a""b`c"'
    assert quoted('a"b`c', "duckdb") == '"a""b`c"'
    assert quoted('a"b`c', "mariadb") == '`a"b``c`'
    assert quoted('a"b`c', "sqlite") == '`a"b``c`'


def test_no_page_takes_more_than_two_statements_and_none_counts() -> None:
    wanted = Wanted(table="t", columns=("a",), key=("k",), sort="a", has_nulls=True)
    for mark in (None, {"a": 1, "k": 2}, {"a": None, "k": 2}):
        for is_forward in (True, False):
            parts = stretches(wanted, mark, is_forward=is_forward)
            assert 1 <= len(parts) <= 2
            for part in parts:
                sql = statement(wanted, part, "sqlite", 51, is_forward=is_forward).sql
                assert "offset" not in sql
                assert "count" not in sql
                assert sql.endswith("limit 51")


def test_every_kind_of_column_has_its_tests() -> None:
    assert all(comparisons_of(kind) for kind in Kind)
    assert Comparison.CONTAINS not in comparisons_of(Kind.WHOLE)


@pytest.mark.parametrize("engine", ENGINES)
def test_edits_and_files_are_one_statement_on_every_engine(engine: str) -> None:
    """In a sandbox, where nobody has to agree; the rows change in different columns, and one is added."""
    table = name_of(engine, "desk of edits")
    columns = ", ".join(f"{name_of(engine, name)} {kind}" for name, kind in DESK.items())
    gatebook.query(f"lab_{engine}", f"create table {table} ({columns}, primary key (a))")
    gatebook.schema(f"lab_{engine}")
    upload = BulkUpload("Desk", f"lab_{engine}", "desk of edits", modes=("upsert",))
    upload.take("a.csv", "a,the text,n,d\n1,é,1.50,2026-01-31\n2,,,\n3,x,3,2026-01-31\n".encode())
    upload.ask()
    upload.send()
    assert isinstance(upload.answer, Outcome), upload.status.text
    desk = RecordTable("Desk", f"lab_{engine}", table="desk of edits", editable=["the text", "n", "d"])
    edits = desk.edits
    assert edits is not None, desk.status.text
    for place, values in enumerate(({"the text": None, "n": "2.25"}, {"d": "2026-02-28"}, {"the text": "it's"})):
        desk.choose(place)
        edits.fill(**values)
        edits.keep()
    edits.ask()
    edits.send()
    assert isinstance(edits.answer, Outcome), edits.status.text
    assert "Done: 3 rows changed" in edits.status.text
    upload.take("b.csv", b"a,the text\n3,y\n4,z\n")
    upload.ask()
    upload.send()
    desk.refresh()
    found = [tuple(str(value)[:10] for value in record.values()) for record in desk.browser.pages.records]  # type: ignore[union-attr]
    assert [(row[0], row[1], row[3]) for row in found] == [
        ("1", "None", "2026-01-31"), ("2", "None", "2026-02-28"), ("3", "y", "2026-01-31"), ("4", "z", "None"),
    ]  # fmt: skip
    assert [None if row[2] == "None" else float(row[2]) for row in found] == [2.25, None, 3.0, None]


@pytest.mark.parametrize("column", ["id", "amount", "label"])
def test_a_million_rows_are_paged_in_a_moment(stand: Alone, column: str, million: None) -> None:
    """Deep in the table, a page costs what the first one does."""
    pages = Pages("lab_postgresql", "million", rows=50)
    pages.sort(column, is_descending=True)
    pages.first()
    pages.records = [{"id": 500_000, "amount": 500, "label": "label 500"}]
    began = time.monotonic()
    for _ in range(5):
        pages.next()
        assert len(pages.records) == 50
    assert (time.monotonic() - began) / 5 < 0.5


@pytest.fixture(scope="module")
def million(stand: Alone) -> None:
    with psycopg.connect(postgres_of(stand), autocommit=True) as connection:
        connection.execute("create table million (id bigint primary key, amount integer, label text not null)")
        connection.execute(
            "insert into million select g, nullif(g % 1000, 7), 'label ' || g % 1000 from generate_series(1, 1000000) g"
        )
        connection.execute("create index on million (amount, id)")
        connection.execute("create index on million (label, id)")
        connection.execute("analyze million")
    with as_person(stand, "builder", "builders"):
        gatebook.query("lab_postgresql", "create table read_schema_anew (a integer primary key)")
        gatebook.schema("lab_postgresql")


def postgres_of(stand: Alone) -> str:
    text = (stand.folder / "policies" / "sources" / "lab_postgresql.yaml").read_text()
    return text.partition('url: "')[2].partition('"')[0]


def test_odd_collations_are_followed(stand: Alone) -> None:
    """SQLite's NOCASE and PostgreSQL's ICU: whatever the column says, comparing and sorting agree."""
    with closing(sqlite3.connect(stand.folder / "lab.sqlite")) as connection, connection:
        connection.execute("create table cased (id integer primary key, t text collate nocase)")
        connection.executemany("insert into cased values (?, ?)", list(enumerate(TEXTS * 3)))
    with psycopg.connect(postgres_of(stand), autocommit=True) as connection:
        connection.execute("create collation loose (provider = icu, locale = 'und-u-ks-level1', deterministic = false)")
        connection.execute('create table cased (id bigint primary key, t text collate loose, c text collate "C")')
        for place, text in enumerate(TEXTS * 3):
            connection.execute("insert into cased values (%s, %s, %s)", (place, text, text))
    gatebook.query("lab_sqlite", "create table read_schema_anew (a integer primary key)")
    gatebook.query("lab_postgresql", "create table and_again (a integer primary key)")
    for source, columns in (("lab_sqlite", "t"), ("lab_postgresql", "tc")):
        gatebook.schema(source)
        for column in columns:
            pages = Pages(source, "cased", rows=4)
            pages.sort(column)
            forwards, backwards = walk(pages)
            assert len(set(forwards)) == len(forwards) == len(TEXTS) * 3
            assert forwards == backwards

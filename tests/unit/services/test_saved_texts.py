"""Versions of a saved query never change; only a read with fitting parameters is one, and a value is never SQL."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.saving import (
    ALL,
    ANN,
    BEA,
    BY_COUNTRY,
    COUNTRY,
    events,
    open_shop,
    run,
    save,
    shared,
)
from tests.unit.services.shop import Shop, person

from gatebook_hub.audit import EventKind
from gatebook_hub.errors import (
    BrokenSeal,
    GatebookError,
    InvalidInput,
    KindRefused,
    NotFound,
    ParameterMismatch,
    StateConflict,
    UnknownColumn,
    UnknownRelation,
)
from gatebook_hub.saved import Chart, ChartKind, Kind, Parameter
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.queries import Question
from gatebook_hub.services.saved_queries import Wanted
from gatebook_hub.stores.tables import saved_version


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path)


@pytest.fixture
def cases(shop: Shop) -> Iterator[UseCases]:
    with shop.open() as found:
        yield found


# ── versions ──


def test_a_version_never_changes_and_an_old_one_comes_back_as_the_newest(cases: UseCases) -> None:
    query = save(cases)
    cases.saved.edit(ANN, query.id, replace(ALL, note="all of them"), based_on=1)
    cases.saved.bring_back(ANN, query.id, 1, based_on=2)
    found, versions = cases.saved.history(ANN, query.id)
    assert (found.version, [one.number for one in versions]) == (3, [3, 2, 1])
    assert versions[2].draft == BY_COUNTRY
    assert versions[0].draft == replace(BY_COUNTRY, note="version 1 brought back")
    assert versions[1].draft.note == "all of them"


def test_an_old_text_runs_with_its_own_parameters(cases: UseCases) -> None:
    """The second version calls its parameter otherwise: neither takes the other's, nor the other's default."""
    query = save(cases)
    land = Parameter(name="land", kind=Kind.TEXT, title="Land", default="FR")
    second = replace(BY_COUNTRY, sql="select name from customer where country = :land", parameters=(land,))
    cases.saved.edit(ANN, query.id, second, based_on=1)
    assert run(cases, ANN, query.id) == [("Bea",)]
    assert [row[0] for row in run(cases, ANN, query.id, version=1)] == ["Ann", "Cem"]
    with pytest.raises(InvalidInput, match="no parameter `land`"):
        run(cases, ANN, query.id, version=1, land="FR")
    with pytest.raises(InvalidInput, match="no parameter `country`"):
        run(cases, ANN, query.id, country="FR")


def test_a_version_that_does_not_exist_is_not_found(cases: UseCases) -> None:
    query = save(cases)
    for number in (0, 2, -1, 10**12):
        with pytest.raises(NotFound):
            run(cases, ANN, query.id, version=number)


def test_a_version_cannot_be_put_in_the_place_of_another(cases: UseCases) -> None:
    """Whoever writes to the state database neither swaps versions nor brings one of their own."""
    query = save(cases)
    cases.saved.edit(ANN, query.id, ALL, based_on=1)
    engine = cases.gate.saved._engine
    with engine.begin() as connection:
        old = connection.execute(saved_version.select().where(saved_version.c.number == 1)).one().document
        step = saved_version.update().where(saved_version.c.number == 2)
        connection.execute(step.values(document=old))
    with pytest.raises(BrokenSeal):
        run(cases, ANN, query.id)
    with engine.begin() as connection:
        connection.execute(step.values(document='{"author": "user:ann"}'))
    with pytest.raises(BrokenSeal):
        run(cases, ANN, query.id)


def test_of_two_who_save_at_once_one_is_told(cases: UseCases) -> None:
    query = save(cases)
    ready, told = threading.Barrier(2), []

    def edit(title: str) -> None:
        ready.wait()
        try:
            cases.saved.edit(ANN, query.id, replace(BY_COUNTRY, title=title), based_on=1)
        except StateConflict:
            told.append(title)

    threads = [threading.Thread(target=edit, args=(title,)) for title in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1
    assert [one.number for one in cases.saved.history(ANN, query.id)[1]] == [2, 1]


def test_a_name_is_an_authors_once_until_it_is_deleted(cases: UseCases) -> None:
    first = save(cases)
    with pytest.raises(StateConflict, match="already"):
        save(cases)
    cases.saved.delete(ANN, first.id)
    assert save(cases).id != first.id


def test_a_deleted_query_runs_no_more_and_keeps_its_history_for_the_book(cases: UseCases) -> None:
    query = shared(cases)
    cases.saved.delete(ANN, query.id)
    for call in (ANN, BEA):
        with pytest.raises(NotFound):
            run(cases, call, query.id)
        with pytest.raises(NotFound):
            cases.saved.look(call, query.id)
    auditor = person("aud", "auditors")
    found, versions = cases.saved.history(auditor, query.id)
    assert found.deleted_by == "user:ann"
    assert versions[0].draft == BY_COUNTRY
    assert events(cases, EventKind.AUDIT_READ)[0].content["extra"] == {"saved": query.id}
    with pytest.raises(NotFound):
        run(cases, auditor, query.id)


def test_saved_queries_outlive_the_gateway(shop: Shop) -> None:
    draft = replace(
        BY_COUNTRY,
        chart=Chart(kind=ChartKind.BAR, x="name", y="id"),
        parameters=(
            replace(COUNTRY, choices=("DE", "FR")),
            Parameter(name="least", kind=Kind.NUMBER, title="", default=Decimal("0.10"), minimum=Decimal(0)),
            Parameter(name="day", kind=Kind.DATE, title="", default="2026-03-31"),
            Parameter(name="open", kind=Kind.BOOLEAN, title="", default=True),
        ),
        sql="select id, :day as day, :open as open from customer where country = :country and id > :least",
    )
    with shop.open() as cases:
        query = shared(cases, draft)
    with shop.open() as cases:
        [found] = cases.saved.listed(BEA.principal)
        assert (found.query.id, found.version.draft) == (query.id, draft)
        assert run(cases, BEA, "customers") == [(1, "2026-03-31", 1), (3, "2026-03-31", 1)]


# ── what may be saved ──


WRITES = (
    "update customer set name = 'x'",
    "delete from customer",
    "insert into customer (name) values ('x')",
    "drop table customer",
    "create table x (y integer)",
    "show tables",
    "describe customer",
    "explain select 1",
    "/* x */ explain delete from customer",
    "with x as (select 1) delete from customer",
)


def test_only_reads_are_saved_and_a_sentence_says_so(cases: UseCases) -> None:
    for text in WRITES:
        with pytest.raises(GatebookError) as refused:
            save(cases, replace(ALL, sql=text))
        assert refused.value.code.startswith("GB-2")
        assert cases.saved.listed(ANN.principal) == ()
        event = events(cases, EventKind.SAVED_REFUSED)[0]
        assert event.content["code"] == refused.value.code
        assert "drop" not in str(event.content).lower()


def test_a_write_is_refused_in_words(cases: UseCases) -> None:
    with pytest.raises(KindRefused, match="only reads are saved; a write is asked for in a notebook"):
        save(cases, replace(ALL, sql="delete from customer"))


def test_what_is_not_one_statement_is_refused(cases: UseCases) -> None:
    for text in ("select 1; delete from customer", "select 1; select 2", "", "selec", "select :gb_now"):
        with pytest.raises(GatebookError):
            save(cases, replace(ALL, sql=text))


def test_what_the_author_could_not_ask_is_not_saved(cases: UseCases) -> None:
    """A saved query is no way to find out which tables there are."""
    for text, error in (
        ("select * from nothing", UnknownRelation),
        ("select * from credit", UnknownRelation),
        ("select nothing from customer", UnknownColumn),
    ):
        with pytest.raises(error):
            save(cases, replace(ALL, sql=text), call=BEA)
    with pytest.raises(NotFound):
        save(cases, call=person("sam", "strangers"))
    with pytest.raises(NotFound):
        save(cases, replace(ALL, source="elsewhere"))


def test_a_text_that_was_let_in_all_the_same_would_not_write(cases: UseCases) -> None:
    """Running insists on a read, whatever was saved."""
    for text in WRITES:
        question = Question(source="shop", sql=text, parameters={}, is_read=True)
        with pytest.raises(GatebookError) as refused:
            cases.queries.ask(ANN, question)
        assert refused.value.code in {"GB-201", "GB-203"}, text
        assert refused.value.reference is not None
    assert events(cases, EventKind.CHANGE_PROPOSED) == ()


# ── parameters ──


def test_a_value_is_a_value_and_never_sql(cases: UseCases) -> None:
    query = shared(cases)
    for value in ("DE' or '1'='1", "'; drop table customer; --", "DE/*", '"', ":country", "\\", "%", "?", "DE\x00"):
        assert run(cases, ANN, query.id, country=value) == []
    assert len(run(cases, ANN, query.id, country="DE")) == 2


TYPED = {
    "n": Parameter(name="n", kind=Kind.INTEGER, title="", minimum=Decimal(1), maximum=Decimal(3)),
    "x": Parameter(name="x", kind=Kind.NUMBER, title="", choices=(Decimal("0.1"), Decimal(1))),
    "b": Parameter(name="b", kind=Kind.BOOLEAN, title=""),
    "d": Parameter(name="d", kind=Kind.DATE, title=""),
    "t": Parameter(name="t", kind=Kind.TEXT, title="", choices=("a", "b")),
}
GOOD: Mapping[str, Any] = {"n": 1, "x": Decimal("0.1"), "b": True, "d": "2026-03-31", "t": "a"}


@pytest.fixture
def typed(cases: UseCases) -> str:
    sql = "select :n as n, :x as x, :b as b, :d as d, :t as t from customer where id = 1"
    return save(cases, replace(ALL, sql=sql, parameters=tuple(TYPED.values()))).id


def test_values_of_each_kind_are_bound(cases: UseCases, typed: str) -> None:
    [row] = run(cases, ANN, typed, **GOOD)
    assert (row[0], row[3], row[4]) == (1, "2026-03-31", "a")
    assert float(row[1]) == 0.1
    assert run(cases, ANN, typed, **{**GOOD, "d": dt.date(2026, 3, 31)}) == [row]


MISFITS: tuple[tuple[str, Any], ...] = (
        ("n", 0), ("n", 4), ("n", "1"), ("n", True), ("n", 1.5), ("n", None), ("x", Decimal("0.2")), ("x", "0.1"),
        ("x", float("inf")), ("b", 1), ("b", "true"), ("d", "2026-13-31"), ("d", "yesterday"), ("d", 20260331),
        ("d", "20260331"), ("d", dt.datetime(2026, 3, 31, tzinfo=dt.UTC)), ("t", "c"), ("t", 1), ("t", ["a"]),
)  # fmt: skip


def test_a_value_that_does_not_fit_is_refused_by_name_and_in_the_book(cases: UseCases, typed: str) -> None:
    for name, value in MISFITS:
        with pytest.raises(InvalidInput, match=f"`{name}`") as refused:
            run(cases, ANN, typed, **{**GOOD, name: value})
        assert refused.value.reference is not None
    told = events(cases, EventKind.SAVED_REFUSED)
    assert len(told) == len(MISFITS)
    assert {event.content["saved"]["id"] for event in told} == {typed}


def test_a_missing_value_is_refused_and_an_unknown_one_too(cases: UseCases, typed: str) -> None:
    with pytest.raises(InvalidInput, match="`t` is missing"):
        run(cases, ANN, typed, **{name: value for name, value in GOOD.items() if name != "t"})
    for name in ("more", "gb_principal"):
        with pytest.raises((InvalidInput, ParameterMismatch), match=name):
            run(cases, ANN, typed, **GOOD, **{name: 1})


CONTRADICTIONS: tuple[tuple[Parameter, ...], ...] = (
    (),
    (COUNTRY, replace(COUNTRY, name="more")),
    (COUNTRY, COUNTRY),
    (replace(COUNTRY, minimum=Decimal(1)),),
    (replace(COUNTRY, choices=("FR",)),),
    (replace(COUNTRY, kind=Kind.INTEGER),),
    (replace(COUNTRY, kind=Kind.DATE, default="soon"),),
    (replace(COUNTRY, kind=Kind.DATE, default=None, choices=("soon",)),),
    (replace(COUNTRY, kind=Kind.BOOLEAN, default=True, choices=(True,)),),
    (replace(COUNTRY, kind=Kind.NUMBER, default=Decimal(5), minimum=Decimal(3), maximum=Decimal(1)),),
    (replace(COUNTRY, kind=Kind.NUMBER, default=Decimal(5), maximum=Decimal(1)),),
)


def test_parameters_that_do_not_fit_the_text_or_themselves_are_refused(cases: UseCases) -> None:
    for parameters in CONTRADICTIONS:
        with pytest.raises(InvalidInput):
            save(cases, replace(BY_COUNTRY, parameters=parameters))


def test_a_limit_of_rows_is_the_runners(cases: UseCases) -> None:
    query = shared(cases, ALL)
    answer = cases.saved.run(ANN, Wanted(reference=query.id), {}, limit_rows=1)
    with pytest.raises(GatebookError, match="more rows than 1"):
        list(answer.batches())

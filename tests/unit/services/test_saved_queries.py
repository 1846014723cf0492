"""Does a saved query share its text and nothing else, and does nobody but a person at the portal change one?"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import RULES, Shop, person

from gatebook_hub.audit import EventKind
from gatebook_hub.errors import (
    AccessRefused,
    BookUnavailable,
    BrokenSeal,
    GatebookError,
    InvalidInput,
    KindRefused,
    NotFound,
    NotPermitted,
    ParameterMismatch,
    PortalOnly,
    StateConflict,
    UnknownColumn,
    UnknownRelation,
)
from gatebook_hub.model import Channel, Principal, PrincipalKind, Tool
from gatebook_hub.saved import Chart, ChartKind, Draft, Kind, Parameter, SavedQuery
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.queries import Question
from gatebook_hub.services.saved_queries import Wanted
from gatebook_hub.stores.book import EventFilter, StoredEvent
from gatebook_hub.stores.tables import saved_version

MORE = RULES.replace(
    "  - id: book",
    """  - id: nightly
    to: job:nightly
    on: shop.customer
    columns: [id, country]
    allow: [select]

  - id: careful
    to: group:careful
    on: shop.customer
    allow: [select]
    reason: true

  - id: own
    to: group:own
    on: shop.customer
    allow: [select]
    where: name = :principal

  - id: book""",
)
COUNTRY = Parameter(name="country", kind=Kind.TEXT, title="Country", default="DE")
BY_COUNTRY = Draft(
    title="Customers of a country",
    source="shop",
    sql="select name, email from customer where country = :country order by id",
    parameters=(COUNTRY,),
)
ALL = Draft(title="All customers", source="shop", sql="select id, name, email, country from customer order by id")
ANN = person("ann", "writers", "privacy")
BEA = person("bea", "readers")
EVE = person("eve", "strangers", "readers")
EVERYBODY = frozenset({"group:readers"})
NOBODY: frozenset[str] = frozenset()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.write(MORE)
    return made


@pytest.fixture
def cases(shop: Shop) -> Iterator[UseCases]:
    with shop.open() as found:
        yield found


def save(cases: UseCases, draft: Draft = BY_COUNTRY, *, call: Call = ANN, name: str = "customers") -> SavedQuery:
    return cases.saved.save(call, name, draft)


def shared(
    cases: UseCases, draft: Draft = BY_COUNTRY, *, seen_by: frozenset[str] = EVERYBODY, **more: Any
) -> SavedQuery:
    query = save(cases, draft, **more)
    cases.saved.share(more.get("call", ANN), query.id, seen_by=seen_by, edited_by=NOBODY)
    return query


def run(
    cases: UseCases, call: Call, reference: str, /, version: int | None = None, **values: Any
) -> list[tuple[Any, ...]]:
    answer = cases.saved.run(call, Wanted(reference=reference, version=version), values)
    return [tuple(row.values()) for batch in answer.batches() for row in batch.to_pylist()]


def events(cases: UseCases, kind: EventKind) -> tuple[StoredEvent, ...]:
    return cases.gate.book.find(EventFilter(kind=kind))


def job(name: str = "nightly") -> Call:
    return Call(principal=Principal(kind=PrincipalKind.JOB, name=name, channel=Channel.RUN_TOKEN, run_id="r1"))


# ── the runner's own rights ──


def test_whoever_runs_it_gets_what_they_may_see_themselves(cases: UseCases) -> None:
    """The author sees every row and e-mail addresses in clear; the reader has a row scope and a mask."""
    query = shared(cases, ALL)
    assert [row[2] for row in run(cases, ANN, query.id)] == ["ann@example.com", "bea@example.com", "cem@example.com"]
    rows = run(cases, BEA, query.id)
    assert [row[0] for row in rows] == [1, 3]
    assert not any("ann@" in row[2] for row in rows)


def test_a_scope_of_ones_own_rows_means_the_runners_own(cases: UseCases) -> None:
    """`:principal` in a rule is whoever runs it, not whoever wrote it."""
    author, runner = person("Ann", "own"), person("Cem", "own")
    query = shared(cases, ALL, call=author, seen_by=frozenset({"group:own"}))
    for _ in range(2):
        assert [row[1] for row in run(cases, author, query.id)] == ["Ann"]
        assert [row[1] for row in run(cases, runner, query.id)] == ["Cem"]


def test_a_plan_of_the_authors_serves_nobody_else(cases: UseCases) -> None:
    query = shared(cases)
    for _ in range(2):
        assert run(cases, ANN, query.id, country="FR") == [("Bea", "bea@example.com")]
        assert run(cases, BEA, query.id, country="FR") == []


def test_a_reader_without_a_grant_is_refused_as_with_any_statement(cases: UseCases) -> None:
    query = shared(cases, seen_by=frozenset({"group:strangers"}))
    stranger = person("sam", "strangers")
    with pytest.raises(NotFound) as refused:
        run(cases, stranger, query.id)
    assert refused.value.reference is not None
    [event] = events(cases, EventKind.QUERY_REFUSED)
    assert event.content["principal"] == "user:sam"
    assert event.content["saved"]["id"] == query.id


def test_a_column_that_the_runner_may_not_know_stays_unknown(cases: UseCases) -> None:
    query = shared(cases, ALL, seen_by=frozenset({"job:nightly"}))
    with pytest.raises(GatebookError):
        run(cases, job(), query.id)
    narrow = shared(
        cases, replace(ALL, sql="select count(*) from customer"), seen_by=frozenset({"job:nightly"}), name="counted"
    )
    assert run(cases, job(), narrow.id) == [(3,)]


def test_a_grant_that_wants_a_reason_wants_it_here(cases: UseCases) -> None:
    query = shared(cases, ALL, seen_by=frozenset({"group:careful"}))
    careful = person("cas", "careful")
    with pytest.raises(AccessRefused, match="reason"):
        run(cases, careful, query.id)
    assert len(run(cases, replace(careful, reason="ticket 4711"), query.id)) == 3


def test_a_tool_that_a_grant_names_is_not_the_authors_to_give(cases: UseCases) -> None:
    """Ann may read through her desk alone; what she saves there gives nobody her desk."""
    inside = person("dan", "desk")
    inside = replace(inside, principal=replace(inside.principal, tool=Tool(name="desk", version="1")))
    query = shared(cases, ALL, call=inside, seen_by=frozenset({"group:desk"}))
    assert len(run(cases, inside, query.id)) == 3
    with pytest.raises(GatebookError):
        run(cases, person("dora", "desk"), query.id)


# ── the book ──


def test_the_book_says_from_which_query_and_version_a_statement_came(cases: UseCases) -> None:
    query = shared(cases)
    cases.saved.edit(ANN, query.id, replace(BY_COUNTRY, title="Customers"), based_on=1)
    run(cases, BEA, query.id, version=1, country="DE")
    run(cases, BEA, query.id, country="DE")
    newest, oldest = events(cases, EventKind.QUERY_INTENT)
    assert oldest.content["saved"] == {"id": query.id, "name": "ann/customers", "version": "1"}
    assert newest.content["saved"] == {"id": query.id, "name": "ann/customers", "version": "2"}
    assert newest.content["principal"] == "user:bea"
    assert newest.content["tables"][0]["masked"] == ["email"]


def test_a_statement_of_ones_own_never_says_that_it_was_saved(cases: UseCases) -> None:
    """`saved` is a fact: no provenance that a caller claims gets there."""
    call = replace(BEA, provenance={"saved": "ann/customers", "cell": "x"})
    answer = cases.queries.ask(call, Question(source="shop", sql="select name from customer", parameters={}))
    list(answer.batches())  # type: ignore[union-attr]
    [event] = events(cases, EventKind.QUERY_INTENT)
    assert "saved" not in event.content


def test_save_share_and_delete_are_in_the_book_with_the_text_and_the_note(cases: UseCases) -> None:
    query = save(cases, replace(BY_COUNTRY, note="asked for by finance"))
    cases.saved.share(ANN, query.id, seen_by=EVERYBODY, edited_by=frozenset({"group:writers"}))
    cases.saved.delete(ANN, query.id)
    [written], [told], [gone] = (
        events(cases, kind) for kind in (EventKind.SAVED_WRITTEN, EventKind.SAVED_SHARED, EventKind.SAVED_DELETED)
    )
    assert written.content["reason"] == "asked for by finance"
    assert "FROM" in written.content["statement"].upper()
    assert written.content["saved"] == {"id": query.id, "name": "ann/customers", "version": "1"}
    assert told.content["extra"] == {"seen_by": "group:readers", "edited_by": "group:writers"}
    assert gone.content["saved"]["id"] == query.id


def test_a_literal_of_a_protected_column_is_not_in_the_book_in_clear(cases: UseCases) -> None:
    save(cases, replace(ALL, sql="select id from customer where email = 'secret@example.com'"))
    [event] = events(cases, EventKind.SAVED_WRITTEN)
    assert "secret@" not in str(event.content)


def test_what_the_book_cannot_have_is_not_done(cases: UseCases, monkeypatch: pytest.MonkeyPatch) -> None:
    query = save(cases)

    def fails(*_: object) -> int:
        raise BookUnavailable("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(cases.gate.book, "append", fails)
        for step in (
            lambda: save(cases, name="another"),
            lambda: cases.saved.edit(ANN, query.id, ALL, based_on=1),
            lambda: cases.saved.share(ANN, query.id, seen_by=EVERYBODY, edited_by=NOBODY),
            lambda: cases.saved.delete(ANN, query.id),
        ):
            with pytest.raises(BookUnavailable):
                step()
    [found] = cases.saved.listed(ANN.principal)
    assert found.query == query
    assert found.version.draft == BY_COUNTRY


# ── who sees it ──


def test_a_new_query_is_nobodys_but_its_authors(cases: UseCases) -> None:
    query = save(cases)
    for call in (BEA, EVE, person("ada", "writers", "privacy"), job()):
        assert cases.saved.listed(call.principal) == ()
        for reference in (query.id, "customers"):
            with pytest.raises(NotFound, match="no saved query"):
                run(cases, call, reference)
        with pytest.raises(NotFound, match="no such saved query"):
            cases.saved.look(call, query.id)
        for steps in (
            lambda call=call: cases.saved.edit(call, query.id, ALL, based_on=1),
            lambda call=call: cases.saved.bring_back(call, query.id, 1, based_on=1),
            lambda call=call: cases.saved.share(call, query.id, seen_by=EVERYBODY, edited_by=NOBODY),
            lambda call=call: cases.saved.delete(call, query.id),
        ):
            with pytest.raises(NotFound) as refused:
                steps()
            assert refused.value.reference is not None


def test_a_stranger_learns_nothing_from_a_name_that_is_taken(cases: UseCases) -> None:
    """What is not there and what is not for them are the same words, and a name is free for everybody."""
    save(cases)
    told = []
    for reference in ("customers", "nothing"):
        with pytest.raises(NotFound) as refused:
            run(cases, EVE, reference)
        told.append(str(refused.value).replace(reference, "…"))
    assert told[0] == told[1]
    assert save(cases, call=EVE).name == "customers"


def test_who_leaves_the_group_loses_sight(cases: UseCases) -> None:
    query = shared(cases)
    assert [found.query.id for found in cases.saved.listed(BEA.principal)] == [query.id]
    gone = person("bea", "others")
    assert cases.saved.listed(gone.principal) == ()
    cases.saved.share(ANN, query.id, seen_by=NOBODY, edited_by=NOBODY)
    assert cases.saved.listed(BEA.principal) == ()


def test_a_person_called_like_a_group_is_not_the_group(cases: UseCases) -> None:
    shared(cases)
    assert cases.saved.listed(person("readers").principal) == ()
    assert cases.saved.listed(person("group:readers").principal) == ()


def test_a_search_finds_what_one_may_see_alone(cases: UseCases) -> None:
    shared(cases)
    save(cases, ALL, name="hidden")
    assert [found.query.name for found in cases.saved.listed(BEA.principal, "CUSTOMERS country")] == ["customers"]
    assert cases.saved.listed(BEA.principal, "all") == ()
    assert [found.query.name for found in cases.saved.listed(ANN.principal, "all")] == ["hidden"]


def test_names_of_two_authors_are_told_apart_and_never_guessed(cases: UseCases) -> None:
    """Whoever shares a query under a trusted name changes nothing for those who ran the other one: they are asked."""
    trusted = shared(cases)
    assert run(cases, BEA, "customers", country="DE")
    eve = person("eve", "readers", "writers")
    forged = shared(cases, replace(ALL, sql="select 'forged' as name"), call=eve)
    with pytest.raises(InvalidInput, match="ann, eve"):
        run(cases, BEA, "customers")
    wanted = Wanted(reference="customers", author="ann")
    assert cases.saved.get(BEA.principal, wanted).query.id == trusted.id
    assert cases.saved.get(eve.principal, Wanted(reference="customers")).query.id == forged.id


def test_a_name_that_is_none_or_looks_like_an_id_is_refused(cases: UseCases) -> None:
    for name in ("0123456789abcdef", "abcdefabcdefabcd", "", "Customers", "a b", "ann/x", "x" * 64, "a\nb"):
        with pytest.raises(InvalidInput, match="name"):
            save(cases, name=name)


# ── who changes it ──


@pytest.mark.parametrize("channel", [Channel.HUB_TOKEN, Channel.ISSUED_TOKEN, Channel.RUN_TOKEN])
def test_a_token_runs_and_never_saves(cases: UseCases, channel: Channel) -> None:
    """A notebook that a colleague runs must not change what a team trusts in that colleague's name."""
    query = shared(cases)
    token = replace(ANN, principal=replace(ANN.principal, channel=channel))
    assert run(cases, token, query.id) == [("Ann", "ann@example.com"), ("Cem", "cem@example.com")]
    for step in (
        lambda: cases.saved.save(token, "mine", ALL),
        lambda: cases.saved.edit(token, query.id, ALL, based_on=1),
        lambda: cases.saved.bring_back(token, query.id, 1, based_on=1),
        lambda: cases.saved.share(token, query.id, seen_by=NOBODY, edited_by=EVERYBODY),
        lambda: cases.saved.delete(token, query.id),
    ):
        with pytest.raises(PortalOnly) as refused:
            step()
        assert refused.value.reference is not None
    assert len(events(cases, EventKind.SAVED_REFUSED)) == 5
    assert cases.gate.saved.get(query.id).version == 1


def test_a_reader_reads_and_an_editor_edits_and_the_author_shares(cases: UseCases) -> None:
    query = save(cases)
    cases.saved.share(ANN, query.id, seen_by=EVERYBODY, edited_by=frozenset({"group:writers"}))
    editor = person("zoe", "writers")
    with pytest.raises(NotPermitted):
        cases.saved.edit(BEA, query.id, ALL, based_on=1)
    assert cases.saved.edit(editor, query.id, ALL, based_on=1).version == 2
    for call in (BEA, editor):
        with pytest.raises(NotPermitted):
            cases.saved.share(call, query.id, seen_by=NOBODY, edited_by=frozenset({"group:readers"}))
        with pytest.raises(NotPermitted):
            cases.saved.delete(call, query.id)
    assert cases.gate.saved.get(query.id).seen_by == EVERYBODY


def test_a_reviewer_or_auditor_does_not_edit(cases: UseCases) -> None:
    query = shared(cases)
    with pytest.raises(NotFound):
        cases.saved.edit(person("aud", "auditors"), query.id, ALL, based_on=1)


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

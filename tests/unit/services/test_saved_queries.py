"""Does a saved query share its text and nothing else, and does nobody but a person at the portal change one?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.services.saving import (
    ALL,
    ANN,
    BEA,
    BY_COUNTRY,
    EVE,
    EVERYBODY,
    NOBODY,
    events,
    job,
    open_shop,
    run,
    save,
    shared,
)
from tests.unit.services.shop import Shop, person

from gatebook_hub.audit import EventKind
from gatebook_hub.errors import (
    AccessRefused,
    BookUnavailable,
    GatebookError,
    InvalidInput,
    NotFound,
    NotPermitted,
    PortalOnly,
)
from gatebook_hub.model import Channel, PrincipalKind, Tool
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.queries import Question
from gatebook_hub.services.saved_queries import Wanted


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return open_shop(tmp_path)


@pytest.fixture
def cases(shop: Shop) -> Iterator[UseCases]:
    with shop.open() as found:
        yield found


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


def test_a_job_is_given_nobodys_query_by_its_name_alone(cases: UseCases) -> None:
    """Whoever shares one of that name with the job would be believed, at the latest when the real one is deleted."""
    shared(cases, replace(ALL, sql="select count(*) from customer"), seen_by=frozenset({"job:nightly"}))
    with pytest.raises(InvalidInput, match="`author/customers`"):
        run(cases, job(), "customers")
    wanted = Wanted(reference="customers", author="ann")
    assert cases.saved.get(job().principal, wanted).query.author == "user:ann"


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
        # A job names no query without its author.
        references = [query.id] if call.principal.kind is PrincipalKind.JOB else [query.id, "customers"]
        for reference in references:
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

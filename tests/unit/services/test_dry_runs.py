"""What does a dry run answer, to whom, and what is left of it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import Shop, ann

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import (
    EffectMissed,
    GatebookError,
    InvalidInput,
    NotFound,
    ParameterMismatch,
    TooManyRequests,
    UnknownRelation,
)
from gatebook_hub.model import Limits
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.describing import Told
from gatebook_hub.services.gate import Call
from gatebook_hub.services.previewing import Previewed
from gatebook_hub.services.queries import Question
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.web.views import change_view, draft_view

RULES = """
grants:
  - id: team
    to: group:team
    on: shop.customer
    allow: [select, insert, update, delete]
    where: country = 'DE'
  - id: careful
    to: group:careful
    on: shop.credit
    allow: [select, insert, update]
    reason: true
  - id: billing
    to: group:billing
    on: shop.customer
    allow: [select, update]
    purpose: [billing]
  - id: free
    to: group:free
    on: shop.credit
    allow: [select, insert]
  - id: book
    to: group:auditors
    audit: true
protections:
  - {id: mask-email, on: shop.customer.email, mask: email}
approvals:
  - id: several
    on: shop.customer
    when: rows > 1
    reason: true
    require: [{groups: [reviewers], needed: 2}]
"""
RENAME = "update customer set name = :name where id = 1"
# Of a document: what is one request's own.
OWN = {
    "id", "url", "state", "digest", "created_at", "expires_at", "action", "reviews", "outcome", "failure", "may",
    "undoes", "undone_by", "broken", "comments", "version",
}  # fmt: skip


@pytest.fixture
def cases(tmp_path: Path) -> Iterator[UseCases]:
    shop = Shop(tmp_path)
    (shop.policies / "actions" / "credit.yaml").unlink()
    shop.write(RULES)
    with shop.open() as opened:
        yield opened


def dry(cases: UseCases, sql: str, call: Call | None = None, **parameters: Any) -> Previewed | Told:
    question = Question(source="shop", sql=sql, parameters=parameters, is_dry_run=True)
    answer = cases.queries.ask(call or ann("team"), question)
    assert isinstance(answer, Previewed | Told)
    return answer


def shown(cases: UseCases, sql: str, call: Call | None = None, **parameters: Any) -> dict[str, Any]:
    previewed = dry(cases, sql, call, **parameters)
    assert isinstance(previewed, Previewed)
    return draft_view(cases, (call or ann("team")).principal, previewed)


def error_of(cases: UseCases, sql: str, call: Call, *, is_dry_run: bool) -> GatebookError:
    with pytest.raises(GatebookError) as refused:
        cases.queries.ask(call, Question(source="shop", sql=sql, parameters={}, is_dry_run=is_dry_run))
    return refused.value


def events(cases: UseCases) -> list[dict[str, Any]]:
    """The newest first."""
    return [event.content for event in cases.gate.book.find(EventFilter())]


def test_it_shows_what_the_request_would_show_to_its_requester(cases: UseCases) -> None:
    told = shown(cases, RENAME, name="Ada")
    request = cases.queries.ask(ann("team"), Question(source="shop", sql=RENAME, parameters={"name": "Ada"}))
    assert isinstance(request, ChangeRequest)
    filed = change_view(cases, ann("team").principal, request)
    assert {key: filed[key] for key in filed.keys() - OWN - {"why_not"}} == {
        key: told[key] for key in told.keys() - OWN - {"audit_index"}
    }
    assert told["state"] == "draft"
    assert told["summary"] == "1 row would be changed in customer"
    assert told["quorum"] == [{"groups": ["reviewers"], "needed": 1, "given": 0}]
    ((row,), columns) = told["diffs"][0]["rows"], told["diffs"][0]["columns"]
    assert dict(zip(columns, row["after"], strict=True)) == {
        "id": 1, "name": "Ada", "email": {"$type": "masked", "value": "•••"}, "country": "DE",
    }  # fmt: skip
    assert not {"id", "url", "digest", "expires_at"} & told.keys()


def test_nothing_is_filed_nothing_is_changed_and_the_book_has_it(cases: UseCases) -> None:
    previewed = dry(cases, RENAME, name="Ada")
    assert isinstance(previewed, Previewed)
    assert cases.changes.find(ann("team").principal) == ()
    outcome, intent = events(cases)[:2]
    assert (intent["kind"], intent["extra"]) == ("query.intent", {"step": "dry_run"})
    assert (outcome["kind"], outcome["refers_to"], outcome["outcome"]) == ("query.outcome", previewed.index, "ok")
    assert (outcome["rows"], outcome["detail"]) == (1, "a dry run: nothing was filed, and nothing was changed")
    assert cases.gate.book.open_intents() == ()
    assert shown(cases, RENAME, name="Ada")["diffs"][0]["rows"][0]["before"][1] == "Ann"


def test_warnings_and_larger_quorums_are_told(cases: UseCases) -> None:
    told = shown(cases, "update customer set name = 'x'", replace(ann("team"), reason="tidy"))
    assert told["warnings"] == ["the statement has no condition: it writes every row that the requester may see"]
    assert told["quorum"] == [{"groups": ["reviewers"], "needed": 2, "given": 0}]
    assert [row["key"] for row in told["diffs"][0]["rows"]] == [[1], [3]]  # 2 is out of sight


@pytest.mark.parametrize(
    "sql, call",
    [
        ("update customer set name = 'x' where id = 2", ann("team")),  # a hidden row
        ("update customer set name = 'x' where id = 99", ann("team")),  # none
        ("insert into customer (id, country) values (2, 'DE')", ann("team")),  # a key that a hidden row has
        ("insert into customer (id, country) values (9, 'FR')", ann("team")),  # out of the scope
        ("update customer set name = 'x'", ann("team")),  # an approval that wants a reason
        ("update customer set email = 'x' where id = 1", ann("team")),
        ("insert into credit (customer) values (1)", ann("careful")),  # a grant that wants a reason
        ("update customer set name = 'x' where id = 1", ann("billing")),  # no purpose
        ("update customer set name = 'x' where id = 1", replace(ann("billing"), purpose="support")),
        ("update customer set name = 'x' where id = 1", ann("strangers")),
        ("update nothing set name = 'x'", ann("team")),
        ("update customer set name = :missing", ann("team")),
        ("update customer set id = id", ann("team")),
        ("replace into customer (id) values (1)", ann("team")),
        ("truncate customer", ann("team")),
        ("update customer set", ann("team")),
    ],
)
def test_it_is_refused_with_the_words_that_refuse_the_request(cases: UseCases, sql: str, call: Call) -> None:
    filed, told = (error_of(cases, sql, call, is_dry_run=is_dry) for is_dry in (False, True))
    assert (told.code, str(told), told.ask) == (filed.code, str(filed), filed.ask)
    assert told.reference is not None
    newest = events(cases)[0]
    assert newest["outcome"] in {"refused", "failed"}
    assert told.reference in {newest.get("refers_to"), cases.gate.book.find(EventFilter())[0].index}


def test_purposes_and_reasons_open_what_they_open(cases: UseCases) -> None:
    assert shown(cases, RENAME, replace(ann("billing"), purpose="billing"), name="x")["quorum"]
    insert = "insert into credit (customer) values (1)"
    told = shown(cases, insert, replace(ann("careful"), reason="ticket 5"))
    assert told["reason"] == "ticket 5"


def test_a_read_is_explained_and_does_not_run(cases: UseCases) -> None:
    select = "select email from customer"
    answers = [dry(cases, text) for text in (select, f"explain {select}", "show tables", "describe customer")]
    explained, asked, tables, _ = answers
    assert all(isinstance(answer, Told) for answer in answers)
    assert [batch.to_pylist() for batch in explained.batches()] == [batch.to_pylist() for batch in asked.batches()]
    assert [batch["table"].to_pylist() for batch in tables.batches()] == [["customer"]]
    kinds = [event["kind"] for event in events(cases)]
    assert kinds.count("query.explained") == 2
    assert "query.intent" not in kinds
    with pytest.raises(UnknownRelation):
        dry(cases, select, ann("free"))
    with pytest.raises(UnknownRelation):
        dry(cases, "select * from nothing")


@pytest.mark.parametrize(
    "more",
    [
        {"transaction": "new"},
        {"transaction": "1a"},
        {"sql": "create table more (id integer primary key)"},
        {"sql": "drop table customer"},
    ],
)
def test_what_has_no_dry_run_is_refused_and_in_the_book(cases: UseCases, more: dict[str, Any]) -> None:
    given = {"source": "shop", "sql": RENAME, "parameters": {"name": "x"}, "is_dry_run": True, **more}
    with pytest.raises(InvalidInput, match="dry run") as refused:
        cases.queries.ask(ann("team"), Question(**given))
    newest = events(cases)[0]
    assert (newest["kind"], newest["code"]) == ("query.refused", "GB-104")
    assert refused.value.reference is not None


def test_it_takes_a_place_like_any_statement(cases: UseCases) -> None:
    gate, principal = cases.gate, ann("team").principal
    limits = gate.limits(gate.policy.sources["shop"], Limits())
    for _ in range(limits.concurrent or 1):
        gate.places.take(principal.id, "shop", limits)
    with pytest.raises(TooManyRequests):
        dry(cases, RENAME, name="x")
    assert events(cases)[0]["code"] == "GB-107"
    gate.places.leave(principal.id, "shop")
    for _ in range(3):  # and gives it back, also when it is refused
        dry(cases, RENAME, name="x")
        with pytest.raises(EffectMissed):
            dry(cases, "update customer set name = 'x' where id = 99")
    with pytest.raises(ParameterMismatch):
        dry(cases, RENAME)
    with pytest.raises(NotFound):
        dry(cases, RENAME, ann(), name="x")

"""Does anything that changes something rest on what the Hub said some seconds ago?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.services.shop import RULES, Shop

from gatebook_hub.app import make_app
from gatebook_hub.errors import AuthenticationError
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.opening import open_gate
from gatebook_hub.settings import Settings
from gatebook_hub.stores.book import EventFilter
from gatebook_hub.web.authentication import Doorman

ANN = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"writers", "desk"}), channel=Channel.HUB_TOKEN)
TOOLS = Principal(kind=PrincipalKind.SERVICE, name="tools", channel=Channel.HUB_TOKEN)
READ = "select name from customer order by id"
WRITE = "update customer set name = 'x' where id = 1"


class Hub:
    """Two people's tokens: `known` is what was answered some seconds ago, `now` what is true."""

    def __init__(self) -> None:
        self.known = {"t-ann": ANN, "t-tools": TOOLS}
        self.now = dict(self.known)
        self.asked: list[tuple[str, bool]] = []

    async def resolve(self, token: str, *, is_fresh: bool) -> Principal:
        self.asked.append((token, is_fresh))
        found = (self.now if is_fresh else self.known).get(token)
        if found is None:
            raise AuthenticationError("the token is unknown, expired or revoked")
        return found


class Place:
    """A gateway whose Hub is at hand."""

    def __init__(self, app: Any, hub: Hub, gate: Any) -> None:
        self._app, self.hub, self.gate = app, hub, gate

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                given = {name.replace("_", "-"): text for name, text in headers.items()}
                known = {"authorization": "Bearer t-ann", **given}
                return await client.request(method, f"/api/v1/{path}", json=body, headers=known)

        self.hub.asked.clear()
        return asyncio.run(call())

    def ask(self, sql: str, more: dict[str, Any] | None = None, **headers: str) -> httpx.Response:
        return self.send("POST", "query", {"source": "shop", "sql": sql, **(more or {})}, **headers)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    shop = Shop(tmp_path)
    shop.write(RULES.replace("    via: desk\n", "    via: desk\n  - {id: tools, to: group:desk, tools: [desk]}\n"))
    with open_gate(Settings(_env_file=None, state=shop.state, policies=shop.policies)) as gate:
        gate.in_force.sources.get("shop").prepare()
        app: Any = make_app(gate)
        hub, inner = Hub(), app._app
        inner.state.doorman = Doorman(inner.state.cases, hub)  # type: ignore[arg-type]
        yield Place(app, hub, gate)


def test_a_read_rests_on_the_known_answer_and_a_write_is_confirmed_once(place: Place) -> None:
    assert place.ask(READ).status_code == 200
    assert place.hub.asked == [("t-ann", False)]
    assert place.ask(WRITE).status_code == 202
    assert place.hub.asked == [("t-ann", False), ("t-ann", True)]


CHANGING = [
    pytest.param(WRITE, {}, id="write"),
    pytest.param(f"  /* read */ {WRITE} returning id", {}, id="returning"),
    pytest.param("delete from customer where id = 1", {}, id="refused write"),
    pytest.param(WRITE, {"dry_run": True}, id="dry run"),
    pytest.param("create table more (id integer primary key)", {}, id="definition"),
    pytest.param("drop table customer", {"transaction": "new"}, id="definition in a transaction"),
    pytest.param(READ, {"transaction": "abc"}, id="step of a transaction"),
    pytest.param(WRITE, {"many": [{}, {}]}, id="many"),
]


@pytest.mark.parametrize("sql, more", CHANGING)
def test_who_was_just_revoked_changes_nothing(sql: str, more: dict[str, Any], place: Place) -> None:
    del place.hub.now["t-ann"]
    before = len(place.gate.book.find(EventFilter()))
    assert place.ask(sql, more).status_code == 401
    assert len(place.gate.book.find(EventFilter())) == before


def test_a_write_is_decided_with_the_groups_of_now(place: Place) -> None:
    place.hub.now["t-ann"] = replace(ANN, groups=frozenset({"readers"}))
    assert place.ask(WRITE).status_code == 403
    event = place.gate.book.find(EventFilter(kind="query.refused"))[0]
    assert event.content["groups"] == ["readers"]


POSTS = [
    "actions/credit",
    "changes/x/review",
    "changes/x/execute",
    "changes/x/withdraw",
    "changes/x%2Fapi%2Fv1%2Fquery/withdraw",
    "transactions/x",
    "transactions/api%2Fv1%2Fquery",
    "jobs/x/runs",
    "runs/claim",
    "runs/x/progress",
    "runs/x/finish",
]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8001/api/v1/query?", "127.0.0.1:1/api/v1/query#"])
@pytest.mark.parametrize("path", POSTS)
def test_whatever_else_is_posted_is_asked_anew(path: str, host: str, place: Place) -> None:
    """Also where the path, or a host that ends in one, looks like that of a statement."""
    del place.hub.now["t-ann"]
    assert place.send("POST", path, {}, host=host).status_code in {401, 404, 422}
    assert all(is_fresh for _, is_fresh in place.hub.asked)


def test_a_tool_that_writes_is_attested_by_a_service_that_is_known_now(place: Place) -> None:
    tool = {"gatebook_tool": "desk@1", "gatebook_service_token": "t-tools"}
    del place.hub.now["t-tools"]
    assert place.ask(READ, **tool).status_code == 200
    assert place.ask(WRITE, **tool).status_code == 401
    assert place.send("POST", "actions/credit", {"params": {"customer": 1, "amount": 1}}, **tool).status_code == 401


def test_a_confirmed_statement_is_one_request(place: Place) -> None:
    """Of those that a principal may make."""
    rates = place._app._app.state.doorman._rates
    taken = []
    rates.take = taken.append
    assert place.ask(WRITE).status_code == 202
    assert taken == [ANN.id]


@pytest.mark.parametrize("nested", ["[" * 30_000, '{"a":' * 9_000], ids=["lists", "objects"])
def test_provenance_that_is_nested_without_end_is_said(nested: str, place: Place) -> None:
    answer = place.ask(READ, gatebook_provenance=nested)
    assert (answer.status_code, answer.json()["code"]) == (422, "GB-104")

"""How old may the Hub's answer be on which a statement rests? Some seconds for a read, none for a change."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.fixtures.labs import write_lab

import gatebook_hub.app
from gatebook_hub.app import make_app
from gatebook_hub.services.opening import open_gate
from gatebook_hub.settings import Settings
from gatebook_hub.web.hub import HubDirectory

READ = "select count(*) as n from genre"
WRITE = "update genre set name = 'Jazz, again' where genreid = 2"


class Hub:
    """What the Hub says of one token, and how often it was asked."""

    access_scopes = frozenset[str]()

    def __init__(self) -> None:
        self.model: dict[str, Any] | None = {"name": "ann", "kind": "user", "groups": ["builders"]}
        self.asked = 0

    def check_scopes(self, _wanted: Any, _model: Any) -> bool:
        return True

    async def user_for_token(self, _token: str, **_: Any) -> dict[str, Any] | None:
        self.asked += 1
        return self.model


@pytest.fixture
def hub() -> Hub:
    return Hub()


@pytest.fixture
async def client(
    hub: Hub, tmp_path: Path, chinook_sqlite: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    policies = tmp_path / "policies"
    write_lab(policies, "sqlite", f"sqlite:///{chinook_sqlite}", "builders")
    settings = Settings(_env_file=None, state=tmp_path / "state", policies=policies)
    monkeypatch.setattr(gatebook_hub.app, "open_hub", lambda given: HubDirectory(given, hub))  # type: ignore[arg-type]
    with open_gate(settings) as gate:
        transport = httpx.ASGITransport(make_app(gate))
        headers = {"Authorization": "Bearer a-token-of-the-hub"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as made:
            yield made


async def ask(client: httpx.AsyncClient, sql: str, **more: Any) -> httpx.Response:
    return await client.post("/api/v1/query", json={"source": "lab_sqlite", "sql": sql, **more})


async def test_reads_ask_once_and_each_write_asks_again(client: httpx.AsyncClient, hub: Hub) -> None:
    for _ in range(3):
        assert (await ask(client, READ)).status_code == 200
    assert hub.asked == 1
    for count in (2, 3):
        assert (await ask(client, WRITE)).json()["rows_changed"] == 1
        assert hub.asked == count


@pytest.mark.parametrize(
    "sql, more",
    [
        (WRITE, {}),
        (f"/* select */ {WRITE}", {}),
        (WRITE, {"dry_run": True}),
        (WRITE, {"transaction": "new"}),
        (READ, {"transaction": "abc"}),
        ("create table t (a integer)", {}),
        ("drop table genre", {}),
        ("insert into genre (genreid, name) select 900, 'x'", {}),
        ("with x as (select 1 as a) delete from genre where genreid in (select a from x)", {}),
    ],
)
async def test_who_lost_access_changes_nothing_from_then_on(
    client: httpx.AsyncClient, hub: Hub, sql: str, more: dict[str, Any]
) -> None:
    before = (await ask(client, READ)).content
    hub.model = None
    answer = await ask(client, sql, **more)
    assert answer.status_code == 401, answer.text
    hub.model = {"name": "ann", "kind": "user", "groups": ["builders"]}
    assert len((await ask(client, READ)).content) == len(before)


async def test_who_lost_a_group_changes_nothing_from_then_on(client: httpx.AsyncClient, hub: Hub) -> None:
    assert (await ask(client, READ)).status_code == 200
    hub.model = {"name": "ann", "kind": "user", "groups": []}
    assert (await ask(client, WRITE)).status_code in {403, 404}
    # And the answer that was asked for serves from now on.
    assert (await ask(client, READ)).status_code in {403, 404}


async def test_no_other_route_rests_on_an_old_answer(client: httpx.AsyncClient, hub: Hub) -> None:
    assert (await ask(client, READ)).status_code == 200
    hub.model = None
    for path in ("changes/c/review", "changes/c/execute", "transactions/t", "actions/a"):
        asked = hub.asked
        assert (await client.post(f"/api/v1/{path}", json={})).status_code == 401, path
        assert hub.asked == asked + 1
        hub.model = {"name": "ann", "kind": "user", "groups": ["builders"]}
        await ask(client, READ)  # so that there is an answer again
        hub.model = None

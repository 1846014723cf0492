"""Another database answers under an old name, and a caller leaves before the first rows."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.stories.alone import Alone, problem_of, rows_of

GOOD = "select name from genre where genreid = 1"
SLOW = "select count(*) as n from track a, track b, track c where a.name > b.name || c.name"


@pytest.fixture
def gateway(chinook_template: Path, tmp_path: Path) -> Iterator[Alone]:
    with Alone(tmp_path, chinook_template, environment={"GATEBOOK_LIMIT_CONCURRENT": "1"}) as running:
        yield running


def test_a_source_stops_when_another_database_answers_until_the_operator_accepts_it(gateway: Alone) -> None:
    """The book has the alarm with both identities, and who accepted; the gateway goes on without a restart."""
    assert rows_of(gateway.ask(GOOD)) == [{"name": "Rock"}]
    path = gateway.state / "databases" / "chinook.sqlite"
    shutil.copy2(path, path.with_name("other"))
    path.with_name("other").rename(path)
    for _ in range(2):
        problem = problem_of(gateway.ask(GOOD), 503, "GB-506")
        assert "file:" not in str(problem), "what it is in detail is for the operator"
    alarms = gateway.events(kind="alarm")
    assert len(alarms) == 1
    assert alarms[0]["source"] == "chinook"
    assert alarms[0]["detail"].count("file:") == 2
    assert "chinook is now file:" in gateway.command("source", "accept", "chinook")
    assert rows_of(gateway.ask(GOOD)) == [{"name": "Rock"}]
    assert len(gateway.events(kind="alarm")) == 2


def test_a_caller_who_leaves_before_the_first_rows_frees_the_place(gateway: Alone) -> None:
    rows_of(gateway.ask(GOOD))
    token = gateway.token()
    with gateway.client(token) as client, pytest.raises(httpx.ReadTimeout):
        client.post("/api/v1/query", json={"source": "chinook", "sql": SLOW}, timeout=1)
    started = time.monotonic()
    while gateway.ask(GOOD, token=token).status_code == 429 and time.monotonic() - started < 10:
        time.sleep(0.1)
    assert time.monotonic() - started < 8
    assert rows_of(gateway.ask(GOOD, token=token)) == [{"name": "Rock"}]
    ended = [event for event in gateway.events(kind="query.outcome") if event.get("outcome") == "failed"]
    assert [event["code"] for event in ended] == ["GB-502"]

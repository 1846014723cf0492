"""What goes wrong is said clearly, is in the book where it concerns data, and loses nothing.

Callers with bad tokens and bad statements, databases that are down or hang, a full disk, policies that contradict
themselves: each against a real gateway process, and after each the book verifies.
"""

from __future__ import annotations

import json
import resource
import shutil
import socket
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from tests.stories.alone import Alone, problem_of, rows_of, stream_of
from tests.stories.gateway import APP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GOOD = "select name from genre where genreid = 1"
EXPIRED_S = 1.0


@pytest.fixture(scope="module")
def gateway(chinook_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """At its end, after all that went wrong, it answers, and its book is whole."""
    with Alone(tmp_path_factory.mktemp("gateway"), chinook_template) as running:
        yield running
        assert is_whole(running)


def is_whole(gateway: Alone) -> bool:
    """Whether a good statement is answered and the book verifies."""
    assert rows_of(gateway.ask(GOOD)) == [{"name": "Rock"}]
    return gateway.command("audit", "verify").startswith("verified: ")


# ── who calls ──


def test_a_wrong_an_expired_and_a_revoked_token_are_told_alike(gateway: Alone) -> None:
    """Which of the three it was is nobody's business who cannot say who they are."""
    expired, _ = gateway.issue("late", "analysts", ttl_s=EXPIRED_S)
    revoked, label = gateway.issue("gone", "analysts")
    gateway.command("token", "revoke", label)
    time.sleep(EXPIRED_S)
    told = [
        problem_of(gateway.ask(GOOD, token=token), 401, "GB-101")["detail"]
        for token in ("gbt_wrong", expired, revoked, revoked[:-1])
    ]
    assert set(told) == {"the token is unknown, expired or revoked"}
    assert gateway.events(kind="query.intent", principal="user:late") == []


def test_a_label_that_is_none_is_said(gateway: Alone) -> None:
    done = gateway.run("token", "revoke", "nothing")
    assert done.returncode == 1
    assert "GB-105" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("ttl", ["0h", "367d", "soon", "1", "h", "-1h", "1w"])
def test_a_life_that_is_none_is_said(ttl: str, gateway: Alone) -> None:
    done = gateway.run("token", "issue", "--user", "analyst", f"--ttl={ttl}")
    assert done.returncode in {1, 2}
    assert done.stdout == ""
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr


# ── what is asked ──

REFUSED = [
    pytest.param({"source": "nowhere"}, 404, "GB-105", "nowhere", id="unknown source"),
    pytest.param({"source": "../etc"}, 404, "GB-105", "source", id="a source that is no name"),
    pytest.param({"sql": "selec name from genre"}, 400, "GB-201", "line 1", id="a misspelt word"),
    pytest.param({"sql": "select name frm genre whre"}, 400, "GB-201", "", id="does not parse"),
    pytest.param({"sql": "select name from genre where name = 'Rock"}, 400, "GB-201", "", id="a string without end"),
    pytest.param({"sql": f"{GOOD}; {GOOD}"}, 400, "GB-202", "2", id="two statements"),
    pytest.param({"sql": "-- nothing"}, 400, "GB-202", "none", id="no statement"),
    pytest.param({"sql": "select load_extension('x') from genre"}, 400, "GB-205", "load_extension", id="a function"),
    pytest.param({"sql": "select no_such(name) from genre"}, 400, "GB-205", "no_such", id="an unknown function"),
    pytest.param({"sql": "select * from sqlite_master"}, 400, "GB-206", "sqlite_master", id="a catalogue"),
    pytest.param({"sql": "select * from nothing"}, 400, "GB-206", "nothing", id="an unknown table"),
    pytest.param({"sql": "select nothing from genre"}, 400, "GB-207", "nothing", id="an unknown column"),
    pytest.param({"sql": "drop table genre"}, 400, "GB-203", "drop", id="a kind that is not taken"),
    pytest.param({"sql": "select /*! 1 */ name from genre"}, 400, "GB-204", "comments", id="an executable comment"),
    pytest.param({"sql": "select name from genre where genreid = :id"}, 400, "GB-208", "id", id="a missing value"),
    pytest.param({"params": {"id": 1}}, 400, "GB-208", "id", id="a value for nothing"),
    pytest.param({"sql": "select birthdate from employee"}, 403, "GB-301", "birth", id="what policy refuses"),
    pytest.param({"sql": "delete from invoice where invoiceid = 1"}, 403, "GB-301", "", id="a write without grant"),
]


@pytest.mark.parametrize("change, status, code, word", REFUSED)
def test_a_refusal_is_clear_and_in_the_book(
    change: dict[str, Any], status: int, code: str, word: str, gateway: Alone
) -> None:
    problem = problem_of(gateway.ask(**{"sql": GOOD, **change}), status, code)
    assert word in problem["detail"]
    event = gateway.event(problem["reference"])
    assert event["kind"] in {"query.refused", "change.refused"}
    assert (event["principal"], event["outcome"], event["code"]) == ("user:analyst", "refused", code)


MALFORMED = [
    pytest.param({"sql": 1}, "sql", id="no text"),
    pytest.param({"sql": ""}, "sql", id="an empty text"),
    pytest.param({"params": []}, "params", id="values without names"),
    pytest.param({"params": {"id": [1]}}, "id", id="a list"),
    pytest.param({"params": {"id": {"$type": "date", "value": "tomorrow"}}}, "id", id="no date"),
    pytest.param({"params": {"id": {"$type": "decimal", "value": "1,5"}}}, "id", id="no decimal"),
    pytest.param({"params": {"id": {"$type": "bytes", "value": "§"}}}, "id", id="no base64"),
    pytest.param({"params": {"id": {"$type": "object", "value": "x"}}}, "id", id="no type"),
    pytest.param({"params": {"id": {"value": "x"}}}, "id", id="an object"),
    pytest.param({"limit_rows": 0}, "limit_rows", id="no rows"),
    pytest.param({"limit_rows": "many"}, "limit_rows", id="no number"),
    pytest.param({"limits_rows": 1}, "limits_rows", id="a misspelt key"),
    pytest.param({"sql": "select 1 -- " + "x" * 200_000}, "sql", id="a very long text"),
]


@pytest.mark.parametrize("change, word", MALFORMED)
def test_a_malformed_request_says_where(change: dict[str, Any], word: str, gateway: Alone) -> None:
    answer = gateway.ask(**{"sql": "select name from genre where genreid = :id", **change})
    assert word in problem_of(answer, 422, "GB-104")["detail"]


def test_a_body_that_is_no_json_is_said(gateway: Alone) -> None:
    with gateway.client(gateway.token()) as client:
        for content in (b"{", b"select 1", b"\xff\xfe", b""):
            answer = client.post("/api/v1/query", content=content, headers={"Content-Type": "application/json"})
            problem_of(answer, 422, "GB-104")


def test_a_body_over_the_limit_is_refused_before_it_is_read(gateway: Alone) -> None:
    problem = problem_of(gateway.ask("select 1 -- " + "x" * 1_000_000), 413, "GB-106")
    assert "1,000,000 bytes" in problem["detail"]


@pytest.mark.parametrize(
    "params, word",
    [
        ({"invoice_id": "one", "amount": 1, "reason": "charged twice"}, "invoice_id"),
        ({"invoice_id": 1, "amount": -1, "reason": "charged twice"}, "amount"),
        ({"invoice_id": 1, "amount": 0.001, "reason": "charged twice"}, "amount"),
        ({"invoice_id": 1, "amount": 1, "reason": ""}, "reason"),
        ({"invoice_id": 1, "amount": 1}, "reason"),
        ({"invoice_id": 1, "amount": 1, "reason": "charged twice", "to": "me"}, "to"),
        ({"invoice_id": True, "amount": 1, "reason": "charged twice"}, "invoice_id"),
    ],
)
def test_an_action_with_a_wrong_value_writes_nothing(params: dict[str, Any], word: str, gateway: Alone) -> None:
    headers = {"Gatebook-Tool": "customer_desk@1", "Gatebook-Service-Token": gateway.service_token("tools")}
    with gateway.client(gateway.token("ops", "operations")) as client:
        answer = client.post("/api/v1/actions/refund_invoice", json={"params": params}, headers=headers)
    problem = problem_of(answer, 422, "GB-104")
    assert word in problem["detail"]
    assert gateway.event(problem["reference"])["kind"] == "action.refused"
    assert gateway.rows("select count(*) from refund where createdby = 'ops'") == [(0,)]


# ── databases that are down, that hang, that take too long ──

SOURCE = """
source: {name}
title: A database
engine: postgresql
url: {url}
default_quorum: [{{groups: [reviewers]}}]
"""
GRANT = "  - {{id: {name}-reads, to: 'group:analysts', on: {name}.*, allow: [select]}}\n"


def policies_with(folder: Path, urls: dict[str, str]) -> Path:
    """The demo's policies, and more sources that analysts may read."""
    policies = folder / "policies"
    shutil.copytree(APP / "policies", policies)
    for name, url in urls.items():
        (policies / "sources" / f"{name}.yaml").write_text(SOURCE.format(name=name, url=url))
    (policies / "more.yaml").write_text("grants:\n" + "".join(GRANT.format(name=name) for name in urls))
    return policies


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """A port that is taken, and where nobody listens."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield int(bound.getsockname()[1])


@pytest.fixture(scope="module")
def silent_port() -> Iterator[int]:
    """A port where connections are made and nobody ever says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


@pytest.fixture(scope="module")
def troubled(
    chinook_template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    closed_port: int,
    silent_port: int,
) -> Iterator[Alone]:
    """A gateway with a source that is down, one that hangs, and little patience."""
    folder = tmp_path_factory.mktemp("troubled")
    urls = {"down": f"postgresql://x@127.0.0.1:{closed_port}/x", "hangs": f"postgresql://x@127.0.0.1:{silent_port}/x"}
    policies = policies_with(folder, urls)
    limits = {"GATEBOOK_LIMIT_TIME_S": "1"}
    with Alone(folder, chinook_template, policies=policies, environment=limits) as running:
        yield running


@pytest.mark.parametrize("name, patience_s", [("down", 3.0), ("hangs", 15.0)])
def test_a_database_that_is_not_there_is_said_in_time(name: str, patience_s: float, troubled: Alone) -> None:
    """And it starts all the same: one source's trouble is not the others'."""
    started = time.monotonic()
    problem = problem_of(troubled.ask("select 1 as one from a", source=name), 503, "GB-501")
    assert time.monotonic() - started < patience_s
    assert name in problem["detail"]
    assert "127.0.0.1" not in str(problem)
    event = troubled.event(problem["reference"])
    assert (event["source"], event["code"]) == (name, "GB-501")


def test_others_are_served_while_one_hangs(troubled: Alone) -> None:
    found: list[int] = []
    waiting = [
        threading.Thread(target=lambda: found.append(troubled.ask("select 1 from a", source="hangs").status_code))
        for _ in range(6)
    ]
    troubled.token()
    for thread in waiting:
        thread.start()
    time.sleep(0.5)
    started = time.monotonic()
    assert rows_of(troubled.ask(GOOD)) == [{"name": "Rock"}]
    with troubled.client() as client:
        assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}
    elapsed_s = time.monotonic() - started
    assert any(thread.is_alive() for thread in waiting), "nothing hung, so nothing was shown"
    for thread in waiting:
        thread.join(60)
    assert elapsed_s < 3
    assert set(found) <= {429, 503}


def test_a_statement_that_takes_too_long_is_stopped(troubled: Alone) -> None:
    """Its place is free again, and the book says how it ended."""
    for _ in range(5):
        started = time.monotonic()
        answer = troubled.ask("select count(*) as n from track a, track b, track c where a.name > b.name || c.name")
        elapsed_s = time.monotonic() - started
        if answer.status_code == 200:
            _, last = stream_of(answer)
            problem = json.loads(last[b"gatebook.problem"])
            assert problem["code"] == "GB-503"
        else:
            problem = problem_of(answer, 504, "GB-503")
        assert elapsed_s < 6
        outcome = troubled.outcome_of(problem["reference"])
        assert (outcome["outcome"], outcome["code"]) == ("failed", "GB-503")


@pytest.fixture
def served_postgres(chinook_template: Path, tmp_path: Path, fresh_chinook_postgres: str) -> Iterator[tuple[Alone, str]]:
    """A gateway over a PostgreSQL database of this test's own, and the database's URL."""
    policies = policies_with(tmp_path, {"shop": fresh_chinook_postgres})
    with Alone(tmp_path, chinook_template, policies=policies) as running:
        yield running, fresh_chinook_postgres


@pytest.mark.postgres
def test_a_database_says_no_and_its_words_stay_there(served_postgres: tuple[Alone, str]) -> None:
    """A value of the wrong type; a lock that somebody holds; a connection that is cut: none is told in its words."""
    gateway, url = served_postgres
    params = {"id": "canary-4711"}
    problem = problem_of(
        gateway.ask("select name from genre where genreid = :id", source="shop", params=params), 400, "GB-502"
    )
    assert "canary" not in str(problem)
    assert gateway.outcome_of(problem["reference"])["outcome"] == "failed"
    with psycopg.connect(url) as other:
        other.execute("lock table genre in access exclusive mode")
        problem_of(gateway.ask("select name from genre", source="shop"), 504, "GB-503")
    assert len(rows_of(gateway.ask("select name from genre", source="shop"))) == 25
    with psycopg.connect(url, autocommit=True) as other:
        other.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() "
                      "and pid <> pg_backend_pid()")  # fmt: skip
    assert len(rows_of(gateway.ask("select name from genre", source="shop"))) == 25
    assert is_whole(gateway)


# ── a full disk under the book ──


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    """No file of this process can grow or be written, as on a disk without space."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit, which Linux has")
def test_nothing_runs_while_the_book_cannot_be_written(gateway: Alone) -> None:
    """Reads, writes and actions answer 503; with space again everything goes on, and the book is whole."""
    update = "update invoice set billingcity = 'Full' where invoiceid = 1"
    attested = {"Gatebook-Tool": "customer_desk@1", "Gatebook-Service-Token": gateway.service_token("tools")}
    refund = {"params": {"invoice_id": 5, "amount": 1, "reason": "the disk is full"}}
    gateway.token()
    ops = gateway.token("ops", "operations")
    before = len(gateway.events())
    with full_disk(gateway.pid), gateway.client(ops) as client:
        for _ in range(3):
            problem_of(gateway.ask(GOOD), 503, "GB-701")
        problem_of(gateway.ask(update), 503, "GB-701")
        problem_of(client.post("/api/v1/actions/refund_invoice", json=refund, headers=attested), 503, "GB-701")
        problem_of(gateway.ask("select birthdate from employee"), 403, "GB-301")
        assert client.get("/healthz").status_code == 200
    assert gateway.rows("select count(*) from refund where reason = 'the disk is full'") == [(0,)]
    with gateway.client(gateway.token()) as client:
        assert [change for change in client.get("/api/v1/changes").json()["changes"] if "Full" in str(change)] == []
    events = gateway.events()[before:]
    assert [event["kind"] for event in events if event["kind"].startswith(("query.", "change.", "action."))] == []
    asked = gateway.ask(update)
    assert asked.status_code == 202, f"{asked.text}\n{gateway.tail()}"
    assert is_whole(gateway.restart())


@pytest.mark.skipif(sys.platform != "linux", reason="needs prlimit, which Linux has")
def test_a_power_cut_on_a_full_disk_loses_nothing(gateway: Alone) -> None:
    assert rows_of(gateway.ask(GOOD))
    known = gateway.events()[-1]["index"]
    with full_disk(gateway.pid):
        problem_of(gateway.ask(GOOD), 503, "GB-701")
        gateway.kill()
    gateway.start()
    assert gateway.events()[-1]["index"] >= known
    assert is_whole(gateway)


def test_a_read_that_a_power_cut_ended_is_told_as_unknown(gateway: Alone) -> None:
    """The intent was written before, so the book knows that it was under way."""
    # Wide rows, so that what fits between gateway and reader is far from the limit on rows.
    columns = ", ".join(f"a.name as a{number}, b.composer as b{number}" for number in range(12))
    question = {"source": "chinook", "sql": f"select {columns} from track a, track b"}
    with (
        gateway.client(gateway.token()) as client,
        client.stream("POST", "/api/v1/query", json=question) as answer,
    ):
        assert answer.status_code == 200
        chunks = answer.iter_raw()  # kept, for one that nobody holds hangs up
        assert next(chunks)
        intent = gateway.events(kind="query.intent")[-1]["index"]
        gateway.kill()
    gateway.start()
    outcome = gateway.outcome_of(intent)
    assert outcome["outcome"] == "unknown", outcome


# ── a policy that contradicts itself ──

GRANTS = "grants:\n  - {id: one, to: 'group:analysts', on: chinook.genre, allow: [select]}\n"
BROKEN = [
    pytest.param("new.yaml", "grants:\n  - {id: one", "new.yaml:2", "policy.E001", "YAML", id="no YAML"),
    pytest.param(
        "new.yaml", GRANTS.replace("allow", "alow"), "new.yaml:2", "policy.E002", "`allow`", id="a misspelt key"
    ),
    pytest.param(
        "new.yaml", GRANTS.replace("select", "read"), "new.yaml:2", "policy.E002", "unknown `read`", id="a wrong word"
    ),
    pytest.param(
        "new.yaml", GRANTS + GRANTS[8:], "new.yaml", "policy.E003", "`one` is already", id="one id, two rules"
    ),
    pytest.param(
        "new.yaml", GRANTS.replace("chinook.", "chinok."), "new.yaml", "policy.E004", "`chinook`", id="no source"
    ),
    pytest.param(
        "new.yaml",
        "grants:\n  - {id: one, to: 'group:a', actions: refund}",
        "new.yaml",
        "policy.E005",
        "refund",
        id="no action",
    ),
    pytest.param(
        "new.yaml",
        "protections:\n  - {id: one, tag: pii.mail, mask: email}",
        "new.yaml",
        "policy.E006",
        "pii.mail",
        id="no tag",
    ),
    pytest.param(
        "new.yaml",
        "protections:\n  - {id: one, tag: pii.email, mask: email, refuse: no}",
        "new.yaml:2",
        "policy.E002",
        "exactly one",
        id="masked and refused",
    ),
    pytest.param(
        "new.yaml",
        "approvals:\n  - {id: one, on: chinook.invoice, require: []}",
        "new.yaml:2",
        "policy.E002",
        "somebody",
        id="a write that needs nobody",
    ),
    pytest.param(
        "sources/new.yaml",
        SOURCE.format(name="new", url="postgresql://x/x") + "production: true\nsandbox: true\n",
        "sources/new.yaml",
        "policy.E002",
        "not both",
        id="sandbox and production",
    ),
    pytest.param(
        "sources/new.yaml",
        SOURCE.format(name="new", url="postgresql://x/x").partition("default_quorum")[0],
        "sources/new.yaml",
        "policy.E002",
        "default_quorum",
        id="a source whose writes need nobody",
    ),
    pytest.param("new.yaml", GRANTS.replace("genre", "genres"), "one", "policy.E010", "chinook.genres", id="no table"),
    pytest.param(
        "new.yaml", GRANTS.replace("allow", "columns: [nam], allow"), "one", "policy.E011", "`nam`", id="no column"
    ),
    pytest.param(
        "new.yaml", GRANTS.replace("allow", "where: nam = 1, allow"), "one", "policy.E012", "nam", id="no condition"
    ),
]


@pytest.mark.parametrize("name, text, place, finding, word", BROKEN)
def test_a_policy_that_contradicts_itself_stops_the_start(
    name: str, text: str, place: str, finding: str, word: str, tmp_path: Path, stopped: Alone
) -> None:
    """With exit code 1, the place and the reason; the state stays as it was, and starts again without that file."""
    policies = policies_with(tmp_path, {})
    (policies / "more.yaml").unlink()
    (policies / name).write_text(text)
    known = files_of(stopped)
    for command in ("serve", "policy check"):
        done = stopped.run(*command.split(), "--policies", policies)
        assert done.returncode == 1, done.stdout + done.stderr
        told = done.stdout + done.stderr
        assert place in told
        assert finding in told
        assert word in told
        assert "Traceback" not in told
    assert files_of(stopped) == known


def files_of(gateway: Alone) -> set[Path]:
    """What is in the state folder, without what SQLite keeps beside an open file."""
    return {path for path in gateway.state.rglob("*") if not path.name.endswith(("-wal", "-shm"))}


@pytest.fixture(scope="module")
def stopped(chinook_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Alone:
    """The state of a gateway that ran and ended well."""
    gateway = Alone(tmp_path_factory.mktemp("stopped"), chinook_template)
    with gateway:
        assert rows_of(gateway.ask(GOOD))
    return gateway


def test_the_unbroken_policies_pass(stopped: Alone) -> None:
    """Guards the tests above."""
    assert stopped.command("policy", "check").endswith("0 warnings")


def test_a_policy_folder_that_is_none_is_said(stopped: Alone, tmp_path: Path) -> None:
    for folder in (tmp_path / "nothing", tmp_path):
        done = stopped.run("serve", "--policies", folder)
        assert done.returncode == 1
        assert str(folder) in done.stderr
        assert "GB-801" in done.stderr


def test_an_expectation_that_fails_is_said(stopped: Alone, tmp_path: Path) -> None:
    policies = policies_with(tmp_path, {})
    (policies / "more.yaml").unlink()
    asked = "as: {user: x}, source: chinook, sql: select * from customer, expect: {allow: true}"
    wrong = f"tests:\n  - {{name: wrong, {asked}}}\n"
    (policies / "tests" / "wrong.yaml").write_text(wrong)
    done = stopped.run("policy", "test", "--policies", policies)
    assert done.returncode == 1
    assert "FAILED  wrong" in done.stdout
    assert "tests/wrong.yaml" in done.stdout
    assert "1 failed" in done.stdout

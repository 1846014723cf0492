"""A notebook becomes a tool: it is tried, stored, reviewed by a second person, in force, and taken back; and attacks.

A real gateway with the demo database; the notebook's trial has a kernel of its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.stories.gateway import Gateway, PortalPerson

from gatebook_hub.front.accounts import Accounts, may_isolate

FIND = "select customerid, lastname from customer where customerid = :id"
LOOK = f'found = gatebook.query("chinook", "{FIND}", id=customer)'
SERVICE = "/api/v1/tools/in-force"


def notebook(*cells: str, parameters: dict[str, Any] | None = None, **described: Any) -> str:
    """The text of a tool's notebook; its second cell gives the parameters their first values."""
    known = parameters if parameters is not None else {"customer": {"type": "integer", "minimum": 1}}
    about = {"kind": "tool", "title": "Customer look", "summary": "One customer.", "parameters": known, **described}
    sources = ["import gatebook", "customer = 1", *(cells or (LOOK,))]
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code", "execution_count": None, "id": str(number), "outputs": [], "source": source,
                    "metadata": {"tags": ["parameters"]} if number == 1 else {},
                }
                for number, source in enumerate(sources)
            ],
            "metadata": {
                "gatebook": about,
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        },
        indent=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("publishing")
    prefix = f"t{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}-"
    with Gateway(folder, chinook_template, environment={"GATEBOOK_ACCOUNT_PREFIX": prefix}) as running:
        yield running
    if may_isolate():
        Accounts(prefix).remove()


def publish(gateway: Gateway, folder: Path, name: str, content: str, *more: str, groups: str = "analysts") -> str:
    """Publish as `ana`, and return what was printed."""
    path = folder / f"{name}.ipynb"
    path.write_text(content)
    about = ("--user", "ana", "--groups", groups, "--note", "what is new")
    return gateway.command("tool", "publish", str(path), *about, *more)


def version_of(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def in_force(gateway: Gateway, name: str) -> str | None:
    """The version that the tools service would be given."""
    token = gateway.command("token", "issue", "--service", "tools")
    answer = httpx.get(gateway.url + SERVICE, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200, answer.text
    return next((one["version"] for one in answer.json()["tools"] if one["name"] == name), None)


def review(person: PortalPerson, name: str, version: str, verdict: str = "approve", **more: str) -> httpx.Response:
    """Press a button of the version's page."""
    page = person.get(f"/tool-versions/{name}/{version}").text
    seen = page.split('name="seen" value="', 1)[1].split('"', 1)[0] if 'name="seen"' in page else ""
    fields = {"reason": "read and tried", "verdict": verdict, "seen": seen, **more}
    return person.press(f"/tool-versions/{name}/{version}/review", **fields)


def events(gateway: Gateway, kind: str) -> list[dict[str, Any]]:
    """The events of a kind, newest first."""
    token = gateway.token("auditor", "auditors")
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.get(f"{gateway.url}/api/v1/audit/events", params={"kind": kind}, headers=headers)
    return [event.get("content", event) for event in answer.json()["events"]]


@pytest.fixture
def reviewer(gateway: Gateway) -> Iterator[PortalPerson]:
    with gateway.person("rea", "reviewers") as person:
        yield person


def test_a_notebook_becomes_a_tool_and_is_taken_back(gateway: Gateway, reviewer: PortalPerson, tmp_path: Path) -> None:
    """Tried, stored, approved, in force; the next one too; one command brings the first back, and the book has it."""
    first, second = notebook(title="First desk"), notebook(title="Second desk")
    one, two = version_of(first), version_of(second)
    told = publish(gateway, tmp_path, "customer_desk", first, "--with", "customer=5", groups="operations")
    assert "chinook.customer: select customerid, lastname" in told
    assert "nobody to whom the rules offer the tool would be refused" in told
    assert in_force(gateway, "customer_desk") is None
    assert re.search(r"\bversions? of (a tool|tools) waits? for your review", reviewer.get("/inbox").text)
    page = reviewer.get(f"/tool-versions/customer_desk/{one}").text
    assert "select customerid, lastname from customer" in page
    assert review(reviewer, "customer_desk", one).status_code == 303
    assert in_force(gateway, "customer_desk") == one
    publish(gateway, tmp_path, "customer_desk", second)
    assert in_force(gateway, "customer_desk") == one
    page = reviewer.get(f"/tool-versions/customer_desk/{two}").text
    assert "Removed: " in page
    assert "First desk" in page
    assert "Second desk" in page
    assert review(reviewer, "customer_desk", two).status_code == 303
    assert in_force(gateway, "customer_desk") == two
    assert f"version {one[:12]} of customer_desk is in force" in gateway.command("tool", "rollback", "customer_desk")
    assert in_force(gateway, "customer_desk") == one
    listed = gateway.command("tool", "versions", "customer_desk").splitlines()
    assert ["withdrawn" in listed[0], "in force" in listed[1]] == [True, True]
    assert f"{one[:12]}  by user:rea" in gateway.command("tool", "list")
    assert gateway.command("tool", "rollback", "customer_desk", two[:10])
    assert in_force(gateway, "customer_desk") == two
    taken = events(gateway, "tool.rolled_back")
    assert [event["extra"]["version"] for event in taken] == [two, one]
    assert events(gateway, "tool.reviewed")[0]["extra"]["author"] == "user:ana"
    assert {event["extra"]["version"] for event in events(gateway, "tool.proposed")} >= {one, two}


def test_a_rejected_version_is_never_in_force(gateway: Gateway, reviewer: PortalPerson, tmp_path: Path) -> None:
    content = notebook(title="Unwanted")
    publish(gateway, tmp_path, "unwanted", content)
    assert review(reviewer, "unwanted", version_of(content), "reject").status_code == 303
    assert in_force(gateway, "unwanted") is None
    again = review(reviewer, "unwanted", version_of(content))
    assert again.status_code == 403
    assert "reviewed already" in again.text
    with pytest.raises(AssertionError, match="has this very version already; it is rejected"):
        publish(gateway, tmp_path, "unwanted", content)


# ── what is no tool ──


@pytest.mark.parametrize(
    "content, words",
    [
        pytest.param(notebook(title=""), "`gatebook.title`", id="no title"),
        pytest.param(notebook(kind="guide"), "`kind: tool`", id="another kind"),
        pytest.param(notebook("x = ("), "cell 3, line 1 does not compile", id="does not compile"),
        pytest.param(notebook("%%sql chinook\nselect 1"), "does not compile", id="a magic"),
        pytest.param(notebook().replace('"outputs": []', '"outputs": [{}]', 1), "has outputs", id="outputs"),
        pytest.param(notebook(parameters={"nobody": {"type": "integer"}}), "gives `nobody` no value", id="unknown"),
        pytest.param(notebook(parameters={"customer": {"type": "object"}}), "has a `type`", id="type"),
        pytest.param(notebook(parameters={"customer": {"type": "integer", "pattern": "x"}}), "`pattern`", id="word"),
        pytest.param(notebook(parameters={"customer": {"type": "string", "pattern": "("}}), "`pattern`", id="pattern"),
        pytest.param(notebook().replace('"nbformat": 4,', '"nbformat": 4, "cells": [],'), "comes twice", id="twice"),
        pytest.param("[]", "no notebook", id="no notebook"),
        pytest.param(notebook("raise ValueError('the secret of ann')"), "does not run in cell 3", id="does not run"),
        pytest.param(
            notebook('gatebook.query("chinook", "select * from nowhere")'), "does not run in cell 3", id="refused"
        ),
    ],
)
def test_what_does_not_pass_the_check_is_not_stored(gateway: Gateway, tmp_path: Path, content: str, words: str) -> None:
    """The sentence says what is wrong; nothing waits for a review, and no value of a failed trial is in the book."""
    with pytest.raises(AssertionError, match="Error") as refused:
        publish(gateway, tmp_path, "broken_tool", content)
    assert words in str(refused.value)
    assert "broken_tool" not in gateway.command("tool", "list")
    assert "the secret of ann" not in json.dumps(events(gateway, "tool.checked"))


@pytest.mark.parametrize("name", ["../evil", "a/b", "Desk", "api", "voila", "a.b", "", "a" * 65, "desk\n"])
def test_a_name_with_parts_of_a_path_is_no_name(gateway: Gateway, tmp_path: Path, name: str) -> None:
    path = tmp_path / "tool.ipynb"
    path.write_text(notebook())
    about = ("--user", "ana", "--note", "x", "--name", name)
    with pytest.raises(AssertionError, match=r"no name of a tool|waits"):
        assert "stored" not in gateway.command("tool", "publish", str(path), *about)


def test_the_groups_to_whom_it_is_offered_are_compared(gateway: Gateway, tmp_path: Path) -> None:
    """`ana` in a group with more rights sees it run; the check says which group would be refused what."""
    staff = 'gatebook.query("chinook", "select lastname from employee")'
    content = notebook(staff, title="Staff")
    told = publish(gateway, tmp_path, "customer_desk", content, "--check-only", groups="analysts")
    assert "chinook.employee: select lastname" in told
    assert "would be refused to group:operations: chinook: there is no table `employee`" in told
    assert "would be refused to group:reviewers" not in told
    assert version_of(content)[:12] not in gateway.command("tool", "list")


def test_a_check_changes_nothing(gateway: Gateway, tmp_path: Path) -> None:
    """A write is rehearsed and an action is not called; both are told, from the book."""
    before = gateway.rows("select count(*), sum(total) from invoice")
    write = 'gatebook.query("chinook", "update invoice set total = 0 where invoiceid = 1")'
    press = """
try:
    gatebook.action("refund_invoice", invoice_id=98, amount=1, reason="a check")
except gatebook.errors.GatebookError as error:
    print(error)
"""
    told = publish(gateway, tmp_path, "customer_desk", notebook(write), "--check-only", groups="analysts")
    assert "chinook.invoice: update total" in told
    told = publish(gateway, tmp_path, "customer_desk", notebook(press), "--check-only", groups="operations")
    assert "actions:\n  refund_invoice" in told
    assert gateway.rows("select count(*), sum(total) from invoice") == before
    assert gateway.rows("select count(*) from refund where createdby = 'ana'") == [(0,)]
    with gateway.person("rea", "reviewers") as person:
        assert "user:ana" not in person.get("/inbox?tab=all").text


# ── attacks ──


def test_nobody_approves_their_own(gateway: Gateway, tmp_path: Path) -> None:
    """Whatever groups the author has; and who has no grant to review does not find the page."""
    content = notebook(title="Own")
    version = version_of(content)
    publish(gateway, tmp_path, "own_tool", content)
    with gateway.person("ana", "reviewers", "operations") as author:
        assert "Nobody reviews a version of their own" in author.get(f"/tool-versions/own_tool/{version}").text
        answer = review(author, "own_tool", version)
        assert answer.status_code == 403
    with gateway.person("ops", "operations") as viewer:
        assert viewer.get(f"/tool-versions/own_tool/{version}").status_code == 404
        assert review(viewer, "own_tool", version).status_code == 404
        assert "Own" not in viewer.get("/tool-versions").text
    assert in_force(gateway, "own_tool") is None
    assert events(gateway, "tool.refused")[0]["principal"] in {"user:ana", "user:ops"}


def test_only_a_person_at_the_portal_reviews(gateway: Gateway, reviewer: PortalPerson, tmp_path: Path) -> None:
    """No token, no other origin, no missing or foreign xsrf, no empty reason, no verdict of one's own invention."""
    content = notebook(title="Portal only")
    version = version_of(content)
    publish(gateway, tmp_path, "portal_only", content)
    path = f"/tool-versions/portal_only/{version}/review"
    form = {"reason": "x", "verdict": "approve", "seen": ""}
    token = {"Authorization": f"Bearer {gateway.token('rea', 'reviewers')}", "Origin": gateway.url}
    assert httpx.post(gateway.url + path, data=form, headers=token).status_code == 403
    assert httpx.post(gateway.url + path, data=form, headers={"Origin": gateway.url}).status_code == 401
    assert reviewer.press(path, origin="http://localhost:8000", **form).status_code == 403
    assert reviewer.press(path, origin=None, **form).status_code == 403
    assert reviewer.press(path, xsrf="x" * 43, **form).status_code == 403
    assert reviewer.press(path, **{**form, "reason": " "}).status_code == 422
    assert reviewer.press(path, **{**form, "verdict": "force"}).status_code == 422
    assert reviewer.press(path, **{**form, "seen": "0" * 64}).status_code == 409
    assert reviewer.get(path).status_code in {400, 405}
    assert in_force(gateway, "portal_only") is None


def test_nobody_publishes_through_the_api(gateway: Gateway) -> None:
    """There is no route for it, in whosever name: versions come from the operator's command alone."""
    for user, group in (("ana", "operations"), ("rea", "reviewers")):
        headers = {"Authorization": f"Bearer {gateway.token(user, group)}"}
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            for path in ("", "/in-force", "/customer_desk", f"/customer_desk/versions/{'0' * 64}"):
                body = {"content": notebook(), "author": "user:rea"}
                answer = httpx.request(method, f"{gateway.url}/api/v1/tools{path}", json=body, headers=headers)
                assert answer.status_code in {404, 405}, (method, path)


def test_tools_are_handed_to_the_tools_service_alone(gateway: Gateway, reviewer: PortalPerson, tmp_path: Path) -> None:
    """And to it only what is in force: neither an older version, nor one that waits, nor one of another name."""
    old, new, waits = (notebook(title=title) for title in ("Old one", "New one", "Waits"))
    for content in (old, new):
        publish(gateway, tmp_path, "handed_out", content)
        assert review(reviewer, "handed_out", version_of(content)).status_code == 303
    publish(gateway, tmp_path, "handed_out", waits)
    path = f"{gateway.url}/api/v1/tools/handed_out/versions/"
    service = {"Authorization": f"Bearer {gateway.command('token', 'issue', '--service', 'tools')}"}
    found = httpx.get(path + version_of(new), headers=service)
    assert found.status_code == 200
    assert found.json()["content"] == new
    assert found.json()["by"] == "user:rea"
    for content in (old, waits, "nothing"):
        assert httpx.get(path + version_of(content), headers=service).status_code == 404
    others = [
        gateway.token("rea", "reviewers"),
        gateway.token("tools", "operations"),
        gateway.command("token", "issue", "--service", "worker"),
    ]
    for token in others:
        for url in (path + version_of(new), gateway.url + SERVICE):
            assert httpx.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 403
    assert httpx.get(path + version_of(new)).status_code == 401
    assert reviewer.get(f"/api/v1/tools/handed_out/versions/{version_of(new)}").status_code == 403


def test_a_swapped_notebook_is_not_served(gateway: Gateway, reviewer: PortalPerson, tmp_path: Path) -> None:
    """Whoever writes into the gateway's own database gets no other notebook in force, whatever hash they give it."""
    content, evil = notebook(title="Honest"), notebook("gatebook.query('chinook', 'select 1')", title="Evil")
    version, lie = version_of(content), version_of(evil)
    publish(gateway, tmp_path, "swapped", content)
    assert review(reviewer, "swapped", version).status_code == 303
    assert in_force(gateway, "swapped") == version

    def write(statement: str, *values: object) -> None:
        with contextlib.closing(sqlite3.connect(gateway.state / "gatebook.sqlite", timeout=20)) as database, database:
            database.execute(statement, values)

    write("update tool_version set content = ? where version = ?", evil, version)
    assert in_force(gateway, "swapped") is None
    write("update tool_version set version = ? where version = ?", lie, version)
    write("update tool_force set version = ? where version = ?", lie, version)
    assert in_force(gateway, "swapped") is None
    alarms = [event for event in events(gateway, "alarm") if event.get("extra", {}).get("tool") == "swapped"]
    assert [event["extra"]["version"] for event in alarms] == [lie, version]


def test_calls_come_through_a_version_that_stands(gateway: Gateway, reviewer: PortalPerson, tmp_path: Path) -> None:
    """The service attests a version: the one before stays good for open pages, one that was taken back does not."""
    one, two = notebook(title="Attested one"), notebook(title="Attested two")
    for content in (one, two):
        publish(gateway, tmp_path, "customer_desk", content)
        assert review(reviewer, "customer_desk", version_of(content)).status_code == 303
    headers = {
        "Authorization": f"Bearer {gateway.token('ops', 'operations')}",
        "Gatebook-Service-Token": gateway.command("token", "issue", "--service", "tools"),
    }

    def ask(version: str) -> int:
        attested = {**headers, "Gatebook-Tool": f"customer_desk@{version}"}
        body = {"source": "chinook", "sql": "select lastname from customer where customerid = 1"}
        return httpx.post(f"{gateway.url}/api/v1/query", json=body, headers=attested).status_code

    assert [ask(version_of(one)), ask(version_of(two)), ask("0" * 64)] == [200, 200, 403]
    gateway.command("tool", "rollback", "customer_desk", version_of(one))
    assert [ask(version_of(one)), ask(version_of(two))] == [200, 403]
    assert events(gateway, "query.intent")[0]["tool"] == f"customer_desk@{version_of(one)}"


def test_the_token_of_a_check_opens_nothing_else(gateway: Gateway, tmp_path: Path) -> None:
    """A notebook that is tried cannot use its way to the gateway for anything that lasts."""
    probe = """
import json, os, urllib.error, urllib.request
def call(method, path):
    url = os.environ["GATEBOOK_URL"] + "/api/v1/" + path
    heads = {"Authorization": "GateToken " + os.environ["GATEBOOK_TOKEN"], "Content-Type": "application/json"}
    request = urllib.request.Request(url, method=method, headers=heads, data=b"{}")
    try:
        return urllib.request.urlopen(request, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
wrong = [path for path in ("changes/1/execute", "changes/1/withdraw", "transactions/x", "changes/1/undo",
    "changes/1/review", "runs/claim", "tools/in-force", "jobs/nightly_revenue/runs") if call("POST", path) != 403]
wrong += [path for path in ("tools/in-force",) if call("GET", path) != 403]
assert not wrong, wrong
"""
    assert "tried with the rights" in publish(gateway, tmp_path, "probe", notebook(probe), "--check-only")


@pytest.mark.skipif(not may_isolate(), reason="trial mode: one Linux account, so nothing keeps files apart")
def test_a_notebook_that_is_tried_cannot_reach_the_gateways_files(gateway: Gateway, tmp_path: Path) -> None:
    state = str(gateway.state)
    probe = f"""
import os
opened = []
for folder, _, names in os.walk({state!r}):
    opened += names
try:
    opened += os.listdir({state!r})
except PermissionError:
    pass
assert not opened, opened
assert os.geteuid() != 0
"""
    assert "tried with the rights" in publish(gateway, tmp_path, "probe", notebook(probe), "--check-only")

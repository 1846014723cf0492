"""A data owner changes the rules of a running gateway: explain, compare, reload, who can, and be told of mistakes."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.stories.alone import Alone, problem_of, rows_of
from tests.stories.gateway import APP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EMAILS = "select email from customer where country = 'Germany' order by email"


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("set") / "policies"
    shutil.copytree(APP / "policies", folder)
    return folder


@pytest.fixture(scope="module")
def gateway(chinook_template: Path, policies: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    fast = {"GATEBOOK_POLICY_POLL_S": "0.2"}
    folder = tmp_path_factory.mktemp("gateway")
    with Alone(folder, chinook_template, policies=policies, environment=fast) as running:
        running.token()
        running.token("auditor", "auditors")
        running.token("operator", "operators")
        yield running


@pytest.fixture(autouse=True)
def _as_it_was(policies: Path, gateway: Alone) -> Iterator[None]:
    yield
    for path in policies.rglob("*.yaml"):
        original = APP / "policies" / path.relative_to(policies)
        if original.exists():
            path.write_text(original.read_text())
        else:
            path.unlink()
    assert gateway.run("policy", "reload").returncode == 0


def edit(policies: Path, name: str, old: str, new: str) -> None:
    path = policies / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def until(what: Callable[[], object], timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)


def emails(gateway: Alone) -> list[str]:
    return [row["email"] for row in rows_of(gateway.ask(EMAILS))]


def test_a_changed_rule_comes_into_force_by_itself(gateway: Alone, policies: Path) -> None:
    assert all("***" in email for email in emails(gateway))
    edit(
        policies,
        "protections.yaml",
        "mask: email\n    unless: [group:privacy, action:change_contact]",
        "mask: email\n    unless: group:analysts",
    )
    until(lambda: not any("***" in email for email in emails(gateway)))
    loaded = gateway.events(kind="policy.loaded")[-1]
    assert loaded["extra"]["old"] != loaded["extra"]["revision"]
    assert gateway.events(kind="query.intent")[-1]["revision"] == loaded["extra"]["revision"]


def test_a_reload_is_asked_for_and_answered(gateway: Alone, policies: Path) -> None:
    edit(policies, "grants.yaml", "('Germany', 'Austria', 'Switzerland')", "('Germany')")
    done = gateway.run("policy", "reload")
    assert done.returncode == 0, done.stderr
    # The gateway may have looked at the folder itself in the meantime: then the answer names one revision alone.
    revision = gateway.events(kind="policy.loaded")[-1]["extra"]["revision"]
    assert done.stdout.startswith(f"policy {revision} is in force")
    again = gateway.run("policy", "reload")
    assert (again.returncode, again.stdout) == (0, f"policy {revision} is in force\n")


def test_a_broken_set_is_told_to_operators_and_readers_of_the_book_alone(gateway: Alone, policies: Path) -> None:
    before = emails(gateway)
    edit(policies, "grants.yaml", "on: chinook.employee", "on: chinook.employees")
    done = gateway.run("policy", "reload")
    assert done.returncode == 1
    assert "did you mean `employee`?" in done.stdout
    assert emails(gateway) == before
    assert gateway.events(kind="policy.refused")
    # People who may know look at the first page; a link needs a set that loads, so those are made before.
    with gateway.client(gateway.token("operator", "operators")) as operator:
        metrics = operator.get("/metrics").text
    assert "gatebook_policy_folder_broken 1.0" in metrics
    assert 'gatebook_policy_reloads_total{result="refused"}' in metrics


def test_the_first_page_says_so(gateway: Alone, policies: Path) -> None:
    with (
        gateway.person("auditor", "auditors") as auditor,
        gateway.person("operator", "operators") as operator,
        gateway.person("analyst", "analysts") as analyst,
    ):
        sentence = "The policy folder does not load"
        assert sentence not in auditor.get("/").text
        edit(policies, "grants.yaml", "on: chinook.employee", "on: chinook.employees")
        assert gateway.run("policy", "reload").returncode == 1
        for person in (auditor, operator):
            page = person.get("/").text
            assert sentence in page
            assert "chinook.employees" in page
        assert sentence not in analyst.get("/").text


def test_a_gateway_with_a_broken_folder_still_serves_what_is_in_force(gateway: Alone, policies: Path) -> None:
    (policies / "grants.yaml").write_text("grants: [")
    until(lambda: any("grants.yaml" in event["detail"] for event in gateway.events(kind="policy.refused")))
    assert emails(gateway)


def test_a_purpose_is_asked_for_recorded_and_compared(gateway: Alone, policies: Path) -> None:
    edit(
        policies,
        "grants.yaml",
        "to: group:analysts\n    on: chinook.customer",
        "to: group:analysts\n    purpose: [campaign]\n    on: chinook.customer",
    )
    assert gateway.run("policy", "reload").returncode == 0
    problem = problem_of(gateway.ask(EMAILS), 403, "GB-301")
    assert problem["rule"] == "analysts-customers-dach"
    assert "`campaign`" in problem["detail"]
    assert "purpose" in problem["ask"]
    assert rows_of(gateway.ask(EMAILS, purpose="campaign"))
    assert gateway.events(kind="query.intent")[-1]["purpose"] == "campaign"
    problem_of(gateway.ask(EMAILS, purpose="other"), 403, "GB-301")
    problem_of(gateway.ask(EMAILS, purpose="Not A Purpose"), 422, "GB-104")


def test_an_approval_sets_its_own_time_and_wants_a_reason(gateway: Alone, policies: Path) -> None:
    edit(
        policies,
        "approvals.yaml",
        "  - id: invoice-changes\n",
        "  - id: invoice-changes\n    expires_h: 2\n    reason: true\n",
    )
    assert gateway.run("policy", "reload").returncode == 0
    sql = "update invoice set billingcity = 'Bonn' where invoiceid = 1"
    assert problem_of(gateway.ask(sql), 403, "GB-301")["rule"] == "invoice-changes"
    change = gateway.ask(sql, reason="moved").json()
    import datetime as dt

    span = dt.datetime.fromisoformat(change["expires_at"]) - dt.datetime.fromisoformat(change["created_at"])
    assert span == dt.timedelta(hours=2)


def test_who_can_is_a_page_a_csv_and_a_command(gateway: Alone) -> None:
    with gateway.person("auditor", "auditors") as auditor:
        page = auditor.get("/who-can?of=chinook.customer.email").text
        assert "group:analysts" in page
        assert "masked as" in page
        assert "protections.yaml:" in page
        assert "/who-can.csv?of=chinook.customer.email" in page
        table = auditor.get("/who-can.csv?of=chinook.customer.email")
        assert table.headers["content-type"].startswith("text/csv")
        assert "group:operations,customer_desk,chinook,customer,email,select,masked" in table.text
        assert auditor.get("/who-can.json?of=chinook.customer").json()["entitlements"]
        wrong = auditor.get("/who-can?of=chinook.custmer")
        assert wrong.status_code == 422
        assert "did you mean" in wrong.text
        assert auditor.get("/who-can").status_code == 200
        assert "/who-can" in auditor.get("/access").text
    with gateway.person("analyst", "analysts") as analyst:
        for path in ("/who-can", "/who-can?of=chinook.customer", "/who-can.csv?of=chinook.customer"):
            assert analyst.get(path).status_code == 403
        assert "/who-can" not in analyst.get("/access").text
    assert any(event.get("extra", {}).get("who_can") for event in gateway.events(kind="audit.read"))
    told = gateway.command("policy", "who-can", "chinook.employee.birthdate")
    assert "is refused" in told
    assert "group:people" in told
    assert gateway.command("policy", "who-can", "--csv", "chinook.employee").startswith("principal,tool,source,")


def test_explain_says_why_and_exits_as_it_decides(gateway: Alone) -> None:
    words = ["policy", "explain", "--user", "analyst", "--groups", "analysts"]
    allowed = gateway.run(*words, "select email from customer")
    assert (allowed.returncode, allowed.stdout.splitlines()[0][:7]) == (0, "ALLOWED")
    refused = gateway.run(*words, "--json", "select birthdate from employee")
    assert refused.returncode == 1
    found = json.loads(refused.stdout)
    assert (found["rule"], "people" in found["ask"]) == ("birthdate-people-only", True)
    desk = gateway.run(
        "policy",
        "explain",
        "--user",
        "ops",
        "--groups",
        "operations",
        "--tool",
        "customer_desk",
        "select 1 from customer",
    )
    assert desk.returncode == 0
    assert gateway.run("policy", "explain", "select 1").returncode == 2


def test_diff_replays_the_book_and_exits_as_diff_does(gateway: Alone, policies: Path, tmp_path: Path) -> None:
    gateway.ask("select name from genre where genreid = 1")
    proposed = tmp_path / "proposed"
    shutil.copytree(policies, proposed)
    same = gateway.run("policy", "diff", policies, proposed)
    assert same.returncode == 0, same.stdout + same.stderr
    assert "nothing" in same.stdout
    edit(
        proposed,
        "grants.yaml",
        "[group:analysts, group:reviewers, group:auditors, group:operations]",
        "group:reviewers",
    )
    done = gateway.run("policy", "diff", "--json", policies, proposed)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["replay"]["counts"]["allow→deny"] >= 1
    assert any(item["principal"] == "group:analysts" and item["word"] == "loses" for item in found["shifts"])
    assert any(event.get("extra", {}).get("for") == "policy diff" for event in gateway.events(kind="audit.read"))
    assert gateway.run("policy", "diff", "nowhere", proposed).returncode == 1


def test_a_reload_without_a_gateway_says_so(gateway: Alone, tmp_path: Path) -> None:
    done = gateway.run("policy", "reload", "--state", tmp_path)
    assert done.returncode == 1
    assert "there is no book" in done.stderr

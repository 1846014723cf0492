"""At the portal people find a record by what they know of it, and ask for access that they need for a while."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.stories.alone import Alone
from tests.stories.gateway import APP, PortalPerson, field

GRANTS = """
grants:
  - id: employees-for-a-while
    to: group:operations
    on: chinook.employee
    columns: [employeeid, lastname, title]
    allow: [select]
    on_request: {hours: 4, require: [{groups: [reviewers], needed: 1}]}
"""
MAIL = "roberto.almeida@riotur.gov.br"
READ = {"source": "chinook", "sql": "select lastname from employee order by employeeid limit 1"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, chinook_template: Path) -> Iterator[Alone]:
    folder = tmp_path_factory.mktemp("finding")
    policies = folder / "policies"
    shutil.copytree(APP / "policies", policies)
    (policies / "lent.yaml").write_text(GRANTS)
    (folder / "gateway").mkdir()
    with Alone(folder / "gateway", chinook_template, policies=policies) as running:
        yield running


@pytest.fixture
def ops(gateway: Alone) -> Iterator[PortalPerson]:
    with gateway.person("ops", "operations") as person:
        yield person


@pytest.fixture
def reviewer(gateway: Alone) -> Iterator[PortalPerson]:
    with gateway.person("reviewer", "reviewers") as person:
        yield person


def found(person: PortalPerson, text: str) -> str:
    answer = person.press("/find", text=text)
    assert answer.status_code == 200, answer.text
    return answer.text.partition('id="records"')[2]


def test_a_customer_is_found_by_what_is_known_of_them(ops: PortalPerson) -> None:
    assert 'action="/find"' in ops.get("/").text
    for text in ("alm", MAIL.upper(), "12"):
        assert "Almeida" in found(ops, text), text
    page = found(ops, MAIL)
    assert MAIL not in page
    assert "12" in page
    for part in (MAIL[:-1], "@riotur.gov.br", "%"):
        assert "Almeida" not in ops.press("/find", text=part).text, part


def test_nothing_of_it_is_in_an_address_or_done_by_a_link(ops: PortalPerson) -> None:
    assert "Almeida" not in ops.get(f"/find?text={MAIL}").text
    assert ops.press("/find", text="alm", origin="https://elsewhere.example").status_code == 403
    assert ops.press("/find", text="alm", xsrf="0" * 64).status_code == 403
    assert ops.press("/find", text="a").status_code == 422


def test_who_may_search_nothing_finds_nothing(gateway: Alone) -> None:
    with gateway.person("auditor", "auditors") as auditor:
        assert "Records are searched in" not in auditor.get("/find").text
        assert "Almeida" not in auditor.press("/find", text="alm").text


def test_access_is_asked_for_given_used_and_ended(gateway: Alone, ops: PortalPerson, reviewer: PortalPerson) -> None:
    token = {"Authorization": f"Bearer {gateway.token('ops', 'operations')}"}

    def read() -> int:
        return httpx.post(f"{gateway.url}/api/v1/query", json=READ, headers=token, timeout=30).status_code

    assert read() != 200
    page = ops.get("/access").text
    assert "employees-for-a-while" in page
    asking = {"grant": "employees-for-a-while", "hours": "2"}
    assert ops.press("/access/ask", reason="", **asking).status_code == 403
    assert ops.press("/access/ask", reason="planning", grant=asking["grant"], hours="5").status_code == 422
    assert ops.press("/access/ask", reason="planning", grant="customers", hours="1").status_code == 404
    asked = ops.press("/access/ask", reason="planning <b>shifts</b>", **asking)
    assert asked.status_code == 303, asked.text
    path = asked.headers["location"].partition("?")[0]
    shown = reviewer.get(path).text
    assert "ops would have access to chinook for a time" in shown
    assert "planning &lt;b&gt;shifts&lt;/b&gt;" in shown
    assert read() != 200
    form = {name: field(shown, name) for name in ("digest", "seen")}
    assert ops.press(f"{path}/review", verdict="approve", reason="", **form).status_code == 403
    assert reviewer.press(f"{path}/review", verdict="approve", reason="", **form).status_code == 303
    assert read() == 200
    held = ops.get("/access").text
    assert "What you have for a time" in held
    change = path.rpartition("/")[2]
    assert ops.press(f"/access/{change}/end").status_code == 303
    assert read() != 200
    assert ops.press(f"/access/{change}/end").status_code == 404

"""The HTTP interface keeps its promises to callers who mean well, and to those who do not.

One real gateway process without a Hub; a second one with tight limits and one named origin.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.stories.alone import Alone, problem_of, rows_of

from gatebook_hub.app import openapi_document
from gatebook_hub.gateway.answers import DraftDocument

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OPEN = {"/healthz", "/readyz"}
ORIGIN = "https://reports.example"
MADE_OF = ("uvicorn", "starlette", "fastapi", "pydantic", "python", "sqlite", "traceback")
PROMISED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
bounded = settings(
    max_examples=12,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def gateway(chinook_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A gateway that no test of this file slows down by its rate limit."""
    folder = tmp_path_factory.mktemp("gateway")
    fast = {"GATEBOOK_LIMIT_REQUESTS_PER_S": "100000", "GATEBOOK_LIMIT_REQUEST_BURST": "100000"}
    with Alone(folder, chinook_template, environment=fast) as running:
        yield running


@pytest.fixture(scope="module")
def strict(chinook_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A gateway with tight limits that lets the pages of one origin call."""
    tight = {
        "GATEBOOK_LIMIT_BODY_BYTES": "2000",
        "GATEBOOK_LIMIT_REQUESTS_PER_S": "0.5",
        "GATEBOOK_LIMIT_REQUEST_BURST": "5",
        "GATEBOOK_CORS_ORIGINS": json.dumps([ORIGIN]),
    }
    with Alone(tmp_path_factory.mktemp("strict"), chinook_template, environment=tight) as running:
        yield running


# ── the document says what happens ──


def without_security(document: dict[str, Any]) -> dict[str, Any]:
    """The document for a caller who always sends a token; what happens without one has tests of its own below."""
    for methods in document["paths"].values():
        for operation in methods.values():
            operation.pop("security", None)
    return document


DOCUMENT = schemathesis.openapi.from_dict(without_security(openapi_document()))


@DOCUMENT.parametrize()
@bounded
def test_no_request_breaks_what_the_document_promises(case: Any, gateway: Alone) -> None:
    """As the analyst: no 5xx, documented statuses, content types and shapes, invalid input refused."""
    body = case.body
    if case.operation.label == "POST /api/v1/query" and isinstance(body, dict) and _is_name(body.get("source")):
        body["source"] = "chinook"  # a name made at random reaches no parser
    case.call_and_validate(base_url=gateway.url, headers={"Authorization": f"Bearer {gateway.token()}"}, checks=CHECKS)


@DOCUMENT.include(path_regex="/audit/|/runs|/metrics|/actions/").parametrize()
@bounded
def test_nor_does_one_of_those_who_may_more(case: Any, gateway: Alone) -> None:
    """As the worker, and as somebody in every group."""
    everything = gateway.token("all", "auditors", "operators", "operations", "reviewers")
    token = gateway.service_token("worker") if "/runs" in case.operation.path else everything
    case.call_and_validate(base_url=gateway.url, headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 64


def test_the_document_is_the_one_of_the_reference(gateway: Alone) -> None:
    with gateway.client() as client:
        assert client.get("/api/v1/openapi.json").json() == openapi_document()


def test_a_dry_run_is_answered_with_a_draft_and_leaves_the_book_alone_behind(gateway: Alone) -> None:
    write = "update invoice set billingcity = 'Aachen' where billingcountry = 'Germany'"
    with gateway.client(gateway.token()) as client:
        before = client.get("/api/v1/changes").json()
        answer = gateway.ask(write, dry_run=True)
        assert client.get("/api/v1/changes").json() == before
    assert answer.status_code == 200
    assert DraftDocument.model_validate(answer.json(), extra="forbid").diffs[0].rows
    assert gateway.rows("select count(*) from invoice where billingcity = 'Aachen'") == [(0,)]
    last = gateway.events(kind="query.outcome")[-1]
    assert last["refers_to"] == answer.json()["audit_index"]
    assert "dry run" in last["detail"]
    problem_of(gateway.ask(write, dry_run=True, transaction="new"), 422, "GB-104")
    assert rows_of(gateway.ask("select name from genre", dry_run=True)) == rows_of(
        gateway.ask("explain select name from genre")
    )


# ── every answer ──


def answers(gateway: Alone) -> Iterator[tuple[str, httpx.Response]]:
    """An answer of each kind."""
    with gateway.client(gateway.token()) as known, gateway.client() as unknown:
        yield "health", unknown.get("/healthz")
        yield "document", unknown.get("/api/v1/openapi.json")
        yield "me", known.get("/api/v1/me")
        yield "rows", gateway.ask("select name from genre")
        yield "change", gateway.ask("update invoice set billingcity = 'Bonn' where invoiceid = 1")
        yield "dry run", gateway.ask("update invoice set billingcity = 'Bonn' where invoiceid = 1", dry_run=True)
        yield "refusal", gateway.ask("select birthdate from employee")
        yield "unauthenticated", unknown.get("/api/v1/me")
        yield "not found", unknown.get("/api/v1/nothing/here")
        yield "no such page", unknown.get("/nothing/here")
        yield "no such file", unknown.get("/static/nothing.css")
        yield "outside of static", unknown.get("/static/..%2f..%2fsettings.py")
        yield "page", unknown.get("/inbox")
        yield "wrong method", unknown.put("/api/v1/query")
        yield "invalid", known.post("/api/v1/query", json={"source": 1})
        yield "too large", known.post("/api/v1/query", content=b"x" * 1_000_001)
        yield "wrong host", unknown.get("/healthz", headers={"Host": "evil.example"})
        yield "metrics refused", known.get("/metrics")


def test_every_answer_carries_the_security_headers(gateway: Alone) -> None:
    for name, answer in answers(gateway):
        found = {header: answer.headers.get(header) for header in PROMISED}
        assert found == PROMISED, name
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy, name
        assert "frame-ancestors 'none'" in policy, name
        assert "unsafe" not in policy, name
        assert answer.headers["cache-control"] == "no-store", name


def test_no_answer_tells_what_the_gateway_is_made_of(gateway: Alone) -> None:
    for name, answer in answers(gateway):
        assert not {"server", "x-powered-by"} & set(answer.headers), name
        told = str(answer.headers).lower() + (answer.text.lower() if answer.status_code >= 400 else "")
        for word in (
            "uvicorn",
            "starlette",
            "fastapi",
            "pydantic",
            "python",
            "sqlite",
            "traceback",
            str(gateway.state),
        ):
            assert word not in told, name


def test_every_refusal_is_a_problem_document(gateway: Alone) -> None:
    """But for pages, which people read."""
    for name, answer in answers(gateway):
        is_page = name in {"no such page", "no such file", "outside of static"}
        if answer.status_code >= 400 and not is_page:
            assert answer.headers["content-type"] == "application/problem+json", name
            assert answer.json()["status"] == answer.status_code, name


@pytest.mark.parametrize("path", ["/api/v1/changes?stat=approved", "/api/v1/me?x", "/api/v1/changes?state=approved&=1"])
def test_a_misspelt_filter_is_refused(path: str, gateway: Alone) -> None:
    """It would answer more than was asked for."""
    with gateway.client(gateway.token()) as client:
        problem_of(client.get(path), 422, "GB-104")


# ── who calls ──


def every_route() -> list[tuple[str, str]]:
    """Method and path of each route of the document, with something in the place of each parameter."""
    example = {"index": "0", "change_id": "0" * 16, "source": "chinook", "path": "0/000", "transaction": "0" * 16}
    return [
        (method.upper(), re.sub(r"\{(\w+)\}", lambda found: example.get(found[1], "a"), path))
        for path, methods in openapi_document()["paths"].items()
        for method in methods
        if path not in OPEN
    ]


def test_there_are_routes_to_test() -> None:
    assert ("POST", "/api/v1/query") in every_route()
    assert len(every_route()) > 15


@pytest.mark.parametrize("method, path", every_route())
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no token"),
        pytest.param({"Authorization": "Bearer gbt_" + "x" * 43}, id="a wrong one"),
        pytest.param({"Authorization": "Bearer gbr_" + "x" * 43}, id="a wrong one of a run"),
        pytest.param({"Authorization": "Bearer " + "0" * 32}, id="a Hub's, where there is no Hub"),
        pytest.param({"Authorization": "GateToken gbk_" + "x" * 43}, id="a kernel's own"),
        pytest.param({"Authorization": "Basic YWRtaW46YWRtaW4="}, id="a password"),
        pytest.param({"Authorization": "Bearer"}, id="an empty one"),
        pytest.param({"Cookie": "gatebook_session=" + "x" * 43}, id="a wrong session"),
        pytest.param({"Gatebook-Service-Token": "x", "Gatebook-Tool": "customer_desk@1"}, id="a tool alone"),
    ],
)
def test_who_is_not_proven_gets_401(method: str, path: str, headers: dict[str, str], gateway: Alone) -> None:
    """Also with a body that is none: who is unknown learns nothing about how to ask."""
    with gateway.client() as client:
        for body in ({}, {"source": "chinook", "sql": "select 1"}):
            answer = client.request(method, path, headers=headers, json=body if method == "POST" else None)
            problem_of(answer, 401, "GB-101")
            assert answer.headers["www-authenticate"] == "Bearer"


def test_health_needs_nobody(gateway: Alone) -> None:
    with gateway.client() as client:
        assert [client.get(path).json() for path in sorted(OPEN)] == [{"status": "ok"}, {"status": "ok"}]


def test_a_token_ends_when_it_says(gateway: Alone) -> None:
    secret, _ = gateway.issue("brief", "analysts", ttl_s=2)
    with gateway.client(secret) as client:
        assert client.get("/api/v1/me").json()["name"] == "brief"
        time.sleep(2)
        problem_of(client.get("/api/v1/me"), 401, "GB-101")


def test_a_token_ends_when_it_is_revoked(gateway: Alone) -> None:
    secret, label = gateway.issue("gone", "analysts")
    with gateway.client(secret) as client:
        assert client.get("/api/v1/me").json()["name"] == "gone"
        gateway.command("token", "revoke", label)
        problem_of(client.get("/api/v1/me"), 401, "GB-101")
    (revoked,) = gateway.events(kind="token.revoked")[-1:]
    assert revoked["extra"]["label"] == label


def test_the_secret_of_a_token_is_kept_nowhere(gateway: Alone) -> None:
    secret, _ = gateway.issue("hashed", "analysts")
    with gateway.client(secret) as client:
        assert client.get("/api/v1/me").is_success
    for path in (*gateway.state.rglob("*"), gateway.log):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


# ── what is not for everybody ──


@pytest.mark.parametrize("path", ["claim", "a/progress", "a/finish"])
def test_the_workers_routes_are_the_workers(path: str, gateway: Alone) -> None:
    body = {"done": 0, "total": 1} if path == "a/progress" else {"ok": True, "token": "gbr_x"}
    services = [gateway.service_token(name) for name in ("tools", "metrics", "Worker")]
    for token in (gateway.token(), gateway.token("worker", "worker", "operators"), *services):
        with gateway.client(token) as client:
            problem_of(client.post(f"/api/v1/runs/{path}", json=body), 403, "GB-102")


def test_the_worker_claims(gateway: Alone) -> None:
    """Guards the test above: the same request from the worker is taken."""
    with gateway.client(gateway.service_token("worker")) as client:
        assert client.post("/api/v1/runs/claim").status_code in {200, 204}


def test_no_token_reviews(gateway: Alone) -> None:
    """A reviewer's own token would do if a review could come from a notebook; it may not."""
    asked = gateway.ask("update invoice set billingcity = 'Ulm' where invoiceid = 1")
    assert asked.status_code == 202
    change = asked.json()
    verdict = {"verdict": "approve", "reason": "", "digest": change["digest"], "version": change["version"]}
    secrets = [gateway.token("reviewer", "reviewers"), gateway.token(), gateway.service_token("tools")]
    for secret in secrets:
        with gateway.client(secret) as client:
            forged = {"Origin": gateway.url, "Cookie": "gatebook_session=x", "Gatebook-XSRF": "x"}
            for headers in ({}, forged):
                answer = client.post(f"/api/v1/changes/{change['id']}/review", json=verdict, headers=headers)
                problem_of(answer, 403, "GB-103")
    with gateway.client(gateway.token()) as client:
        assert client.get(f"/api/v1/changes/{change['id']}").json()["state"] == "awaiting_review"


def test_a_tool_is_attested_by_the_tools_service_alone(gateway: Alone) -> None:
    """Operations reach customers through their tool; saying so is not enough."""
    ops = gateway.token("ops", "operations")
    question = {"source": "chinook", "sql": "select count(*) as n from customer"}
    tools, worker = gateway.service_token("tools"), gateway.service_token("worker")
    person_called_tools = gateway.token("tools", "operations")
    with gateway.client(ops) as client:
        problem_of(client.post("/api/v1/query", json=question), 400, "GB-206")
        forged: list[dict[str, str]] = [
            {"Gatebook-Tool": "customer_desk@1"},
            {"Gatebook-Service-Token": tools},
            *({"Gatebook-Tool": "customer_desk@1", "Gatebook-Service-Token": other} for other in (ops, worker)),
            {"Gatebook-Tool": "customer_desk@1", "Gatebook-Service-Token": person_called_tools},
            {"Gatebook-Tool": "another_tool@1", "Gatebook-Service-Token": tools},
        ]
        for headers in forged:
            problem_of(client.post("/api/v1/query", json=question, headers=headers), 403, "GB-102")
        unknown = {"Gatebook-Tool": "customer_desk@1", "Gatebook-Service-Token": "gbt_x"}
        problem_of(client.post("/api/v1/query", json=question, headers=unknown), 401, "GB-101")
        attested = {"Gatebook-Tool": "customer_desk@1", "Gatebook-Service-Token": tools}
        assert rows_of(client.post("/api/v1/query", json=question, headers=attested)) == [{"n": 59}]
    assert gateway.events(kind="query.intent", principal="user:ops")[-1]["tool"] == "customer_desk@1"


def test_a_tool_is_not_for_whom_it_is_not_granted(gateway: Alone) -> None:
    tools = gateway.service_token("tools")
    with gateway.client(gateway.token()) as client:
        headers = {"Gatebook-Tool": "customer_desk@1", "Gatebook-Service-Token": tools}
        assert "customer_desk" in problem_of(client.get("/api/v1/me", headers=headers), 403, "GB-102")["ask"]


def test_metrics_are_by_grant(gateway: Alone) -> None:
    with gateway.client(gateway.token()) as client:
        assert "metrics: true" in problem_of(client.get("/metrics"), 403, "GB-102")["ask"]
    for token in (gateway.service_token("metrics"), gateway.token("admin", "operators")):
        with gateway.client(token) as client:
            answer = client.get("/metrics")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/plain")
            assert 'gatebook_requests_total{method="GET",route="/healthz",status="200"}' in answer.text
            assert "analyst" not in answer.text


# ── where a call comes from ──


@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1.evil.example", "127.0.0.2", "", "[::1]"])
def test_another_host_name_is_not_served(host: str, gateway: Alone) -> None:
    """A page of another name that resolves to this address (DNS rebinding) gets nothing."""
    with gateway.client(gateway.token()) as client:
        headers = {"Host": host, "X-Forwarded-Host": f"127.0.0.1:{gateway.port}", "Forwarded": "host=127.0.0.1"}
        problem_of(client.get("/api/v1/me", headers=headers), 422, "GB-104")


def test_forwarded_headers_change_nothing(gateway: Alone) -> None:
    forwarded = {
        "X-Forwarded-For": "10.1.2.3",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-User": "admin",
        "X-Remote-User": "admin",
        "Forwarded": "for=10.1.2.3;host=evil.example;proto=https",
    }
    with gateway.client(gateway.token()) as client:
        plain, told = client.get("/api/v1/me"), client.get("/api/v1/me", headers=forwarded)
    assert told.json() == plain.json()
    assert "strict-transport-security" not in told.headers
    assert "evil.example" not in told.text


def test_provenance_is_recorded_as_a_claim(gateway: Alone) -> None:
    """What the relay says overrules what the body says; neither says who calls."""
    with gateway.client(gateway.token()) as client:
        claims = {"notebook": "report.ipynb", "principal": "user:admin", "tool": "customer_desk", "kernel_id": ""}
        answer = client.post(
            "/api/v1/query",
            json={
                "source": "chinook",
                "sql": "select 1 as one from genre",
                "provenance": {"notebook": "other.ipynb", "cell_id": "c1"},
            },
            headers={"Gatebook-Provenance": json.dumps(claims)},
        )
        assert rows_of(answer)
    event = gateway.events(kind="query.intent", principal="user:analyst")[-1]
    assert event["provenance"] == {"notebook": "report.ipynb", "tool": "customer_desk", "cell_id": "c1"}
    assert "tool" not in event


@pytest.mark.parametrize("header", ["no JSON", "[1]", '"text"', "{"])
def test_provenance_that_is_none_is_refused(header: str, gateway: Alone) -> None:
    with gateway.client(gateway.token()) as client:
        problem_of(client.get("/api/v1/me", headers={"Gatebook-Provenance": header}), 422, "GB-104")


# ── other origins ──


def preflight(gateway: Alone, origin: str) -> httpx.Response:
    """What a browser asks before a page of another origin may send a token."""
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    with gateway.client() as client:
        return client.options("/api/v1/query", headers={"Origin": origin, **asked})


@pytest.mark.parametrize("origin", [ORIGIN, "null", "http://localhost:8000", "https://evil.example"])
def test_pages_of_other_origins_may_not_call(origin: str, gateway: Alone) -> None:
    assert preflight(gateway, origin).status_code == 405
    with gateway.client(gateway.token()) as client:
        found = client.get("/api/v1/me", headers={"Origin": origin}).headers
    assert not [name for name in found if name.startswith("access-control-")]


def test_pages_of_a_named_origin_may_call(strict: Alone) -> None:
    asked = preflight(strict, ORIGIN)
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == ORIGIN
    assert "access-control-allow-credentials" not in asked.headers
    with strict.client(strict.token("page", "analysts")) as client:
        answer = client.get("/api/v1/me", headers={"Origin": ORIGIN})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("origin", ["https://evil.example", f"{ORIGIN}.evil.example", "null", "http://reports.example"])
def test_a_named_origin_opens_for_no_other(origin: str, strict: Alone) -> None:
    asked = preflight(strict, origin)
    assert asked.status_code == 400
    assert "access-control-allow-origin" not in asked.headers


# ── limits ──


def test_a_body_over_the_limit_is_refused(strict: Alone) -> None:
    """By its stated length, and by its real one where none is stated."""
    body = json.dumps({"source": "chinook", "sql": "select 1 -- " + "x" * 2_000}).encode()
    with strict.client(strict.token("large", "analysts")) as client:
        for content in (body, (body[at : at + 500] for at in range(0, len(body), 500))):
            answer = client.post("/api/v1/query", content=content, headers={"Content-Type": "application/json"})
            assert "2,000 bytes" in problem_of(answer, 413, "GB-106")["detail"]
        assert client.get("/api/v1/me").status_code == 200


def test_more_requests_than_allowed_wait(strict: Alone) -> None:
    """Each principal has an own allowance; another token of the same person does not help."""
    with strict.client(strict.token("eager", "analysts")) as client:
        statuses = [client.get("/api/v1/me").status_code for _ in range(8)]
        refused = client.get("/api/v1/me")
    assert statuses[:5] == [200] * 5
    assert 429 in statuses[5:]
    problem_of(refused, 429, "GB-107")
    assert refused.headers["retry-after"] == "1"
    another, _ = strict.issue("eager")
    with strict.client(another) as client:
        answered = [client.get("/api/v1/me").status_code for _ in range(6)]
    assert 429 in answered
    with strict.client(strict.token("calm", "analysts")) as client:
        assert client.get("/api/v1/me").status_code == 200

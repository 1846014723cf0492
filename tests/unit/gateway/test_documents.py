"""Does the OpenAPI document say, for each route, who may call and what can come back?"""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from gatebook_hub.app import openapi_document
from gatebook_hub.gateway.documents import ActionCallDocument, QueryDocument, ReviewDocument
from gatebook_hub.gateway.edge import with_claims
from gatebook_hub.model import Principal, PrincipalKind
from gatebook_hub.services.gate import Call

OPEN = {"/healthz", "/readyz"}
OPERATIONS = [
    pytest.param(path, operation, id=operation["operationId"])
    for path, methods in openapi_document()["paths"].items()
    for operation in methods.values()
]
each_operation = pytest.mark.parametrize("path, operation", OPERATIONS)


@each_operation
def test_every_route_but_health_asks_for_a_token(path: str, operation: dict[str, Any]) -> None:
    assert bool(operation.get("security")) == (path not in OPEN)


@each_operation
def test_every_route_tells_its_problems(path: str, operation: dict[str, Any]) -> None:
    if path in OPEN:
        return
    for status in ("401", "403", "422", "429", "503"):
        content = operation["responses"][status]["content"]
        assert set(content) == {"application/problem+json"}
        assert content["application/problem+json"]["schema"]["$ref"].endswith("/ProblemDocument")


@each_operation
def test_every_good_answer_has_a_shape(path: str, operation: dict[str, Any]) -> None:
    for status, answer in operation["responses"].items():
        if status.startswith("2") and status != "204":
            assert answer["content"], status
            assert all(content.get("schema") for content in answer["content"].values()), status


def test_every_reference_leads_somewhere() -> None:
    document = openapi_document()
    text = json.dumps(document)
    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]


@pytest.mark.parametrize("kind", [QueryDocument, ActionCallDocument, ReviewDocument])
def test_an_unknown_key_is_an_error(kind: type[QueryDocument]) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        kind.model_validate({"principal": "user:admin"})


def test_the_relays_claims_overrule_those_of_the_body() -> None:
    principal = Principal(kind=PrincipalKind.USER, name="a")
    call = Call(principal=principal, provenance={"notebook": "relay.ipynb"})
    claimed = with_claims(call, {"notebook": "body.ipynb", "cell": "3", "cell_id": ""}, "why")
    assert claimed.provenance == {"notebook": "relay.ipynb", "cell": "3"}
    assert (claimed.principal, claimed.reason) == (principal, "why")


@pytest.mark.parametrize("given", ["no", "true", 0, 1, None])
def test_a_dry_run_is_asked_for_in_so_many_words(given: object) -> None:
    with pytest.raises(ValidationError, match="bool_type"):
        QueryDocument.model_validate({"source": "chinook", "sql": "delete from genre", "dry_run": given})
    assert QueryDocument.model_validate({"source": "chinook", "sql": "delete from genre"}).dry_run is False

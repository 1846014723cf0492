"""Which routes are there, and what do they take and give?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from writing import bounds_of, literal, table, type_of, whole_page

from gatebook_hub.app import openapi_document

_INTRO = """
`/api/v1` is stable: it is only added to. The same, for programs, is the OpenAPI document at `/api/v1/openapi.json`,
which `gatebook openapi` prints too.

## Who calls

`Authorization: Bearer <token>`, with a token from `gatebook token issue`, a Hub token that reaches the gateway
(`access:services!service=gateway`), or the token of a run. Where people review, a portal session stands in its place,
and no token does: reviews by token answer `403 GB-103`. `/healthz` and `/readyz` need nothing.

| header | from | says |
|---|---|---|
| `Gatebook-Provenance` | a relay | JSON: kernel, notebook, cell. A claim, recorded as one |
| `Gatebook-Tool`, `Gatebook-Service-Token` | the tools service | the tool; refused without the service's own token |

`X-Forwarded-…` is not read. The `Host` must be the gateway's own.

## Values

Parameters are named, `:name` in the SQL. Values are JSON, or `{"$type": "decimal", "value": "1.50"}` for what JSON
has not: `decimal`, `date`, `datetime`, `time`, `timedelta` (seconds), `bytes` (base64), `uuid`.

## Rows

`POST /api/v1/query` answers a read with an Arrow IPC stream. Its last batch is empty and carries, in its custom
metadata, `gatebook.outcome` (`rows`, `bytes`, `elapsed_ms`, `audit_index`, `masks`, `row_filters`), or
`gatebook.problem` with a problem document if the read failed on its way. A stream without either was cut: what
arrived is not the whole answer.

## Problems and limits

Every error is a problem document; [the codes](errors.md) are stable. Bodies have a limit (`413`), requests per
principal too (`429` with `Retry-After`), both in the [settings](settings.md). Other origins' pages may call only if
`GATEBOOK_CORS_ORIGINS` names them. Every answer carries a content security policy, `nosniff` and frame protection;
answers are not to be stored by caches.
"""
_NOT_LISTED = {"400", "401", "403", "404", "409", "413", "422", "429", "503", "504"}


def page() -> str:
    """The page."""
    document = openapi_document()
    parts = [_INTRO, "## Routes"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _route(method.upper(), path, operation)
    parts.append("## Documents")
    for name, schema in sorted(document["components"]["schemas"].items()):
        parts += _document(name, schema)
    return whole_page("The HTTP interface", *parts)


def _route(method: str, path: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {method} `{path}`"
    yield str(operation.get("description", operation.get("summary", "")))
    parameters = [
        (f"`{item['name']}`", item["in"], _described(item["schema"]))
        for item in operation.get("parameters", ())
        if item["in"] in {"path", "query"}
    ]
    if parameters:
        yield table(("parameter", "in", "value"), parameters)
    body = operation.get("requestBody")
    if body:
        yield f"Body: {type_of(body['content']['application/json']['schema'])}."
    rows = []
    for status, answer in operation["responses"].items():
        if status in _NOT_LISTED and "application/problem+json" in answer.get("content", {}):
            continue
        for media, content in answer.get("content", {"": {}}).items():
            has_document = not {"$ref", "anyOf"}.isdisjoint(content.get("schema", {}))
            what = type_of(content["schema"]) if has_document else answer.get("description", "")
            rows.append((status, f"`{media}`" if media else "", what))
    yield table(("answer", "content type", "what"), rows)


def _document(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield str(schema.get("description", ""))
    if "enum" in schema:
        yield f"One of {type_of(schema)}."
        return
    required = set(schema.get("required", ()))
    rows = [
        (
            f"`{key}`",
            _described(value),
            "required" if key in required else _default(value),
            value.get("description", ""),
        )
        for key, value in schema.get("properties", {}).items()
    ]
    yield table(("field", "value", "default", "meaning"), rows)


def _described(schema: Mapping[str, Any]) -> str:
    return "; ".join(part for part in (type_of(schema), bounds_of(schema)) if part)


def _default(schema: Mapping[str, Any]) -> str:
    return literal(schema["default"]) if "default" in schema else ""

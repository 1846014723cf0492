"""Which actions are there, what does each do, and how is it called? A page for each, drawn from its declaration."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from starlette.responses import Response

from gatebook_hub.errors import GatebookError, InvalidInput, NotFound
from gatebook_hub.policy import Action
from gatebook_hub.portal.cards import quorums_of
from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.pages import fields
from gatebook_hub.portal.pages.actions import ActionCard, ActionPage, ActionsPage, ParameterRow, Rehearsal
from gatebook_hub.portal.pages.diff import row_diff_of
from gatebook_hub.portal.pages.fields import ValueField
from gatebook_hub.portal.pages.frame import Downloads, FieldError, address
from gatebook_hub.portal.things import tools_of
from gatebook_hub.portal.values import field_error, values_of, words_of
from gatebook_hub.portal.visits import Visit, leave_for, shown
from gatebook_hub.saved import Kind
from gatebook_hub.services.acting import Choice
from gatebook_hub.services.actions import Described, Press
from gatebook_hub.services.previewing import Previewed
from gatebook_hub.services.remembering import Kind as Marked
from gatebook_hub.services.remembering import Named
from gatebook_hub.web.views import draft_view

COLUMNS = ("name", "title", "description", "place", "approval")
_KINDS = {"integer": Kind.INTEGER, "number": Kind.NUMBER, "boolean": Kind.BOOLEAN, "string": Kind.TEXT}
_TYPES = {"integer": "whole number", "number": "number", "boolean": "yes or no", "string": "text"}
_LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "multipleOf": "a multiple of {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "of the form {}",
}


def listed(visit: Visit) -> Response:
    """GET /actions, /actions.json and /actions.csv."""
    cards = _cards(visit, visit.cases.actions.described(visit.principal))
    path = visit.request.url.path
    rows = [{name: getattr(card, name) for name in COLUMNS} for card in cards]
    if path.endswith(".json"):
        return json_download({"actions": rows})
    if path.endswith(".csv"):
        return csv_download("actions", COLUMNS, rows)
    downloads = Downloads(json_url="/actions.json", csv_url="/actions.csv")
    return shown(ActionsPage(frame=visit.frame(), actions=cards, downloads=downloads))


def action(visit: Visit) -> Response:
    """GET /actions/{name}: what it does and its form; `p-NAME` in the address fills a field in."""
    given = {name: value for name, value in visit.request.query_params.items() if name.startswith("p-")}
    return shown(_page(visit, given))


def rehearse(visit: Visit) -> Response:
    """POST /actions/{name}/try: what the values of the form would do, without doing it."""
    try:
        previewed = visit.cases.actions.rehearse(visit.explained_call(), _press(visit))
    except NotFound:
        raise
    except GatebookError as error:
        return _refused(visit, error)
    return shown(_page(visit, visit.form, rehearsal=_rehearsal(visit, previewed)))


def call(visit: Visit) -> Response:
    """POST /actions/{name}/call: call it; leads to the request that it became, done or not."""
    try:
        changed = visit.cases.actions.call(visit.explained_call(), _press(visit, visit.form.get("key", "")))
    except NotFound:
        raise
    except GatebookError as error:
        return _refused(visit, error)
    return leave_for(address(f"/changes/{changed.id}", notice="executed"))


def _press(visit: Visit, key: str | None = None) -> Press:
    """The values of the form, and the key that makes it one call however often it is sent."""
    found = _found(visit).action
    properties: Mapping[str, Mapping[str, Any]] = found.params["properties"]
    parameters = ((name, _KINDS[schema["type"]], "default" in schema) for name, schema in properties.items())
    values = values_of(visit.form, parameters)
    if key is not None and not (16 <= len(key) <= 64 and key.isascii() and key.isalnum()):
        raise InvalidInput("the form lacks its key; load the page again")
    return Press(action=found.name, params=values, idempotency_key=key)


def _found(visit: Visit) -> Described:
    name = visit.request.path_params["name"]
    for known in visit.cases.actions.described(visit.principal):
        if known.action.name == name:
            return known
    raise NotFound("there is no such action that you may call")


def _refused(visit: Visit, error: GatebookError) -> Response:
    known = _found(visit).action.params["properties"]
    return shown(_page(visit, visit.form, errors=(field_error(error, known),)), error.status)


def _page(
    visit: Visit,
    given: Mapping[str, str],
    *,
    rehearsal: Rehearsal | None = None,
    errors: tuple[FieldError, ...] = (),
) -> ActionPage:
    known = _found(visit)
    (card,) = _cards(visit, [known])
    found, choices = known.action, dict[str, tuple[Choice, ...]]()
    if known.is_open:
        choices |= visit.cases.actions.open(visit.call, found.name)[1]
    properties: Mapping[str, Mapping[str, Any]] = found.params["properties"]
    return ActionPage(
        frame=visit.frame(),
        action=card,
        fields=tuple(_field(name, schema, given, choices.get(name, ())) for name, schema in properties.items()),
        parameters=tuple(
            _parameter(name, schema, is_chosen=name in found.choices) for name, schema in properties.items()
        ),
        does=_does(found),
        checks=tuple(check.otherwise for check in found.checks),
        rates=tuple(f"at most {rate.times} times a {rate.word}" for rate in found.rates),
        confirm=found.confirm,
        notebook_call=_notebook_call(found),
        http_call=_http_call(found),
        key=secrets.token_hex(16),
        downloads=Downloads(json_url=f"/api/v1/actions/{found.name}"),
        rehearsal=rehearsal,
        errors=errors,
        given_reason=given.get("reason", ""),
        given_purpose=given.get("purpose", ""),
    )


def _cards(visit: Visit, found: Sequence[Described]) -> tuple[ActionCard, ...]:
    marked, tools = visit.cases.remembering.favourites(visit.principal), tools_of(visit)
    return tuple(
        ActionCard(
            name=known.action.name,
            title=known.action.title,
            description=known.action.description,
            place=known.action.place,
            approval=visit.cases.actions.approval_sentence(known.action),
            is_favourite=Named(kind=Marked.ACTION, name=known.action.name) in marked,
            is_open=known.is_open,
            tools=tuple((tool.title, tool.url) for tool in tools if tool.name in known.tools),
        )
        for known in found
    )


def _field(name: str, schema: Mapping[str, Any], given: Mapping[str, str], choices: Sequence[Choice]) -> ValueField:
    options: tuple[fields.Choice, ...] = tuple(
        fields.Choice(value=words_of(one.value), words=one.label) for one in choices
    )
    if schema["type"] == "boolean":
        options = fields.YES_NO
    elif "enum" in schema:
        options = tuple(fields.Choice(value=words_of(one), words=words_of(one)) for one in schema["enum"])
    told = [_TYPES[schema["type"]], *_limits(schema)] if not options and schema["type"] != "string" else _limits(schema)
    return ValueField(
        name=name,
        title=_title(name, schema),
        kind=str(_KINDS[schema["type"]]),
        value=given.get(f"p-{name}", words_of(schema.get("default"))),
        hint=", ".join(told).capitalize() or None,
        choices=options,
    )


def _parameter(name: str, schema: Mapping[str, Any], *, is_chosen: bool) -> ParameterRow:
    limits = _limits(schema)
    if "enum" in schema:
        limits.append(f"one of {', '.join(map(words_of, schema['enum']))}")
    if is_chosen:
        limits.append("one of what is there when you call it")
    default = words_of(schema["default"]) if "default" in schema else None
    return ParameterRow(
        name=name, title=_title(name, schema), kind=_TYPES[schema["type"]], limits=tuple(limits), default=default
    )


def _limits(schema: Mapping[str, Any]) -> list[str]:
    return [words.format(schema[name]) for name, words in _LIMITS.items() if name in schema]


def _title(name: str, schema: Mapping[str, Any]) -> str:
    return schema.get("title") or name.replace("_", " ").capitalize()


def _does(found: Action) -> str:
    return found.sql.strip() if found.http is None else f"{found.http.method} {found.http.path}"


def _rehearsal(visit: Visit, previewed: Previewed) -> Rehearsal:
    view = draft_view(visit.cases, visit.principal, previewed)
    return Rehearsal(
        summary=view["summary"],
        diffs=tuple(map(row_diff_of, view["diffs"])),
        beside=tuple(map(row_diff_of, view["beside"])),
        warnings=tuple(view["warnings"]),
        quorum=quorums_of(view["quorum"]),
    )


def _notebook_call(found: Action) -> str:
    """What a notebook, a tool or a job says."""
    values = (f"{name}={_example(schema)!r}" for name, schema in found.params["properties"].items())
    return f"gatebook.action({', '.join((repr(found.name), *values))})"


def _http_call(found: Action) -> str:
    """What a program sends."""
    values = {name: _example(schema) for name, schema in found.params["properties"].items()}
    body = {"params": values, "idempotency_key": "a text of your own, another one for each call"}
    return f"POST /api/v1/actions/{found.name}\n{json.dumps(body, indent=2, ensure_ascii=False)}"


def _example(schema: Mapping[str, Any]) -> Any:
    return next(_examples(schema))


def _examples(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Values that the schema takes, the best first."""
    if "default" in schema:
        yield schema["default"]
    yield from schema.get("enum", ())
    match schema["type"]:
        case "boolean":
            yield True
        case "string":
            yield "…"
        case _:
            yield schema.get("minimum", schema.get("multipleOf", 1))

"""Who am I, what is there, and what may I do with it: /me, /sources, /actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from gatebook_hub.gateway.answers import ActionDocument, ActionsDocument, ChangeDocument, OutcomeDocument
from gatebook_hub.gateway.documents import (
    ActionCallDocument,
    ColumnDocument,
    DetailsDocument,
    MeDocument,
    SchemaDocument,
    SourceDocument,
    SourcesDocument,
    TableDocument,
)
from gatebook_hub.gateway.edge import PROBLEM, Calling, Cases, answers, with_claims
from gatebook_hub.gateway.statements import change_response
from gatebook_hub.policy import Action, may_use_tool
from gatebook_hub.services.access import SourceView, TableView
from gatebook_hub.services.acting import Choice
from gatebook_hub.services.actions import Press
from gatebook_hub.services.cases import UseCases
from gatebook_hub.values import decode
from gatebook_hub.web.views import draft_view

router = APIRouter()
Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


@router.get("/me", operation_id="get_me", responses=PROBLEM)
def me(cases: Cases, call: Calling) -> MeDocument:
    """Who the caller is and what is open to them."""
    principal, policy_set, at = call.principal, cases.gate.policy, cases.gate.circumstances()
    tools = {tool for grant in policy_set.grants for tool in grant.tools}
    return MeDocument(
        name=principal.name,
        kind=principal.kind,
        groups=sorted(principal.groups),
        revision=policy_set.revision,
        sources=[rule.name for rule in cases.access.sources(principal)],
        actions=[action.name for action in cases.actions.list(principal)],
        tools=sorted(tool for tool in tools if may_use_tool(policy_set, principal, tool, at)),
        portal_url=cases.gate.settings.portal_url,
    )


@router.get("/sources", operation_id="list_sources", responses=PROBLEM)
def list_sources(cases: Cases, call: Calling) -> SourcesDocument:
    """The sources that the caller may use."""
    rules = cases.access.sources(call.principal)
    return SourcesDocument(
        sources=[
            SourceDocument(name=rule.name, engine=rule.engine, title=rule.title, production=rule.is_production)
            for rule in rules
        ]
    )


@router.get("/sources/{source}/schema", operation_id="get_schema", responses=PROBLEM)
def get_schema(cases: Cases, call: Calling, source: Name) -> SchemaDocument:
    """Tables and columns as the caller sees them."""
    view = cases.access.source(call, source)
    tables = [_table(view, table) for table in view.tables]
    return SchemaDocument(source=source, version=view.schema.version, tables=tables)


@router.get("/sources/{source}/tables", operation_id="get_tables", **answers(DetailsDocument))
def get_tables(cases: Cases, call: Calling, source: Name) -> dict[str, Any]:
    """Tables in detail, for drivers that reflect."""
    schema, found = cases.details.of_source(call, source)
    return {
        "source": source,
        "engine": schema.engine,
        "version": schema.version,
        "namespace": schema.namespace,
        "server_version": found.server_version,
        "tables": [asdict(table) for table in found.tables],
    }


@router.get("/actions", operation_id="list_actions", **answers(ActionsDocument))
def list_actions(cases: Cases, call: Calling) -> dict[str, Any]:
    """The actions that the caller may call, with the JSON Schema of their parameters."""
    return {"actions": [_action(cases, action, {}) for action in cases.actions.list(call.principal)]}


@router.get("/actions/{name}", operation_id="get_action", **answers(ActionDocument))
def get_action(cases: Cases, call: Calling, name: Name) -> dict[str, Any]:
    """One action for its form: parameters with choices have them, as they are for the caller now."""
    return _action(cases, *cases.actions.open(call, name))


def _action(cases: UseCases, action: Action, choices: Mapping[str, Sequence[Choice]]) -> dict[str, Any]:
    properties = {
        name: {**schema, "oneOf": [{"const": one.value, "title": one.label} for one in choices[name]]}
        if name in choices
        else schema
        for name, schema in action.params["properties"].items()
    }
    return {
        "name": action.name,
        "title": action.title,
        "description": action.description,
        "source": action.source,
        "params": {**action.params, "properties": properties},
        "confirm": action.confirm,
        "approval": cases.actions.approval_sentence(action),
        "bulk": None if action.bulk is None else {"parameter": action.bulk.parameter, "most": action.bulk.most},
    }


@router.post(
    "/actions/{name}",
    operation_id="call_action",
    responses={
        200: {"model": OutcomeDocument, "description": "done"},
        202: {"model": ChangeDocument, "description": "a change request that awaits review"},
        **PROBLEM,
    },
    response_model=None,
)
async def call_action(call: Calling, cases: Cases, name: Name, body: ActionCallDocument) -> JSONResponse:
    """Call an action: 200 with its outcome, or 202 with a change request."""
    call = with_claims(call, body.provenance.model_dump(exclude_none=True), body.reason, body.purpose)
    press = Press(
        action=name,
        params={key: _decoded(value, key) for key, value in body.params.items()},
        idempotency_key=body.idempotency_key,
    )
    if body.dry_run:
        previewed = await run_in_threadpool(cases.actions.rehearse, call, press)
        return JSONResponse(await run_in_threadpool(draft_view, cases, call.principal, previewed))
    changed = await run_in_threadpool(cases.actions.call, call, press)
    return await run_in_threadpool(change_response, cases, call, changed)


def _decoded(value: Any, name: str) -> Any:
    """A value of a parameter, or a list of them."""
    return [decode(one, name) for one in value] if isinstance(value, list) else decode(value, name)


def _table(view: SourceView, table: TableView) -> TableDocument:
    conditions = " and ".join(f"({condition})" for condition, _ in table.conditions)
    return TableDocument(
        name=table.name,
        kind="table",
        comment=view.about(table.name) or None,
        key=list(table.key),
        may=[str(access) for access in table.may],
        rows=f"only {conditions}" if conditions else None,
        columns=[
            ColumnDocument(
                name=column.name,
                type=column.type,
                nullable=column.nullable,
                tags=list(column.tags),
                mask=str(column.mask) if column.mask else None,
                refused=column.refused,
            )
            for column in table.columns
        ],
    )

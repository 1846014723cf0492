"""What may this person do, and why not? The policy's own answers for each table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace

from starlette.responses import Response

from gatebook_hub import policy
from gatebook_hub.errors import AccessRefused, GatebookError, InvalidInput
from gatebook_hub.model import Access, Allowed, TableUse
from gatebook_hub.policy import WriteFacts
from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.pages.access import (
    AccessPage,
    ActionAccess,
    ColumnAccess,
    Held,
    Offer,
    RowScope,
    SourceAccess,
    TableAccess,
    Verdict,
)
from gatebook_hub.portal.pages.frame import Downloads, FieldError, address
from gatebook_hub.portal.routes_catalogue import rows_sentence
from gatebook_hub.portal.visits import Visit, leave_for, shown
from gatebook_hub.services.access import ColumnView, SourceView, TableView
from gatebook_hub.services.lending import on_offer, told

COLUMNS = ("source", "table", "what", "answer", "sentence", "rules", "ask")


def access(visit: Visit) -> Response:
    """GET /access, /access.json and /access.csv."""
    sources = tuple(_source(visit, rule.name) for rule in visit.cases.access.sources(visit.principal))
    revision = visit.cases.gate.policy.revision
    path = visit.request.url.path
    if path.endswith(".json"):
        return json_download({"revision": revision, "sources": [asdict(one) for one in sources]})
    if path.endswith(".csv"):
        return csv_download("access", COLUMNS, [row for one in sources for row in _flat(one)])
    return shown(_page(visit, sources))


def ask(visit: Visit) -> Response:
    """POST /access/ask: ask for access for a time; leads to the request."""
    form = visit.form
    grant, reason = form.get("grant", "")[:64], form.get("reason", "").replace("\r\n", "\n").strip()
    try:
        hours = _hours(form.get("hours", ""))
        request = visit.cases.changes.propose_access(replace(visit.call, reason=reason or None), grant, hours)
    except GatebookError as error:
        sources = tuple(_source(visit, rule.name) for rule in visit.cases.access.sources(visit.principal))
        field = f"reason-{grant}" if isinstance(error, AccessRefused) else f"hours-{grant}"
        errors = (FieldError(message=str(error), field=field),)
        return shown(_page(visit, sources, errors, grant, reason), error.status)
    return leave_for(address(f"/changes/{request.id}", notice="asked"))


def end(visit: Visit) -> Response:
    """POST /access/{id}/end: end access before its time."""
    visit.cases.changes.end_access(visit.call, visit.request.path_params["id"])
    return leave_for("/access")


def _hours(text: str) -> float:
    try:
        return float(text.strip().replace(",", "."))
    except ValueError as error:
        raise InvalidInput("say for how many hours, as a number") from error


def _page(
    visit: Visit,
    sources: tuple[SourceAccess, ...],
    errors: tuple[FieldError, ...] = (),
    asked: str = "",
    given_reason: str = "",
) -> AccessPage:
    gate, person = visit.cases.gate, visit.principal
    return AccessPage(
        frame=visit.frame(),
        revision=gate.policy.revision,
        sources=sources,
        downloads=Downloads(json_url="/access.json", csv_url="/access.csv"),
        may_review=visit.cases.auditing.may_read_all(person),
        offers=tuple(
            Offer(
                grant=grant.ref.id,
                gives=told(grant),
                hours=grant.on_request.hours,
                quorum=" and ".join(f"{one.needed} of {' or '.join(one.groups)}" for one in grant.on_request.require),
            )
            for grant in on_offer(gate, person)
            if grant.on_request is not None
        ),
        held=tuple(
            Held(id=one.change_id, grant=one.grant, until=one.until) for one in gate.leases.of(person.id, gate.now())
        ),
        errors=errors,
        asked=asked,
        given_reason=given_reason,
    )


def _source(visit: Visit, name: str) -> SourceAccess:
    try:
        view = visit.cases.access.source(visit.call, name)
    except GatebookError as error:
        return SourceAccess(name=name, title=visit.cases.gate.policy.sources[name].title, tables=(), problem=str(error))
    tables = tuple(_table(visit, view, table) for table in view.tables)
    return SourceAccess(name=name, title=view.rule.title, tables=tables)


def _table(visit: Visit, view: SourceView, table: TableView) -> TableAccess:
    rows = rows_sentence(table)
    rules = tuple(rule for _, named in table.conditions for rule in named)
    return TableAccess(
        name=table.name,
        actions=(
            ActionAccess(action="select", verdict=Verdict.ALLOWED, sentence="you may read it", rules=table.rules),
            *(_write(visit, view, table, kind) for kind in (Access.INSERT, Access.UPDATE, Access.DELETE)),
        ),
        columns=tuple(_column(column) for column in table.columns),
        rows=RowScope(sentence=rows, rules=tuple(dict.fromkeys(rules))) if rows else None,
    )


def _write(visit: Visit, view: SourceView, table: TableView, kind: Access) -> ActionAccess:
    rules = visit.cases.gate.policy
    use, at = TableUse(table=table.name, access=kind), visit.cases.gate.circumstances(is_look=True)
    decision = policy.decide(rules, visit.principal, view.schema, [], use, at=at)
    if not isinstance(decision, Allowed):
        rule = (decision.rule,) if decision.rule else ()
        return ActionAccess(
            action=str(kind), verdict=Verdict.DENIED, sentence=decision.sentence, rules=rule, ask=decision.ask
        )
    facts = WriteFacts(source=view.rule.name, table=table.name, access=kind, rows=1)
    requirements, approvals = policy.requirements_for(rules, facts)
    named = tuple(ref.id for ref in (*decision.rules, *approvals))
    if not requirements:
        return ActionAccess(action=str(kind), verdict=Verdict.ALLOWED, sentence="it is done at once", rules=named)
    who = " and ".join(f"{one.needed} of {' or '.join(f'`{group}`' for group in one.groups)}" for one in requirements)
    sentence = f"it becomes a change request that {who} must approve"
    return ActionAccess(action=str(kind), verdict=Verdict.REVIEWED, sentence=sentence, rules=named)


def _column(column: ColumnView) -> ColumnAccess:
    sight, sentence = "plain", "you see it as it is"
    if column.refused:
        sight, sentence = "refused", column.refused
    elif column.mask:
        sight, sentence = "masked", f"you see it under the mask `{column.mask}`"
    return ColumnAccess(
        name=column.name,
        sight=sight,
        sentence=sentence,
        tags=column.tags,
        rules=(column.rule,) if column.rule else (),
        ask=column.ask,
    )


def _flat(source: SourceAccess) -> Iterator[dict[str, str]]:
    for table in source.tables:
        answers = [
            *((one.action, str(one.verdict), one.sentence, one.rules, one.ask) for one in table.actions),
            *((f"column {one.name}", one.sight, one.sentence, one.rules, one.ask) for one in table.columns),
            *([("rows", "some", table.rows.sentence, table.rows.rules, None)] if table.rows else []),
        ]
        for what, answer, sentence, rules, ask in answers:
            yield {
                "source": source.name,
                "table": table.name,
                "what": what,
                "answer": answer,
                "sentence": sentence,
                "rules": " ".join(rules),
                "ask": ask or "",
            }

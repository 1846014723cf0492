"""What may this person do, and why not? The policy's own answers for each table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from starlette.responses import Response

from gatebook_hub import policy
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Access, Allowed, TableUse
from gatebook_hub.policy import WriteFacts
from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.pages.access import (
    AccessPage,
    ActionAccess,
    ColumnAccess,
    RowScope,
    SourceAccess,
    TableAccess,
    Verdict,
)
from gatebook_hub.portal.pages.frame import Downloads
from gatebook_hub.portal.routes_catalogue import rows_sentence
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.services.access import ColumnView, SourceView, TableView

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
    page = AccessPage(
        frame=visit.frame(),
        revision=revision,
        sources=sources,
        downloads=Downloads(json_url="/access.json", csv_url="/access.csv"),
        may_review=visit.cases.auditing.may_read_all(visit.principal),
    )
    return shown(page)


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

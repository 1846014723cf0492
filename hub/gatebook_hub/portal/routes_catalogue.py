"""Which sources, tables, columns and tools are there for this person, and where is a word among them?"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

from starlette.responses import Response

from gatebook_hub.errors import GatebookError
from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.pages.catalogue import CataloguePage, ColumnCard, Match, SourcePage, TableCard
from gatebook_hub.portal.pages.frame import Downloads, address
from gatebook_hub.portal.routes_home import source_card, tool_cards
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.services.access import ColumnView, SourceView, TableView

MOST_MATCHES = 100
_MAX_QUERY = 100


def catalogue(visit: Visit) -> Response:
    """GET /catalogue, /catalogue.json and /catalogue.csv; `q` searches."""
    query = visit.asked("q")[:_MAX_QUERY]
    sources = tuple(source_card(rule) for rule in visit.cases.access.sources(visit.principal))
    matches, away = _search(visit, query) if query else (None, ())
    path = visit.request.url.path
    rows = [
        {"kind": one.kind, "title": one.title, "url": one.url, "summary": one.summary} for one in matches or ()
    ] or [{"kind": "source", "title": one.title, "url": f"/catalogue/{one.name}", "summary": one.engine}
          for one in sources if matches is None]  # fmt: skip
    if path.endswith(".json"):
        return json_download({"query": query, "found": rows, "unreachable": list(away)})
    if path.endswith(".csv"):
        return csv_download("catalogue", ("kind", "title", "url", "summary"), rows)
    page = CataloguePage(
        frame=visit.frame(),
        sources=sources,
        downloads=Downloads(json_url=address("/catalogue.json", q=query), csv_url=address("/catalogue.csv", q=query)),
        query=query,
        matches=matches,
        unreachable=away,
    )
    return shown(page)


def source(visit: Visit) -> Response:
    """GET /catalogue/{source}."""
    view = visit.cases.access.source(visit.call, visit.request.path_params["source"])
    page = SourcePage(
        frame=visit.frame(),
        source=source_card(view.rule, len(view.tables)),
        tables=tuple(_table(view, table) for table in view.tables),
        downloads=Downloads(json_url=f"/api/v1/sources/{quote(view.rule.name)}/schema"),
    )
    return shown(page)


def _table(view: SourceView, table: TableView) -> TableCard:
    known = view.schema.tables[table.name]
    return TableCard(
        name=table.name,
        kind="table",
        comment=known.comment or "",
        columns=tuple(_column(table, column) for column in table.columns),
        may=tuple(str(access) for access in table.may),
        rows=rows_sentence(table),
    )


def _column(table: TableView, column: ColumnView) -> ColumnCard:
    return ColumnCard(
        name=column.name,
        type=column.type,
        is_nullable=column.nullable,
        is_key=column.name in table.key,
        tags=column.tags,
        mask=str(column.mask) if column.mask else None,
        refused=column.refused,
    )


def rows_sentence(table: TableView) -> str | None:
    """Which rows are seen, in the words of the rules; None for all."""
    if not table.conditions:
        return None
    conditions = [condition for condition, _ in table.conditions]
    return f"only {conditions[0] if len(conditions) == 1 else ' and '.join(f'({one})' for one in conditions)}"


def _search(visit: Visit, query: str) -> tuple[tuple[Match, ...], tuple[str, ...]]:
    """What has every word of the query in its name or description, and the sources that could not be asked."""
    words = query.casefold().split()
    found = [one for one in _beside_tables(visit) if _has(words, one.title, one.summary)]
    away = []
    for rule in visit.cases.access.sources(visit.principal):
        address_of = f"/catalogue/{quote(rule.name)}"
        if _has(words, rule.name, rule.title, rule.description):
            found.append(Match(kind="source", title=rule.title, url=address_of, summary=rule.description))
        try:
            view = visit.cases.access.source(visit.call, rule.name)
        except GatebookError:
            away.append(rule.name)
            continue
        found += _in_source(view, words, address_of)
    return tuple(found[:MOST_MATCHES]), tuple(away)


def _beside_tables(visit: Visit) -> Iterator[Match]:
    if visit.hub is not None:
        for tool in tool_cards(visit.cases, visit.principal):
            yield Match(kind="tool", title=tool.title, url=tool.url, summary=tool.summary)
    for saved in visit.cases.saved.listed(visit.principal):
        draft = saved.version.draft
        yield Match(kind="query", title=draft.title, url=f"/saved/{saved.query.id}", summary=draft.description)
    for action in visit.cases.actions.list(visit.principal):
        url = f"/catalogue/{quote(action.source)}"
        yield Match(kind="action", title=action.title, url=url, summary=action.description)


def _in_source(view: SourceView, words: list[str], address_of: str) -> Iterator[Match]:
    for table in view.tables:
        url = f"{address_of}#table-{quote(table.name)}"
        comment = view.schema.tables[table.name].comment or ""
        if _has(words, table.name, comment):
            summary = comment or f"{len(table.columns)} columns in {view.rule.title}"
            yield Match(kind="table", title=table.name, url=url, summary=summary)
        for column in table.columns:
            if _has(words, column.name, *column.tags):
                seen = "refused" if column.refused else f"masked: {column.mask}" if column.mask else column.type
                yield Match(kind="column", title=f"{table.name}.{column.name}", url=url, summary=seen)


def _has(words: list[str], *texts: str) -> bool:
    text = " ".join(texts).casefold()
    return all(word in text for word in words)

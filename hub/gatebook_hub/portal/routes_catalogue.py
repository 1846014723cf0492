"""Which sources, tables, columns and tools are there for this person, and where is a word among them?"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import quote

from starlette.responses import Response

from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.pages.catalogue import CataloguePage, ColumnCard, Match, SourcePage, TableCard
from gatebook_hub.portal.pages.frame import Downloads, address
from gatebook_hub.portal.routes_home import source_card
from gatebook_hub.portal.things import named_things, search, things_of_sources, tools_of
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.services.access import ColumnView, SourceView, TableView
from gatebook_hub.services.lending import on_offer, told
from gatebook_hub.services.remembering import Kind, Named

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
    marked = visit.cases.remembering.favourites(visit.principal)
    page = SourcePage(
        frame=visit.frame(),
        source=source_card(view.rule, len(view.tables)),
        tables=tuple(
            replace(
                _table(view, table),
                is_favourite=Named(kind=Kind.TABLE, name=f"{view.rule.name}.{table.name}") in marked,
            )
            for table in view.tables
        ),
        downloads=Downloads(json_url=f"/api/v1/sources/{quote(view.rule.name)}/schema"),
        description=view.rule.description,
        offers=tuple(
            told(grant)
            for grant in on_offer(visit.cases.gate, visit.principal)
            if any(on.source == view.rule.name for on in grant.on)
        ),
    )
    return shown(page)


def _table(view: SourceView, table: TableView) -> TableCard:
    return TableCard(
        name=table.name,
        kind="table",
        comment=view.about(table.name),
        columns=tuple(_column(view, table, column) for column in table.columns),
        may=tuple(str(access) for access in table.may),
        rules=table.rules,
        rows=rows_sentence(table),
    )


def _column(view: SourceView, table: TableView, column: ColumnView) -> ColumnCard:
    return ColumnCard(
        name=column.name,
        type=column.type,
        is_nullable=column.nullable,
        is_key=column.name in table.key,
        tags=column.tags,
        mask=str(column.mask) if column.mask else None,
        refused=column.refused,
        description=view.about(f"{table.name}.{column.name}"),
        rule=column.rule,
        ask=column.ask,
    )


def rows_sentence(table: TableView) -> str | None:
    """Which rows are seen, in the words of the rules; None for all."""
    if not table.conditions:
        return None
    conditions = [condition for condition, _ in table.conditions]
    return f"only {conditions[0] if len(conditions) == 1 else ' and '.join(f'({one})' for one in conditions)}"


def _search(visit: Visit, query: str) -> tuple[tuple[Match, ...], tuple[str, ...]]:
    """What has every word of the query in its name or description, and the sources that could not be asked."""
    found, away = things_of_sources(visit)
    return search((*named_things(visit, tools_of(visit)), *found), query), away

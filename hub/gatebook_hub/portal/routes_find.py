"""What is meant by these words? A tool, a table, a request, or a record of which an entity tells something."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from gatebook_hub.errors import InvalidInput
from gatebook_hub.portal.downloads import json_download
from gatebook_hub.portal.pages.catalogue import Match
from gatebook_hub.portal.pages.cells import cell_of
from gatebook_hub.portal.pages.find import FindPage, FoundRecord
from gatebook_hub.portal.pages.frame import FieldError
from gatebook_hub.portal.things import kept, named_things, search, things_of_sources, tools_of, work
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.services.searching import Record

MOST_AT_HAND = 2_000


def find(visit: Visit) -> Response:
    """GET /find: the field alone. What is typed is sent by POST, since addresses are kept in logs and histories."""
    return shown(FindPage(frame=visit.frame(), entities=tuple(_titles(visit).values())))


def found(visit: Visit) -> Response:
    """POST /find: search names and records; a search of records is in the book."""
    titles = _titles(visit)
    typed = visit.form.get("text", "")
    page = FindPage(frame=visit.frame(), entities=tuple(titles.values()), text=typed)
    try:
        answer = visit.cases.searching.search(visit.call, typed)
    except InvalidInput as error:
        return shown(replace(page, errors=(FieldError(message=str(error), field="text"),)), error.status)
    at_hand, away = things_of_sources(visit)
    notes = [f"{titles[name]}: {why}" for name, why in answer.failed.items()]
    notes += [f"`{name}` was not searched, because it cannot be reached now" for name in away]
    return shown(
        replace(
            page,
            matches=search((*named_things(visit, tools_of(visit)), *at_hand, *work(visit)), typed),
            records=tuple(map(_record, answer.records)),
            more=tuple(titles[name] for name in answer.more),
            notes=tuple(notes),
        )
    )


def at_hand(visit: Visit) -> Response:
    """GET /find/at-hand.json: what the palette finds while somebody types, by names alone."""
    named = tuple(named_things(visit, tools_of(visit)))
    favourites, recent = kept(visit, named)
    of_sources = (one for one in things_of_sources(visit)[0] if one.kind != "column")
    first = {(one.kind, one.name) for one in (*favourites, *recent)}
    things = (*favourites, *recent, *_rest(first, (*named, *of_sources, *work(visit))))
    rows = [
        {
            "kind": one.kind,
            "title": one.title,
            "url": one.url,
            "summary": one.summary[:200],
            "also": f"{one.name} {one.also}",
            "is_first": (one.kind, one.name) in first,
        }
        for one in things[:MOST_AT_HAND]
    ]
    return json_download({"things": rows})


def _rest(first: set[tuple[str, str]], things: tuple[Match, ...]) -> tuple[Match, ...]:
    return tuple(one for one in things if not one.name or (one.kind, one.name) not in first)


def _record(record: Record) -> FoundRecord:
    return FoundRecord(
        entity=record.title,
        key=", ".join(str(cell_of(part).text) for part in record.key.values()),
        shown=tuple((name, cell_of(value, is_masked=name in record.masked)) for name, value in record.shown.items()),
        url=record.url,
    )


def _titles(visit: Visit) -> dict[str, str]:
    """The titles of the entities that the person may search, by name."""
    return {entity.name: entity.title for entity in visit.cases.searching.entities(visit.call)}

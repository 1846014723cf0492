"""Which record is it? Found by a name, a number, or a whole value that its entity lets one look up."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from gatebook_hub.errors import InvalidInput
from gatebook_hub.portal.pages.cells import cell_of
from gatebook_hub.portal.pages.find import FindPage, FoundRecord
from gatebook_hub.portal.pages.frame import FieldError
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.services.searching import Record


def find(visit: Visit) -> Response:
    """GET /find: the field alone. What is typed is sent by POST, since addresses are kept in logs and histories."""
    return shown(FindPage(frame=visit.frame(), entities=tuple(_titles(visit).values())))


def found(visit: Visit) -> Response:
    """POST /find: search, which is in the book."""
    titles = _titles(visit)
    page = FindPage(frame=visit.frame(), entities=tuple(titles.values()), text=visit.form.get("text", ""))
    try:
        answer = visit.cases.searching.search(visit.call, page.text or "")
    except InvalidInput as error:
        return shown(replace(page, errors=(FieldError(message=str(error), field="text"),)), error.status)
    return shown(
        replace(
            page,
            records=tuple(map(_record, answer.records)),
            more=tuple(titles[name] for name in answer.more),
            notes=tuple(f"{titles[name]}: {why}" for name, why in answer.failed.items()),
        )
    )


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

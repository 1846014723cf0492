"""How are saved queries found, read and run? A run is a press, since the book has it in the name of who pressed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

from starlette.responses import Response

from gatebook_hub.errors import GatebookError, NotFound
from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.pages.fields import YES_NO, Choice, ValueField
from gatebook_hub.portal.pages.frame import Downloads, FieldError, Pager, Tab, address
from gatebook_hub.portal.pages.saved import (
    Result,
    SavedCard,
    SavedHistoryPage,
    SavedListPage,
    SavedQueryPage,
    VersionRow,
)
from gatebook_hub.portal.results import csv_response, result_of
from gatebook_hub.portal.values import field_error, values_of, words_of
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.saved import Kind, Parameter
from gatebook_hub.services.queries import Answer
from gatebook_hub.services.remembering import Kind as Marked
from gatebook_hub.services.remembering import Named
from gatebook_hub.services.saved_queries import MOST_LISTED, Found, Wanted
from gatebook_hub.web.saved import person_of, saved_view

PAGE_QUERIES = 50
COLUMNS = ("id", "name", "author", "title", "description", "source", "version", "saved_by", "saved_at", "url")
_MAX_QUERY = 100
_TABS = {"": "All", "mine": "Mine"}


def listed(visit: Visit) -> Response:
    """GET /saved, /saved.json and /saved.csv; `q` searches."""
    words, tab, after = visit.asked("q")[:_MAX_QUERY], visit.asked("tab"), visit.asked("after")
    if tab not in _TABS:
        raise NotFound("there is no such list")
    found = visit.cases.saved.listed(visit.principal, words)
    if tab == "mine":
        found = tuple(one for one in found if one.query.author == visit.principal.id)
    path = visit.request.url.path
    if path.endswith(".json"):
        return json_download({"saved_queries": [saved_view(visit.cases, one) for one in found]})
    if path.endswith(".csv"):
        return csv_download("saved_queries", COLUMNS, [saved_view(visit.cases, one) for one in found])
    start = next((place + 1 for place, one in enumerate(found) if one.query.id == after), 0)
    rows = found[start : start + PAGE_QUERIES]
    has_more = start + PAGE_QUERIES < len(found)
    older = address("/saved", q=words, tab=tab, after=rows[-1].query.id) if has_more else None
    # Told only if it is so: the address may come from anybody.
    is_gone = visit.cases.saved.has_deleted(visit.principal, visit.asked("deleted")[:40])
    notice = "the query is deleted; the book keeps its history" if is_gone else None
    page = SavedListPage(
        frame=visit.frame(notice),
        tabs=tuple(
            Tab(title=title, url=address("/saved", q=words, tab=name), is_current=name == tab)
            for name, title in _TABS.items()
        ),
        queries=tuple(_card(one) for one in rows),
        downloads=Downloads(
            json_url=address("/saved.json", q=words, tab=tab), csv_url=address("/saved.csv", q=words, tab=tab)
        ),
        pager=Pager(older_url=older),
        query=words,
        tab=tab,
        count=len(found),
        is_cut=len(found) >= MOST_LISTED,
    )
    return shown(page)


def query(visit: Visit) -> Response:
    """GET /saved/{id}: the text, and the form that runs it; `version` is an older one, `p-NAME` fills a field in."""
    found = visit.cases.saved.look(visit.call, visit.request.path_params["id"], _number(visit.asked("version")))
    given = {name: value for name, value in visit.request.query_params.items() if name.startswith("p-")}
    return shown(query_page(visit, found, given, notice=_notice(visit, found)))


def result(visit: Visit) -> Response:
    """POST /saved/{id}/result: run it, and show the first rows."""
    found = _wanted(visit)
    try:
        answer = _run(visit, found)
        rows = result_of(answer, found.version.draft.chart)
    except NotFound:
        raise
    except GatebookError as error:
        return _refused(visit, found, error)
    return shown(query_page(visit, found, visit.form, result=rows))


def download(visit: Visit) -> Response:
    """POST /saved/{id}/download: run it, and send all rows as CSV."""
    found = _wanted(visit)
    try:
        return csv_response(_run(visit, found, file="csv"), found.query.name)
    except NotFound:
        raise
    except GatebookError as error:
        return _refused(visit, found, error)


def history(visit: Visit) -> Response:
    """GET /saved/{id}/history."""
    return shown(history_page(visit))


def history_page(visit: Visit, *, errors: tuple[FieldError, ...] = ()) -> SavedHistoryPage:
    """All versions of a query."""
    found, versions = visit.cases.saved.history(visit.call, visit.request.path_params["id"])
    return SavedHistoryPage(
        frame=visit.frame(),
        id=found.id,
        name=found.name,
        author=person_of(found.author),
        title=versions[0].draft.title,
        versions=tuple(
            VersionRow(
                number=one.number,
                saved_by=person_of(one.author),
                saved_at=_time(one.at),
                note=one.draft.note,
                title=one.draft.title,
            )
            for one in versions
        ),
        may_edit=found.is_editable_by(visit.principal),
        downloads=Downloads(json_url=f"/api/v1/saved-queries/{found.id}/versions"),
        deleted_at=_time(found.deleted_at) if found.deleted_at else None,
        errors=errors,
    )


def query_page(
    visit: Visit,
    found: Found,
    given: Mapping[str, str],
    *,
    notice: str | None = None,
    result: Result | None = None,
    errors: tuple[FieldError, ...] = (),
) -> SavedQueryPage:
    """The page of one version, with what was typed into its form."""
    saved, version = found.query, found.version
    draft = version.draft
    return SavedQueryPage(
        frame=visit.frame(notice),
        id=saved.id,
        name=saved.name,
        author=person_of(saved.author),
        title=draft.title,
        description=draft.description,
        source=draft.source,
        sql=draft.sql,
        version=version.number,
        newest=saved.version,
        saved_by=person_of(version.author),
        saved_at=_time(version.at),
        note=draft.note,
        fields=tuple(_field(one, given) for one in draft.parameters),
        downloads=Downloads(json_url=address(f"/api/v1/saved-queries/{saved.id}", version=version.number)),
        call=_call(found),
        may_run=saved.is_visible_to(visit.principal),
        may_edit=saved.is_editable_by(visit.principal),
        may_share=saved.is_owned_by(visit.principal),
        deleted_at=_time(saved.deleted_at) if saved.deleted_at else None,
        result=result,
        errors=errors,
        given_reason=given.get("reason", ""),
        given_purpose=given.get("purpose", ""),
        is_favourite=Named(kind=Marked.QUERY, name=saved.id) in visit.cases.remembering.favourites(visit.principal),
    )


def _card(found: Found) -> SavedCard:
    draft = found.version.draft
    return SavedCard(
        id=found.query.id,
        name=found.query.name,
        author=person_of(found.query.author),
        title=draft.title,
        description=draft.description,
        source=draft.source,
        saved_at=_time(found.version.at),
    )


def _wanted(visit: Visit) -> Found:
    """The version that the form was shown with."""
    wanted = Wanted(reference=visit.request.path_params["id"], version=_number(visit.form.get("version", "")))
    return visit.cases.saved.take(visit.call, wanted)


def _run(visit: Visit, found: Found, **told: str) -> Answer:
    parameters = ((one.name, one.kind, one.default is not None) for one in found.version.draft.parameters)
    values = values_of(visit.form, parameters)
    return visit.cases.saved.run(
        replace(visit.explained_call(), provenance=told),
        Wanted(reference=found.query.id, version=found.version.number),
        values,
    )


def _refused(visit: Visit, found: Found, error: GatebookError) -> Response:
    known = (one.name for one in found.version.draft.parameters)
    return shown(query_page(visit, found, visit.form, errors=(field_error(error, known),)), error.status)


def _field(parameter: Parameter, given: Mapping[str, str]) -> ValueField:
    choices = tuple(Choice(value=words_of(value), words=words_of(value)) for value in parameter.choices)
    return ValueField(
        name=parameter.name,
        title=parameter.title or parameter.name.replace("_", " ").capitalize(),
        kind=str(parameter.kind),
        value=given.get(f"p-{parameter.name}", words_of(parameter.default)),
        hint=_hint(parameter),
        choices=YES_NO if parameter.kind is Kind.BOOLEAN else choices,
    )


def _hint(parameter: Parameter) -> str | None:
    if parameter.choices:
        return None
    low, high = parameter.minimum, parameter.maximum
    kind = "A whole number" if parameter.kind is Kind.INTEGER else "A number" if parameter.kind is Kind.NUMBER else None
    if kind is None:
        return None
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    if low is not None:
        return f"{kind}, at least {low}"
    return f"{kind}, at most {high}" if high is not None else kind


def _call(found: Found) -> str:
    """What a notebook says to run it."""
    name = f"{person_of(found.query.author)}/{found.query.name}"
    arguments = [repr(name)]
    if found.version.number != found.query.version:
        arguments.append(f"version={found.version.number}")
    arguments += [f"{one.name}={_literal(one)}" for one in found.version.draft.parameters]
    return f"gatebook.saved({', '.join(arguments)})"


def _literal(parameter: Parameter) -> str:
    value = parameter.default if parameter.default is not None else next(iter(parameter.choices), None)
    match value:
        case None:
            return "…"
        case str() | bool():
            return repr(value)
        case _:
            return str(value)


def _notice(visit: Visit, found: Found) -> str | None:
    """What has just been done, told only if it is so: the address may come from anybody."""
    is_own = found.version.author == visit.principal.id and not visit.asked("version")
    match visit.asked("notice"):
        case "saved" if is_own and found.version.number == 1 and not found.query.seen_by | found.query.edited_by:
            return "the query is saved; nobody else sees it until you share it"
        case "saved" if is_own:
            return f"version {found.version.number} is saved"
        case "shared" if found.query.is_owned_by(visit.principal):
            names = sorted(one.removeprefix("group:") for one in found.query.seen_by | found.query.edited_by)
            return f"the text is shared with {', '.join(names)}" if names else "the text is shared with nobody"
        case _:
            return None


def _number(text: str) -> int | None:
    """The number of a version as an address or a form has it; raises NotFound for what is none."""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotFound("there is no such version of the saved query")
    return int(text)


def _time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)

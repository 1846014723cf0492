"""Who saw or changed what, and how is that proved? The book's pages; reading them is written in the book."""

from __future__ import annotations

import datetime as dt
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from starlette.responses import PlainTextResponse, Response

from gatebook_hub.audit import EventKind, written_time
from gatebook_hub.errors import InvalidInput, NotFound
from gatebook_hub.portal.downloads import csv_download, json_download
from gatebook_hub.portal.pages.audit import AuditFilters, AuditPage, EventField, EventPage, EventRow, InclusionProof
from gatebook_hub.portal.pages.frame import Downloads, FieldError, Pager, address
from gatebook_hub.portal.sentences import event_outcome, event_sentence
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.stores.book import EventFilter, StoredEvent
from gatebook_hub.tlog.checkpoint import parse_checkpoint_unverified
from gatebook_hub.web.views import event_view

PAGE_ROWS = 50
DOWNLOAD_ROWS = 1_000
COLUMNS = (
    "index", "time", "kind", "principal", "channel", "tool", "run", "source", "tables", "statement", "rows", "outcome",
    "code", "detail", "reason", "change", "action", "refers_to", "rules", "revision",
)  # fmt: skip
_FIELDS = ("principal", "kind", "source", "table", "since", "until")
_MAX_FILTER = 128


def audit(visit: Visit) -> Response:
    """GET /audit, /audit.json and /audit.csv; who may not read the book sees what they did themselves."""
    given = AuditFilters(**{name: visit.asked(name)[:_MAX_FILTER] for name in _FIELDS})
    is_reader = visit.cases.auditing.may_read_all(visit.principal)
    if not is_reader and not given.principal:
        given = AuditFilters(**{**asdict(given), "principal": visit.principal.id})
    path = visit.request.url.path
    is_page = not path.endswith((".json", ".csv"))
    wanted, errors = _wanted(given, visit.asked("before"), PAGE_ROWS if is_page else DOWNLOAD_ROWS)
    if errors and not is_page:
        raise InvalidInput(errors[0].message)
    # One more than is shown tells whether there is an older page.
    found = () if errors else visit.cases.auditing.find(visit.call, wanted)
    events, older = found[: wanted.limit - 1], (found[wanted.limit - 2].index if len(found) == wanted.limit else None)
    if path.endswith(".json"):
        return json_download({"events": [event_view(event) for event in events], "next_before": older})
    if path.endswith(".csv"):
        response = csv_download("audit", COLUMNS, [_flat(event) for event in events])
        if older is not None:
            response.headers["Link"] = f'<{_address("/audit.csv", given, before=older)}>; rel="next"'
        return response
    page = AuditPage(
        frame=visit.frame(),
        filters=given,
        kinds=tuple(str(kind) for kind in EventKind),
        sources=tuple(sorted(visit.cases.gate.policy.sources)) if is_reader else _own_sources(visit),
        events=tuple(_row(event) for event in events),
        pager=Pager(
            newer_url=_address("/audit", given) if visit.asked("before") and not errors else None,
            older_url=_address("/audit", given, before=older) if older is not None else None,
        ),
        downloads=Downloads(json_url=_address("/audit.json", given), csv_url=_address("/audit.csv", given)),
        checkpoint_size=parse_checkpoint_unverified(visit.cases.auditing.checkpoint()).size,
        errors=errors,
    )
    return shown(page, 422 if errors else 200)


def event(visit: Visit) -> Response:
    """GET /audit/{index}."""
    proven = visit.cases.auditing.event(visit.call, visit.request.path_params["index"])
    content = proven.event.content
    head = parse_checkpoint_unverified(proven.checkpoint)
    refers_to = content.get("refers_to")
    page = EventPage(
        frame=visit.frame(),
        index=proven.event.index,
        at=dt.datetime.fromisoformat(content["time"]),
        sentence=event_sentence(content),
        fields=tuple(EventField(name=name, text=_text(content[name])) for name in sorted(content)),
        downloads=Downloads(json_url=f"/api/v1/audit/events/{proven.event.index}"),
        proof=InclusionProof(
            leaf_hash=proven.leaf_hash,
            tree_size=head.size,
            root_hash=b64encode(head.root).decode(),
            path=proven.proof,
        ),
        checkpoint=proven.checkpoint,
        related=(refers_to,) if isinstance(refers_to, int) else (),
        change_id=content.get("change"),
    )
    return shown(page)


def checkpoint(visit: Visit) -> Response:
    """GET /audit/checkpoint: the newest signed checkpoint, to be kept elsewhere."""
    headers = {"Content-Disposition": 'inline; filename="checkpoint.txt"'}
    return PlainTextResponse(visit.cases.auditing.checkpoint(), headers=headers)


def _wanted(given: AuditFilters, before: str, limit: int) -> tuple[EventFilter, tuple[FieldError, ...]]:
    errors = []
    times: dict[str, str | None] = {"since": None, "until": None}
    for name in times:
        try:
            times[name] = _time(getattr(given, name), is_end=name == "until")
        except ValueError:
            message = "enter a date such as 2026-11-22, or a time such as 2026-11-22T13:00"
            errors.append(FieldError(message=message, field=name))
    if before and not (before.isascii() and before.isdigit() and len(before) < 19):
        raise InvalidInput("`before` is not the number of an event")
    if given.kind and given.kind not in set(EventKind):
        raise NotFound("there is no such kind of event")
    wanted = EventFilter(
        principal=_principal(given.principal) or None,
        kind=given.kind or None,
        source=given.source or None,
        table=given.table or None,
        since=times["since"],
        until=times["until"],
        before=int(before) if before else None,
        limit=limit + 1,
    )
    return wanted, tuple(errors)


def _principal(given: str) -> str:
    """`analyst` is a person unless said otherwise."""
    return given if not given or ":" in given else f"user:{given}"


def _time(text: str, *, is_end: bool) -> str | None:
    """A time as the book writes it; a day as an end means that it is over. Raises ValueError."""
    if not text:
        return None
    moment = dt.datetime.fromisoformat(text)
    if len(text) <= len("2026-11-22") and is_end:
        moment += dt.timedelta(days=1)
    return written_time(moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment)


def _own_sources(visit: Visit) -> tuple[str, ...]:
    return tuple(rule.name for rule in visit.cases.access.sources(visit.principal))


def _address(path: str, given: AuditFilters, *, before: int | None = None) -> str:
    return address(path, **asdict(given), before=before)


def _row(event: StoredEvent) -> EventRow:
    content = event.content
    return EventRow(
        index=event.index,
        at=dt.datetime.fromisoformat(content["time"]),
        principal=content["principal"],
        kind=content["kind"],
        what=event_sentence(content),
        source=content.get("source"),
        tables=_tables(content),
        outcome=event_outcome(content),
    )


def _flat(event: StoredEvent) -> dict[str, Any]:
    content = event.content
    joined = {"tables": " ".join(_tables(content)), "rules": " ".join(content.get("rules", ()))}
    return {"index": event.index, **content, **joined}


def _tables(content: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(table["table"]) for table in content.get("tables", ())))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)

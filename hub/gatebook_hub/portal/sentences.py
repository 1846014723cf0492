"""What does an event of the book say in words?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatebook_hub.audit import EventKind
from gatebook_hub.portal.filters import plural

_PLAIN = {
    EventKind.QUERY_REFUSED: "asked what was refused",
    EventKind.CHANGE_REFUSED: "a step of a change request was refused",
    EventKind.ACTION_REFUSED: "called an action that was refused",
    EventKind.SAVED_REFUSED: "asked something of a saved query that was refused",
    EventKind.SCHEMA_READ: "looked at the tables",
    EventKind.TRANSACTION_INTENT: "began to commit a transaction",
    EventKind.CHANGE_WITHDRAWN: "withdrew a change request",
    EventKind.CHANGE_READ: "looked at the rows of a change request",
    EventKind.CHANGE_EXPIRED: "a change request expired",
    EventKind.CHANGE_INTENT: "began to execute a change",
    EventKind.POLICY_LOADED: "the policy set was loaded",
    EventKind.TOKEN_REVOKED: "revoked a token",
    EventKind.SESSION_OPENED: "signed in at the portal",
    EventKind.SESSION_CLOSED: "signed out of the portal",
    EventKind.RUN_STARTED: "began a run",
    EventKind.RUN_FINISHED: "finished a run",
    EventKind.TOOL_REFUSED: "a step of publishing a tool was refused",
    EventKind.GATEWAY_STARTED: "the gateway started",
}
_SAVED = {
    EventKind.SAVED_WRITTEN: "saved",
    EventKind.SAVED_SHARED: "shared",
    EventKind.SAVED_DELETED: "deleted",
}
_OUTCOMES = frozenset({EventKind.QUERY_OUTCOME, EventKind.TRANSACTION_OUTCOME, EventKind.CHANGE_OUTCOME})


def event_sentence(content: Mapping[str, Any]) -> str:
    """One line: the statement where there is one, else what happened."""
    kind = content["kind"]
    extra: Mapping[str, str] = content.get("extra", {})
    if kind in _SAVED:
        saved: Mapping[str, str] = content.get("saved", {})
        return f"{_SAVED[kind]} the query {saved.get('name', '')}, version {saved.get('version', '')}"
    if "statement" in content:
        return str(content["statement"])
    if kind in _OUTCOMES:
        refers_to = f" of event {content['refers_to']}" if "refers_to" in content else ""
        return f"the outcome{refers_to}{_detail(content)}"
    match kind:
        case EventKind.CHANGE_PROPOSED:
            return f"asked for a change of {plural(content.get('rows', 0), 'row')}"
        case EventKind.CHANGE_REVIEWED:
            instead = f", in place of {extra['instead_of'].removeprefix('user:')}" if "instead_of" in extra else ""
            return f"reviewed a change request: {extra.get('verdict', '')}{instead}"
        case EventKind.TOKEN_ISSUED:
            return f"issued a {extra.get('what', 'token')} for {extra.get('for', 'somebody')}"
        case (
            EventKind.TOOL_CHECKED
            | EventKind.TOOL_PROPOSED
            | EventKind.TOOL_REVIEWED
            | EventKind.TOOL_INSTALLED
            | EventKind.TOOL_ROLLED_BACK
        ):
            return _tool_sentence(kind, extra)
        case EventKind.AUDIT_READ:
            return f"read the book{_detail(content)}"
        case _:
            return f"{_PLAIN.get(kind, str(kind))}{_detail(content)}"


def _tool_sentence(kind: str, extra: Mapping[str, str]) -> str:
    """What happened to which version of which tool."""
    what = f"{extra.get('tool', 'a tool')}, version {extra.get('version', '')[:12] or 'none'}"
    match kind:
        case EventKind.TOOL_CHECKED:
            return f"tried a tool: {what}, of {extra.get('author', 'somebody').removeprefix('user:')}"
        case EventKind.TOOL_PROPOSED:
            return f"stored a version of a tool: {what}, of {extra.get('author', 'somebody').removeprefix('user:')}"
        case EventKind.TOOL_REVIEWED:
            return f"reviewed a version of a tool: {extra.get('verdict', '')}, {what}"
        case EventKind.TOOL_INSTALLED:
            return f"a tool of the installation is served: {what}"
        case _:
            return f"took back version {extra.get('before', '')[:12]} of a tool; in force is {what}"


def event_outcome(content: Mapping[str, Any]) -> str | None:
    """How it ended, with the rows; None for an event that is no outcome."""
    outcome = content.get("outcome")
    if outcome is None:
        return None
    rows = f", {plural(content['rows'], 'row')}" if "rows" in content else ""
    code = f", {content['code']}" if "code" in content else ""
    return f"{outcome}{rows}{code}"


def _detail(content: Mapping[str, Any]) -> str:
    return f": {content['detail']}" if content.get("detail") else ""

"""Which events does the book hold, and which fields do they have?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from writing import table, whole_page

from gatebook_hub.audit import Event, EventKind, Outcome

_INTRO = """
The book is an append-only log of events. Each is one JSON object, written after RFC 8785 (sorted keys, no blanks,
UTF-8), so that its bytes and its leaf hash (RFC 6962) are the same everywhere. It holds text, integers, lists and
objects of these; a field that is not set is left out. Longer than 60,000 bytes it does not get: long texts are cut,
with the SHA-256 of the whole.

An intent is written, durably, before anything runs; its outcome follows and names it in `refers_to`. An intent whose
outcome is missing gets one with `outcome: unknown` at the next start.

```json
{"channel":"issued_token","elapsed_us":5120,"groups":["analysts"],"kind":"query.outcome","outcome":"ok","principal":"user:analyst",
"refers_to":17,"revision":"a157ba32736b5b6c","rows":4,"source":"chinook","time":"2026-03-01T08:30:00.000000Z","v":1}
```
"""
_KINDS: Mapping[EventKind, str] = {
    EventKind.QUERY_INTENT: "A read is about to run: statement, tables, rules that allowed it.",
    EventKind.QUERY_OUTCOME: "How that read ended.",
    EventKind.QUERY_REFUSED: "A statement was refused; nothing ran.",
    EventKind.QUERY_EXPLAINED: "Somebody asked what would be decided about a statement; nothing ran.",
    EventKind.SCHEMA_READ: "Somebody looked at the schema of a source, or was refused to.",
    EventKind.TRANSACTION_INTENT: "A transaction of a sandbox is about to be committed; `extra` has its id.",
    EventKind.TRANSACTION_OUTCOME: "How that went, or that a transaction was rolled back.",
    EventKind.CHANGE_PROPOSED: "A write became a change request.",
    EventKind.CHANGE_REVIEWED: "Somebody approved or rejected a change request, or looked at it after it was done. "
    "In place of somebody who was away: of whom (`instead_of` in `extra`), and for which groups (`instead_in`).",
    EventKind.CHANGE_WITHDRAWN: "The requester took a change request back.",
    EventKind.CHANGE_READ: "Somebody looked at the rows of a change request.",
    EventKind.CHANGE_EXPIRED: "Nobody decided in time.",
    EventKind.CHANGE_BROKEN: "A requester broke the glass: the change is executed before anybody has reviewed it.",
    EventKind.CHANGE_COMMENTED: "Somebody wrote a comment; its text is kept with the request.",
    EventKind.ACCESS_ENDED: "Access that was given for a time was ended before it.",
    EventKind.CHANGE_FORGOTTEN: "The rows of an old change request were forgotten; the rest of it stays.",
    EventKind.CHANGE_INTENT: "An approved change is about to be written.",
    EventKind.CHANGE_OUTCOME: "How that write ended.",
    EventKind.CHANGE_REFUSED: "Something asked of a change request was refused.",
    EventKind.ACTION_REFUSED: "The call of an action was refused.",
    EventKind.SAVED_WRITTEN: "Somebody saved a query, or a new version of one; `reason` has their note.",
    EventKind.SAVED_SHARED: "The author of a saved query said who may see it and who may edit it; `extra` has whom.",
    EventKind.SAVED_DELETED: "The author of a saved query took it out of use; its versions are kept.",
    EventKind.SAVED_REFUSED: "Something asked of a saved query was refused; nothing ran, and nothing was kept.",
    EventKind.POLICY_LOADED: "A policy set came into force; `extra` has its revision and, of a reload, the one before.",
    EventKind.POLICY_REFUSED: "A changed policy folder did not load; the set before stays in force. `detail` says why.",
    EventKind.TOKEN_ISSUED: "A token or a portal link was made; `extra` says for whom.",
    EventKind.TOKEN_REVOKED: "A token was ended.",
    EventKind.SESSION_OPENED: "A person signed in at the portal.",
    EventKind.SESSION_CLOSED: "A person signed out of the portal.",
    EventKind.AUDIT_READ: "Somebody read the book, or was refused to; `extra` says what was looked for.",
    EventKind.RUN_STARTED: "A run of a job began.",
    EventKind.RUN_FINISHED: "A run of a job ended.",
    EventKind.TOOL_CHECKED: "The notebook of a tool was tried before it was published; `extra` has the tool, "
    "the version (its SHA-256), the author, and the run under which the book has everything that it asked.",
    EventKind.TOOL_PROPOSED: "A version of a tool was stored and waits for a second person; `extra` says whose it is.",
    EventKind.TOOL_REVIEWED: "Somebody approved or rejected a version of a tool; an approved one is in force at once.",
    EventKind.TOOL_INSTALLED: "A tool of the installation's folder is served, since none of its name was published.",
    EventKind.TOOL_ROLLED_BACK: "The version in force was taken back; `extra` says which, and which is in force now.",
    EventKind.TOOL_REFUSED: "A step of publishing a tool was refused.",
    EventKind.GATEWAY_STARTED: "The gateway started.",
    EventKind.ALARM: "Something happened that a person must look at.",
}
_OUTCOMES: Mapping[Outcome, str] = {
    Outcome.OK: "It was done.",
    Outcome.FAILED: "It was begun, and ended early: an error, a limit, a caller who went away.",
    Outcome.REFUSED: "It was not begun.",
    Outcome.UNKNOWN: "The gateway stopped before it could say.",
}
_FIELDS: Mapping[str, tuple[str, str]] = {
    "kind": ("fact", "What happened."),
    "time": ("fact", "UTC, ISO 8601 with microseconds."),
    "principal": ("fact", "Who, as the gateway verified it: `user:analyst`, `job:nightly_revenue`, `service:worker`."),
    "groups": ("fact", "Groups at that time, sorted."),
    "channel": (
        "fact",
        "How the principal proved who they are: portal, hub_token, issued_token, run_token, check_token, operator.",
    ),
    "tool": ("fact", "The tool that the tools service attested, `name@version`."),
    "run": ("fact", "Id of the job's run."),
    "source": ("fact", "Name of the source."),
    "revision": ("fact", "Content hash of the policy set in force."),
    "statement": ("fact", "The statement with its literals lifted out."),
    "values": ("fact", "Those literals, in order; of protected columns a keyed digest, `hmac:…`."),
    "parameters": ("fact", "Named parameters as text; of protected columns a keyed digest, `hmac:…`."),
    "tables": ("fact", "Each table: what is done to it, which columns are read and written."),
    "rules": ("fact", "Ids of the rules that decided."),
    "provenance": (
        "claim",
        "What the caller says: kernel, notebook and cell of the call, and the format (`file`) of a download.",
    ),
    "reason": ("claim", "Why, in the caller's words."),
    "purpose": ("claim", "For which of the purposes that grants name, in the caller's word."),
    "change": ("fact", "Id of the change request."),
    "action": ("fact", "Name of the action."),
    "saved": ("fact", "The saved query that a statement came from, or that was changed: `id`, `name`, `version`."),
    "refers_to": ("fact", "Index of the intent that this outcome closes."),
    "outcome": ("fact", "How it ended."),
    "rows": ("fact", "Rows returned or changed."),
    "bytes": ("fact", "Bytes of the answer, in memory."),
    "elapsed_us": ("fact", "Microseconds from start to end."),
    "code": ("fact", "[Error code](errors.md)."),
    "detail": ("fact", "The error's sentence."),
    "extra": ("fact", "What only this kind of event has, as text."),
}


def page() -> str:
    """The page; a kind, outcome or field without a sentence is an error."""
    kinds = [(f"`{kind}`", _KINDS[kind]) for kind in EventKind]
    outcomes = [(f"`{outcome}`", _OUTCOMES[outcome]) for outcome in Outcome]
    names = [item.name for item in fields(Event)]
    rows = [("`v`", "fact", "Version of this form: 1."), *((f"`{name}`", *_FIELDS[name]) for name in names)]
    return whole_page(
        "Events of the book",
        _INTRO,
        "## Kinds",
        table(("kind", "what happened"), kinds),
        "## Outcomes",
        table(("outcome", "meaning"), outcomes),
        "## Fields",
        "A fact the gateway verified or did itself; a claim is what somebody said.",
        table(("field", "is a", "meaning"), rows),
    )

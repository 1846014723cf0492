"""What can a data owner ask of a policy set? Check, test, explain, compare, review who can, and have it reloaded."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from gatebook_hub import policy as room
from gatebook_hub.audit import Event, EventKind, Outcome, written_time
from gatebook_hub.cli.options import POLICIES, STATE, duration, names_of, open_book, settings_of
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Channel, Principal, PrincipalKind, Tool
from gatebook_hub.policy import Circumstances, PolicySet
from gatebook_hub.policy.loading import json_schema
from gatebook_hub.services import comparing, entitlements, explaining
from gatebook_hub.services.checking import UNCHECKED, check, known_tools
from gatebook_hub.services.expecting import run_tests
from gatebook_hub.services.opening import OPERATOR
from gatebook_hub.services.policies import load_policy
from gatebook_hub.services.reloading import REQUEST
from gatebook_hub.services.trying import Asking
from gatebook_hub.settings import Settings
from gatebook_hub.stores.book import EventFilter, StoredEvent
from gatebook_hub.stores.policies import read_revision

_PAUSE_S = 0.2
_JSON = click.option("--json", "is_json", is_flag=True, help="Print JSON.")


@click.group()
def policy() -> None:
    """The policy set."""


@policy.command("check")
@STATE
@POLICIES
def policy_check(state: Path | None, policies: Path | None) -> None:
    """Validate the files and compare them with the live schemas."""
    settings = settings_of(state=state, policies=policies)
    policy_set, sources = load_policy(settings.policies, settings.state)
    findings = list(check(policy_set, sources, tools=known_tools(settings.notebooks), now=dt.datetime.now(dt.UTC)))
    for finding in findings:
        click.echo(str(finding))
    errors = sum(finding.is_error or finding.id == UNCHECKED for finding in findings)
    click.echo(f"policy {policy_set.revision}: {errors} errors, {len(findings) - errors} warnings")
    sys.exit(1 if errors else 0)


@policy.command("test")
@STATE
@POLICIES
def policy_test(state: Path | None, policies: Path | None) -> None:
    """Decide every expectation in `tests/`; nothing is executed."""
    settings = settings_of(state=state, policies=policies)
    policy_set, sources = load_policy(settings.policies, settings.state)
    results = list(run_tests(policy_set, sources))
    for result in results:
        click.echo(f"{'ok' if result.wrong is None else 'FAILED'}  {result.name}")
        if result.wrong is not None:
            click.echo(f"        {result.place}: {result.wrong}")
    failed = sum(result.wrong is not None for result in results)
    click.echo(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not results else 0)


@policy.command("schema")
def policy_schema() -> None:
    """Print the JSON Schema of the policy files, for editors."""
    click.echo(json.dumps(json_schema(), indent=2))


@policy.command("explain")
@STATE
@POLICIES
@click.option("--user", help="A person's name.")
@click.option("--job", help="A job's name.")
@click.option("--groups", "--group", "groups", default="", help="Groups, separated by commas.")
@click.option("--tool", help="The tool through which the call comes.")
@click.option("--purpose", help="The purpose that the statement names.")
@click.option("--source", help="The source; may be left out if there is one alone.")
@click.option("--rows", default=1, show_default=True, help="How many rows a write is taken to change.")
@click.option("--at", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%d"]), help="When, in UTC; now if left out.")
@_JSON
@click.argument("sql")
def policy_explain(
    state: Path | None,
    policies: Path | None,
    user: str | None,
    job: str | None,
    groups: str,
    tool: str | None,
    purpose: str | None,
    source: str | None,
    rows: int,
    at: dt.datetime | None,
    is_json: bool,  # noqa: FBT001 - click calls it by name
    sql: str,
) -> None:
    """Say what the gate decides about a statement, and why; nothing is executed. Exit code 1 for a refusal."""
    if (user is None) == (job is None):
        raise click.UsageError("give either --user or --job")
    settings = settings_of(state=state, policies=policies)
    policy_set, sources = load_policy(settings.policies, settings.state)
    principal = Principal(
        kind=PrincipalKind.USER if user else PrincipalKind.JOB,
        name=str(user or job),
        groups=names_of(groups),
        tool=Tool(name=tool, version="explain") if tool else None,
        channel=Channel.OPERATOR,
    )
    now = at.replace(tzinfo=dt.UTC) if at else dt.datetime.now(dt.UTC)
    asking = Asking(principal=principal, at=Circumstances(now=now, purpose=purpose), rows=rows)
    schema = sources.get(_only(policy_set, source)).schema()
    found = explaining.explain(policy_set, schema, sql, asking)
    _print(found.as_object() if is_json else explaining.told(found))
    sys.exit(0 if found.is_allowed else 1)


@policy.command("who-can")
@STATE
@POLICIES
@click.option("--csv", "is_csv", is_flag=True, help="Print CSV.")
@_JSON
@click.argument("target")
def policy_who_can(
    state: Path | None,
    policies: Path | None,
    is_csv: bool,  # noqa: FBT001 - click calls it by name
    is_json: bool,  # noqa: FBT001 - as above
    target: str,
) -> None:
    """Say who may do what on SOURCE.TABLE or SOURCE.TABLE.COLUMN, by which rules."""
    settings = settings_of(state=state, policies=policies)
    policy_set, sources = load_policy(settings.policies, settings.state)
    found = entitlements.who_can(policy_set, sources, target, dt.datetime.now(dt.UTC))
    if is_json:
        click.echo(json.dumps(list(entitlements.rows_of(policy_set, found)), indent=2))
    elif is_csv:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, entitlements.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(entitlements.rows_of(policy_set, found))
        click.echo(text.getvalue(), nl=False)
    else:
        _print(entitlements.told(policy_set, found))


@policy.command("diff")
@STATE
@click.option("--since", help="Replay statements of this time alone: 30d, 12h.")
@click.option("--limit", default=10_000, show_default=True, help="Replay at most so many statements, the newest.")
@_JSON
@click.argument("old")
@click.argument("new")
def policy_diff(
    state: Path | None,
    since: str | None,
    limit: int,
    is_json: bool,  # noqa: FBT001 - click calls it by name
    old: str,
    new: str,
) -> None:
    """Say what the set NEW changes against OLD: folders, or revisions in git such as `HEAD~1:policies`.

    Exit code 0 if nothing changes, 1 if something does, as with diff.
    """
    settings = settings_of(state=state)
    before, after = _loaded(old), _loaded(new)
    schemas, unseen = comparing.live_schemas(before, after, settings.state)
    now = dt.datetime.now(dt.UTC)
    start = (now - duration(since)).isoformat() if since else None
    events = _past(settings, start, limit)
    found = comparing.compare(before, after, schemas, events=events, unseen=unseen, now=now)
    _print(found.as_object() if is_json else comparing.told(found))
    sys.exit(0 if found.is_same else 1)


@policy.command("reload")
@STATE
@click.option("--wait", "wait_s", default=30.0, show_default=True, help="Seconds to wait for the gateway's answer.")
def policy_reload(state: Path | None, wait_s: float) -> None:
    """Have the running gateway read its policy folder now. Exit code 1 if the set does not come into force."""
    settings = settings_of(state=state)
    with open_book(settings) as book:
        path = settings.state / REQUEST
        path.touch(mode=0o600)
        request = str(path.stat().st_mtime_ns)
        until = time.monotonic() + wait_s
        while time.monotonic() < until:
            for kind in (EventKind.POLICY_LOADED, EventKind.POLICY_REFUSED):
                for event in book.find(EventFilter(kind=kind, limit=5)):
                    if event.content.get("extra", {}).get("request") == request:
                        sys.exit(_told_reload(event))
            time.sleep(_PAUSE_S)
    raise click.ClickException("no gateway answered; a gateway that starts reads the folder anyway")


def _print(found: Mapping[str, Any] | Iterable[str]) -> None:
    """An object as JSON for programs, sentences as lines for people."""
    for line in [json.dumps(found, indent=2)] if isinstance(found, Mapping) else found:
        click.echo(line)


def _told_reload(event: StoredEvent) -> int:
    extra = event.content["extra"]
    if event.content["kind"] == EventKind.POLICY_REFUSED:
        click.echo(f"policy {extra['old']} stays in force:\n{event.content.get('detail', '')}")
        return 1
    is_same = extra["old"] == extra["revision"]
    click.echo(f"policy {extra['revision']} is in force" + ("" if is_same else f", before it {extra['old']}"))
    return 0


def _past(settings: Settings, since: str | None, limit: int) -> tuple[StoredEvent, ...] | None:
    """The statements of the book, whose reading is an event of it; None without a book."""
    if not (settings.state / "book" / "book.sqlite").exists():
        return None
    with open_book(settings) as book:
        found = comparing.statements_of(book, since=since, limit=limit)
        event = Event(
            kind=EventKind.AUDIT_READ,
            time=written_time(dt.datetime.now(dt.UTC)),
            principal=OPERATOR.principal.id,
            channel=OPERATOR.principal.channel,
            outcome=Outcome.OK,
            rows=len(found),
            extra={"for": "policy diff"},
        )
        book.append(event)
    return found


def _loaded(text: str) -> PolicySet:
    try:
        return room.load(read_revision(text))
    except GatebookError as error:
        raise click.ClickException(f"{text}: {error.code} {error}") from error


def _only(policy_set: PolicySet, given: str | None) -> str:
    names = sorted(policy_set.sources)
    if given is None and len(names) == 1:
        return names[0]
    if given is None or given not in policy_set.sources:
        raise click.UsageError(f"give one of the sources with --source: {', '.join(names)}")
    return given

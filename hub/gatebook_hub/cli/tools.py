"""What can be done with tools from a shell? Check and publish one, see versions, take one back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from gatebook_hub.cli.options import POLICIES, STATE, names_of, settings_of, text_of
from gatebook_hub.front.accounts import Accounts, end_processes, may_isolate, wipe
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.cases import use_cases_of
from gatebook_hub.services.gate import Gate
from gatebook_hub.services.notebook_form import ToolNotebook
from gatebook_hub.services.opening import OPERATOR, open_gate
from gatebook_hub.services.publishing import Publishing
from gatebook_hub.settings import Settings
from gatebook_hub.worker.trying import TIMEOUT_S, try_notebook

_SHORT = 12
_NOTEBOOK = click.argument("path", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def tool() -> None:
    """Tools: curated notebooks that people open without writing code."""


@tool.command("publish")
@STATE
@POLICIES
@click.option("--user", required=True, help="The author, with whose rights the notebook is tried.")
@click.option("--groups", "--group", "groups", default="", help="The author's groups, separated by commas.")
@click.option("--note", default="", help="What is new, for the reviewer.")
@click.option("--name", help="The tool's name; the file's own if left out.")
@click.option("--with", "given", multiple=True, metavar="NAME=VALUE", help="A parameter for the trial.")
@click.option("--timeout", "timeout_s", default=TIMEOUT_S, show_default=True, help="Seconds that the trial may take.")
@click.option("--check-only", is_flag=True, help="Check and say what was found; store nothing.")
@_NOTEBOOK
def publish(
    state: Path | None,
    policies: Path | None,
    user: str,
    groups: str,
    note: str,
    name: str | None,
    given: tuple[str, ...],
    timeout_s: float,
    check_only: bool,  # noqa: FBT001 - click calls it by name
    path: Path,
) -> None:
    """Check a notebook against the running gateway, and store it as a version that waits for a second person."""
    settings, content = settings_of(state=state, policies=policies), text_of(path)
    author = Principal(kind=PrincipalKind.USER, name=user, groups=names_of(groups), channel=Channel.OPERATOR)
    if not check_only and not note.strip():
        raise click.UsageError("say with --note what is new")
    with open_gate(settings) as gate, _account(settings) as account:
        publishing = use_cases_of(gate).publishing
        check = publishing.begin_check(OPERATOR, path.stem if name is None else name, content, author)
        failed: dict[str, Any] | None = {"name": "CheckFailed", "cell": None}
        report: Mapping[str, Any] = {}
        try:
            values = _values(check.tool, given)
            tried = try_notebook(
                check.tool.name,
                content,
                values,
                run_id=str(check.principal.run_id),
                token=check.token,
                gateway_url=settings.gateway_url,
                account=account,
                timeout_s=timeout_s,
            )
            failed = None if tried.failure is None else {"name": tried.failure.name, "cell": tried.failure.cell}
        finally:
            report = publishing.end_check(OPERATOR, check, failed)
        _tell(check.tool, report)
        if tried.failure is not None:
            place = f" in cell {tried.failure.cell}" if tried.failure.cell is not None else ""
            told = f"{tried.failure.name}: {tried.failure.message}"
            raise click.ClickException(f"the notebook does not run{place}: {told}")
        if check_only:
            return
        version = publishing.propose(OPERATOR, check, content, note=note, report=report)
    click.echo(f"\nstored as version {version.version[:_SHORT]} of {version.name}; it waits for a second person at")
    click.echo(f"{settings.portal_url}/tool-versions/{version.name}/{version.version}")


@tool.command("list")
@STATE
@POLICIES
def list_tools(state: Path | None, policies: Path | None) -> None:
    """Every tool that is in force, and what waits for a review."""
    with open_gate(settings_of(state=state, policies=policies)) as gate:
        for one in _publishing(gate).in_force():
            since = f", since {_day(one.since)}" if one.since else ""
            click.echo(f"{one.name:<24} {one.version[:_SHORT]}  by {one.by}{since}")
        for version in gate.tools.find():
            if version.state == "proposed":
                click.echo(f"{version.name:<24} {version.version[:_SHORT]}  of {version.author}, waits for a review")


@tool.command("versions")
@STATE
@POLICIES
@click.argument("name")
def versions(state: Path | None, policies: Path | None, name: str) -> None:
    """Every version of a tool, newest first."""
    with open_gate(settings_of(state=state, policies=policies)) as gate:
        found = gate.tools.find(name=name)
        force = gate.tools.in_force().get(name)
        if not found:
            raise click.ClickException(f"no version of `{name}` was published")
        for one in found:
            mark = "in force" if force is not None and force.version == one.version else str(one.state)
            reviewer = f", reviewed by {one.reviewer}" if one.reviewer else ""
            about = f"of {one.author}{reviewer}: {one.note}"
            click.echo(f"{one.version[:_SHORT]}  {_day(one.created_at)}  {mark:<10} {about}")


@tool.command("rollback")
@STATE
@POLICIES
@click.argument("name")
@click.argument("version", required=False)
def rollback(state: Path | None, policies: Path | None, name: str, version: str | None) -> None:
    """Take back the version in force, at once: the one before it is in force, or VERSION."""
    with open_gate(settings_of(state=state, policies=policies)) as gate:
        force = _publishing(gate).roll_back(OPERATOR, name, version)
    if force.version is None:
        click.echo(f"no version of {name} is in force: nobody can open it until one is approved")
    else:
        click.echo(f"version {force.version[:_SHORT]} of {name} is in force")


def _publishing(gate: Gate) -> Publishing:
    return use_cases_of(gate).publishing


@contextmanager
def _account(settings: Settings) -> Iterator[str | None]:
    """The Linux account that tries notebooks; as root one of its own, of which nothing is left; else ours."""
    if may_isolate():
        accounts = Accounts(settings.account_prefix, settings.home_root)
        account = accounts.ensure(accounts.service_name("check"))
        try:
            yield account.name
        finally:
            end_processes(account)
            wipe(account)
        return
    click.echo(
        "the notebook runs under your own account, which can read the gateway's keys: check what you trust, "
        "or run this as root",
        err=True,
    )
    yield None


def _values(tool: ToolNotebook, given: tuple[str, ...]) -> dict[str, Any]:
    """Parameters of the trial, by the types that the tool declares."""
    found: dict[str, Any] = {}
    for item in given:
        name, _, text = item.partition("=")
        schema = tool.parameters.get(name)
        if schema is None:
            raise click.UsageError(f"the tool declares no parameter `{name}`")
        try:
            match schema["type"]:
                case "integer":
                    found[name] = int(text)
                case "number":
                    found[name] = float(text)
                case "boolean":
                    found[name] = {"true": True, "false": False}[text]
                case _:
                    found[name] = text
        except (ValueError, KeyError) as error:
            raise click.UsageError(f"`{text}` is no {schema['type']} for `{name}`") from error
    return found


def _tell(tool: ToolNotebook, report: Mapping[str, Any]) -> None:
    """What the check found, as lines."""
    click.echo(f"{tool.name}: {tool.title}, version {tool.version[:_SHORT]}")
    click.echo(f"tried with the rights of {report['rights']}; the book has the run as {report['run']}")
    for title, key in (("sources", "sources"), ("tables", "tables"), ("actions", "actions")):
        click.echo(f"{title}:" + ("" if report[key] else " none"))
        for line in report[key]:
            click.echo(f"  {line}")
    for line in report["refused"]:
        click.echo(f"refused in the trial: {line}")
    for one in report["others"]:
        click.echo(f"would be refused to {one['to']}: {one['sentence']}")
    if not report["others"]:
        click.echo("nobody to whom the rules offer the tool would be refused what it asked for")


def _day(text: str | None) -> str:
    return f"{dt.datetime.fromisoformat(text):%Y-%m-%d %H:%M}" if text else ""

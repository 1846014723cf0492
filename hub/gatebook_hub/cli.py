"""What can be done from a shell? `gatebook serve`, `token`, `portal-link`, `policy`, `audit`, `source`."""

from __future__ import annotations

import datetime as dt
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from gatebook_hub import __version__
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.policy.loading import json_schema
from gatebook_hub.services import auditing
from gatebook_hub.services.identities import accept
from gatebook_hub.services.opening import OPERATOR, open_gate
from gatebook_hub.services.policies import UNCHECKED, check, load_policy, run_tests
from gatebook_hub.services.sessions import Sessions
from gatebook_hub.settings import Settings
from gatebook_hub.stores.book import Book
from gatebook_hub.stores.database import open_database
from gatebook_hub.stores.keys import load_keys
from gatebook_hub.tlog.errors import TlogError
from gatebook_hub.tlog.note import VerifyKey
from gatebook_server.process import die_with_parent

_STATE = click.option("--state", type=click.Path(path_type=Path), help="The state folder.")
_POLICIES = click.option("--policies", type=click.Path(path_type=Path), help="The policy folder.")


def _settings(**given: Any) -> Settings:
    """The settings of the environment, with the options on top."""
    return Settings(**{name: value for name, value in given.items() if value is not None})


class _Sentences(click.Group):
    """Known errors are a sentence and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        try:
            return super().invoke(ctx)
        except GatebookError as error:
            raise click.ClickException(f"{error.code} {error}") from error


@click.group(cls=_Sentences)
@click.version_option(__version__)
def main() -> None:
    """Gatebook: one audited gate in front of databases."""


@main.command()
@_STATE
@_POLICIES
@click.option("--host", "gateway_host", help="The portal's host name, as browsers see it.")
@click.option("--bind", "gateway_bind", help="Address to listen on.")
@click.option("--port", "gateway_port", type=int, help="Port to listen on.")
@click.option("--hub-api-url", envvar="JUPYTERHUB_API_URL", help="The Hub's API, if a Hub starts this.")
@click.option("--hub-api-token", envvar="JUPYTERHUB_API_TOKEN", hidden=True)
def serve(**given: Any) -> None:
    """Run the gateway: API and portal."""
    import uvicorn

    from gatebook_hub.app import make_app  # the web is slow to import, and no other command needs it

    settings = _settings(**given)
    if settings.hub_api_url:
        die_with_parent()
    with open_gate(settings) as gate:
        app = make_app(gate)
        click.echo(f"gatebook {__version__}: policy {gate.policy.revision}, portal {settings.portal_url}/", err=True)
        uvicorn.run(
            app,
            host=settings.gateway_bind,
            port=settings.gateway_port,
            server_header=False,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=5,
            proxy_headers=False,
        )


@main.group()
def token() -> None:
    """Tokens of programs that call the gateway."""


def _principal(user: str | None, service: str | None, groups: str) -> Principal:
    if (user is None) == (service is None):
        raise click.UsageError("give either --user or --service")
    names = frozenset(name.strip() for name in groups.split(",") if name.strip())
    kind = PrincipalKind.USER if user else PrincipalKind.SERVICE
    return Principal(kind=kind, name=str(user or service), groups=names, channel=Channel.ISSUED_TOKEN)


@token.command("issue")
@_STATE
@_POLICIES
@click.option("--user", help="A person's name.")
@click.option("--service", help="A service's name: tools, worker, metrics.")
@click.option("--groups", "--group", "groups", default="", help="Groups, separated by commas.")
@click.option("--ttl", default="1h", show_default=True, help="How long it lives: 30m, 1h, 7d.")
def issue(
    state: Path | None, policies: Path | None, user: str | None, service: str | None, groups: str, ttl: str
) -> None:
    """Print a new token; it is shown once and kept as a hash."""
    principal = _principal(user, service, groups)
    with open_gate(_settings(state=state, policies=policies)) as gate:
        secret, label = Sessions(gate).issue(OPERATOR, principal, _duration(ttl))
    click.echo(secret)
    click.echo(f"label {label}, for {principal.id}, lives {ttl}", err=True)


@token.command("revoke")
@_STATE
@_POLICIES
@click.argument("label")
def revoke(state: Path | None, policies: Path | None, label: str) -> None:
    """End a token by its label."""
    with open_gate(_settings(state=state, policies=policies)) as gate:
        Sessions(gate).revoke(OPERATOR, label)


@main.command("portal-link")
@_STATE
@_POLICIES
@click.option("--user", required=True, help="The person's name.")
@click.option("--groups", "--group", "groups", default="", help="Groups, separated by commas.")
def portal_link(state: Path | None, policies: Path | None, user: str, groups: str) -> None:
    """Print a link that opens one portal session within five minutes, where there is no Hub to log in at."""
    settings = _settings(state=state, policies=policies)
    with open_gate(settings) as gate:
        secret = Sessions(gate).make_link(OPERATOR, _principal(user, None, groups))
    click.echo(f"{settings.portal_url}/sign-in?code={secret}")


@main.group()
def policy() -> None:
    """The policy set."""


@policy.command("check")
@_STATE
@_POLICIES
def policy_check(state: Path | None, policies: Path | None) -> None:
    """Validate the files and compare them with the live schemas."""
    settings = _settings(state=state, policies=policies)
    policy_set, sources = load_policy(settings.policies, settings.state)
    findings = list(check(policy_set, sources))
    for finding in findings:
        click.echo(str(finding))
    errors = sum(finding.is_error or finding.id == UNCHECKED for finding in findings)
    click.echo(f"policy {policy_set.revision}: {errors} errors, {len(findings) - errors} warnings")
    sys.exit(1 if errors else 0)


@policy.command("test")
@_STATE
@_POLICIES
def policy_test(state: Path | None, policies: Path | None) -> None:
    """Decide every expectation in `tests/`; nothing is executed."""
    settings = _settings(state=state, policies=policies)
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


@main.group()
def audit() -> None:
    """The book."""


@audit.command("checkpoint")
@_STATE
def audit_checkpoint(state: Path | None) -> None:
    """Print the newest signed checkpoint, to be kept elsewhere."""
    with _open_book(_settings(state=state)) as book:
        click.echo(book.checkpoint(), nl=False)


@audit.command("export")
@_STATE
@click.argument("folder", type=click.Path(path_type=Path))
def audit_export(state: Path | None, folder: Path) -> None:
    """Write the whole log as C2SP tlog-tiles, with its checkpoints and the public key."""
    settings = _settings(state=state)
    with _open_book(settings) as book:
        public = (settings.state / "keys" / "book.pub").read_text(encoding="utf-8").strip()
        size = auditing.export(book, folder, public_key=public)
    click.echo(f"{size} events in {folder}")


@audit.command("verify")
@_STATE
@click.option("--export", "folder", type=click.Path(path_type=Path, exists=True), help="Verify an export, offline.")
@click.option("--key", type=click.Path(path_type=Path, exists=True), help="The public key, kept by the auditor.")
@click.option(
    "--checkpoint", "kept", multiple=True, type=click.Path(path_type=Path, exists=True), help="Kept elsewhere."
)
def audit_verify(state: Path | None, folder: Path | None, key: Path | None, kept: tuple[Path, ...]) -> None:
    """Verify that no event was changed, removed, reordered or cut off; says where."""
    settings = _settings(state=state)
    public = key or ((folder / "book.pub") if folder else settings.state / "keys" / "book.pub")
    try:
        verifier = VerifyKey.parse(_text_of(public).strip())
    except TlogError as error:
        raise click.ClickException(f"{public}: {error}") from error
    notes = {str(path): _text_of(path) for path in kept}
    if folder is not None:
        report, broken = auditing.verify_export(folder, verifier, notes)
    else:
        with _open_book(settings) as book:
            report, broken = auditing.verify(book, verifier, notes)
    for sentence in (*broken, *report.sentences):
        click.echo(sentence)
    is_good = report.ok and not broken
    click.echo(f"verified: {report.covered} events" if is_good else "NOT VERIFIED")
    sys.exit(0 if is_good else 1)


@main.group()
def source() -> None:
    """Governed databases."""


@source.command("prepare")
@_STATE
@_POLICIES
@click.argument("name")
def source_prepare(state: Path | None, policies: Path | None, name: str) -> None:
    """Make the ledger table, without which a source takes no approved writes."""
    with open_gate(_settings(state=state, policies=policies)) as gate:
        gate.in_force.sources.get(name).prepare()
    click.echo(f"{name} is ready for approved writes")


@source.command("accept")
@_STATE
@_POLICIES
@click.argument("name")
def source_accept(state: Path | None, policies: Path | None, name: str) -> None:
    """Take the database that answers now as the source, after it stopped because another one answered."""
    with open_gate(_settings(state=state, policies=policies)) as gate:
        identity = accept(gate, name)
    click.echo(f"{name} is now {identity}")


@main.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from gatebook_hub.app import openapi_document

    click.echo(json.dumps(openapi_document(), indent=2))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error


def _open_book(settings: Settings) -> Any:
    path = settings.state / "book" / "book.sqlite"
    if not path.exists():
        raise click.ClickException(f"there is no book in {settings.state}")
    return closing(Book(open_database(path, "book"), load_keys(settings.state / "keys").signing))


def _duration(text: str) -> dt.timedelta:
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    if text[-1:] not in units or not text[:-1].isdigit():
        raise click.UsageError(f"`{text}` is not a duration such as 30m, 1h or 7d")
    return dt.timedelta(**{units[text[-1]]: int(text[:-1])})


if __name__ == "__main__":
    main()

"""How do programs and people get in without a Hub? Tokens, and links that open a portal session."""

from __future__ import annotations

from pathlib import Path

import click

from gatebook_hub.cli.options import POLICIES, STATE, duration, names_of, settings_of
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.opening import OPERATOR, open_gate
from gatebook_hub.services.sessions import Sessions


@click.group()
def token() -> None:
    """Tokens of programs that call the gateway."""


def _principal(user: str | None, service: str | None, groups: str) -> Principal:
    if (user is None) == (service is None):
        raise click.UsageError("give either --user or --service")
    kind = PrincipalKind.USER if user else PrincipalKind.SERVICE
    return Principal(kind=kind, name=str(user or service), groups=names_of(groups), channel=Channel.ISSUED_TOKEN)


@token.command("issue")
@STATE
@POLICIES
@click.option("--user", help="A person's name.")
@click.option("--service", help="A service's name: tools, worker, metrics.")
@click.option("--groups", "--group", "groups", default="", help="Groups, separated by commas.")
@click.option("--ttl", default="1h", show_default=True, help="How long it lives: 30m, 1h, 7d.")
def issue(
    state: Path | None, policies: Path | None, user: str | None, service: str | None, groups: str, ttl: str
) -> None:
    """Print a new token; it is shown once and kept as a hash."""
    principal = _principal(user, service, groups)
    with open_gate(settings_of(state=state, policies=policies)) as gate:
        secret, label = Sessions(gate).issue(OPERATOR, principal, duration(ttl))
    click.echo(secret)
    click.echo(f"label {label}, for {principal.id}, lives {ttl}", err=True)


@token.command("revoke")
@STATE
@POLICIES
@click.argument("label")
def revoke(state: Path | None, policies: Path | None, label: str) -> None:
    """End a token by its label."""
    with open_gate(settings_of(state=state, policies=policies)) as gate:
        Sessions(gate).revoke(OPERATOR, label)


@click.command("portal-link")
@STATE
@POLICIES
@click.option("--user", required=True, help="The person's name.")
@click.option("--groups", "--group", "groups", default="", help="Groups, separated by commas.")
def portal_link(state: Path | None, policies: Path | None, user: str, groups: str) -> None:
    """Print a link that opens one portal session within five minutes, where there is no Hub to log in at."""
    settings = settings_of(state=state, policies=policies)
    with open_gate(settings) as gate:
        secret = Sessions(gate).make_link(OPERATOR, _principal(user, None, groups))
    click.echo(f"{settings.portal_url}/sign-in?code={secret}")

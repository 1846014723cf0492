"""Does a channel work? One message without any content, sent from here and now."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from gatebook_hub import policy
from gatebook_hub.changes import Message
from gatebook_hub.cli.options import POLICIES, settings_of
from gatebook_hub.services.preferring import address_in
from gatebook_hub.services.sending import send
from gatebook_hub.stores.policies import read_policies


@click.command("notify")
@POLICIES
@click.argument("channel")
@click.option("--user", help="The person, for a personal channel.")
def notify(policies: Path | None, channel: str, user: str | None) -> None:
    """Send a test message to a channel of notifications.yaml, whose URL this shell's environment has."""
    settings = settings_of(policies=policies)
    told = policy.load(read_policies(settings.policies)).notifications
    known: policy.NoticeChannel | policy.PersonalChannel | None
    if user is None:
        known = told.channels.get(channel)
        url = os.environ.get(known.url_env, "") if known else ""
    else:
        known = told.personal.get(channel)
        url = (address_in(known, user) or "") if known else ""
    if known is None:
        raise click.ClickException(f"there is no such channel `{channel}` in notifications.yaml")
    if not url:
        raise click.ClickException(f"`{known.url_env}` has no URL" + (f" that takes the name `{user}`" if user else ""))
    body = f"Messages about change requests come here.\n{settings.portal_url}"
    message = Message(title="Gatebook: a test", body=body)
    is_sent = send(url, message)
    click.echo(f"channel {channel}: {'sent' if is_sent else 'not sent'}")
    sys.exit(0 if is_sent else 1)

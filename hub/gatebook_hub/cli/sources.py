"""What can be done to a governed database from a shell?"""

from __future__ import annotations

from pathlib import Path

import click

from gatebook_hub.cli.options import POLICIES, STATE, settings_of
from gatebook_hub.services.policies import load_policy


@click.group()
def source() -> None:
    """Governed databases."""


@source.command("prepare")
@STATE
@POLICIES
@click.argument("name")
def source_prepare(state: Path | None, policies: Path | None, name: str) -> None:
    """Make the ledger table, without which a source takes no approved writes."""
    settings = settings_of(state=state, policies=policies)
    _, sources = load_policy(settings.policies, settings.state)
    sources.get(name).prepare()
    click.echo(f"{name} is ready for approved writes")

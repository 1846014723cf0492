"""What can be done to a governed database from a shell?"""

from __future__ import annotations

from pathlib import Path

import click

from gatebook_hub.cli.options import POLICIES, STATE, settings_of
from gatebook_hub.services.identities import accept
from gatebook_hub.services.opening import open_gate


@click.group()
def source() -> None:
    """Governed databases."""


@source.command("prepare")
@STATE
@POLICIES
@click.argument("name")
def source_prepare(state: Path | None, policies: Path | None, name: str) -> None:
    """Make the ledger table, without which a source takes no approved writes."""
    with open_gate(settings_of(state=state, policies=policies)) as gate:
        gate.in_force.sources.get(name).prepare()
    click.echo(f"{name} is ready for approved writes")


@source.command("accept")
@STATE
@POLICIES
@click.argument("name")
def source_accept(state: Path | None, policies: Path | None, name: str) -> None:
    """Take the database that answers now as the source, after it stopped because another one answered."""
    with open_gate(settings_of(state=state, policies=policies)) as gate:
        identity = accept(gate, name)
    click.echo(f"{name} is now {identity}")

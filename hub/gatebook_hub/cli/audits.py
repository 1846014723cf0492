"""What can an auditor do from a shell? Checkpoints, exports, and verifying both."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gatebook_hub.cli.options import STATE, open_book, settings_of, text_of
from gatebook_hub.services import auditing
from gatebook_hub.tlog.errors import TlogError
from gatebook_hub.tlog.note import VerifyKey


@click.group()
def audit() -> None:
    """The book."""


@audit.command("checkpoint")
@STATE
def audit_checkpoint(state: Path | None) -> None:
    """Print the newest signed checkpoint, to be kept elsewhere."""
    with open_book(settings_of(state=state)) as book:
        click.echo(book.checkpoint(), nl=False)


@audit.command("export")
@STATE
@click.argument("folder", type=click.Path(path_type=Path))
def audit_export(state: Path | None, folder: Path) -> None:
    """Write the whole log as C2SP tlog-tiles, with its checkpoints and the public key."""
    settings = settings_of(state=state)
    with open_book(settings) as book:
        public = (settings.state / "keys" / "book.pub").read_text(encoding="utf-8").strip()
        size = auditing.export(book, folder, public_key=public)
    click.echo(f"{size} events in {folder}")


@audit.command("verify")
@STATE
@click.option("--export", "folder", type=click.Path(path_type=Path, exists=True), help="Verify an export, offline.")
@click.option("--key", type=click.Path(path_type=Path, exists=True), help="The public key, kept by the auditor.")
@click.option(
    "--checkpoint", "kept", multiple=True, type=click.Path(path_type=Path, exists=True), help="Kept elsewhere."
)
def audit_verify(state: Path | None, folder: Path | None, key: Path | None, kept: tuple[Path, ...]) -> None:
    """Verify that no event was changed, removed, reordered or cut off; says where."""
    settings = settings_of(state=state)
    public = key or ((folder / "book.pub") if folder else settings.state / "keys" / "book.pub")
    try:
        verifier = VerifyKey.parse(text_of(public).strip())
    except TlogError as error:
        raise click.ClickException(f"{public}: {error}") from error
    notes = {str(path): text_of(path) for path in kept}
    if folder is not None:
        report, broken = auditing.verify_export(folder, verifier, notes)
    else:
        with open_book(settings) as book:
            report, broken = auditing.verify(book, verifier, notes)
    for sentence in (*broken, *report.sentences):
        click.echo(sentence)
    is_good = report.ok and not broken
    click.echo(f"verified: {report.covered} events" if is_good else "NOT VERIFIED")
    sys.exit(0 if is_good else 1)

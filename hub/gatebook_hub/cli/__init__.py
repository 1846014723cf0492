"""What can be done from a shell? `gatebook serve`, `token`, `portal-link`, `policy`, `audit`, `source`, `tool`, …"""

from __future__ import annotations

from typing import Any

import click

from gatebook_hub import __version__
from gatebook_hub.cli import audits, notifying, policies, serving, sources, tokens, tools
from gatebook_hub.errors import GatebookError


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


for _command in (
    serving.serve, tokens.token, tokens.portal_link, policies.policy, audits.audit, sources.source, notifying.notify,
    tools.tool, serving.openapi,
):  # fmt: skip
    main.add_command(_command)

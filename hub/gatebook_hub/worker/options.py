"""What does the worker have to be told? Read once at the start, from arguments and from what the Hub sets."""

from __future__ import annotations

import argparse
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

PLACES = 2
_SECRETS = ("GATEBOOK_WORKER_TOKEN", "JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All options of one worker."""

    gateway_url: str
    notebooks: Path
    launcher: Path | None
    """The launcher's socket; without it kernels run under this worker's own account."""
    places: int
    """How many runs may go on at once; the launcher has as many accounts."""
    token: str = field(repr=False)

    @classmethod
    def read(cls, arguments: Sequence[str], environment: MutableMapping[str, str]) -> Self:
        """Read the options; the secrets among them are taken out of the environment."""
        given = environment.get
        tokens = [environment.pop(name, "") for name in _SECRETS]
        parser = argparse.ArgumentParser(prog="gatebook_hub.worker", description="Runs the notebooks of jobs.")
        parser.add_argument("--gateway-url", default=given("GATEBOOK_GATEWAY_URL", "http://127.0.0.1:8001"))
        parser.add_argument("--notebooks", type=Path, default=Path(given("GATEBOOK_NOTEBOOKS", "notebooks")))
        parser.add_argument("--places", type=int, default=PLACES, help="runs that may go on at once")
        options = parser.parse_args(arguments)
        token = next(filter(None, tokens), "")
        if not token:
            parser.error("no token: start this as a service of JupyterHub, or set GATEBOOK_WORKER_TOKEN")
        launcher = given("GATEBOOK_LAUNCHER", "")
        return cls(
            gateway_url=options.gateway_url.rstrip("/"),
            notebooks=options.notebooks.resolve(),
            launcher=Path(launcher) if launcher else None,
            places=max(1, options.places),
            token=token,
        )

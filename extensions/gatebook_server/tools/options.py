"""What does the tools service have to be told? Read once at the start, from arguments and from what the Hub sets."""

from __future__ import annotations

import argparse
import json
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

READY = 1
SPARE = 2
PER_VIEWER = 2
IDLE_S = 1800
VANISHED_S = 300
LOOK_S = 2.0
_SECRETS = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """All options of one service."""

    prefix: str
    """The path below which the proxy finds this service; begins and ends with a slash."""
    port: int
    gateway_url: str
    launcher: Path | None
    """The launcher's socket; without it kernels run under this service's own account."""
    hub_api_url: str
    client_id: str
    api_token: str = field(repr=False)
    access_scopes: frozenset[str] = field(default_factory=frozenset)
    ready: int = READY
    """Pages kept ready per tool."""
    spare: int = SPARE
    """Kernels kept ready for any tool, with what tools need loaded and no cell run."""
    seats: int | None = None
    """Kernels that there may be at once; None without a launcher, which is what bounds them."""
    processes: int = 1
    """Processes that serve; each has its own part of the seats, and keeps its own pages and kernels ready."""
    process: int | None = None
    """Which of them this is, counted from 0; None where there is one."""
    per_viewer: int = PER_VIEWER
    """Pages a viewer may have open; the oldest one closes."""
    idle_s: int = IDLE_S
    """After this many seconds without activity a page's kernel ends."""
    vanished_s: int = VANISHED_S
    """After this many seconds without its page a kernel ends."""
    look_s: float = LOOK_S
    """Seconds between looks for other versions of tools."""

    @classmethod
    def read(cls, arguments: Sequence[str], environment: MutableMapping[str, str]) -> Self:
        """Read the options; the secrets among them are taken out of the environment."""
        given = environment.get
        secrets = [environment.pop(name, "") for name in _SECRETS]
        parser = argparse.ArgumentParser(prog="gatebook_server.tools", description="Serves curated notebooks as tools.")
        parser.add_argument("--gateway-url", default=given("GATEBOOK_GATEWAY_URL", "http://127.0.0.1:8001"))
        parser.add_argument("--port", type=int, default=_port(environment))
        ready, spare = (
            int(given(f"GATEBOOK_TOOLS_{name}", usual)) for name, usual in (("READY", READY), ("SPARE", SPARE))
        )
        parser.add_argument("--ready", type=int, default=ready, help="pages kept ready per tool")
        parser.add_argument("--spare", type=int, default=spare, help="kernels kept ready for any tool")
        processes = int(given("GATEBOOK_TOOLS_PROCESSES", "1"))
        parser.add_argument("--processes", type=int, default=processes, help="processes that serve")
        parser.add_argument("--per-viewer", type=int, default=PER_VIEWER, help="pages a viewer may have open")
        parser.add_argument("--idle-s", type=int, default=IDLE_S, help="seconds until an unused page's kernel ends")
        parser.add_argument("--vanished-s", type=int, default=VANISHED_S, help="the same, once the page is gone")
        parser.add_argument("--look-s", type=float, default=LOOK_S, help="seconds between looks for other versions")
        options = parser.parse_args(arguments)
        if not all((secrets[0], given("JUPYTERHUB_API_URL"), given("JUPYTERHUB_CLIENT_ID"))):
            parser.error("this is a service of JupyterHub, which starts it with what it needs")
        launcher = given("GATEBOOK_LAUNCHER", "")
        seats = int(given("GATEBOOK_TOOL_SLOTS", "0")) if launcher else 0
        if options.processes < 1 or 0 < seats < options.processes:
            parser.error("there are more processes than kernels for them")
        return cls(
            prefix=f"/{given('JUPYTERHUB_SERVICE_PREFIX', '/services/tools/').strip('/')}/",
            port=options.port,
            gateway_url=options.gateway_url.rstrip("/"),
            launcher=Path(launcher) if launcher else None,
            hub_api_url=environment["JUPYTERHUB_API_URL"],
            client_id=environment["JUPYTERHUB_CLIENT_ID"],
            api_token=secrets[0],
            access_scopes=frozenset(json.loads(given("JUPYTERHUB_OAUTH_ACCESS_SCOPES", "[]"))),
            ready=options.ready,
            spare=options.spare,
            seats=seats or None,
            processes=options.processes,
            per_viewer=max(1, options.per_viewer),
            idle_s=options.idle_s,
            vanished_s=options.vanished_s,
            look_s=options.look_s,
        )

    def of_process(self, number: int) -> Self:
        """The options of one of several processes."""
        seats = self.seats
        if seats is not None:
            seats = seats // self.processes + (number < seats % self.processes)
        return replace(self, process=number, seats=seats)


def _port(environment: MutableMapping[str, str]) -> int:
    announced = urlsplit(environment.get("JUPYTERHUB_SERVICE_URL", "")).port
    return announced or int(environment.get("GATEBOOK_TOOLS_PORT", "8083"))

"""A real gateway without a Hub: its own process, port and state folder over a copy of the demo database.

    with Gateway(folder, chinook_template) as gateway:
        token = gateway.token("analyst", "analysts")      # for the API and the client
        link = gateway.link("reviewer", "reviewers")      # opens one portal session, once
        httpx.get(f"{gateway.url}/api/v1/me", headers={"Authorization": f"Bearer {token}"})

`folder` may be pytest's `tmp_path`; `chinook_template` comes from `tests/fixtures/chinook.py` and is copied, so that a
test may write. Tokens and links are made with the command line, as an operator makes them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from playwright.sync_api import Browser, Page

APP = Path(os.environ.get("GBTEST_APP", Path(__file__).resolve().parents[2]))
_START_S = 60.0
_COMMAND_S = 60.0


class Gateway:
    """One gateway process; `start` and `stop`, or a `with` block. A second `start` finds the state of the first."""

    def __init__(
        self,
        folder: Path,
        chinook: Path,
        *,
        policies: Path = APP / "policies",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment` adds settings (`GATEBOOK_…`) to those that this class sets."""
        self.state = folder / "state"
        self.log = folder / "gateway.log"
        self.database = self.state / "databases" / "chinook.sqlite"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._policies = policies
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[tuple[str, ...], str] = {}
        self.database.parent.mkdir(parents=True)
        self.state.chmod(0o700)
        shutil.copyfile(chinook, self.database)
        self.database.chmod(0o600)
        self.command("source", "prepare", "chinook")

    @property
    def pid(self) -> int:
        """The gateway's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start the gateway and wait until it answers."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_GATEBOOK, "serve"],
                cwd=self.state,
                env=self._settings(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _START_S
        while True:
            assert self._process.poll() is None, f"the gateway ended:\n{self.tail()}"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/healthz", timeout=5.0).status_code == 200:
                    return self
            assert time.monotonic() < deadline, f"the gateway does not answer:\n{self.tail()}"
            time.sleep(0.1)

    def stop(self) -> None:
        """End this gateway's process; its state stays."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(20.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10.0)
        self._process = None

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.stop()

    def command(self, *arguments: str) -> str:
        """Run `gatebook …` with this gateway's settings and return what it printed; a failure is an AssertionError."""
        done = subprocess.run(
            [*_GATEBOOK, *arguments],
            cwd=self.state,
            env=self._settings(),
            capture_output=True,
            text=True,
            timeout=_COMMAND_S,
            check=False,
        )
        assert done.returncode == 0, f"gatebook {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def token(self, user: str, *groups: str) -> str:
        """A token of a person, for the API and `gatebook.connect`; the same one each time for the same groups."""
        known = (user, *groups)
        if known not in self._tokens:
            self._tokens[known] = self.command("token", "issue", "--user", user, "--groups", ",".join(groups))
        return self._tokens[known]

    def link(self, user: str, *groups: str) -> str:
        """A new link that opens one portal session of a person, once, within five minutes."""
        return self.command("portal-link", "--user", user, "--groups", ",".join(groups))

    def person(self, user: str, *groups: str) -> PortalPerson:
        """Somebody with a portal session, who looks at pages and presses buttons without a browser."""
        return PortalPerson(self, self.link(user, *groups))

    def rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the database itself, past the gate."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=10.0)) as connection, connection:
            return connection.execute(statement, values).fetchall()

    def tail(self, lines: int = 40) -> str:
        """The end of the gateway's log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def _settings(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEBOOK_", "JUPYTERHUB_"))}
        ours = {
            "GATEBOOK_STATE": str(self.state),
            "GATEBOOK_POLICIES": str(self._policies),
            "GATEBOOK_NOTEBOOKS": str(APP / "notebooks"),
            "GATEBOOK_GATEWAY_PORT": str(self.port),
        }
        return kept | ours | self._environment


class PortalPerson:
    """A portal session over plain HTTP: what a browser sends, with nothing that a browser adds by itself."""

    def __init__(self, gateway: Gateway, link: str) -> None:
        self.gateway = gateway
        self.http = httpx.Client(base_url=gateway.url, timeout=30.0, trust_env=False)
        page = self.http.get(link)
        assert page.status_code == 200, page.text
        fields = {"xsrf": field(page.text, "xsrf"), "code": field(page.text, "code")}
        answer = self.http.post("/sign-in", data=fields, headers={"Origin": gateway.url})
        assert answer.status_code == 303, answer.text

    def get(self, path: str, **more: Any) -> httpx.Response:
        """Look at a page; redirects are not followed."""
        return self.http.get(path, **more)

    def press(self, path: str, *, origin: str | None = "", **fields: str) -> httpx.Response:
        """Press a button: the session's xsrf token unless given, the portal's own Origin unless given (None: none)."""
        headers = {} if origin is None else {"Origin": origin or self.gateway.url}
        data = fields if "xsrf" in fields else {"xsrf": self.xsrf, **fields}
        return self.http.post(path, data=data, headers=headers)

    @property
    def xsrf(self) -> str:
        """The token that this session's forms carry."""
        return field(self.get("/").text, "xsrf")

    @contextlib.contextmanager
    def in_browser(self, browser: Browser, **more: Any) -> Iterator[Page]:
        """A page of a browser of its own that has this session."""
        context = browser.new_context(reduced_motion="reduce", **more)
        try:
            cookies: list[Any] = [
                {"name": name, "value": value, "url": self.gateway.url, "httpOnly": True, "sameSite": "Lax"}
                for name, value in self.http.cookies.items()
            ]
            context.add_cookies(cookies)
            yield context.new_page()
        finally:
            context.close()

    def close(self) -> None:
        """Close the connections; the session stays open at the gateway."""
        self.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.close()


def field(page: str, name: str) -> str:
    """The value of a hidden field of a page; the first one of that name."""
    return page.split(f'name="{name}" value="', 1)[1].split('"', 1)[0]


_GATEBOOK = (sys.executable, "-m", "gatebook_hub.cli")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])

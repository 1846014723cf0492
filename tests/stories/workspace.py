"""A whole Gatebook: a real Hub with its own state, ports and Linux accounts, and people who use it over HTTP."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import httpx
import psutil
from websocket import WebSocket, create_connection

from gatebook_hub.demo import fetch
from gatebook_hub.front.accounts import Accounts, may_isolate
from gatebook_hub.hubconfig import hub_folder
from gatebook_hub.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType


# `make test` names a copy that other Linux users can read, where they cannot reach the checkout.
APP = Path(os.environ.get("GBTEST_APP", Path(__file__).resolve().parents[2]))
_START_S = 90.0
_SPAWN_S = 120.0
_STOP_S = 60.0
_CELL_S = 60.0
_PORTS = ("hub_port", "hub_internal_port", "proxy_api_port", "gateway_port", "tools_port")


def free_ports(count: int) -> tuple[int, ...]:
    """Return ports that nothing listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(one.getsockname()[1] for one in sockets)


class CellFailed(AssertionError):
    """A cell raised; the text is its traceback."""


class Workspace:
    """A running Hub. As root every part has an account of its own, which `stop` removes; else it is trial mode."""

    config: ClassVar[Path] = APP / "jupyterhub_config.py"

    def __init__(
        self, *, services: tuple[str, ...] = ("gateway",), environment: Mapping[str, str] | None = None
    ) -> None:
        # Not pytest's tmp_path, which is 0700: the accounts of gateway and users must get through to what is theirs.
        self.folder = Path(tempfile.mkdtemp(prefix="gatebook-story-"))
        self.folder.chmod(0o711)
        ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
        self.settings = Settings(
            _env_file=None,
            state=self.folder / "state",
            policies=APP / "policies",
            notebooks=APP / "notebooks",
            cache=self.folder / "cache",
            services=services,
            demo=True,
            account_prefix=f"t{secrets.token_hex(3)}-",
            **ports,
        )
        self.log = self.folder / "hub.log"
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_isolated(self) -> bool:
        """Whether parts run under Linux accounts of their own."""
        return may_isolate()

    @property
    def hub_folder(self) -> Path:
        """The Hub's own folder."""
        return hub_folder(self.settings)

    @cached_property
    def accounts(self) -> Accounts:
        """The Linux accounts of this workspace."""
        return Accounts(self.settings.account_prefix, self.settings.home_root)

    @property
    def pid(self) -> int:
        """The Hub's process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        """Start the Hub and wait until Hub and gateway answer."""
        self._fill_cache()
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GATEBOOK_", "JUPYTER"))}
        ours = {
            f"GATEBOOK_{name.upper()}": str(getattr(self.settings, name))
            for name in (*_PORTS, "state", "policies", "notebooks", "cache", "account_prefix", "demo")
        }
        environment = kept | ours | {
            "GATEBOOK_SERVICES": json.dumps(self.settings.services),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        } | self._environment  # fmt: skip
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", str(self.config)],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_for(f"{self.settings.hub_url}/hub/login")
        if "gateway" in self.settings.services:
            self._wait_for(f"{self.settings.portal_url}/healthz")
        if "tools" in self.settings.services:
            self._wait_for(f"{self.settings.hub_url}/services/tools/")
        return self

    def _fill_cache(self) -> None:
        # The gateway of a story asks no package index: it finds what the session's tests have fetched already.
        archive = fetch(Path(os.environ.get("GATEBOOK_CACHE") or APP / ".state" / "cache"))
        kept = self.folder / "cache" / archive.name
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(archive, kept)
        kept.parent.chmod(0o755)
        kept.chmod(0o644)

    def _wait_for(self, url: str) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, f"the Hub ended:\n{self.tail()}"
            with contextlib.suppress(httpx.TransportError):
                status = httpx.get(url, timeout=5.0).status_code
                # 404: the proxy has no such route yet.
                if status < 500 and status != 404:
                    return
            time.sleep(0.2)
        message = f"{url} does not answer:\n{self.tail()}"
        raise AssertionError(message)

    def tail(self, lines: int = 60) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-lines:])

    def processes(self) -> list[psutil.Process]:
        """Return the Hub and all that descends from it."""
        try:
            hub = psutil.Process(self.pid)
        except psutil.NoSuchProcess:
            return []
        return [hub, *hub.children(recursive=True)]

    def signal(self, signum: int = signal.SIGTERM) -> list[psutil.Process]:
        """Signal the Hub alone, wait until it has ended, and return those of its processes that still run."""
        assert self._process is not None
        processes = self.processes()
        self._process.send_signal(signum)
        self._process.wait(_STOP_S)
        _gone, alive = psutil.wait_procs(processes, timeout=15.0)
        return [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]

    def stop(self) -> None:
        """Stop everything, remove accounts, homes and state."""
        leftover: list[psutil.Process] = []
        if self._process is not None and self._process.poll() is None:
            leftover = self.signal()
            for process in leftover:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        self._process = None
        if self.is_isolated:
            self.accounts.remove()
            shutil.rmtree(self.settings.home_root / f"{self.settings.account_prefix}run", ignore_errors=True)
        tail = self.tail(30) if self.log.exists() else ""
        shutil.rmtree(self.folder, ignore_errors=True)
        assert not leftover, f"these outlived the Hub: {leftover}\n{tail}"

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

    def password(self, name: str) -> str:
        """Return a demo account's password, as the person who started the Hub would read it."""
        lines = (self.hub_folder / "demo-passwords").read_text("utf-8").splitlines()
        return dict(line.split(" ", 1) for line in lines)[name]

    def person(self, name: str) -> Person:
        """Return somebody who has logged in at the Hub."""
        person = Person(self, name)
        answer = person.log_in(self.password(name))
        assert answer.status_code in (200, 302, 303), answer.text
        return person


class Person:
    """Somebody with a browser's cookies: at the Hub, at their own server, and (another host) at the portal."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.workspace = workspace
        self.name = name
        self.browser = httpx.Client(timeout=60.0, trust_env=False)
        self.hub = workspace.settings.hub_url
        self.server = f"{self.hub}/user/{name}"

    def close(self) -> None:
        """Close the browser."""
        self.browser.close()

    def log_in(self, password: str) -> httpx.Response:
        """Fill in the login form; the answer is not followed."""
        self.browser.get(f"{self.hub}/hub/login")
        form = {"username": self.name, "password": password, "_xsrf": self._xsrf("/hub/")}
        return self.browser.post(f"{self.hub}/hub/login", data=form)

    def hub_api(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call the Hub's API as this person's browser would."""
        headers = {"X-XSRFToken": self._xsrf("/hub/"), **more.pop("headers", {})}
        return self.browser.request(method, f"{self.hub}/hub/api/{path}", headers=headers, **more)

    def start_server(self) -> Self:
        """Start this person's server, wait for it, and log in to it."""
        answer = self.hub_api("POST", f"users/{self.name}/server")
        assert answer.status_code in (201, 202), answer.text
        deadline = time.monotonic() + _SPAWN_S
        while not self.hub_api("GET", f"users/{self.name}").json().get("server"):
            assert time.monotonic() < deadline, self.workspace.tail()
            time.sleep(0.3)
        page = self.browser.get(f"{self.server}/lab", follow_redirects=True)
        assert page.status_code == 200, page.text
        return self

    def stop_server(self) -> None:
        """Stop this person's server and wait for its end."""
        answer = self.hub_api("DELETE", f"users/{self.name}/server")
        assert answer.status_code in (202, 204), answer.text
        deadline = time.monotonic() + _STOP_S
        while self.hub_api("GET", f"users/{self.name}").json().get("servers"):
            assert time.monotonic() < deadline, self.workspace.tail()
            time.sleep(0.3)

    def server_api(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Call this person's Jupyter server as their browser would."""
        headers = {"X-XSRFToken": self._xsrf(f"/user/{self.name}/"), **more.pop("headers", {})}
        return self.browser.request(method, f"{self.server}/api/{path}", headers=headers, **more)

    @contextlib.contextmanager
    def notebook(self, path: str = "story.ipynb") -> Iterator[Kernel]:
        """Open a fresh notebook: a session with a kernel, shut down at the end."""
        body = {"path": path, "name": path, "type": "notebook", "kernel": {"name": "python3"}}
        answer = self.server_api("POST", "sessions", json=body)
        assert answer.status_code == 201, answer.text
        session = answer.json()
        kernel = Kernel(person=self, id=session["kernel"]["id"])
        try:
            yield kernel
        finally:
            self.server_api("DELETE", f"sessions/{session['id']}")

    def websocket(self, path: str, *, timeout_s: float = _CELL_S) -> WebSocket:
        """Open a websocket of this person's server."""
        address = f"{self.server}/{path}".replace("http", "ws", 1)
        cookies = httpx.Request("GET", f"{self.server}/api", cookies=self.browser.cookies).headers.get("Cookie", "")
        xsrf = self._xsrf(f"/user/{self.name}/")
        return create_connection(address, timeout=timeout_s, cookie=cookies, header={"X-XSRFToken": xsrf})

    def _xsrf(self, path: str) -> str:
        for cookie in self.browser.cookies.jar:
            if cookie.name == "_xsrf" and cookie.path == path:
                return cookie.value or ""
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A kernel of a person's server, driven as JupyterLab drives it."""

    person: Person
    id: str

    def run(self, code: str, *, timeout_s: float = _CELL_S) -> str:
        """Execute a cell and return what it printed; raise `CellFailed` with its traceback."""
        outputs = self.execute(code, timeout_s=timeout_s)
        errors = [output for output in outputs if output["output_type"] == "error"]
        if errors:
            raise CellFailed("\n".join(errors[0]["traceback"]))
        return "".join(output["text"] for output in outputs if output["output_type"] == "stream").strip()

    def execute(self, code: str, *, timeout_s: float = _CELL_S) -> list[dict[str, Any]]:
        """Execute a cell and return its outputs in the form of a notebook file."""
        message_id = uuid.uuid4().hex
        header = {"msg_id": message_id, "msg_type": "execute_request", "username": "", "session": uuid.uuid4().hex,
                  "date": "", "version": "5.3"}  # fmt: skip
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False,
                   "stop_on_error": True}  # fmt: skip
        request = {"channel": "shell", "header": header, "parent_header": {}, "metadata": {}, "content": content,
                   "buffers": []}  # fmt: skip
        outputs: list[dict[str, Any]] = []
        deadline = time.monotonic() + timeout_s
        address = f"api/kernels/{self.id}/channels?session_id={header['session']}"
        with contextlib.closing(self.person.websocket(address)) as channel:
            channel.send(json.dumps(request))
            while True:
                channel.settimeout(max(deadline - time.monotonic(), 0.1))
                message = json.loads(channel.recv())
                if message["parent_header"].get("msg_id") != message_id or message["channel"] != "iopub":
                    continue
                kind, body = message["msg_type"], message["content"]
                if kind == "status" and body["execution_state"] == "idle":
                    return outputs
                if kind in ("stream", "display_data", "execute_result", "error", "update_display_data"):
                    outputs.append({"output_type": kind, **body})

    def restart(self) -> None:
        """Restart the kernel."""
        answer = self.person.server_api("POST", f"kernels/{self.id}/restart")
        assert answer.status_code == 200, answer.text

    def interrupt(self) -> None:
        """Interrupt the running cell."""
        answer = self.person.server_api("POST", f"kernels/{self.id}/interrupt")
        assert answer.status_code == 204, answer.text

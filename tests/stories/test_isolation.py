"""A kernel and every account get what is theirs, and nothing else: attacks on a running workspace, which must all fail.

As root every part has a Linux account of its own. In trial mode there is one for all, so what only accounts can protect
is skipped there, with that reason.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from tests.stories.workspace import CellFailed, Kernel, Person, Workspace

from gatebook_hub.front.accounts import may_isolate

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.hub, pytest.mark.adversary]
isolated = pytest.mark.skipif(not may_isolate(), reason="trial mode: one Linux account, so nothing keeps files apart")

TOKEN_NAMES = re.compile(r"JUPYTERHUB|JPY_|CONFIGPROXY|SECRET|PASSWORD")

CALL = """
import json, os, urllib.error, urllib.request
def call(url, *, method="GET", token=os.environ["GATEBOOK_TOKEN"], scheme="GateToken", body=None, headers={}):
    heads = {**({"Authorization": f"{scheme} {token}"} if token else {}), **headers}
    request = urllib.request.Request(url, method=method, headers=heads, data=body)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
def relay(path, **more):
    return call(os.environ["GATEBOOK_URL"] + "/api/v1/" + path, **more)
"""


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    with Workspace() as running:
        yield running


@pytest.fixture(scope="module")
def analyst(workspace: Workspace) -> Iterator[Person]:
    with contextlib.closing(workspace.person("analyst")) as person:
        yield person.start_server()


@pytest.fixture(scope="module")
def reviewer(workspace: Workspace) -> Iterator[Person]:
    with contextlib.closing(workspace.person("reviewer")) as person:
        yield person.start_server()


@pytest.fixture(scope="module")
def ops(workspace: Workspace) -> Iterator[Person]:
    with contextlib.closing(workspace.person("ops")) as person:
        yield person


@pytest.fixture(scope="module")
def admin(workspace: Workspace) -> Iterator[Person]:
    with contextlib.closing(workspace.person("admin")) as person:
        yield person


@pytest.fixture(scope="module")
def shared_kernel(analyst: Person) -> Iterator[Kernel]:
    with analyst.notebook("attack.ipynb") as kernel:
        yield kernel


@pytest.fixture
def kernel(shared_kernel: Kernel) -> Kernel:
    """A kernel of the analyst's, with the function that calls URLs."""
    shared_kernel.run(CALL)
    return shared_kernel


def answer(kernel: Kernel, expression: str) -> tuple[int, str]:
    """Evaluate an expression that is `[status, body]` in the kernel."""
    status, body = json.loads(kernel.run(f"print(json.dumps({expression}))"))
    return status, body


# ── what works ──


def test_a_kernel_speaks_to_the_gateway_as_its_owner(kernel: Kernel) -> None:
    """Through the relay, with nothing configured, the gateway knows who is calling."""
    status, body = answer(kernel, "relay('me')")
    assert status == 200, body
    assert json.loads(body)["name"] == "analyst"
    assert json.loads(body)["groups"] == ["analysts"]


# ── secrets of the server ──


def test_a_kernels_environment_has_a_gate_token_and_no_other_secret(kernel: Kernel) -> None:
    """Nothing of the Hub's is in the kernel's environment."""
    names = json.loads(kernel.run("print(json.dumps(sorted(os.environ)))"))
    assert {"GATEBOOK_URL", "GATEBOOK_TOKEN", "HOME", "PATH"} <= set(names)
    assert not [name for name in names if TOKEN_NAMES.search(name)]
    assert kernel.run("print(os.environ['GATEBOOK_TOKEN'][:4])") == "gbk_"


def test_a_terminal_has_no_token(analyst: Person) -> None:
    """A terminal inherits the server's environment; the token is not in it."""
    made = analyst.server_api("POST", "terminals")
    assert made.status_code == 200, made.text
    name = made.json()["name"]
    text = ""
    try:
        with contextlib.closing(analyst.websocket(f"terminals/websocket/{name}")) as terminal:
            terminal.send(json.dumps(["stdin", "env; echo ${#PATH}-the-end\r"]))
            while not re.search(r"\d+-the-end", text):
                kind, *parts = json.loads(terminal.recv())
                text += parts[0] if kind == "stdout" else ""
    finally:
        analyst.server_api("DELETE", f"terminals/{name}")
    assert "HOME=" in text
    assert not re.search(r"\w*(API_TOKEN|CONFIGPROXY|GATEBOOK_TOKEN)\w*=", text)


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc on this system")  # noqa: PTH112
def test_a_kernel_cannot_look_into_its_server(kernel: Kernel) -> None:
    """The server's environment, memory and open files are closed, though it runs under the same account."""
    result = kernel.run(
        """
def read(name):
    try:
        path = f"/proc/{os.getppid()}/{name}"
        return len(os.listdir(path)) if name == "fd" else len(open(path, "rb").read(64))
    except OSError as error:
        return type(error).__name__
print(json.dumps({name: read(name) for name in ("environ", "mem", "maps", "fd")}))
"""
    )
    assert json.loads(result) == dict.fromkeys(("environ", "mem", "maps", "fd"), "PermissionError")


@isolated
def test_no_process_on_the_machine_shows_a_kernel_a_token(kernel: Kernel) -> None:
    """Every environment and command line that a kernel can read is free of the workspace's secrets."""
    found = kernel.run(
        r"""
import glob, re
hits = []
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        data = open(path, "rb").read()
    except OSError:
        continue
    if re.search(rb"(JUPYTERHUB_API_TOKEN|JPY_API_TOKEN|CONFIGPROXY_AUTH_TOKEN)=", data):
        hits.append(path)
print(hits)
"""
    )
    assert found == "[]"


def test_a_server_leaves_no_files_about_itself(kernel: Kernel) -> None:
    """Jupyter's server-info and browser-open files, which hold the token, do not exist."""
    found = kernel.run(
        """
import pathlib
home = pathlib.Path.home()
print([str(p) for p in home.rglob("*") if p.name.startswith("jpserver-") or p.name.endswith("-open.html")])
"""
    )
    assert found == "[]"


def test_what_a_user_leaves_at_home_does_not_run_in_their_server(workspace: Workspace) -> None:
    """Startup files, configuration, kernel specs and modules planted by a kernel do not reach the next server."""
    with contextlib.closing(workspace.person("auditor")) as auditor:
        auditor.start_server()
        with auditor.notebook() as kernel:
            kernel.run(
                r"""
import os, pathlib, sys
home = pathlib.Path.home()
bomb = "import os; open(os.path.expanduser('~/ran-' + %r), 'w').write(str(os.getpid()))\n"
version = f"python{sys.version_info.major}.{sys.version_info.minor}"
for name, text in {
    f".local/lib/{version}/site-packages/usercustomize.py": bomb % "usercustomize",
    f".local/lib/{version}/site-packages/evil.pth": bomb % "pth",
    ".jupyter/jupyter_server_config.py": bomb % "config",
    "jupyter_server_config.py": bomb % "cwd-config",
    "jupyterhub.py": bomb % "shadow",
    "gatebook_server/__init__.py": bomb % "package",
    ".local/share/jupyter/kernels/python3/kernel.json": '{"argv": ["/bin/sh", "-c", "env > ~/ran-kernelspec"],'
        ' "display_name": "x", "language": "x",'
        ' "metadata": {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}}',
}.items():
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
"""
            )
        auditor.stop_server()
        auditor.start_server()
        found = auditor.server_api("GET", "contents").json()["content"]
        assert not [entry["name"] for entry in found if entry["name"].startswith("ran-")]


# ── files ──


@isolated
def test_a_kernel_cannot_open_what_belongs_to_gateway_and_hub(workspace: Workspace, kernel: Kernel) -> None:
    """Databases, signing key, book, Hub state: no file of them can be opened, and the folders cannot be listed."""
    folders = [workspace.settings.state, workspace.hub_folder]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"hub.sqlite", "cookie-secret", "demo-passwords", "gatebook.sqlite"} <= names
    assert any("keys" in path.parts for path in files)
    assert any("databases" in path.parts for path in files)
    opened = kernel.run(
        f"""
opened = []
for path in {[str(path) for path in (*files, *folders)]!r}:
    try:
        os.listdir(path) if os.path.isdir(path) else open(path, "rb").close()
        opened.append(path)
    except PermissionError:
        pass
print(opened)
"""
    )
    assert opened == "[]"


@isolated
def test_a_kernel_cannot_reach_another_persons_files_or_kernel(reviewer: Person, kernel: Kernel) -> None:
    """Another's home is closed, and their kernel's output cannot be overheard on its port."""
    with reviewer.notebook() as other:
        home = other.run("import os; print(os.environ['HOME'])")
        file = other.run("import ipykernel; print(ipykernel.get_connection_file())")
        ports = json.loads(
            other.run("import json, ipykernel; c = json.load(open(ipykernel.get_connection_file())); "
                      "print(json.dumps([c['iopub_port'], c['shell_port']]))")
        )  # fmt: skip
        pid = other.run("print(os.getpid())")
        for path in (home, file, f"/proc/{pid}/environ", f"/proc/{pid}/mem"):
            with pytest.raises(CellFailed, match="PermissionError"):
                kernel.run(f"os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}, 'rb').read(1)")
        kernel.run(
            f"""
import zmq
eavesdropper = zmq.Context.instance().socket(zmq.SUB)
eavesdropper.setsockopt(zmq.SUBSCRIBE, b"")
eavesdropper.connect("tcp://127.0.0.1:{ports[0]}")
"""
        )
        other.run(
            "import time\nfor _ in range(10):\n    print('a secret of the reviewer', flush=True); time.sleep(0.1)"
        )
        assert kernel.run("print(eavesdropper.poll(1000)); eavesdropper.close(0)") == "0"


# ── other ways to the Hub and the gateway ──


def test_a_kernel_cannot_use_the_hubs_api(workspace: Workspace, kernel: Kernel) -> None:
    """Without a token, and with the gate token in its place, the Hub answers 403."""
    for base in (workspace.settings.hub_url, f"http://127.0.0.1:{workspace.settings.hub_internal_port}"):
        for scheme in ("token", "Bearer"):
            status, _ = answer(kernel, f"call('{base}/hub/api/users', scheme='{scheme}')")
            assert status == 403
        assert answer(kernel, f"call('{base}/hub/api/users', token='')")[0] == 403


def test_a_kernel_cannot_use_its_own_server_without_a_cookie(kernel: Kernel) -> None:
    """The server's REST API is closed to its own kernels: neither no token nor the gate token opens it."""
    for more in ("token=''", "scheme='token'", "scheme='Bearer'"):
        url = "os.environ['GATEBOOK_URL'].removesuffix('/gatebook') + '/api/contents'"
        assert answer(kernel, f"call({url}, {more})")[0] == 403


def test_the_gateway_refuses_a_kernel_that_calls_it_directly(workspace: Workspace, kernel: Kernel) -> None:
    """No token, an invented one and the gate token are all 401 at the gateway itself."""
    portal = workspace.settings.portal_url
    for more in ("token=''", "scheme='Bearer'", "scheme='GateToken'", "token='0' * 32, scheme='Bearer'"):
        assert answer(kernel, f"call('{portal}/api/v1/me', {more})")[0] == 401


@pytest.mark.parametrize(
    "method, path",
    [
        ("POST", "changes/1/review"),
        ("POST", "changes/1/review/"),
        ("POST", "changes/1/execute/../review"),
        ("POST", "changes/1%2Freview"),
        ("POST", "tokens"),
        ("GET", "tokens"),
        ("POST", "runs/claim"),
        ("POST", "runs/1/finish"),
        ("GET", "openapi.json"),
        ("GET", "../../metrics"),
        ("GET", "%2e%2e/%2e%2e/metrics"),
        ("GET", "audit/tile/../../../../metrics"),
        ("GET", "//127.0.0.1:1/me"),
        ("DELETE", "changes/1"),
    ],
)
def test_the_relay_lets_a_kernel_reach_nothing_else(kernel: Kernel, method: str, path: str) -> None:
    """Reviews, tokens, claims of runs and whatever is not listed stop at the relay."""
    status, body = answer(kernel, f"relay({path!r}, method={method!r}, body={b'{}' if method == 'POST' else None!r})")
    assert status == 403, body
    assert json.loads(body)["code"] == "GB-603"


def test_the_relay_takes_no_identity_from_a_kernel(kernel: Kernel) -> None:
    """Headers that would say who calls, or through what, are replaced or dropped."""
    status, body = answer(
        kernel,
        "relay('me', headers={'Cookie': 'gatebook_session=x', 'Gatebook-Tool': 'customer_desk@1',"
        " 'Gatebook-Service-Token': 'x', 'Gatebook-Provenance': '{}', 'X-Remote-User': 'reviewer'})",
    )
    assert status == 200, body
    assert json.loads(body)["name"] == "analyst"


def test_the_relay_refuses_a_large_body(kernel: Kernel) -> None:
    """A body over the limit is refused before it is read."""
    status, body = answer(kernel, "relay('query', method='POST', body=b'x' * 3_000_000)")
    assert status == 413, body
    assert json.loads(body)["code"] == "GB-604"


def test_a_gate_token_is_void_after_a_restart(analyst: Person) -> None:
    """Each start of a kernel has a token of its own; the one before, and that of a kernel that ended, are refused."""
    with analyst.notebook() as kernel:
        before = kernel.run("import os; print(os.environ['GATEBOOK_TOKEN'])")
        kernel.restart()
        kernel.run(CALL)
        after = kernel.run("print(os.environ['GATEBOOK_TOKEN'])")
        assert after != before
        assert answer(kernel, "relay('me')")[0] == 200
        status, body = answer(kernel, f"relay('me', token={before!r})")
        assert (status, json.loads(body)["code"]) == (401, "GB-602")
    with analyst.notebook() as kernel:
        kernel.run(CALL)
        assert answer(kernel, f"relay('me', token={after!r})")[0] == 401


def test_a_gate_token_is_worth_nothing_outside_the_machine(analyst: Person, kernel: Kernel) -> None:
    """A token that leaked in an output does not work through the proxy."""
    token = kernel.run("print(os.environ['GATEBOOK_TOKEN'])")
    url = f"{analyst.server}/gatebook/api/v1/me"
    assert httpx.get(url, headers={"Authorization": f"GateToken {token}"}).status_code == 403
    assert analyst.browser.get(url).status_code == 403


def test_the_token_of_a_notebook_page_does_not_open_the_gateway(workspace: Workspace, analyst: Person) -> None:
    """JupyterLab puts a token into its page, for scripts to use with the server; the gateway refuses it."""
    page = analyst.browser.get(f"{analyst.server}/lab").text
    config = json.loads(re.search(r'<script id="jupyter-config-data"[^>]*>(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    heads = {"Authorization": f"Bearer {config['token']}"}
    assert httpx.get(f"{workspace.settings.hub_url}/hub/api/user", headers=heads).status_code == 200
    assert httpx.get(f"{workspace.settings.portal_url}/api/v1/me", headers=heads).status_code in (401, 403)


# ── people ──


def test_a_wrong_password_is_refused(workspace: Workspace) -> None:
    """A wrong password and an unknown name get the same answer."""
    answers = []
    for name in ("auditor", "nobody"):
        with contextlib.closing(Person(workspace, name)) as person:
            reply = person.log_in("wrong")
            assert reply.status_code == 403
            assert person.hub_api("GET", "user").status_code == 403
            # The signed XSRF token carries the second in which it was made.
            answers.append(re.sub(r"[\w-]{80,}", "TOKEN", reply.text).replace(name, "NAME"))
    assert "Invalid username or password" in reply.text
    assert answers[0] == answers[1]


def test_operations_land_at_the_portal_and_have_no_notebook(workspace: Workspace, ops: Person) -> None:
    """The account `ops` gets no server by any way, and none of anybody's."""
    with contextlib.closing(Person(workspace, "ops")) as person:
        landing = person.log_in(workspace.password("ops"))
    assert landing.status_code == 302
    assert landing.headers["Location"] == f"{workspace.settings.portal_url}/"
    assert ops.hub_api("POST", "users/ops/server").status_code == 403
    for page in ("hub/spawn", "hub/spawn/ops", "user/ops/lab", "hub/user-redirect/lab"):
        reply = ops.browser.get(f"{ops.hub}/{page}", follow_redirects=True)
        assert reply.status_code in (403, 404, 424), (page, reply.status_code)
    assert ops.hub_api("GET", "users/ops").json().get("servers", {}) == {}


@pytest.mark.parametrize("path", ["api/contents", "api/kernels", "api/terminals", "lab", "lab/tree/x", "files/x"])
def test_operations_cannot_enter_the_analysts_server(analyst: Person, ops: Person, path: str) -> None:
    """Nothing of a running server answers to another account."""
    assert analyst.server_api("GET", "contents").status_code == 200
    reply = ops.browser.get(f"{analyst.server}/{path}", follow_redirects=True)
    assert reply.status_code in (403, 404)


def test_the_admin_cannot_become_the_reviewer(admin: Person, reviewer: Person) -> None:
    """The role `operator` mints no tokens, edits no groups, and opens, starts or shares no server."""
    assert admin.hub_api("GET", "users").status_code == 200
    forbidden = (403, 404)
    assert admin.hub_api("POST", "users/reviewer/tokens", json={"note": "x"}).status_code in forbidden
    assert admin.hub_api("GET", "users/reviewer/tokens").status_code in forbidden
    assert admin.hub_api("POST", "groups/reviewers/users", json={"users": ["admin"]}).status_code in forbidden
    assert admin.hub_api("POST", "groups/mine").status_code in forbidden
    assert admin.hub_api("PATCH", "users/admin", json={"admin": True}).status_code in forbidden
    assert admin.hub_api("PATCH", "users/reviewer", json={"name": "admin2"}).status_code in forbidden
    assert admin.hub_api("POST", "users/stranger").status_code in forbidden
    assert admin.hub_api("POST", "users/reviewer/server").status_code in forbidden
    assert admin.hub_api("POST", "shares/reviewer/", json={"user": "admin"}).status_code in forbidden
    assert admin.hub_api("POST", "services/evil", json={"admin": True}).status_code in forbidden
    for path in ("api/contents", "lab", "api/kernels"):
        reply = admin.browser.get(f"{reviewer.server}/{path}", follow_redirects=True)
        assert reply.status_code in forbidden
    me = admin.hub_api("GET", "user").json()
    assert me["groups"] == ["operators"]
    assert me["admin"] is False


def test_a_script_in_a_notebook_page_cannot_mint_a_token(analyst: Person) -> None:
    """With all cookies of a browser, the Hub gives no token to a person, for a page's script would get it too."""
    assert analyst.hub_api("POST", "users/analyst/tokens", json={"note": "x"}).status_code == 403


def test_the_hub_answers_to_its_own_host_name_alone(workspace: Workspace, analyst: Person) -> None:
    """At the portal's host name the Hub's port serves nothing, so no server ever receives a portal cookie."""
    port = urlsplit(workspace.settings.hub_url).port
    for path in ("user/analyst/api", "user/analyst/lab", "hub/login"):
        assert httpx.get(f"http://{workspace.settings.gateway_host}:{port}/{path}").status_code == 404
    assert analyst.browser.get(f"{analyst.server}/api").status_code == 200


# ── the end ──


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_hub(signum: signal.Signals) -> None:
    """Ctrl-C, SIGTERM and even SIGKILL of the Hub end proxy, services, servers, kernels and what they started."""
    with Workspace() as workspace, contextlib.closing(workspace.person("analyst")) as analyst:
        analyst.start_server()
        with analyst.notebook() as kernel:
            kernel_pid = int(kernel.run("import os; print(os.getpid())"))
            if signum != signal.SIGKILL and workspace.is_isolated:
                kernel.run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)")
            assert psutil.pid_exists(kernel_pid)
            assert workspace.signal(signum) == []
            deadline = time.monotonic() + 10
            while psutil.pid_exists(kernel_pid) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert not psutil.pid_exists(kernel_pid)
            # The session cannot be closed any more.
            kernel.person.browser.close()
            kernel.person.browser = httpx.Client(transport=httpx.MockTransport(lambda _request: httpx.Response(200)))
        if workspace.is_isolated:
            assert [name for name in workspace.accounts.names() if _runs(workspace, name)] == []


def _runs(workspace: Workspace, name: str) -> bool:
    uid = workspace.accounts.lookup(name).uid
    return any(process.info["uids"].real == uid for process in psutil.process_iter(["uids"]))

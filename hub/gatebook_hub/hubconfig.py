"""What does JupyterHub have to know? Accounts, groups, roles, services, and which Linux account each thing runs as."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado import web

from gatebook_hub.front.accounts import Accounts, may_isolate
from gatebook_hub.front.authenticator import PasswordFileAuthenticator, ensure_passwords
from gatebook_hub.front.proxy import OneHostProxy
from gatebook_hub.front.spawner import AccountSpawner, TrialSpawner

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyterhub.handlers import BaseHandler
    from jupyterhub.spawner import Spawner

    from gatebook_hub.settings import Settings

DEMO_ACCOUNTS = {
    "analyst": "analysts",
    "reviewer": "reviewers",
    "ops": "operations",
    "auditor": "auditors",
    "admin": "operators",
}
NOTEBOOK_GROUPS = ("analysts", "reviewers", "auditors")
_PATH = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
_GATEWAY = "access:services!service=gateway"
_TOOLS = "access:services!service=tools"
_TRIAL = (
    "everything runs under one account, so a notebook can open databases and keys directly.",
    "This is trial mode: good for a look, never for real data. Start as root on Linux for real isolation.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One Hub: its settings, its folder, and its Linux accounts if it can have any."""

    settings: Settings
    folder: Path
    accounts: Accounts | None

    def command(self, module: str, *arguments: str) -> list[str]:
        """Return a command that runs a module; `-I`: neither the current folder nor a user's is searched."""
        return [sys.executable, "-I", "-m", module, *arguments]

    @property
    def launcher_socket(self) -> Path:
        """Where the launcher listens, in a folder of root's."""
        return self.settings.home_root / f"{self.settings.account_prefix}run" / "launcher.sock"


def hub_folder(settings: Settings) -> Path:
    """Return the Hub's own folder, beside the gateway's."""
    state = settings.state.resolve()
    return state.with_name(state.name.lstrip(".") + "-hub")


def configure(c: Any, settings: Settings) -> None:
    """Fill JupyterHub's configuration, and make what it needs: folders, Linux accounts, demo passwords."""
    folder = hub_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    accounts = Accounts(settings.account_prefix, settings.home_root) if may_isolate() else None
    site = Site(settings=settings, folder=folder, accounts=accounts)
    _configure_hub(c, site)
    _configure_proxy(c, site)
    _configure_people(c, site)
    _configure_roles(c, settings.services)
    _configure_servers(c, site)
    c.JupyterHub.services = [_SERVICES[name](site) for name in settings.services]
    if accounts is None:
        _banner(*_TRIAL)
        c.JupyterHub.template_vars = {"announcement": f"trial mode: {_TRIAL[0]}"}
    else:
        _make_accounts(site, accounts)
        if {"tools", "worker"} & set(settings.services):
            # First: the Hub waits for each service before it starts the next, and the others need kernels.
            c.JupyterHub.services.insert(0, _launcher(site))


def _configure_hub(c: Any, site: Site) -> None:
    hub = c.JupyterHub
    hub.bind_url = f"http://127.0.0.1:{site.settings.hub_port}"
    hub.public_url = f"{site.settings.hub_url}/"
    hub.hub_ip = "127.0.0.1"
    hub.hub_port = site.settings.hub_internal_port
    hub.db_url = f"sqlite:///{site.folder / 'hub.sqlite'}"
    hub.cookie_secret_file = str(site.folder / "cookie-secret")
    hub.pid_file = str(site.folder / "hub.pid")
    hub.cleanup_servers = True
    hub.cleanup_proxy = True
    hub.allow_named_servers = False
    # Services ask the Hub who calls them all day: at INFO that would bury what the operator must see.
    hub.log_level = "WARN"
    hub.default_url = _landing_page(site.settings)


def _configure_proxy(c: Any, site: Site) -> None:
    account = site.accounts.ensure(site.accounts.service_name("proxy")).name if site.accounts else "-"
    c.JupyterHub.proxy_class = OneHostProxy
    c.OneHostProxy.host_name = site.settings.hub_host
    c.OneHostProxy.api_url = f"http://127.0.0.1:{site.settings.proxy_api_port}"
    c.OneHostProxy.pid_file = str(site.folder / "proxy.pid")
    c.OneHostProxy.command = site.command(
        "gatebook_server.process", account, _beside_python("configurable-http-proxy"), "--host-routing"
    )


def _beside_python(program: str) -> str:
    path = Path(sys.executable).parent / program
    return str(path) if path.exists() else program


def _configure_people(c: Any, site: Site) -> None:
    c.JupyterHub.authenticator_class = PasswordFileAuthenticator
    # Nobody is a Hub admin: an admin may mint anybody's token, join any group and open any server.
    c.Authenticator.admin_users = set()
    if not site.settings.demo:
        return
    passwords = ensure_passwords(site.folder, DEMO_ACCOUNTS)
    c.PasswordFileAuthenticator.hashes_file = str(passwords.hashes)
    c.Authenticator.allowed_users = set(DEMO_ACCOUNTS)
    c.JupyterHub.load_groups = {group: {"users": [name]} for name, group in DEMO_ACCOUNTS.items()}
    if passwords.made:
        _banner(f"Gatebook at {site.settings.hub_url}/", "Demo accounts, made just now:",
                *(f"  {name:<10} {password}" for name, password in passwords.made.items()),
                f"kept in {passwords.plain}")  # fmt: skip
    else:
        _banner(f"Gatebook at {site.settings.hub_url}/", f"The demo accounts' passwords are in {passwords.plain}")


def _configure_roles(c: Any, services: Iterable[str]) -> None:
    everybody = [_GATEWAY, *([_TOOLS] if "tools" in services else [])]
    c.JupyterHub.load_roles = [
        # The stock role's `self` includes starting servers, which operations must not, and minting tokens, which a
        # script in a notebook page could do in its reader's name. Tokens are issued at the portal.
        {"name": "user", "scopes": ["read:users:name!user", "read:users:groups!user", *everybody]},
        {
            "name": "notebook",
            "description": "A JupyterLab server of one's own",
            "scopes": ["read:users!user", "users:activity!user", "servers!user", "access:servers!user"],
            "groups": list(NOTEBOOK_GROUPS),
        },
        {
            "name": "operator",
            "description": "See who is there and stop servers; no tokens, no groups, no way into a server",
            "scopes": [
                "admin-ui", "list:users", "read:users", "read:servers", "delete:servers", "list:groups", "read:groups",
                "list:services", "read:services", "read:hub", "read:metrics",
            ],
            "groups": ["operators"],
        },
        {"name": "server", "scopes": ["users:activity!user", "access:servers!server", _GATEWAY]},
        *(
            {"name": f"{name}-service", "description": "Reach the gateway", "scopes": [_GATEWAY], "services": [name]}
            for name in ("tools", "worker")
            if name in services
        ),
    ]  # fmt: skip


def _landing_page(settings: Settings) -> Any:
    def landing_page(handler: BaseHandler) -> str:
        user = handler.current_user
        return "" if user is None or _has_notebook(user) else f"{settings.portal_url}/"

    return landing_page


def _has_notebook(user: Any) -> bool:
    return any(group.name in NOTEBOOK_GROUPS for group in user.groups)


def _refuse_without_notebook(spawner: Spawner) -> None:
    if not _has_notebook(spawner.user):
        raise web.HTTPError(403, "this account has no notebook; use the tools at the portal")


def _configure_servers(c: Any, site: Site) -> None:
    guides = site.settings.notebooks.resolve() / "guides"
    c.Spawner.pre_spawn_hook = _refuse_without_notebook
    c.Spawner.default_url = "/lab"
    c.Spawner.disable_user_config = True
    c.Spawner.notebook_dir = "~"
    c.Spawner.http_timeout = 90
    c.LocalProcessSpawner.interrupt_timeout = 10
    c.LocalProcessSpawner.term_timeout = 5
    c.PipeSpawner.gateway_url = site.settings.gateway_url
    c.PipeSpawner.guides = str(guides) if guides.is_dir() else ""
    if site.accounts is None:
        c.JupyterHub.spawner_class = TrialSpawner
        c.TrialSpawner.homes = str(site.folder / "homes")
    else:
        c.JupyterHub.spawner_class = AccountSpawner
        c.AccountSpawner.account_prefix = site.settings.account_prefix
        c.AccountSpawner.home_root = str(site.settings.home_root)


def _make_accounts(site: Site, accounts: Accounts) -> None:
    for name in site.settings.services:
        accounts.ensure(accounts.service_name(name))
    gateway = accounts.lookup(accounts.service_name("gateway"))
    state = site.settings.state.resolve()
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    state.chmod(0o700)
    os.chown(state, gateway.uid, gateway.gid)


def _managed(site: Site, name: str, command: list[str], **more: Any) -> dict[str, Any]:
    environment = {**_settings_environment(site.settings), **more.pop("environment", {})}
    account = "-"
    if site.accounts is not None:
        made = site.accounts.ensure(site.accounts.service_name(name))
        account = made.name
        environment |= {"HOME": str(made.home), "USER": account, "LOGNAME": account, "PATH": _PATH}
    # Not the Hub's own way of changing the user: this one also has the service end with a Hub that is killed.
    command = site.command("gatebook_server.process", account, *command)
    return {"name": name, "command": command, "cwd": "/", "display": False, "environment": environment, **more}


def _settings_environment(settings: Settings) -> dict[str, str]:
    """Return every setting that is not a secret, as the environment of a service; paths are absolute."""
    values = settings.model_dump(mode="json", exclude={"hub_api_url", "hub_api_token"}, exclude_none=True)
    for name in ("state", "policies", "notebooks", "cache", "checkpoint_copy", "home_root"):
        if name in values:
            values[name] = str(Path(values[name]).resolve())
    return {f"GATEBOOK_{name.upper()}": _as_text(value) for name, value in values.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ",".join(f'"{item}"' for item in value) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _gateway(site: Site) -> dict[str, Any]:
    # No `url`: the Hub's proxy must not serve the portal on the host name of notebooks.
    kept = ("GATEBOOK_SECRET_", "GATEBOOK_NOTIFY_")
    secrets = {name: value for name, value in os.environ.items() if name.startswith(kept)}
    return _managed(
        site,
        "gateway",
        site.command("gatebook_hub.cli", "serve"),
        oauth_redirect_uri=f"{site.settings.portal_url}/oauth_callback",
        oauth_no_confirm=True,
        environment={
            "GATEBOOK_HUB_API_URL": f"http://127.0.0.1:{site.settings.hub_internal_port}/hub/api",
            "GATEBOOK_TRIAL": str(site.accounts is None).lower(),
            **secrets,
        },
    )


def _tools(site: Site) -> dict[str, Any]:
    return _managed(
        site,
        "tools",
        site.command("gatebook_server.tools"),
        url=f"http://127.0.0.1:{site.settings.tools_port}",
        oauth_no_confirm=True,
        # The viewer's token must open the gateway too: the service calls it as the viewer.
        oauth_client_allowed_scopes=[_TOOLS, _GATEWAY],
        environment=_launcher_environment(site),
    )


def _worker(site: Site) -> dict[str, Any]:
    return _managed(site, "worker", site.command("gatebook_hub.worker"), environment=_launcher_environment(site))


def _launcher_environment(site: Site) -> dict[str, str]:
    gateway = {"GATEBOOK_GATEWAY_URL": site.settings.gateway_url}
    return gateway | ({"GATEBOOK_LAUNCHER": str(site.launcher_socket)} if site.accounts is not None else {})


_SERVICES = {"gateway": _gateway, "tools": _tools, "worker": _worker}


def _launcher(site: Site) -> dict[str, Any]:
    services = site.settings.services
    return {
        "name": "launcher",
        "display": False,
        "cwd": "/",
        "command": site.command(
            "gatebook_hub.front.launcher",
            *("--prefix", site.settings.account_prefix, "--home-root", str(site.settings.home_root)),
            *("--socket", str(site.launcher_socket)),
            *("--tools", str(site.settings.tool_slots if "tools" in services else 0)),
            *("--runs", str(site.settings.run_slots if "worker" in services else 0)),
        ),
    }


def _banner(*lines: str) -> None:
    width = max(map(len, lines))
    print("", "=" * width, *lines, "=" * width, "", sep="\n", flush=True)  # noqa: T201 - for the person who started it

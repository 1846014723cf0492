"""What the Hub is told: nobody is admin, roles are narrow, services hold no more than they need."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from gatebook_hub import hubconfig
from gatebook_hub.front.proxy import OneHostProxy
from gatebook_hub.settings import Settings


def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> Config:
    # Trial mode everywhere: what accounts change is tested with real accounts in the stories.
    monkeypatch.setattr(hubconfig, "may_isolate", lambda: False)
    c = Config()
    hubconfig.configure(c, Settings(**{"_env_file": None, "state": tmp_path / "state", "demo": True, **more}))
    return c


def role(c: Config, name: str) -> dict[str, Any]:
    return next(role for role in c.JupyterHub.load_roles if role["name"] == name)


def test_nobody_is_admin_and_only_named_accounts_log_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = configured(tmp_path, monkeypatch)
    assert c.Authenticator.admin_users == set()
    assert c.Authenticator.allowed_users == {"analyst", "reviewer", "ops", "auditor", "admin"}
    assert "allow_all" not in c.Authenticator


def test_no_role_mints_tokens_edits_groups_or_enters_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = configured(tmp_path, monkeypatch)
    for one in c.JupyterHub.load_roles:
        for scope in one["scopes"]:
            name, _, of = scope.partition("!")
            assert name not in {"self", "inherit", "tokens", "groups", "shares", "proxy", "shutdown", "users"}, scope
            assert not name.startswith("admin:"), scope
            assert not name.startswith(("access:", "servers", "start:")) or of, scope


def test_operations_have_no_scope_of_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = configured(tmp_path, monkeypatch)
    assert not [scope for scope in role(c, "user")["scopes"] if "server" in scope]
    assert role(c, "notebook")["groups"] == ["analysts", "reviewers", "auditors"]


def test_a_users_server_may_reach_the_gateway_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = configured(tmp_path, monkeypatch)
    expected = {"users:activity!user", "access:servers!server", "access:services!service=gateway"}
    assert set(role(c, "server")["scopes"]) == expected


def test_the_hub_does_not_serve_the_portal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = configured(tmp_path, monkeypatch)
    gateway = next(service for service in c.JupyterHub.services if service["name"] == "gateway")
    assert "url" not in gateway
    assert gateway["oauth_redirect_uri"] == "http://127.0.0.1:8001/oauth_callback"


@pytest.mark.parametrize("services", [("gateway",), ("gateway", "tools"), ("gateway", "tools", "worker")])
def test_services_are_those_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, services: tuple[str, ...]
) -> None:
    c = configured(tmp_path, monkeypatch, services=services)
    assert [service["name"] for service in c.JupyterHub.services] == list(services)
    named = {service for one in c.JupyterHub.load_roles for service in one.get("services", [])}
    assert named == set(services) - {"gateway"}


def test_service_secrets_reach_the_gateway_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEBOOK_SECRET_WAREHOUSE", "hunter2")
    monkeypatch.setenv("GATEBOOK_NOTIFY_OPS", "mailto://hunter3")
    c = configured(tmp_path, monkeypatch, hub_api_token="also-secret")
    for service in c.JupyterHub.services:
        assert ("hunter2" in str(service)) == (service["name"] == "gateway")
        assert ("hunter3" in str(service)) == (service["name"] == "gateway")
        assert "also-secret" not in str(service)


def test_settings_survive_the_way_to_a_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    c = configured(
        tmp_path,
        monkeypatch,
        services=("gateway",),
        policies=Path("rules"),
        cors_origins=("https://a.example",),
        demo=True,
    )
    for name, value in c.JupyterHub.services[0]["environment"].items():
        monkeypatch.setenv(name, value)
    read = Settings(_env_file=None)
    assert read.policies == tmp_path / "rules"
    assert read.state == tmp_path / "state"
    assert read.services == ("gateway",)
    assert read.cors_origins == ("https://a.example",)
    assert read.demo is True
    assert read.cache is None


def test_the_hubs_folder_is_private_and_beside_the_gateways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, monkeypatch)
    folder = tmp_path / "state-hub"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (folder / "demo-passwords").is_file()


def test_passwords_are_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(tmp_path, monkeypatch)
    lines = (tmp_path / "state-hub" / "demo-passwords").read_text().split()
    assert lines[1] in capsys.readouterr().out
    configured(tmp_path, monkeypatch)
    told = capsys.readouterr().out
    assert lines[1] not in told
    assert "demo-passwords" in told
    assert "trial mode" in told


def test_every_route_is_bound_to_the_hubs_host_name() -> None:
    proxy = OneHostProxy(host_name="hub.example", auth_token="x" * 32)
    for spec in ("/", "/user/ann/", "/user/ann@x.org/", "/services/tools/"):
        path = proxy._routespec_to_chp_path(spec)
        assert path.startswith("/hub.example")
        assert proxy._routespec_from_chp_path(path) == spec


def test_without_the_demo_there_are_no_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    c = configured(tmp_path, monkeypatch, demo=False)
    assert "allowed_users" not in c.Authenticator
    assert "load_groups" not in c.JupyterHub
    assert not (tmp_path / "state-hub" / "demo-passwords").exists()

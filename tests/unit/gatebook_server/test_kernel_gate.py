"""Gate tokens, the kernels' environment, and the provisioner that no kernel spec gets around."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerFactory

from gatebook_server.environment import is_kernel_variable, kernel_environment
from gatebook_server.launching import LocalLauncher
from gatebook_server.provisioner import GatebookProvisioner, KernelGate, install
from gatebook_server.tokens import KernelTokens

# ── tokens ──


def test_a_token_leads_to_its_kernel() -> None:
    tokens = KernelTokens()
    one, other = tokens.issue("one"), tokens.issue("other")
    assert re.fullmatch(r"gbk_[A-Za-z0-9_-]{43}", one)
    assert (tokens.kernel_of(one), tokens.kernel_of(other)) == ("one", "other")


def test_a_new_token_voids_the_one_before() -> None:
    tokens = KernelTokens()
    before = tokens.issue("one")
    after = tokens.issue("one")
    assert tokens.kernel_of(before) is None
    assert tokens.kernel_of(after) == "one"


def test_a_revoked_token_is_void() -> None:
    tokens = KernelTokens()
    token = tokens.issue("one")
    tokens.revoke("one")
    tokens.revoke("one")
    assert tokens.kernel_of(token) is None


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    tokens = KernelTokens()
    tokens.issue("one")
    assert tokens.kernel_of(text) is None


def test_the_registry_does_not_hold_tokens() -> None:
    tokens = KernelTokens()
    token = tokens.issue("one")
    assert token not in repr(vars(tokens))


# ── environment ──


@pytest.mark.parametrize(
    "name",
    ["JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", "JPY_PARENT_PID", "JPY_SESSION_NAME", "CONFIGPROXY_AUTH_TOKEN",
     "PGPASSWORD",
     "AWS_SECRET_ACCESS_KEY", "GATEBOOK_STATE", "GATEBOOK_LAUNCHER", "GATEBOOK_GATEWAY_URL", "SSH_AUTH_SOCK",
     "PYTHONPATH",
     "LD_PRELOAD", "HTTP_PROXY", "LC_TOKEN_", "whatever"],
)  # fmt: skip
def test_a_kernel_inherits_nothing_that_is_not_listed(name: str) -> None:
    assert not is_kernel_variable(name)
    assert name not in kernel_environment({name: "x"}, url="u", token="t")


@pytest.mark.parametrize("name", ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "SCRIPT_NAME", "QUERY_STRING"])
def test_a_kernel_inherits_what_it_needs(name: str) -> None:
    assert kernel_environment({name: "x"}, url="u", token="t")[name] == "x"


def test_the_gate_wins_over_what_is_inherited() -> None:
    made = kernel_environment({"GATEBOOK_URL": "evil", "GATEBOOK_TOKEN": "evil"}, url="u", token="t")
    assert (made["GATEBOOK_URL"], made["GATEBOOK_TOKEN"]) == ("u", "t")
    assert made["PATH"]


# ── provisioner ──


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelGate]:
    KernelProvisionerFactory.clear_instance()
    monkeypatch.setattr(KernelProvisionerFactory, "provisioners", {})
    monkeypatch.setattr(GatebookProvisioner, "gate", None)
    made = KernelGate(url="http://127.0.0.1:9/gatebook", tokens=KernelTokens(), launcher=LocalLauncher())
    install(made)
    yield made
    KernelProvisionerFactory.clear_instance()


async def environment(manager: AsyncKernelManager) -> dict[str, str]:
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        texts: list[str] = []
        await client.execute_interactive(
            "import json, os; print(json.dumps(dict(os.environ)))",
            output_hook=lambda message: texts.append(message["content"].get("text", "")),
            timeout=60,
        )
        return dict(json.loads("".join(texts)))
    finally:
        client.stop_channels()


async def test_each_start_of_a_kernel_has_a_token_of_its_own(gate: KernelGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "secret")
    manager = AsyncKernelManager(transport_encryption="required")
    await manager.start_kernel()
    try:
        first = await environment(manager)
        assert not [name for name in first if name.startswith(("JUPYTERHUB", "JPY_"))]
        assert gate.tokens.kernel_of(first["GATEBOOK_TOKEN"]) == manager.kernel_id
        await manager.restart_kernel(now=True)
        second = await environment(manager)
        assert gate.tokens.kernel_of(first["GATEBOOK_TOKEN"]) is None
        assert gate.tokens.kernel_of(second["GATEBOOK_TOKEN"]) == manager.kernel_id
    finally:
        await manager.shutdown_kernel(now=True)
    assert gate.tokens.kernel_of(second["GATEBOOK_TOKEN"]) is None


async def test_a_kernel_spec_that_names_another_provisioner_gets_ours(gate: KernelGate, tmp_path: Path) -> None:
    spec = KernelSpecManager().get_kernel_spec("python3").to_dict()
    spec["metadata"] = {"kernel_provisioner": {"provisioner_name": "local-provisioner"}}
    (tmp_path / "evil").mkdir()
    (tmp_path / "evil" / "kernel.json").write_text(json.dumps(spec))
    specs = KernelSpecManager(kernel_dirs=[str(tmp_path)], ensure_native_kernel=False)
    manager = AsyncKernelManager(kernel_name="evil", kernel_spec_manager=specs)
    await manager.start_kernel()
    try:
        assert isinstance(manager.provisioner, GatebookProvisioner)
        assert gate.tokens.kernel_of((await environment(manager))["GATEBOOK_TOKEN"]) == manager.kernel_id
    finally:
        await manager.shutdown_kernel(now=True)


async def test_without_a_gate_no_kernel_starts(gate: KernelGate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GatebookProvisioner, "gate", None)
    manager = AsyncKernelManager()
    with pytest.raises(RuntimeError, match="no kernel gate"):
        await manager.start_kernel()


async def test_a_kernel_that_cannot_start_leaves_no_token(gate: KernelGate, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_self: LocalLauncher, _kernel: object) -> None:
        raise OSError

    monkeypatch.setattr(LocalLauncher, "start", fail)
    manager = AsyncKernelManager()
    with pytest.raises(OSError):  # noqa: PT011
        await manager.start_kernel()
    assert vars(gate.tokens)["_digest_of"] == {}

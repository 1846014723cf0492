"""With what does every kernel start? A clean environment and a gate token of its own, whoever starts it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from gatebook_server.environment import kernel_environment
from gatebook_server.launching import KernelLauncher, KernelStart

if TYPE_CHECKING:
    from traitlets.config import Configurable

    from gatebook_server.tokens import KernelTokens

PROVISIONER_NAME = "gatebook-provisioner"
_ENTRY_POINT = EntryPoint(
    name=PROVISIONER_NAME,
    value="gatebook_server.provisioner:GatebookProvisioner",
    group=KernelProvisionerFactory.GROUP_NAME,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelGate:
    """What the kernels of one process have in common."""

    url: str
    """The relay's address, to which `/api/v1/…` is appended."""
    tokens: KernelTokens
    launcher: KernelLauncher


class GatebookProvisioner(LocalProvisioner):
    """Starts a kernel with nothing but the listed environment, the relay's address and a fresh gate token."""

    gate: ClassVar[KernelGate | None] = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Replace the environment; at a restart this makes the token before void."""
        launch = await super().pre_launch(**kwargs)
        gate = self._gate()
        launch["env"] = kernel_environment(launch["env"], url=gate.url, token=gate.tokens.issue(self.kernel_id))
        return launch

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the process through the gate's launcher."""
        gate = self._gate()
        manager: Any = self.parent
        start = KernelStart(
            command=tuple(cmd),
            environment=kwargs["env"],
            cwd=str(kwargs["cwd"]) if kwargs.get("cwd") else None,
            connection_file=Path(manager.connection_file),
        )
        try:
            # A child of ours must be forked by the thread that lives on: it ends with the thread that made it.
            process: Any = (
                gate.launcher.start(start)
                if gate.launcher.is_local
                else await asyncio.to_thread(gate.launcher.start, start)
            )
        except BaseException:
            gate.tokens.revoke(self.kernel_id)
            raise
        self.process = process
        self.pid = process.pid
        # With a launcher the group belongs to another user: signals then go through the process handle.
        self.pgid = process.pid if gate.launcher.is_local else None
        self.cwd = start.cwd or Path.cwd()
        return self.connection_info

    async def cleanup(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002 - the base class says so
        """Void the token, then let the base class tidy up."""
        self._gate().tokens.revoke(self.kernel_id)
        await super().cleanup(restart=restart)

    def _gate(self) -> KernelGate:
        if self.gate is None:
            # Fail closed: no kernel rather than one with an inherited environment.
            message = "no kernel gate is installed in this process"
            raise RuntimeError(message)
        return self.gate


def install(gate: KernelGate, *, parent: Configurable | None = None) -> None:
    """Make every kernel of this process start through `gate`, also one whose kernel spec names another provisioner."""
    GatebookProvisioner.gate = gate
    factory = KernelProvisionerFactory.instance(parent=parent)
    factory.default_provisioner_name = PROVISIONER_NAME
    factory.provisioners.update(dict.fromkeys((*factory.provisioners, PROVISIONER_NAME), _ENTRY_POINT))

"""What happens inside a user's Jupyter server? Its kernels get gate tokens, and the relay speaks for its owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Integer, Unicode

from gatebook_server.errors import NoCredentials
from gatebook_server.handlers import relay_rules
from gatebook_server.launching import LocalLauncher
from gatebook_server.provisioner import KernelGate, install
from gatebook_server.relay import DEFAULT_LIMIT_BODY_BYTES, Relay
from gatebook_server.tokens import KernelTokens

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST_PATH = 500


class GatebookExtension(ExtensionApp):
    """Connects this server's kernels to the gateway."""

    name = "gatebook_server"
    load_other_extensions = True

    gateway_url = Unicode("", help="Address of the Gatebook gateway; empty: the extension does nothing.").tag(
        config=True
    )
    limit_body_bytes = Integer(DEFAULT_LIMIT_BODY_BYTES, help="Largest body of a kernel's request.").tag(config=True)

    def initialize_handlers(self) -> None:
        """Install the kernel gate and the relay's routes."""
        self._relay: Relay | None = None
        if not self.gateway_url:
            self.log.info("gatebook_server: no gateway_url, so kernels get no gate")
            return
        server: Any = self.serverapp
        tokens = KernelTokens()
        url = f"http://127.0.0.1:{server.port}{server.base_url.rstrip('/')}/gatebook"
        install(KernelGate(url=url, tokens=tokens, launcher=LocalLauncher()), parent=server.kernel_manager)
        self._relay = Relay(
            gateway_url=self.gateway_url,
            tokens=tokens,
            credentials=self._owner,
            provenance=self._claim,
            limit_body_bytes=self.limit_body_bytes,
        )
        self.handlers.extend(relay_rules(self._relay))

    async def stop_extension(self) -> None:
        """Close the connections to the gateway."""
        if self._relay is not None:
            await self._relay.aclose()

    async def _owner(self, kernel_id: str) -> Mapping[str, str]:
        """Everything in this server belongs to one person, whose token the server holds."""
        server: Any = self.serverapp
        token = server.identity_provider.token
        if not token:
            message = f"this server has no Hub token to present for kernel `{kernel_id}`"
            raise NoCredentials(message)
        return {"Authorization": f"Bearer {token}"}

    def _claim(self, kernel_id: str) -> Mapping[str, object]:
        """Say which notebook a kernel runs now; a session follows renames. A claim: the user owns this process."""
        return {"server": "lab", "notebook": self._notebook(kernel_id)}

    def _notebook(self, kernel_id: str) -> str | None:
        server: Any = self.serverapp
        # The manager's own table; `list_sessions()` would also ask every kernel for its state at each call.
        row = server.session_manager.cursor.execute(
            "SELECT path FROM session WHERE kernel_id=? ORDER BY rowid DESC LIMIT 1", (kernel_id,)
        ).fetchone()
        return str(row["path"])[:_LONGEST_PATH] if row is not None else None

"""How does a page speak with its kernel? Over one websocket, to its own kernel only, in widget messages only."""

from __future__ import annotations

from typing import Any

from jupyter_core.utils import ensure_async
from tornado.web import HTTPError
from voila.tornado.kernel_websocket_handler import VoilaKernelWebsocketHandler

from gatebook_server.tools.handlers import Desk, DeskHandler, Route

_KERNEL_ID = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
LIMIT_MESSAGE_BYTES = 1 << 20


class KernelHandler(DeskHandler):
    """What widgets want to know of their kernel before they connect."""

    async def get(self, kernel_id: str) -> None:
        """Describe the viewer's own kernel, and say whether its tool is still the one in force."""
        tool = self.own_kernel(kernel_id).tool
        current = self.desk.catalogue.find(tool.name)
        is_current = current is not None and current.version == tool.version
        model = self.desk.kernels.kernel_model(kernel_id)  # type: ignore[no-untyped-call]
        self.write({**model, "is_current": is_current})


class ShutdownHandler(DeskHandler):
    """A page that closes says so."""

    async def post(self, kernel_id: str) -> None:
        """End the viewer's own kernel."""
        self.own_kernel(kernel_id)
        await self.desk.kernels.end(kernel_id)
        self.set_status(204)


class ChannelsHandler(VoilaKernelWebsocketHandler, DeskHandler):
    """The websocket of a page."""

    def set_default_headers(self) -> None:
        """Say nothing of the server; a websocket's answer is no page."""
        self.clear_header("Server")

    @property
    def max_message_size(self) -> int:
        """A widget's message is small."""
        return LIMIT_MESSAGE_BYTES

    async def prepare(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse who does not say where they come from; Tornado asks `check_origin` only of those who do."""
        if not self.get_origin():
            raise HTTPError(403)
        return await super().prepare(*args, **kwargs)

    async def pre_get(self) -> None:
        """Connect to the viewer's own kernel, or refuse."""
        self.own_kernel(self.kernel_id)
        await self._connect()

    async def _connect(self) -> None:
        kernel = self.kernel_manager.get_kernel(self.kernel_id)
        self.connection = self.kernel_websocket_connection_class(
            parent=kernel, websocket_handler=self, config=self.config
        )
        session = self.get_argument("session_id", "")
        if session:
            self.connection.session.session = session
        await ensure_async(self.connection.prepare())

    def on_message(self, message: Any) -> None:
        """Pass a message on; the connection drops every type that is not listed."""
        if self.connection is None or self.desk.handouts.find(self.kernel_id) is None:
            self.close()
            return
        try:
            super().on_message(message)
        except (ValueError, KeyError, TypeError, IndexError, AssertionError, AttributeError) as exc:
            # Not in the protocol: whoever forges messages gets no traceback in our log and no second try.
            self.log.warning("a page sent what is no message (%s)", type(exc).__name__)
            self.close(1002)

    def on_close(self) -> None:
        """Let go of the kernel; it ends later if its page does not come back."""
        if getattr(self, "connection", None) is not None:
            super().on_close()

    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        """Refuse without a page."""
        self.set_status(status_code)
        self._finishing = self.finish()


def kernel_routes(desk: Desk) -> list[Route]:
    """Return the routes of kernels: no list of them, no start, no restart, no interrupt."""
    given = {"desk": desk}
    return [
        (rf"{desk.prefix}api/kernels/{_KERNEL_ID}", KernelHandler, given),
        (rf"{desk.prefix}api/kernels/{_KERNEL_ID}/channels", ChannelsHandler, given),
        (rf"{desk.prefix}voila/api/shutdown/{_KERNEL_ID}", ShutdownHandler, given),
    ]

"""Which requests does this service answer? Those below, each by somebody who has logged in, and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from jupyter_server.auth.decorator import allow_unauthenticated
from jupyter_server.base.handlers import FileFindHandler, JupyterHandler
from jupyterhub.services.auth import HubOAuthCallbackHandler
from tornado.web import HTTPError, RequestHandler

from gatebook_server.errors import GatewayUnreachable
from gatebook_server.tools.assets import Assets
from gatebook_server.tools.catalogue import Catalogue, NotProven, Tool
from gatebook_server.tools.kernels import ToolKernels
from gatebook_server.tools.parameters import NotDeclared, Value, checked
from gatebook_server.tools.processes import COOKIE
from gatebook_server.tools.ready import NoKernelFree, ReadyPages
from gatebook_server.tools.rendering import TEMPLATES, Page
from gatebook_server.tools.sessions import ViewerAuth
from gatebook_server.tools.speaking import Gateway, Standing
from gatebook_server.tools.viewers import Handout, Handouts, Viewer

Method = Callable[..., Awaitable[None] | None]
_PAGES = Environment(
    loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape(default=True), undefined=StrictUndefined
)
# Widgets write style attributes and build style elements, hence `unsafe-inline` for styles. Scripts are files of ours.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
)
_KEPT = "private, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What the handlers need."""

    prefix: str
    assets: Assets
    auth: ViewerAuth
    catalogue: Catalogue
    gateway: Gateway
    ready: ReadyPages
    kernels: ToolKernels
    handouts: Handouts
    per_viewer: int
    process: int | None = None


def harden(handler: RequestHandler) -> None:
    """Set the headers of every answer."""
    handler.clear_header("Server")
    handler.set_header("Content-Security-Policy", CSP)
    handler.set_header("X-Content-Type-Options", "nosniff")
    handler.set_header("X-Frame-Options", "DENY")
    handler.set_header("Referrer-Policy", "same-origin")
    # A notebook page is of the same origin. With this, a window that it opens is not its to script.
    handler.set_header("Cross-Origin-Opener-Policy", "same-origin")
    handler.set_header("Cross-Origin-Resource-Policy", "same-origin")
    handler.set_header("Cache-Control", "no-store")


def refuse_scripts(handler: RequestHandler) -> None:
    """Refuse a page to anything but a person who goes there.

    A script in a notebook page has the same origin and so the reader's cookie, but a browser says of every request
    whether somebody navigates or a script fetches, and no script can change what it says.
    """
    mode, dest = (handler.request.headers.get(f"Sec-Fetch-{name}", "") for name in ("Mode", "Dest"))
    if mode not in {"", "navigate"} or dest not in {"", "document"}:
        raise HTTPError(403, "only a person may open this page")


class DeskHandler(JupyterHandler):
    """A request of somebody who has logged in; the base class refuses everybody else before any method runs."""

    def initialize(self, desk: Desk) -> None:
        """Take what the routing table says."""
        self.desk = desk

    def set_default_headers(self) -> None:
        """Set our headers instead of the base class's."""
        harden(self)

    def _nothing(self, *_args: Any, **_kwargs: Any) -> None:
        """A method that a route does not name is as little there as a route that is not listed."""
        raise HTTPError(404)

    get: Method = _nothing
    head: Method = _nothing
    post: Method = _nothing
    put: Method = _nothing
    patch: Method = _nothing
    delete: Method = _nothing
    options: Method = _nothing

    @property
    def viewer(self) -> Viewer:
        """Who asks, in which session."""
        session = self.desk.auth.session_of(self)
        if self.current_user is None or session is None:
            raise HTTPError(403)
        return Viewer(name=self.current_user.username, session_id=session.id)

    def own_kernel(self, kernel_id: str) -> Handout:
        """Return the hand-out of this viewer's own kernel; another's is not found."""
        handout = self.desk.handouts.find(kernel_id)
        if handout is None or handout.viewer != self.viewer or kernel_id not in self.desk.kernels:
            raise HTTPError(404)
        return handout

    def draw(self, template: str, **parts: Any) -> None:
        """Answer with one of our pages."""
        # Not `current_user`, which raises where a request failed before anybody was recognised.
        user = getattr(self, "_jupyter_current_user", None)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.write(
            _PAGES.get_template(template).render(
                prefix=self.desk.prefix,
                assets=self.desk.assets.address(self.desk.prefix),
                viewer=user.username if user is not None else "",
                **parts,
            )
        )

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a page that says what is wrong in a sentence; never a traceback."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        ask = ""
        match error:
            case GatewayUnreachable():
                status_code, ask = 502, "Try again in a minute; if it stays, tell the people who run the workspace."
                text = "The gateway does not answer, so it is not known what you may open."
            case NotDeclared():
                status_code, text = 400, str(error)
                ask = "Look at the address, or open the tool without what follows the question mark."
            case NotProven():
                status_code, ask = 503, "Tell the people who run the workspace."
                text = "The notebook of this tool is not the one that was approved, so it is not opened."
            case HTTPError(status_code=404):
                text = "There is nothing here. The tool may have another name, or the page's kernel has ended."
            case HTTPError(status_code=403):
                text = "This is not for you, or not from here."
            case _:
                text = "This did not work."
        self.set_status(status_code)
        self.draw("refused.html", title=HTTPStatus(status_code).phrase, text=text, ask=ask)
        if not self._finished:
            self._finishing = self.finish()

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Leave out the stack of what is in the answer anyway."""
        if isinstance(value, GatewayUnreachable | NotDeclared | NotProven):
            self.log.warning("%s", value)
        else:
            super().log_exception(typ, value, tb)

    async def standing(self) -> Standing:
        """Ask the gateway what the viewer may open."""
        session = self.desk.auth.session_of(self)
        if session is None:
            raise HTTPError(403)
        return await self.desk.gateway.standing(session.token)

    async def look(self) -> None:
        """Ask the gateway which versions are in force; pages that wait of others end."""
        self.desk.ready.replace(await self.desk.catalogue.refresh())


class PageHandler(DeskHandler):
    """A page, which people open and scripts do not."""

    async def prepare(self, *, _redirect_to_login: bool = True) -> Any:
        """Refuse scripts before anything else: a login that one of them starts would end the reader's session."""
        refuse_scripts(self)
        self._stay_here()
        return await super().prepare(_redirect_to_login=_redirect_to_login)

    def _stay_here(self) -> None:
        """Where there are several processes: have the browser come to this one from now on, which will know it."""
        number = self.desk.process
        if number is not None and self.get_cookie(COOKIE) != str(number):
            is_secret = self.request.protocol == "https"
            self.set_cookie(COOKIE, str(number), path=self.desk.prefix, httponly=True, samesite="Lax", secure=is_secret)


class IndexHandler(PageHandler):
    """The tools that the viewer may open."""

    async def get(self) -> None:
        """Draw the list."""
        await self.look()
        standing = await self.standing()
        tools = [tool for tool in self.desk.catalogue.all() if tool.name in standing.tools]
        self.draw("index.html", tools=tools, portal_url=standing.portal_url)


class ToolHandler(PageHandler):
    """One tool, in a kernel of the viewer's own."""

    async def get(self, name: str) -> None:
        """Hand out a kernel and stream its page."""
        await self.look()
        tool = self.desk.catalogue.find(name)
        if tool is None:
            raise HTTPError(404)
        if tool.name not in (await self.standing()).tools:
            self._refuse(tool)
            return
        values = checked(tool.parameters, self._query())
        viewer = self.viewer
        try:
            page = await hand_out(self.desk, viewer, tool, values)
        except NoKernelFree:
            self.set_status(503)
            self.set_header("Retry-After", "60")
            self.draw(
                "refused.html",
                title="Every seat is taken",
                text=f"All kernels for tools are in use, so {tool.title} cannot be opened now.",
                ask="Try again in a minute. Closing a tool's page frees its seat.",
            )
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        async for snippet in page.snippets(viewer.name):
            self.write(snippet)
            await self.flush()

    def _query(self) -> dict[str, list[str]]:
        """What stands in the address, as text; raises `NotDeclared`."""
        try:
            return {
                str(name): [text.decode("utf-8") for text in texts]
                for name, texts in self.request.query_arguments.items()
            }
        except UnicodeDecodeError as exc:
            message = "What stands in the address is no text."
            raise NotDeclared(message) from exc

    def _refuse(self, tool: Tool) -> None:
        self.set_status(403)
        self.draw(
            "refused.html",
            title=f"{tool.title} is not open to you",
            text="No rule of the policy lets your account open this tool.",
            ask=f"Ask the tool's owner for a grant of the tool {tool.name} to one of your groups.",
        )


async def hand_out(desk: Desk, viewer: Viewer, tool: Tool, values: Mapping[str, Value]) -> Page:
    """Give a page to a viewer, whose oldest one ends where they have too many; raises `NoKernelFree`, `NotProven`.

    One after the other: whoever asks for many pages at once has no more of them than others.
    """
    async with desk.handouts.turn(viewer.name):
        for oldest in desk.handouts.of(viewer.name)[: -(desk.per_viewer - 1) or None]:
            await desk.kernels.end(oldest.kernel_id)
        return await desk.ready.take(tool, viewer, values)


class LogoutHandler(PageHandler):
    """The end of a session: its kernels, its token, its cookie."""

    async def get(self) -> None:
        """End the session here, then at the Hub."""
        viewer = self.viewer
        for handout in self.desk.handouts.in_session(viewer.session_id):
            await self.desk.kernels.end(handout.kernel_id)
        self.desk.auth.sessions.end(viewer.session_id)
        self.desk.auth.clear_cookie(self)
        self.redirect(f"{self.desk.auth.hub_host}{self.desk.auth.hub_prefix}logout")


class CallbackHandler(HubOAuthCallbackHandler, JupyterHandler):
    """The end of a login: the Hub sends the browser here with a code."""

    def initialize(self, desk: Desk) -> None:
        """Take the login of the service."""
        self.hub_auth = desk.auth

    def set_default_headers(self) -> None:
        """Set our headers instead of the base class's."""
        harden(self)

    @allow_unauthenticated
    async def get(self) -> None:
        """Exchange the code."""
        refuse_scripts(self)
        await HubOAuthCallbackHandler.get(self)


class AssetHandler(FileFindHandler):
    """Scripts and styles of Voila, its widgets and our pages, for those who have logged in."""

    def set_default_headers(self) -> None:
        """Set our headers."""
        harden(self)

    def set_headers(self) -> None:
        """Say what the file is; its address says which, so a browser may keep it."""
        super().set_headers()
        self.set_header("Cache-Control", _KEPT)

    # The base class opens these two to everybody; redefined without its mark they need a login.
    async def get(self, path: str, include_body: bool = True) -> None:  # noqa: FBT001, FBT002 - the base class's
        """Send the file."""
        if not include_body:
            raise HTTPError(405)
        await super(FileFindHandler, self).get(path)

    async def head(self, path: str) -> None:
        """Send the file's headers."""
        await super(FileFindHandler, self).get(path, include_body=False)


class NothingHandler(DeskHandler):
    """Whatever has no route of its own."""

    async def prepare(self, *, _redirect_to_login: bool = True) -> None:
        """Answer at once, whoever asks and however."""
        raise HTTPError(404)


Route = tuple[Any, ...]


def page_routes(desk: Desk, assets: Mapping[str, Sequence[str | Path]]) -> list[Route]:
    """Return the routes of pages and files. Patterns are anchored by Tornado."""
    prefix = desk.prefix
    given = {"desk": desk}
    return [
        (prefix, IndexHandler, given),
        (rf"{prefix}logout", LogoutHandler, given),
        (rf"{prefix}oauth_callback", CallbackHandler, given),
        *(
            (rf"{prefix}{place}/(.+)", AssetHandler, {"path": [str(folder) for folder in folders]})
            for place, folders in assets.items()
        ),
        (rf"{prefix}([a-z][a-z0-9_]*)", ToolHandler, given),
    ]

"""How does a request become a visit? By a portal session whose groups the Hub confirms; a press proves its page too."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl, quote, urlencode

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gatebook_hub.changes import Outline, Place
from gatebook_hub.errors import AuthenticationError, GatebookError, InvalidInput, PortalOnly
from gatebook_hub.model import Principal
from gatebook_hub.portal.pages.frame import Frame
from gatebook_hub.portal.render import Page, render
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.changes import MOST_WAITING
from gatebook_hub.services.gate import Call
from gatebook_hub.services.showing import Sights
from gatebook_hub.stores.access import PortalSession
from gatebook_hub.web.authentication import Doorman
from gatebook_hub.web.hub import HubDirectory

FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 20
_MAX_ADDRESS = 2_000
_MAX_REASON = 2_000
_PURPOSE = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
# Pages that one may not be sent back to: they would send on again.
_WAYS_IN = ("/sign-in", "/sign-out", "/signed-out", "/oauth_callback")

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of a person at the portal, and what they see. `form` holds the fields of a press, each once."""

    cases: UseCases
    hub: HubDirectory | None
    request: Request
    session: PortalSession
    sights: Sights
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def principal(self) -> Principal:
        """The person."""
        return self.session.principal

    @property
    def call(self) -> Call:
        """The person's call of a use case."""
        return Call(principal=self.principal)

    def explained_call(self) -> Call:
        """The person's call with the reason and the purpose of the form; raises InvalidInput."""
        reason, purpose = self.form.get("reason", "").strip(), self.form.get("purpose", "").strip()
        if len(reason) > _MAX_REASON:
            raise InvalidInput(f"a reason has at most {_MAX_REASON:,} characters")
        if purpose and not _PURPOSE.match(purpose):
            raise InvalidInput("a purpose is one of those that grants name, such as `support`")
        return replace(self.call, reason=reason or None, purpose=purpose or None)

    def asked(self, name: str) -> str:
        """A value of the address's query, without spaces around it; empty if it is not there."""
        return self.request.query_params.get(name, "").strip()

    def inbox(self, before: Place | None = None, limit: int = MOST_WAITING) -> tuple[Outline, ...]:
        """What waits for the person."""
        return self.cases.changes.inbox(self.principal, sights=self.sights, before=before, limit=limit)

    def frame(self, notice: str | None = None, *, waiting: int | None = None) -> Frame:
        """What every page shows around its content; what waits is counted if that is not known.

        Where a source that would have to be asked is away, nothing is counted.
        """
        if waiting is None:
            try:
                waiting = len(self.inbox())
            except GatebookError:
                waiting = 0
        return frame_of(self.cases, self.session, notice, has_hub=self.hub is not None, waiting=waiting)


class Entrance:
    """Lets people in: the only way from a request to a visit."""

    def __init__(self, cases: UseCases, hub: HubDirectory | None, doorman: Doorman) -> None:
        self.cases = cases
        self.hub = hub
        self.doorman = doorman

    def page(self, show: Callable[[Visit], Response]) -> Endpoint:
        """The endpoint of something to look at; a stranger is sent to sign in first."""

        async def endpoint(request: Request) -> Response:
            visit = await self.enter(request)
            if visit is None:
                if request.url.path.endswith((".json", ".csv")):
                    raise AuthenticationError("sign in at the portal first")
                here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return leave_for(f"/sign-in?{urlencode({'next': here})}")
            return await run_in_threadpool(show, visit)

        return endpoint

    def press(self, act: Callable[[Visit], Response], *, most_fields: int = MOST_FIELDS) -> Endpoint:
        """The endpoint of a button: from the portal's own page, in this session, with groups asked anew, by no token.

        A stranger is told so, not sent away: `form-action` stops a form from ending at the Hub, and what was pressed
        must be pressed again by whoever signs in.
        """

        async def endpoint(request: Request) -> Response:
            if "authorization" in request.headers:
                raise PortalOnly("buttons are pressed by a person at the portal, not with a token")
            session = await self.doorman.session(request)
            if session is None:
                raise AuthenticationError("your session has ended; sign in and press again")
            form = await form_of(request, most_fields)
            self.doorman.check_post(request, session, form.get("xsrf", ""))
            visit = await self.enter(request, form=form, is_fresh=True)
            if visit is None:
                raise AuthenticationError("your session has ended; sign in and press again")
            return await run_in_threadpool(act, visit)

        return endpoint

    async def enter(
        self, request: Request, *, form: Mapping[str, str] | None = None, is_fresh: bool = False
    ) -> Visit | None:
        """The visit of a signed-in person, or None; a session that the Hub no longer backs ends here."""
        session = await self.doorman.session(request)
        if session is None:
            return None
        try:
            session = await self.doorman.reviewer(session, is_fresh=is_fresh)
        except AuthenticationError:
            await run_in_threadpool(self.cases.sessions.close, request.cookies[self.doorman.cookie], session)
            return None
        self.doorman.count(session.principal.id)
        if not self.cases.preferences.is_known_as(session.principal):
            await run_in_threadpool(self.cases.preferences.meet, session.principal)
        sights = self.cases.changes.sights(session.principal)
        return Visit(cases=self.cases, hub=self.hub, request=request, session=session, sights=sights, form=form or {})

    def stranger(self, xsrf: str = "") -> Frame:
        """The frame of a page for somebody who has not signed in."""
        return frame_of(self.cases, None, None, has_hub=self.hub is not None, xsrf=xsrf)


def frame_of(
    cases: UseCases,
    session: PortalSession | None,
    notice: str | None,
    *,
    has_hub: bool,
    xsrf: str = "",
    waiting: int = 0,
) -> Frame:
    """A page's frame."""
    settings = cases.gate.settings
    hub_url = f"{settings.hub_url}/hub/home" if has_hub else None
    if session is None:
        return Frame(now=cases.gate.now(), xsrf=xsrf, person=None, hub_url=hub_url, is_trial=settings.trial)
    return Frame(
        now=cases.gate.now(),
        xsrf=session.xsrf,
        person=session.principal.name,
        groups=tuple(sorted(session.principal.groups)),
        hub_url=hub_url,
        inbox_count=waiting,
        is_trial=settings.trial,
        notice=notice,
    )


def shown(page: Page, status: int = 200) -> Response:
    """The response of a page."""
    return HTMLResponse(render(page), status_code=status)


def leave_for(address: str) -> RedirectResponse:
    """Lead on with a GET, whatever the request was."""
    return RedirectResponse(address, status_code=303)


def local_address(given: str) -> str:
    r"""The address if it is a path of the portal that one may be sent to, else the first page.

    `//host` and `/\host` leave the portal, and so would a control character that a browser drops.
    """
    is_path = given.startswith("/") and not given.startswith(("//", "/\\")) and "\\" not in given
    is_plain = len(given) <= _MAX_ADDRESS and given.isprintable()
    if not (is_path and is_plain) or given.startswith(_WAYS_IN):
        return "/"
    return quote(given, safe="/?&=%:+,;@!~*'()-._#")


async def form_of(request: Request, most_fields: int = MOST_FIELDS) -> dict[str, str]:
    """The fields of a form; raises InvalidInput for another kind of body and for a field that comes twice."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidInput("a form of the portal was expected")
    body = await request.body()
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=most_fields, errors="strict")
    except ValueError as error:
        raise InvalidInput("the form cannot be read") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise InvalidInput("a field of the form came twice")
    return fields

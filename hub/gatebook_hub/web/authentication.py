"""Who calls? A token or a portal session becomes a principal that the gateway itself has verified."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import Request
from starlette.concurrency import run_in_threadpool

from gatebook_hub.audit import EventKind
from gatebook_hub.errors import AuthenticationError, InvalidInput, NotPermitted
from gatebook_hub.model import Channel, Principal, PrincipalKind, Tool
from gatebook_hub.policy import may_use_tool
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.sessions import RUN_TOKEN, USER_TOKEN
from gatebook_hub.stores.access import PortalSession
from gatebook_hub.web.hub import HubDirectory
from gatebook_hub.web.rates import Rates

COOKIE = "gatebook_session"
# A statement is sent with POST, whether it reads or writes.
MAY_READ = "/api/v1/query"
_ACTIONS = "/api/v1/actions/"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CLAIMS = ("kernel_id", "notebook", "cell", "cell_id", "server", "tool", "path")
_MAX_CLAIM = 500


def cookie_name(name: str, *, is_tls: bool) -> str:
    """The name of a cookie; behind TLS the prefix has browsers refuse one that another host or plain HTTP set."""
    return f"__Host-{name}" if is_tls else name


class Doorman:
    """Turns a request into a Call; the only place where credentials are looked at."""

    def __init__(self, cases: UseCases, hub: HubDirectory | None) -> None:
        self._cases = cases
        self._hub = hub
        settings = cases.gate.settings
        self._rates = Rates(settings.limit_requests_per_s, settings.limit_request_burst)
        self._origin = settings.portal_url
        self._host = self._origin.split("://", 1)[1]
        self.cookie = cookie_name(COOKIE, is_tls=settings.is_tls)

    async def call(self, request: Request) -> Call:
        """The call of an API request; raises AuthenticationError, NotPermitted, TooManyRequests.

        One that may change something has the Hub's answer of now; `confirmed` gets it for one that was thought to read.
        """
        is_fresh = request.method not in _SAFE and request.url.path != MAY_READ
        principal = await self._principal(request, is_fresh=is_fresh)
        self._rates.take(principal.id)
        if principal.channel is Channel.CHECK_TOKEN:
            await self._hold_check(request, principal)
        return Call(principal=principal, provenance=_provenance(request, {}), is_fresh=is_fresh)

    async def confirmed(self, request: Request, call: Call) -> Call:
        """The same call, with what the Hub says now; raises AuthenticationError, NotPermitted."""
        principal = await self._principal(request, is_fresh=True)
        return replace(call, principal=principal, is_fresh=True)

    async def session(self, request: Request) -> PortalSession | None:
        """The portal session of a browser's request, or None; the cookie counts on the portal's own host alone."""
        cookie = request.cookies.get(self.cookie)
        if not cookie or request.headers.get("host") != self._host:
            return None
        gate = self._cases.gate
        return await run_in_threadpool(gate.sessions.get, cookie, gate.now())

    async def reviewer(self, session: PortalSession, *, is_fresh: bool = True) -> PortalSession:
        """The session with the person's groups as the Hub has them; a person who lost access loses the session.

        Pages that only show something may be content with an answer of some seconds ago (`is_fresh=False`).
        """
        if (session.hub_token is None) is not (self._hub is None):
            raise AuthenticationError("the session began when the gateway knew people otherwise; sign in again")
        leased = self._cases.gate.leased
        if session.hub_token is None or self._hub is None:
            return replace(session, principal=leased(session.principal))
        principal = await self._hub.resolve(session.hub_token, is_fresh=is_fresh)
        if principal.id != session.principal.id:
            raise AuthenticationError("the session is somebody else's at the Hub")
        return replace(session, principal=leased(replace(session.principal, groups=principal.groups)))

    def count(self, who: str) -> None:
        """Count one request of a principal, or of an address that has not signed in; raises TooManyRequests."""
        self._rates.take(who)

    def check_origin(self, request: Request) -> None:
        """A press comes from a page of the portal's own; a browser says so itself. Raises NotPermitted."""
        if request.headers.get("origin") != self._origin:
            raise NotPermitted("this came from another page; open the portal and press there")

    def check_post(self, request: Request, session: PortalSession, xsrf: str) -> None:
        """A press on a page comes from the portal's own origin and knows the session's token; raises NotPermitted."""
        self.check_origin(request)
        if not hmac.compare_digest(xsrf.encode(errors="replace"), session.xsrf.encode()):
            raise NotPermitted("the page was too old; load it again")

    async def _hold_check(self, request: Request, principal: Principal) -> None:
        """A tool that is checked reads, and has writes rehearsed; a press of its is told and not done.

        Raises NotPermitted.
        """
        path = request.url.path
        if request.method in _SAFE or path == MAY_READ:
            return
        error = NotPermitted("a check of a tool changes nothing; this is done when somebody uses the tool")
        action = path.removeprefix(_ACTIONS) if path.startswith(_ACTIONS) else ""
        gate = self._cases.gate
        if action in gate.policy.actions:
            call = Call(principal=principal)
            error.reference = await run_in_threadpool(gate.refuse, EventKind.ACTION_REFUSED, call, error, action=action)
        raise error

    async def _principal(self, request: Request, *, is_fresh: bool) -> Principal:
        header = request.headers.get("authorization")
        if header is None:
            return await self._person(request)
        scheme, _, token = header.partition(" ")
        if scheme.lower() not in {"bearer", "token"} or not token:
            raise AuthenticationError("the Authorization header is not `Bearer <token>`")
        principal = await self._owner(token, is_fresh=is_fresh)
        return self._cases.gate.leased(await self._through_tool(request, principal, is_fresh=is_fresh))

    async def _person(self, request: Request) -> Principal:
        session = await self.session(request)
        if session is None:
            raise AuthenticationError("no token and no session")
        if request.method not in _SAFE:
            self.check_post(request, session, request.headers.get("gatebook-xsrf", ""))
        return (await self.reviewer(session)).principal

    async def _owner(self, token: str, *, is_fresh: bool) -> Principal:
        if token.startswith((USER_TOKEN, RUN_TOKEN)):
            sessions = self._cases.sessions
            known = sessions.recall(token)
            return known if known is not None else await run_in_threadpool(sessions.resolve, token)
        if self._hub is None:
            raise AuthenticationError("the token is unknown, expired or revoked")
        return await self._hub.resolve(token, is_fresh=is_fresh)

    async def _through_tool(self, request: Request, principal: Principal, *, is_fresh: bool) -> Principal:
        """The principal with the tool that the tools service attests; a claim without its proof is refused."""
        claimed = request.headers.get("gatebook-tool")
        proof = request.headers.get("gatebook-service-token")
        if claimed is None and proof is None:
            return principal
        if not claimed or not proof:
            raise NotPermitted("a tool is attested by the tools service alone")
        service = await self._owner(proof, is_fresh=is_fresh)
        if service.kind is not PrincipalKind.SERVICE or service.name != "tools":
            raise NotPermitted("a tool is attested by the tools service alone")
        name, _, version = claimed.partition("@")
        if principal.kind is not PrincipalKind.USER or not may_use_tool(
            self._cases.gate.policy, principal, name, self._cases.gate.circumstances()
        ):
            raise NotPermitted(f"the tool `{name[:64]}` is not yours to open", ask=f"a grant of the tool `{name[:64]}`")
        if not await run_in_threadpool(self._cases.publishing.may_attest, name, version):
            raise NotPermitted(f"this version of `{name[:64]}` was taken back, or never approved; load it again")
        return replace(principal, tool=Tool(name=name, version=version[:64] or "unknown"))


def _provenance(request: Request, claims: Mapping[str, Any]) -> dict[str, str]:
    """What the caller claims: the body's claims, overruled by those of the relay in front of it."""
    found = dict(claims)
    header = request.headers.get("gatebook-provenance")
    if header is not None:
        try:
            stated = json.loads(header)
        except (ValueError, RecursionError) as error:
            raise InvalidInput("the header Gatebook-Provenance is not JSON") from error
        if not isinstance(stated, dict):
            raise InvalidInput("the header Gatebook-Provenance is not a JSON object")
        found.update(stated)
    return {name: str(found[name])[:_MAX_CLAIM] for name in _CLAIMS if found.get(name)}

"""How does a person come in and go? Through the Hub's log-in where there is one, else with a one-time link."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from gatebook_hub.errors import AuthenticationError, NotFound
from gatebook_hub.model import PrincipalKind
from gatebook_hub.portal.pages.session import SignedOutPage, SignInOffer, SignInPage
from gatebook_hub.portal.visits import Entrance, Visit, form_of, leave_for, local_address, shown
from gatebook_hub.services.sessions import LOGIN_TTL
from gatebook_hub.web.authentication import cookie_name
from gatebook_hub.web.hub import HubDirectory

# One per log-in under way, so that several tabs may be.
LOGIN_COOKIE = "gatebook_login"
COMMAND = "gatebook portal-link --user NAME --groups GROUP,GROUP"
_STATE_SHOWN = 8


class SignIn:
    """The endpoints around a session."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._cases = entrance.cases
        self._doorman = entrance.doorman
        self._settings = entrance.cases.gate.settings

    async def show(self, request: Request) -> Response:
        """GET /sign-in: off to the Hub, or the page on which a link's code is pressed. Nothing is used up here."""
        self._doorman.count(_address(request))
        following = local_address(request.query_params.get("next", "/"))
        code = request.query_params.get("code", "")
        if not code and await self._entrance.enter(request) is not None:
            return leave_for(following)
        hub = self._entrance.hub
        if hub is not None:
            return await self._to_hub(hub, following)
        return self._page(code)

    async def press(self, request: Request) -> Response:
        """POST /sign-in: use up a link's code. Only a page that this browser loaded itself may press it."""
        if self._entrance.hub is not None:
            raise NotFound("people sign in at the Hub")
        self._doorman.count(_address(request))
        self._doorman.check_origin(request)
        form = await form_of(request)
        known = request.cookies.get(self._login_cookie(""), "")
        if not known or not hmac.compare_digest(form.get("xsrf", "").encode(), _xsrf(known).encode()):
            return self._page(form.get("code", ""), problem="the page was too old; press again", status=403)
        cookie = await run_in_threadpool(self._cases.sessions.open_with_link, form.get("code", ""))
        if cookie is None:
            problem = "this link is unknown, was used already, or is older than five minutes; ask for a new one"
            return self._page("", problem=problem, status=403)
        return await self._begin(request, cookie, "/", self._login_cookie(""))

    async def come_back(self, request: Request) -> Response:
        """GET /oauth_callback: the Hub sent the person back; the log-in must be one that this browser began."""
        hub = self._entrance.hub
        if hub is None:
            raise NotFound("there is no Hub")
        self._doorman.count(_address(request))
        state = request.query_params.get("state", "")
        name = self._login_cookie(state)
        browser = request.cookies.get(name, "")
        gate = self._cases.gate
        begun = await run_in_threadpool(gate.sessions.take_login, state, gate.now()) if browser and state else None
        if not begun or not hmac.compare_digest(begun.get("browser", ""), _digest(browser)):
            raise AuthenticationError("this sign-in was not begun in this browser, or took too long; sign in again")
        if "code" not in request.query_params:
            raise AuthenticationError("the Hub did not let you in; sign in again")
        token = await hub.token_for_code(request.query_params["code"], begun["verifier"])
        principal = await hub.resolve(token, is_fresh=True)
        if principal.kind is not PrincipalKind.USER:
            raise AuthenticationError("only a person opens a portal session")
        cookie = await run_in_threadpool(self._cases.sessions.open, principal, token)
        return await self._begin(request, cookie, local_address(begun["next"]), name)

    def leave(self, visit: Visit) -> Response:
        """POST /sign-out."""
        visit.cases.sessions.close(visit.request.cookies[self._doorman.cookie], visit.session)
        response = leave_for("/signed-out")
        self._forget(response, self._doorman.cookie)
        return response

    async def show_left(self, request: Request) -> Response:
        """GET /signed-out."""
        if await self._entrance.enter(request) is not None:
            return leave_for("/")
        return shown(SignedOutPage(frame=self._entrance.stranger(), sign_in_url="/sign-in"))

    def _page(self, code: str, *, problem: str | None = None, status: int = 200) -> Response:
        secret = secrets.token_urlsafe(32)
        offer = SignInOffer(code=code) if code else None
        frame = self._entrance.stranger(_xsrf(secret))
        response = shown(SignInPage(frame=frame, command=COMMAND, offer=offer, problem=problem), status)
        if offer is not None:
            self._remember(response, self._login_cookie(""), secret, int(LOGIN_TTL.total_seconds()))
        return response

    async def _to_hub(self, hub: HubDirectory, following: str) -> Response:
        state, browser, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        document = {"browser": _digest(browser), "verifier": verifier, "next": following}
        gate = self._cases.gate
        await run_in_threadpool(gate.sessions.start_login, state, document, gate.now() + LOGIN_TTL)
        challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        response = leave_for(hub.authorize_url(state, challenge))
        self._remember(response, self._login_cookie(state), browser, int(LOGIN_TTL.total_seconds()))
        return response

    async def _begin(self, request: Request, cookie: str, following: str, login: str) -> Response:
        """The first response of a session: its secret is new, and one that the browser had before ends."""
        before = await self._doorman.session(request)
        if before is not None:
            await run_in_threadpool(self._cases.sessions.close, request.cookies[self._doorman.cookie], before)
        response = leave_for(following)
        self._remember(response, self._doorman.cookie, cookie, int(self._settings.session_ttl_h * 3600))
        self._forget(response, login)
        return response

    def _login_cookie(self, state: str) -> str:
        name = f"{LOGIN_COOKIE}_{_digest(state)[:_STATE_SHOWN]}" if state else LOGIN_COOKIE
        return cookie_name(name, is_tls=self._settings.is_tls)

    def _remember(self, response: Response, name: str, value: str, max_age_s: int) -> None:
        response.set_cookie(
            name, value, max_age=max_age_s, path="/", secure=self._settings.is_tls, httponly=True, samesite="lax"
        )

    def _forget(self, response: Response, name: str) -> None:
        response.delete_cookie(name, path="/", secure=self._settings.is_tls, httponly=True, samesite="lax")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _xsrf(secret: str) -> str:
    """What the sign-in form carries; the cookie that it belongs to is not readable from it."""
    return _digest(f"sign-in {secret}")


def _address(request: Request) -> str:
    return f"address:{request.client.host if request.client else ''}"

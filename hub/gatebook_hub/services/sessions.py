"""How does a principal get a token or a portal session?"""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import replace

from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import InvalidInput
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.stores.access import PortalSession

USER_TOKEN = "gbt_"  # noqa: S105 - a prefix
RUN_TOKEN = "gbr_"  # noqa: S105 - a prefix
LINK_TTL = dt.timedelta(minutes=5)
LOGIN_TTL = dt.timedelta(minutes=10)
MAX_TTL = dt.timedelta(days=366)


class Sessions:
    """Issue, resolve and end tokens and sessions."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def issue(self, call: Call, principal: Principal, ttl: dt.timedelta) -> tuple[str, str]:
        """A new token and its label; only the operator's command and the worker's runs get here."""
        if not dt.timedelta(0) < ttl <= MAX_TTL:
            raise InvalidInput("a token lives between one second and 366 days")
        prefix = RUN_TOKEN if principal.channel is Channel.RUN_TOKEN else USER_TOKEN
        secret = prefix + secrets.token_urlsafe(32)
        gate = self._gate
        expires_at = gate.now() + ttl
        extra = {"for": principal.id, "expires_at": expires_at.isoformat(timespec="seconds")}
        gate.book.append(gate.event(EventKind.TOKEN_ISSUED, call, outcome=Outcome.OK, extra=extra))
        return secret, gate.tokens.add(secret, principal, expires_at)

    def recall(self, secret: str) -> Principal | None:
        """Whose issued token it is, where that is known without waiting."""
        return self._gate.tokens.recall(secret, self._gate.now())

    def resolve(self, secret: str) -> Principal:
        """Whose issued token it is; raises AuthenticationError."""
        return self._gate.tokens.resolve(secret, self._gate.now())

    def revoke(self, call: Call, label: str) -> None:
        """End a token."""
        gate = self._gate
        gate.tokens.revoke(label, gate.now())
        gate.book.append(gate.event(EventKind.TOKEN_REVOKED, call, outcome=Outcome.OK, extra={"label": label}))

    def make_link(self, call: Call, principal: Principal) -> str:
        """The secret of a one-time link with which a person opens a portal session where there is no Hub."""
        if principal.kind is not PrincipalKind.USER:
            raise InvalidInput("only a person opens a portal session")
        secret = secrets.token_urlsafe(32)
        gate = self._gate
        document = {"link": {"name": principal.name, "groups": sorted(principal.groups)}}
        extra = {"for": principal.id, "what": "portal link"}
        gate.book.append(gate.event(EventKind.TOKEN_ISSUED, call, outcome=Outcome.OK, extra=extra))
        gate.sessions.start_login(secret, document, gate.now() + LINK_TTL)
        return secret

    def open_with_link(self, secret: str) -> str | None:
        """The cookie of a new session, if the link is good and unused."""
        found = self._gate.sessions.take_login(secret, self._gate.now())
        if not found or "link" not in found:
            return None
        person = found["link"]
        principal = Principal(kind=PrincipalKind.USER, name=person["name"], groups=frozenset(person["groups"]))
        return self.open(principal, None)

    def open(self, principal: Principal, hub_token: str | None) -> str:
        """The cookie of a new portal session of a person whose identity is proven."""
        gate = self._gate
        person = replace(principal, channel=Channel.PORTAL, tool=None)
        cookie = secrets.token_urlsafe(32)
        opened = PortalSession(
            principal=person,
            xsrf=secrets.token_urlsafe(32),
            hub_token=hub_token,
            expires_at=gate.now() + dt.timedelta(hours=gate.settings.session_ttl_h),
        )
        gate.book.append(gate.event(EventKind.SESSION_OPENED, Call(principal=person), outcome=Outcome.OK))
        gate.sessions.open(cookie, opened)
        gate.sessions.forget_expired(gate.now())
        return cookie

    def close(self, cookie: str, session: PortalSession) -> None:
        """End a portal session."""
        gate = self._gate
        gate.sessions.close(cookie)
        gate.book.append(gate.event(EventKind.SESSION_CLOSED, Call(principal=session.principal), outcome=Outcome.OK))

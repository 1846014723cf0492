"""Who looks at a page, and where is their Hub token? In this process; the browser holds a random name for it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jupyterhub.services.auth import HubOAuth
from jupyterhub.singleuser.extension import JupyterHubIdentityProvider

_LONGEST_S = 8 * 3600.0
_MOST = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One login of one person in one browser."""

    id: str = field(repr=False)
    token: str = field(repr=False)
    ends_at: float


class Sessions:
    """The logins that are valid now."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._sessions: dict[str, Session] = {}
        self._clock = clock

    def begin(self, token: str) -> Session:
        """Remember a viewer's token; the id is a secret too and as hard to guess."""
        now = self._clock()
        self._sessions = {name: one for name, one in self._sessions.items() if one.ends_at > now}
        while len(self._sessions) >= _MOST:
            del self._sessions[next(iter(self._sessions))]
        session = Session(id=secrets.token_urlsafe(32), token=token, ends_at=now + _LONGEST_S)
        self._sessions[session.id] = session
        return session

    def find(self, session_id: str) -> Session | None:
        """Return the session, or None if it ended or never was."""
        session = self._sessions.get(session_id)
        return session if session is not None and session.ends_at > self._clock() else None

    def end(self, session_id: str) -> None:
        """Forget the session and its token."""
        self._sessions.pop(session_id, None)


class ViewerAuth(HubOAuth):
    """The Hub's OAuth login; the cookie names a session instead of holding the token."""

    sessions: Sessions

    def session_of(self, handler: Any) -> Session | None:
        """Return the session that the request's cookie names."""
        name = HubOAuth._get_token_cookie(self, handler)  # noqa: SLF001 - the base class reads the cookie
        return self.sessions.find(name) if name else None

    def set_cookie(self, handler: Any, access_token: str) -> None:
        """End of a login: keep the token here, give the browser the session's name."""
        before = self.session_of(handler)
        if before is not None:
            self.sessions.end(before.id)
        super().set_cookie(handler, self.sessions.begin(access_token).id)

    def get_token(self, handler: Any, in_cookie: bool = True) -> str | None:  # noqa: FBT001, FBT002 - the base class's
        """Return the token of the session. None comes from a header or an address: a person logs in."""
        return self._get_token_cookie(handler) if in_cookie else None

    def _get_token_cookie(self, handler: Any) -> str | None:
        session = self.session_of(handler)
        return session.token if session is not None else None


class ViewerIdentity(JupyterHubIdentityProvider):
    """Who sends this request? Somebody with a session and the scope of this service, or nobody."""

    @property
    def token(self) -> str:
        """Nothing in a page may hold a token."""
        return ""

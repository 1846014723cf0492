"""Where are tokens, portal sessions and log-ins under way kept? By the SHA-256 of their secret, never the secret."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from gatebook_hub.errors import AuthenticationError, InvalidInput, NotFound, StateConflict
from gatebook_hub.model import Principal
from gatebook_hub.stores.codec import read_principal, write_principal
from gatebook_hub.stores.known import Known
from gatebook_hub.stores.tables import login, receipt, session, token

_NO_TOKEN = "the token is unknown, expired or revoked"  # noqa: S105 - a sentence


def secret_digest(secret: str) -> str:
    """The name under which a secret of 32 random bytes is kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalSession:
    """A person's session at the portal; `xsrf` is bound to it."""

    principal: Principal
    xsrf: str
    hub_token: str | None
    expires_at: dt.datetime


class TokenStore:
    """Tokens that the gateway issued: people's, services' and runs'."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known = Known[tuple[Principal, dt.datetime]](engine)
        self.close = self._known.close

    def add(self, secret: str, principal: Principal, expires_at: dt.datetime) -> str:
        """Keep a token; returns its label, by which it is revoked."""
        digest = secret_digest(secret)
        with self._engine.begin() as connection:
            connection.execute(
                insert(token).values(
                    digest=digest,
                    label=digest[:12],
                    principal=json.dumps(write_principal(principal)),
                    expires_at=expires_at.isoformat(),
                )
            )
        return digest[:12]

    def recall(self, secret: str, now: dt.datetime) -> Principal | None:
        """Whose token it is, where that is known and nothing was written since; quick, and waits for nobody."""
        found = self._known.get(secret_digest(secret))
        return found[0] if found is not None and found[1] > now else None

    def resolve(self, secret: str, now: dt.datetime) -> Principal:
        """Whose token it is; raises AuthenticationError for unknown, expired and revoked ones alike."""
        digest = secret_digest(secret)
        query = select(token).where(token.c.digest == digest)
        stamp = self._known.stamp()
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None or row.revoked_at is not None:
            raise AuthenticationError(_NO_TOKEN)
        expires_at = dt.datetime.fromisoformat(row.expires_at)
        if expires_at <= now:
            raise AuthenticationError(_NO_TOKEN)
        principal = read_principal(json.loads(row.principal))
        self._known.put(digest, (principal, expires_at), stamp)
        return principal

    def revoke(self, label: str, now: dt.datetime) -> None:
        """End a token by its label; raises NotFound."""
        query = (
            update(token).where(token.c.label == label, token.c.revoked_at.is_(None)).values(revoked_at=now.isoformat())
        )
        with self._engine.begin() as connection:
            if connection.execute(query).rowcount == 0:
                raise NotFound(f"there is no live token `{label}`")


class SessionStore:
    """Portal sessions, and log-ins between leaving for the Hub and coming back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def open(self, secret: str, opened: PortalSession) -> None:
        """Keep a session."""
        with self._engine.begin() as connection:
            connection.execute(
                insert(session).values(
                    digest=secret_digest(secret),
                    principal=json.dumps(write_principal(opened.principal)),
                    xsrf=opened.xsrf,
                    hub_token=opened.hub_token,
                    expires_at=opened.expires_at.isoformat(),
                )
            )

    def get(self, secret: str, now: dt.datetime) -> PortalSession | None:
        """The live session of a cookie, or None."""
        query = select(session).where(session.c.digest == secret_digest(secret))
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        if row is None or dt.datetime.fromisoformat(row.expires_at) <= now:
            return None
        return PortalSession(
            principal=read_principal(json.loads(row.principal)),
            xsrf=row.xsrf,
            hub_token=row.hub_token,
            expires_at=dt.datetime.fromisoformat(row.expires_at),
        )

    def close(self, secret: str) -> None:
        """End a session."""
        with self._engine.begin() as connection:
            connection.execute(delete(session).where(session.c.digest == secret_digest(secret)))

    def start_login(self, secret: str, document: dict[str, Any], expires_at: dt.datetime) -> None:
        """Keep what a log-in must find again when the browser comes back."""
        with self._engine.begin() as connection:
            connection.execute(
                insert(login).values(
                    digest=secret_digest(secret), document=json.dumps(document), expires_at=expires_at.isoformat()
                )
            )

    def take_login(self, secret: str, now: dt.datetime) -> dict[str, Any] | None:
        """What was kept for a log-in; it can be taken once."""
        key = login.c.digest == secret_digest(secret)
        with self._engine.begin() as connection:
            row = connection.execute(select(login).where(key)).first()
            taken = connection.execute(delete(login).where(key)).rowcount
        if row is None or taken != 1 or dt.datetime.fromisoformat(row.expires_at) <= now:
            return None
        found: dict[str, Any] = json.loads(row.document)
        return found

    def forget_expired(self, now: dt.datetime) -> None:
        """Remove what has expired."""
        with self._engine.begin() as connection:
            connection.execute(delete(session).where(session.c.expires_at <= now.isoformat()))
            connection.execute(delete(login).where(login.c.expires_at <= now.isoformat()))


class ReceiptStore:
    """Answers to requests that carried an idempotency key, so that a repeated press does not act twice."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, principal: str, idempotency_key: str, request: str) -> dict[str, Any] | None:
        """Claim a key for one request: None if it is free now, else the answer that was given.

        Raises InvalidInput if the key came with another request, StateConflict while the first is under way.
        """
        values = {"principal": principal, "idempotency_key": idempotency_key, "request": request, "answer": ""}
        try:
            with self._engine.begin() as connection:
                connection.execute(insert(receipt).values(**values))
        except IntegrityError:
            return self._answer(principal, idempotency_key, request)
        return None

    def settle(self, principal: str, idempotency_key: str, answer: dict[str, Any]) -> None:
        """Keep the answer of a claimed key."""
        query = update(receipt).where(*_key(principal, idempotency_key)).values(answer=json.dumps(answer))
        with self._engine.begin() as connection:
            connection.execute(query)

    def release(self, principal: str, idempotency_key: str) -> None:
        """Give a claimed key back: its request had no effect."""
        with self._engine.begin() as connection:
            connection.execute(delete(receipt).where(*_key(principal, idempotency_key)))

    def _answer(self, principal: str, idempotency_key: str, request: str) -> dict[str, Any]:
        with self._engine.connect() as connection:
            row = connection.execute(select(receipt).where(*_key(principal, idempotency_key))).first()
        if row is None or not row.answer:
            raise StateConflict("the same request is under way; wait for its outcome")
        if row.request != request:
            raise InvalidInput("this idempotency key was used for another request")
        found: dict[str, Any] = json.loads(row.answer)
        return found


def _key(principal: str, idempotency_key: str) -> tuple[Any, ...]:
    return receipt.c.principal == principal, receipt.c.idempotency_key == idempotency_key

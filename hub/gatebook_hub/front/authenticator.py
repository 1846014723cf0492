"""Who may log in? The accounts in one private file, each with a password hash of its own."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from jupyterhub.auth import Authenticator
from traitlets import Unicode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jupyterhub.handlers import BaseHandler

_FREE_FAILURES = 5
_LONGEST_WAIT_S = 60.0
_REMEMBERED = 4096
_LONGEST_PASSWORD = 1024
_PASSWORD_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPasswords:
    """The passwords of the demo accounts: where they are, and those made just now."""

    hashes: Path
    plain: Path
    made: Mapping[str, str]


def ensure_passwords(folder: Path, names: Iterable[str]) -> DemoPasswords:
    """Make passwords for accounts that have none yet; both files are private to the Hub."""
    hashes, plain = folder / "accounts.json", folder / "demo-passwords"
    known: dict[str, str] = json.loads(hashes.read_text("utf-8")) if hashes.is_file() else {}
    made = {name: secrets.token_urlsafe(_PASSWORD_BYTES) for name in names if name not in known}
    if made:
        hasher = PasswordHasher()
        lines = plain.read_text("utf-8") if plain.is_file() else ""
        _write_private(plain, lines + "".join(f"{name} {password}\n" for name, password in made.items()))
        known |= {name: hasher.hash(password) for name, password in made.items()}
        _write_private(hashes, json.dumps(known, indent=1) + "\n")
    return DemoPasswords(hashes=hashes, plain=plain, made=made)


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


class Throttle:
    """Makes guessing slow: after a few failures a name must wait, longer with each further one, a minute at most.

    By name and not by address, since a client may claim any address behind a proxy. The bound keeps a stranger from
    locking a person out for long.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def admit(self, name: str, now: float) -> bool:
        """Whether an attempt may be made now; counts it as failed until `clear`, so that parallel ones count too."""
        count, blocked_until = self._failures.pop(name, (0, 0.0))
        is_admitted = now >= blocked_until
        if is_admitted:
            count += 1
            wait = min(2.0 ** (count - _FREE_FAILURES), _LONGEST_WAIT_S) if count >= _FREE_FAILURES else 0.0
            blocked_until = now + wait
        self._failures[name] = (count, blocked_until)
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)
        return is_admitted

    def clear(self, name: str) -> None:
        """Forget the failures of a name that proved itself."""
        self._failures.pop(name, None)


class PasswordFileAuthenticator(Authenticator):
    """Checks a password against the account's own argon2 hash."""

    hashes_file = Unicode("", help="JSON file of account names and argon2 hashes, private to the Hub.").tag(config=True)

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._hasher = PasswordHasher()
        # An unknown name costs as much time as a wrong password.
        self._nobody = self._hasher.hash(secrets.token_urlsafe())
        self._throttle = Throttle()

    async def authenticate(self, handler: BaseHandler | None, data: Mapping[str, str]) -> str | None:  # noqa: ARG002
        """Return the name, or None if name or password are wrong or the name must wait."""
        name: str = self.normalize_username(str(data.get("username") or ""))
        password = str(data.get("password") or "")
        if not self._throttle.admit(name, time.monotonic()):
            self.log.warning("login of %r refused: too many failures, must wait", name)
            return None
        if not await asyncio.to_thread(self._is_right, name, password[:_LONGEST_PASSWORD]):
            return None
        self._throttle.clear(name)
        return name

    def _is_right(self, name: str, password: str) -> bool:
        file = Path(self.hashes_file)
        known: dict[str, str] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
        try:
            self._hasher.verify(known.get(name, self._nobody), password)
        except (VerificationError, InvalidHashError):
            return False
        return name in known

"""Which kernel does a gate token belong to? One process knows; nothing is written anywhere."""

from __future__ import annotations

import hashlib
import secrets

TOKEN_PREFIX = "gbk_"  # noqa: S105 - the mark of all gate tokens, not one
_ENTROPY_BYTES = 32


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class KernelTokens:
    """The gate tokens of the kernels that run now, as hashes; one per kernel."""

    def __init__(self) -> None:
        self._kernel_of: dict[bytes, str] = {}
        self._digest_of: dict[str, bytes] = {}

    def issue(self, kernel_id: str) -> str:
        """Return a fresh token for the kernel; a token it had before is void."""
        self.revoke(kernel_id)
        token = TOKEN_PREFIX + secrets.token_urlsafe(_ENTROPY_BYTES)
        digest = _digest(token)
        self._kernel_of[digest] = kernel_id
        self._digest_of[kernel_id] = digest
        return token

    def revoke(self, kernel_id: str) -> None:
        """Forget the kernel's token, if it has one."""
        digest = self._digest_of.pop(kernel_id, None)
        if digest is not None:
            del self._kernel_of[digest]

    def kernel_of(self, token: str) -> str | None:
        """Return the kernel that holds this token now; looked up by hash, so timing tells nothing of the token."""
        return self._kernel_of.get(_digest(token)) if token.startswith(TOKEN_PREFIX) else None

"""How are row values kept where they lie for long? Encrypted, and bound to the request that they belong to.

The key lies beside the other keys, apart from the database: a copy of the database alone shows no value.
"""

from __future__ import annotations

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatebook_hub.errors import BrokenSeal

_FORM = "sealed1:"
_NONCE_BYTES = 12


class Seal:
    """AES-256-GCM with a nonce of its own for each text."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def close(self, text: str, name: str) -> str:
        """The text as only this key opens it, and only under this name."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        data = nonce + self._cipher.encrypt(nonce, text.encode(), name.encode())
        return _FORM + base64.b64encode(data).decode()

    def open(self, sealed: str, name: str, *, takes_clear: bool = True) -> str:
        """The text; what an older version kept in clear is taken as it is, where there is such. Raises BrokenSeal."""
        if takes_clear and not sealed.startswith(_FORM):
            return sealed
        try:
            data = base64.b64decode(sealed.removeprefix(_FORM), validate=True)
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], name.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise BrokenSeal(f"what is kept of `{name}` was changed, or the key of the rows is another one") from error

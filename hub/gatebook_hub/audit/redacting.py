"""Which form of a value does the book keep? Those of protected columns as keyed digests, the others as they are."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any


def digest_value(value: Any, key: bytes) -> str:
    """A keyed digest: who holds the key can ask for one value, nobody can read it back."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return "hmac:" + hmac.new(key, text.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()[:32]


def recorded_values(values: Iterable[tuple[str, bool]], key: bytes) -> tuple[str, ...]:
    """Lifted literals as the book keeps them; each comes with whether it is protected."""
    return tuple(digest_value(text, key) if is_protected else text for text, is_protected in values)


def recorded_parameters(parameters: Mapping[str, Any], protected: Collection[str], key: bytes) -> dict[str, str]:
    """Named parameters (encoded) as the book keeps them."""
    return {
        name: digest_value(value, key) if name in protected else _text(value)
        for name, value in sorted(parameters.items())
    }


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{value['$type']}:{value['value']}"
    return value if isinstance(value, str) else json.dumps(value)

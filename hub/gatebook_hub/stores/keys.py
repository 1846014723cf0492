"""Which secrets does the gateway make for itself? The keys of checkpoints, of value digests, and of kept rows."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatebook_hub.tlog.note import SigningKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The gateway's secrets, read once at start."""

    signing: SigningKey
    digest: bytes
    rows: bytes


def load_keys(folder: Path) -> Keys:
    """Read the keys of the state folder, making them at the first start; files are 0600."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signing = folder / "book.key"
    if not signing.exists():
        seed = Ed25519PrivateKey.generate().private_bytes_raw()
        name = f"gatebook-{secrets.token_hex(4)}"
        _write(signing, SigningKey(name=name, seed=seed).encode())
    key = SigningKey.parse(signing.read_text().strip())
    public = folder / "book.pub"
    if not public.exists():
        _write(public, key.verify_key.encode())
    digest = folder / "digest.key"
    if not digest.exists():
        _write(digest, secrets.token_hex(32))
    rows = folder / "rows.key"
    if not rows.exists():
        _write(rows, secrets.token_hex(32))
    return Keys(
        signing=key,
        digest=bytes.fromhex(digest.read_text().strip()),
        rows=bytes.fromhex(rows.read_text().strip()),
    )


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")

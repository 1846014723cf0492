"""Which log this is, how large it is, and what its root is (C2SP tlog-checkpoint)."""

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass

from gatebook_hub.tlog.errors import ForeignCheckpointError, MalformedCheckpointError
from gatebook_hub.tlog.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE
from gatebook_hub.tlog.note import (
    SigningKey,
    VerifyKey,
    decode_base64,
    open_note,
    parse_note_unverified,
    sign_note,
)

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a log: `root` is the RFC 6962 root of its first `size` entries.

    `extensions` are further lines, opaque and better left out. Raises `MalformedCheckpointError`.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise MalformedCheckpointError("its size is out of range")
        if len(self.root) != HASH_SIZE:
            raise MalformedCheckpointError(f"its root has {len(self.root)} bytes instead of {HASH_SIZE}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise MalformedCheckpointError("a log without entries has another root")
        for line in (self.origin, *self.extensions):
            if not line or any(char < " " for char in line):
                raise MalformedCheckpointError("a line is empty or holds a control character")

    def text(self) -> str:
        """Return the text that gets signed."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def sign_checkpoint(checkpoint: Checkpoint, keys: Iterable[SigningKey]) -> str:
    """Return the checkpoint as a signed note. The key that speaks for the log is named like its origin."""
    return sign_note(checkpoint.text(), keys)


def open_checkpoint(message: str | bytes, keys: Iterable[VerifyKey], *, origin: str | None = None) -> Checkpoint:
    """Return the checkpoint of a signed note that the log itself signed.

    Without `origin`, one of the keys that signed must be named like the checkpoint's own origin, as the specification
    advises: a trusted witness alone does not speak for the log. With `origin`, the checkpoint must be of that log, and
    any of the keys may have signed: hand over the log's own keys only.

    Raises `ForeignCheckpointError`, `MalformedCheckpointError` and what `open_note` raises.
    """
    note = open_note(message, keys)
    checkpoint = _parse_text(note.text)
    allowed = tuple(signature.name for signature in note.signatures) if origin is None else (origin,)
    if checkpoint.origin not in allowed:
        raise ForeignCheckpointError(checkpoint.origin, allowed)
    return checkpoint


def parse_checkpoint_unverified(message: str | bytes) -> Checkpoint:
    """Read a checkpoint, with or without signatures, and believe it. For display and for tests.

    Raises `MalformedCheckpointError`, and `MalformedNoteError` for malformed signatures.
    """
    if isinstance(message, bytes):
        try:
            message = message.decode()
        except UnicodeDecodeError as exc:
            raise MalformedCheckpointError("it is not UTF-8") from exc
    # A checkpoint has no empty line of its own: if there is one, signatures follow it.
    return _parse_text(parse_note_unverified(message)[0] if "\n\n" in message else message)


def _parse_text(text: str) -> Checkpoint:
    if not text.endswith("\n"):
        raise MalformedCheckpointError("it does not end in a newline")
    lines = text.split("\n")[:-1]
    if len(lines) < _LINES:
        raise MalformedCheckpointError(f"it has {len(lines)} lines instead of {_LINES}")
    origin, size, encoded, *extensions = lines
    root = decode_base64(encoded)
    if not _SIZE.fullmatch(size):
        raise MalformedCheckpointError("its second line is not a size")
    if root is None:
        raise MalformedCheckpointError("its third line is not base64")
    return Checkpoint(origin=origin, size=int(size), root=root, extensions=tuple(extensions))

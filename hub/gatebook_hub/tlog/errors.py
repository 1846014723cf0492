"""What can be wrong with a key, a note, a checkpoint, a tile or a proof.

TlogError (never raised)
├── MalformedKeyError           the text is not a key; its text never shows the key
├── AmbiguousKeyError           two trusted keys share name and id
├── MalformedNoteError          the text is not a signed note
├── UnverifiedNoteError         no trusted key signed the note
├── BadSignatureError           a trusted key's signature does not fit the text
├── MalformedCheckpointError    the note's text is not a checkpoint
├── ForeignCheckpointError      a checkpoint of another log
├── MalformedTileError          not a tile, a bundle or a path of one
├── EntryTooLongError           an entry that a bundle cannot hold
├── MalformedHashError          something that is not a SHA-256 hash
└── InvalidProofError           the proof does not lead to the root
"""


class TlogError(Exception):
    """The base of this room's errors; catch it to translate them, never raise it."""


class _ReasonError(TlogError):
    """An error with one part: the reason, in words, without the text that was wrong."""

    subject = ""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}"


class MalformedKeyError(_ReasonError):
    """The text is not an encoded key. It may hold a secret, so it is not repeated."""

    subject = "this is not a key of a signed note"


class AmbiguousKeyError(TlogError):
    """Two different trusted keys share name and key id, so a signature says nothing."""

    def __init__(self, name: str, key_id: bytes) -> None:
        super().__init__(name, key_id)
        self.name = name
        self.key_id = key_id

    def __str__(self) -> str:
        return f"two different trusted keys are called `{self.name}+{self.key_id.hex()}`; remove one"


class MalformedNoteError(_ReasonError):
    """The text is not a signed note."""

    subject = "this is not a signed note"


class UnverifiedNoteError(TlogError):
    """The note is well formed, but none of the trusted keys signed it."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__(names)
        self.names = names

    def __str__(self) -> str:
        return f"no trusted key signed this note; its signatures are of {', '.join(f'`{name}`' for name in self.names)}"


class BadSignatureError(TlogError):
    """A trusted key is named, and its signature does not fit the text: the note was changed."""

    def __init__(self, name: str, key_id: bytes) -> None:
        super().__init__(name, key_id)
        self.name = name
        self.key_id = key_id

    def __str__(self) -> str:
        return f"the signature of `{self.name}+{self.key_id.hex()}` does not fit the text"


class MalformedCheckpointError(_ReasonError):
    """The text of a note is not a checkpoint."""

    subject = "this is not a checkpoint"


class ForeignCheckpointError(TlogError):
    """The checkpoint is well signed, but not as the head of the log that was asked for."""

    def __init__(self, origin: str, expected: tuple[str, ...]) -> None:
        super().__init__(origin, expected)
        self.origin = origin
        self.expected = expected

    def __str__(self) -> str:
        expected = " or ".join(f"`{name}`" for name in self.expected)
        return f"this is a checkpoint of the log `{self.origin}`, not of {expected}"


class MalformedTileError(_ReasonError):
    """The bytes are not a tile or a bundle, or the path is not one of a tile."""

    subject = "this is not a tile"


class EntryTooLongError(TlogError):
    """A bundle prefixes each entry with its length in 16 bits."""

    def __init__(self, length: int, limit: int) -> None:
        super().__init__(length, limit)
        self.length = length
        self.limit = limit

    def __str__(self) -> str:
        return f"an entry of {self.length} bytes is longer than the {self.limit} bytes that a log entry may have"


class MalformedHashError(_ReasonError):
    """Bytes that stand where a SHA-256 hash has to stand."""

    subject = "this is not a SHA-256 hash"


class InvalidProofError(_ReasonError):
    """The proof does not show what it was given for."""

    subject = "the proof is not valid"

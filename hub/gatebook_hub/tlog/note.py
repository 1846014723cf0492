"""Who signed a text: C2SP signed-note with Ed25519, keys as in golang.org/x/mod/sumdb/note."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gatebook_hub.tlog.errors import (
    AmbiguousKeyError,
    BadSignatureError,
    MalformedKeyError,
    MalformedNoteError,
    UnverifiedNoteError,
)

# The specification asks for at least 16; the limit keeps a hostile note from costing anything.
MAX_SIGNATURES = 100

_ED25519 = b"\x01"
_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_SIGNATURE_LINE = "\N{EM DASH} "
_PRIVATE_PREFIX = "PRIVATE+KEY+"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyKey:
    """The public half of a key: `public` are the 32 bytes of RFC 8032. Raises `MalformedKeyError`."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _check_key(self.name, self.public)

    @property
    def id(self) -> bytes:
        """The first four bytes of a hash over name and key. It finds a key; it does not prove one."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:_KEY_ID_BYTES]

    def encode(self) -> str:
        """Return `name+keyid+base64`, the form that is handed to auditors."""
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an encoded public key; raises `MalformedKeyError`."""
        name, key_id, public = _parse_key(text)
        key = cls(name=name, public=public)
        if key.id.hex() != key_id:
            raise MalformedKeyError("its id does not fit its name and key")
        return key

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Tell if this is the key's Ed25519 signature of the message."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A secret key: `seed` are 32 random bytes, which the caller brings. Raises `MalformedKeyError`."""

    name: str
    seed: bytes = field(repr=False)  # a log line or a traceback must not print it

    def __post_init__(self) -> None:
        _check_key(self.name, self.seed)

    @property
    def verify_key(self) -> VerifyKey:
        """The public half."""
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        return VerifyKey(name=self.name, public=private.public_key().public_bytes_raw())

    def encode(self) -> str:
        """Return `PRIVATE+KEY+name+keyid+base64`, to be kept in a file that only the gateway reads."""
        return f"{_PRIVATE_PREFIX}{self.name}+{self.verify_key.id.hex()}+{b64encode(_ED25519 + self.seed).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an encoded secret key; raises `MalformedKeyError`."""
        if not text.startswith(_PRIVATE_PREFIX):
            raise MalformedKeyError("a secret key begins with `PRIVATE+KEY+`")
        name, key_id, seed = _parse_key(text.removeprefix(_PRIVATE_PREFIX))
        key = cls(name=name, seed=seed)
        if key.verify_key.id.hex() != key_id:
            raise MalformedKeyError("its id does not fit its name and key")
        return key

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of an Ed25519 signature; the same message always gives the same."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One signature line: who claims to have signed, and the signature itself."""

    name: str
    key_id: bytes
    value: bytes

    def line(self) -> str:
        """Return the line as it stands in a note, with its newline."""
        return f"{_SIGNATURE_LINE}{self.name} {b64encode(self.key_id + self.value).decode()}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text that at least one trusted key signed. `others` are signatures of keys that we do not know."""

    text: str
    signatures: tuple[Signature, ...]
    others: tuple[Signature, ...] = ()


def sign_note(text: str, keys: Iterable[SigningKey], *, existing: Iterable[Signature] = ()) -> str:
    """Return the signed note. `existing` signatures of other keys (witnesses) are kept, in front.

    Raises `MalformedNoteError` if the text does not end in a newline, holds control characters or nobody signs.
    """
    message = _encode_text(text)
    if not text.endswith("\n"):
        raise MalformedNoteError("its text does not end in a newline")
    signed = [Signature(name=key.name, key_id=key.verify_key.id, value=key.sign(message)) for key in keys]
    own = {(signature.name, signature.key_id) for signature in signed}
    kept = [signature for signature in existing if (signature.name, signature.key_id) not in own]
    if not signed:
        raise MalformedNoteError("nobody signs it")
    return text + "\n" + "".join(signature.line() for signature in (*kept, *signed))


def open_note(message: str | bytes, keys: Iterable[VerifyKey]) -> Note:
    """Return the note if a trusted key signed it, and no trusted key's signature is wrong.

    Raises `MalformedNoteError`, `BadSignatureError`, `UnverifiedNoteError`, `AmbiguousKeyError`.
    """
    trusted = _by_name_and_id(keys)
    text, signatures = parse_note_unverified(message)
    verified: dict[tuple[str, bytes], Signature] = {}
    others: dict[Signature, None] = {}
    for signature in signatures:
        key = trusted.get((signature.name, signature.key_id))
        if key is None:
            others[signature] = None
        elif not key.has_signed(text.encode(), signature.value):
            raise BadSignatureError(signature.name, signature.key_id)
        else:
            verified[signature.name, signature.key_id] = signature
    if not verified:
        raise UnverifiedNoteError(tuple(signature.name for signature in others))
    return Note(text=text, signatures=tuple(verified.values()), others=tuple(others))


def parse_note_unverified(message: str | bytes) -> tuple[str, tuple[Signature, ...]]:
    """Split a note into its text and its signature lines, none of which was checked.

    Raises `MalformedNoteError`.
    """
    if isinstance(message, bytes):
        try:
            message = message.decode()
        except UnicodeDecodeError as exc:
            raise MalformedNoteError("it is not UTF-8") from exc
    _encode_text(message)
    end = message.rfind("\n\n")
    if end < 0:
        raise MalformedNoteError("it has no blank line in front of its signatures")
    if not message.endswith("\n"):
        raise MalformedNoteError("it does not end in a newline")
    lines = message[end + 2 :].split("\n")[:-1]
    if not 0 < len(lines) <= MAX_SIGNATURES:
        raise MalformedNoteError(f"it has {len(lines)} signatures")
    return message[: end + 1], tuple(_parse_signature(line) for line in lines)


def is_key_name(name: str) -> bool:
    """Tell if a key may have this name: not empty, no spaces of any alphabet, no control character, no plus."""
    return bool(name) and not any(char.isspace() or char == "+" or char < " " or _is_surrogate(char) for char in name)


def decode_base64(text: str) -> bytes | None:
    """Decode standard base64 in its one canonical form, else None: two texts of one signature are one too many."""
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return None
    return data if b64encode(data).decode() == text else None


def _parse_signature(line: str) -> Signature:
    if not line.startswith(_SIGNATURE_LINE):
        raise MalformedNoteError("a signature line does not begin with an em dash and a space")
    name, _, encoded = line.removeprefix(_SIGNATURE_LINE).partition(" ")
    data = decode_base64(encoded)
    if not is_key_name(name) or data is None or len(data) <= _KEY_ID_BYTES:
        raise MalformedNoteError("a signature line is not a name and a signature")
    return Signature(name=name, key_id=data[:_KEY_ID_BYTES], value=data[_KEY_ID_BYTES:])


def _by_name_and_id(keys: Iterable[VerifyKey]) -> dict[tuple[str, bytes], VerifyKey]:
    found: dict[tuple[str, bytes], VerifyKey] = {}
    for key in keys:
        if found.setdefault((key.name, key.id), key) != key:
            raise AmbiguousKeyError(key.name, key.id)
    return found


def _encode_text(text: str) -> bytes:
    if any(char < " " and char != "\n" for char in text):
        raise MalformedNoteError("it holds control characters")
    try:
        return text.encode()
    except UnicodeEncodeError as exc:
        raise MalformedNoteError("it is not UTF-8") from exc


def _parse_key(text: str) -> tuple[str, str, bytes]:
    # The base64 part may hold a plus of its own, names may not: so the first two separate.
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    data = decode_base64(encoded)
    if data is None or not key_id:
        raise MalformedKeyError("it is not `name+id+base64`")
    if data[:1] != _ED25519:
        raise MalformedKeyError("only Ed25519 keys (algorithm 1) are known")
    return name, key_id, data[1:]


def _check_key(name: str, key: bytes) -> None:
    if not is_key_name(name):
        raise MalformedKeyError("its name is empty or holds a space, a plus or a control character")
    if len(key) != _KEY_BYTES:
        raise MalformedKeyError(f"it has {len(key)} bytes instead of {_KEY_BYTES}")


def _is_surrogate(char: str) -> bool:
    return "\ud800" <= char <= "\udfff"

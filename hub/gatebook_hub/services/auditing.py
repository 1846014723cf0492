"""Who reads the book, and what comes out of it? Reading is itself an event."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

from gatebook_hub import policy
from gatebook_hub.audit import EventKind, Outcome, digest_value
from gatebook_hub.errors import InvalidInput, NotFound, NotPermitted
from gatebook_hub.model import Principal
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.stores.book import Book, EventFilter, StoredEvent
from gatebook_hub.tlog.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint_unverified
from gatebook_hub.tlog.errors import TlogError
from gatebook_hub.tlog.merkle import hash_leaf
from gatebook_hub.tlog.note import VerifyKey
from gatebook_hub.tlog.report import Report
from gatebook_hub.tlog.tiles import (
    Bundle,
    Tile,
    bundles_between,
    is_tile_of,
    make_bundle,
    parse_bundle,
    parse_tile,
    parse_tile_path,
    tile_content,
    tiles_between,
)
from gatebook_hub.tlog.verify import verify_log


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEvent:
    """An event with the proof that it is in the tree of the newest checkpoint."""

    event: StoredEvent
    leaf_hash: str
    proof: tuple[str, ...]
    checkpoint: str


class Auditing:
    """Search and prove; for those whom a grant lets read the book, and for everybody about themselves."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def may_read_all(self, principal: Principal) -> bool:
        """Whether a grant lets this principal read the book."""
        return policy.may_read_book(self._gate.policy, principal, self._gate.circumstances())

    def find(self, call: Call, wanted: EventFilter) -> tuple[StoredEvent, ...]:
        """Events, newest first; without a grant, only one's own."""
        gate = self._gate
        if not self.may_read_all(call.principal) and wanted.principal != call.principal.id:
            error = NotPermitted("you may read your own events only", ask="a grant with `audit: true`")
            error.reference = gate.refuse(EventKind.AUDIT_READ, call, error)
            raise error
        found = gate.book.find(wanted)
        gate.book.append(
            gate.event(EventKind.AUDIT_READ, call, outcome=Outcome.OK, rows=len(found), extra=_asked(wanted))
        )
        return found

    def event(self, call: Call, index: int) -> ProvenEvent:
        """One event with its proof; raises NotFound also for events that the principal may not see."""
        book = self._gate.book
        data = book.entry(index)
        content = json.loads(data)
        if not self.may_read_all(call.principal) and content["principal"] != call.principal.id:
            raise NotFound(f"the book has no event {index}")
        note = book.checkpoint()
        size = parse_checkpoint_unverified(note).size
        proof = book.inclusion(index, size)
        self._gate.book.append(
            self._gate.event(EventKind.AUDIT_READ, call, outcome=Outcome.OK, rows=1, extra={"index": str(index)})
        )
        return ProvenEvent(
            event=StoredEvent(index=index, content=content),
            leaf_hash=b64encode(hash_leaf(data)).decode(),
            proof=tuple(b64encode(item).decode() for item in proof),
            checkpoint=note,
        )

    def checkpoint(self) -> str:
        """The newest signed checkpoint; anybody may keep it."""
        return self._gate.book.checkpoint()

    def digest(self, call: Call, value: str) -> str:
        """The digest under which the book has a protected value; for those who may read the book."""
        if not self.may_read_all(call.principal):
            raise NotPermitted("only those who may read the book may look up a value's digest")
        return digest_value(value, self._gate.keys.digest)

    def tile(self, call: Call, path: str) -> bytes:
        """A tile or a bundle of entries (C2SP tlog-tiles); bundles hold events, so they need the grant."""
        if not self.may_read_all(call.principal):
            raise NotPermitted("tiles of the book are for those who may read it", ask="a grant with `audit: true`")
        try:
            place = parse_tile_path(path)
        except TlogError as error:
            raise NotFound(f"`{path[:100]}` is not a tile") from error
        if not is_tile_of(place, self._gate.book.size()):
            raise NotFound(f"the book has no tile `{path[:100]}` yet")
        return _place_content(self._gate.book, place)


def export(book: Book, folder: Path, *, public_key: str) -> int:
    """Write the whole log as C2SP tlog-tiles with its checkpoint, every older checkpoint and the public key."""
    note = book.checkpoint()
    size = parse_checkpoint_unverified(note).size
    places: list[Tile | Bundle] = [*tiles_between(0, size), *bundles_between(0, size)]
    for place in places:
        path = folder / place.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_place_content(book, place))
    (folder / "checkpoint").write_text(note, encoding="utf-8")
    (folder / "checkpoints").write_text(json.dumps(book.checkpoints()), encoding="utf-8")
    (folder / "book.pub").write_text(public_key + "\n", encoding="utf-8")
    return size


def verify(book: Book, key: VerifyKey, kept: Mapping[str, str]) -> tuple[Report, tuple[str, ...]]:
    """Verify a book with the public key against its own checkpoints and those kept elsewhere (name → text).

    Returns the report and the sentences about checkpoints whose signature does not hold.
    """
    notes = {**{f"stored checkpoint {i}": note for i, note in enumerate(book.checkpoints())}, **kept}
    checkpoints, broken = _open_all(notes, key)
    data, hashes = tee(book.entries())
    report = verify_log((entry for entry, _ in data), checkpoints, (digest for _, digest in hashes))
    if report.ok and report.covered < report.size:
        # Every group of events ends in a checkpoint: what comes after the newest was not written by the gateway.
        broken = (*broken, f"entries {report.covered} to {report.size - 1} are under no signed checkpoint")
    return report, broken


def verify_export(folder: Path, key: VerifyKey, kept: Mapping[str, str]) -> tuple[Report, tuple[str, ...]]:
    """Verify an export offline, as `verify` does a book; raises InvalidInput when files are missing or malformed."""
    try:
        note = (folder / "checkpoint").read_text(encoding="utf-8")
        older = json.loads((folder / "checkpoints").read_text(encoding="utf-8"))
        size = parse_checkpoint_unverified(note).size
        entries = [
            entry
            for bundle in bundles_between(0, size)
            for entry in parse_bundle((folder / bundle.path).read_bytes(), bundle.width)
        ]
        hashes = [
            digest
            for tile in tiles_between(0, size)
            if tile.level == 0
            for digest in parse_tile((folder / tile.path).read_bytes(), tile.width)
        ]
    except (OSError, ValueError, TlogError) as error:
        raise InvalidInput(f"the export is damaged: {error}") from error
    notes = {"checkpoint": note, **{f"stored checkpoint {i}": text for i, text in enumerate(older)}, **kept}
    checkpoints, broken = _open_all(notes, key)
    return verify_log(entries, checkpoints, hashes), broken


def _open_all(notes: Mapping[str, str], key: VerifyKey) -> tuple[tuple[Checkpoint, ...], tuple[str, ...]]:
    opened, broken = [], []
    for name, note in notes.items():
        try:
            opened.append(open_checkpoint(note, [key]))
        except TlogError as error:
            broken.append(f"{name}: {error}")
    return tuple(opened), tuple(broken)


def _place_content(book: Book, place: Tile | Bundle) -> bytes:
    if isinstance(place, Bundle):
        return make_bundle([book.entry(index) for index in place.entries])
    return tile_content(place, book.hash_at)


def _asked(wanted: EventFilter) -> dict[str, str]:
    fields = ("principal", "kind", "source", "table", "change", "since", "until")
    return {name: str(getattr(wanted, name)) for name in fields if getattr(wanted, name) is not None}

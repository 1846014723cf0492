"""Whether a log is what its checkpoints say, and if not, what is the first place that is wrong.

Signatures are checked before, by `open_checkpoint`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from gatebook_hub.tlog.checkpoint import Checkpoint
from gatebook_hub.tlog.merkle import HASH_SIZE, Frontier, hash_leaf
from gatebook_hub.tlog.report import Finding, FindingId, Report, count_of

_CHUNK = 4096


def verify_log(
    entries: Iterable[bytes],
    checkpoints: Sequence[Checkpoint],
    stored_hashes: Iterable[bytes] | None = None,
) -> Report:
    """Read the log once, in bounded memory, and compare it with every checkpoint.

    With `stored_hashes` (one leaf hash per entry, kept apart from the entries and not trusted) the exact entry is
    named; without, the stretch between the last checkpoint that fits and the first that does not.
    """
    walk = _Walk(entries=iter(entries), stored=None if stored_hashes is None else iter(stored_hashes))
    by_size: dict[int, list[Checkpoint]] = defaultdict(list)
    for checkpoint in checkpoints:
        by_size[checkpoint.size].append(checkpoint)
    for size in sorted(by_size):
        walk.advance(size)
        walk.judge(by_size[size])
    walk.advance(None)
    return Report(
        size=walk.frontier.size,
        covered=walk.proven,
        root=walk.frontier.root(),
        findings=tuple(_conclude(walk, checkpoints)),
    )


@dataclass(slots=True, kw_only=True)
class _Mismatch:
    """The first entry that is not the one its stored hash was made of, and where the two turn up again."""

    index: int
    hash: bytes
    stored: bytes
    hash_found_at: int | None = None
    stored_found_at: int | None = None
    # A checkpoint that the stored hashes lead to: the entries are then at fault, for certain.
    is_certain: bool = False


@dataclass(slots=True, kw_only=True)
class _Walk:
    """Both streams, read side by side from checkpoint to checkpoint."""

    entries: Iterator[bytes]
    stored: Iterator[bytes] | None
    frontier: Frontier = field(default_factory=Frontier)
    # The tree of the stored hashes; as long as they agree with the entries it is the same value.
    stored_frontier: Frontier = field(default_factory=Frontier)
    stored_size: int = 0
    mismatch: _Mismatch | None = None
    # A mismatch that turned out to be the fault of the stored hash.
    damaged: _Mismatch | None = None
    proven: int = 0
    # Up to here the stored hashes lead to a signed root.
    stored_proven: int = 0
    bad: list[Checkpoint] = field(default_factory=list)

    def advance(self, size: int | None) -> None:
        """Read on until this many entries, or the end of both streams."""
        position = max(self.frontier.size, self.stored_frontier.size)
        while size is None or position < size:
            wanted = _CHUNK if size is None else min(_CHUNK, size - position)
            hashes = [hash_leaf(entry) for entry in islice(self.entries, wanted)]
            stored = hashes if self.stored is None else [_as_hash(value) for value in islice(self.stored, wanted)]
            if not hashes and not stored:
                return
            self._compare(position, hashes, stored)
            self.stored_size += len(stored)
            before, self.frontier = self.frontier, self.frontier.extend(hashes)
            if hashes == stored and before == self.stored_frontier:
                self.stored_frontier = self.frontier
            else:
                self.stored_frontier = self.stored_frontier.extend(stored)
            position += wanted

    def judge(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Compare both trees with the checkpoints of the size that was just reached."""
        size = checkpoints[0].size
        roots = {checkpoint.root for checkpoint in checkpoints}
        if self.frontier.size == size and self.frontier.root() in roots:
            self.proven = size
            if self.mismatch is not None:
                self.damaged, self.mismatch = self.damaged or self.mismatch, None
            # From here on the entries are the measure again, so that the next difference is a difference of its own.
            self.stored_frontier = self.frontier
        if self.stored_frontier.size == size and self.stored_frontier.root() in roots:
            self.stored_proven = size
            if self.mismatch is not None:
                self.mismatch.is_certain = True
        good = self.frontier.root() if self.proven == size else None
        self.bad += [checkpoint for checkpoint in checkpoints if checkpoint.root != good]

    def _compare(self, position: int, hashes: list[bytes], stored: list[bytes]) -> None:
        if hashes is stored or (hashes == stored and self.mismatch is None):
            return
        for index, (made, kept) in enumerate(zip(hashes, stored, strict=False), position):
            if self.mismatch is None and made != kept:
                self.mismatch = _Mismatch(index=index, hash=made, stored=kept)
        found = self.mismatch
        if found is None:
            return
        if found.hash_found_at is None:
            found.hash_found_at = _find(found.hash, stored, position, found.index)
        if found.stored_found_at is None:
            found.stored_found_at = _find(found.stored, hashes, position, found.index)


def _conclude(walk: _Walk, checkpoints: Sequence[Checkpoint]) -> Iterator[Finding]:
    """Say what the walk showed, the gravest first."""
    size = walk.frontier.size
    if not checkpoints or (size and not any(checkpoint.size for checkpoint in checkpoints)):
        yield Finding(
            id=FindingId.NO_CHECKPOINT, sentence="there is no checkpoint to compare with: nothing vouches for this log"
        )
    origins = sorted({checkpoint.origin for checkpoint in checkpoints})
    if len(origins) > 1:
        names = ", ".join(f"`{origin}`" for origin in origins)
        yield Finding(id=FindingId.FOREIGN, sentence=f"the checkpoints are of different logs: {names}")
    yield from _changed(walk)
    yield from _missing(walk)
    yield from _damaged(walk)
    yield from _forked(walk, checkpoints)
    if walk.proven < size and walk.proven == max((checkpoint.size for checkpoint in checkpoints), default=None):
        yield Finding(
            id=FindingId.UNCOVERED,
            first=walk.proven,
            last=size - 1,
            sentence=f"{_entries(walk.proven, size)} came after the newest checkpoint, which says nothing about them",
        )


def _changed(walk: _Walk) -> Iterator[Finding]:
    size, found = walk.frontier.size, walk.mismatch
    bad = next((checkpoint.size for checkpoint in walk.bad if walk.proven < checkpoint.size <= size), None)
    if found is not None and (found.is_certain or bad is None):
        sentence = f"entry {found.index} does not match its leaf hash{_moved(found)}"
        if not found.is_certain:
            sentence += "; no checkpoint tells which of the two was changed"
        yield Finding(id=FindingId.ENTRY_CHANGED, first=found.index, last=found.index, sentence=sentence)
    elif bad is not None:
        changed = _entries(walk.proven, bad)
        since = f"the one of size {walk.proven} does" if walk.proven else "nor does an older one"
        sentence = f"the checkpoint of size {bad} does not fit, {since}: something was changed in {changed}"
        if found is not None:
            sentence += f"; the stored leaf hashes, which do not fit either, first differ at entry {found.index}"
        elif walk.stored is not None:
            sentence += ", and the stored leaf hashes with it"
        yield Finding(id=FindingId.RANGE_CHANGED, first=walk.proven, last=bad - 1, sentence=sentence)


def _missing(walk: _Walk) -> Iterator[Finding]:
    size = walk.frontier.size
    claimed = max((checkpoint.size for checkpoint in walk.bad), default=0)
    if claimed <= size:
        return
    start = f"the log has {count_of(size)}, the checkpoint of size {claimed} says otherwise: "
    if walk.mismatch is not None or any(walk.proven < checkpoint.size <= size for checkpoint in walk.bad):
        # Something else is wrong further up, so nobody can say that it is the last ones that went.
        yield Finding(id=FindingId.ENTRIES_MISSING, sentence=f"{start}{count_of(claimed - size)} went missing")
        return
    verb = "is" if claimed - size == 1 else "are"
    sentence = f"{start}{_entries(size, claimed)} {verb} missing"
    if walk.proven < size and walk.stored_proven <= size:
        sentence += f" (or as many before them: no checkpoint between {walk.proven} and {claimed} tells)"
    yield Finding(id=FindingId.ENTRIES_MISSING, first=size, last=claimed - 1, sentence=sentence)


def _damaged(walk: _Walk) -> Iterator[Finding]:
    size, stored_size = walk.frontier.size, walk.stored_size
    if walk.damaged is not None:
        index = walk.damaged.index
        yield Finding(
            id=FindingId.HASHES_DAMAGED,
            first=index,
            last=index,
            sentence=f"the stored leaf hash of entry {index} is wrong; the entry itself is the one that was signed",
        )
    elif stored_size != size and walk.mismatch is None and not any(cp.size > size for cp in walk.bad):
        first, end = sorted((size, stored_size))
        lacking = _entries(first, end) if size < stored_size else f"the hash of {_entries(first, end)}"
        yield Finding(
            id=FindingId.HASHES_DAMAGED,
            first=first,
            last=end - 1,
            sentence=f"there are {count_of(size)} but {stored_size} stored leaf hashes; what is missing: {lacking}",
        )


def _forked(walk: _Walk, checkpoints: Sequence[Checkpoint]) -> Iterator[Finding]:
    roots: dict[int, set[bytes]] = defaultdict(set)
    for checkpoint in checkpoints:
        roots[checkpoint.size].add(checkpoint.root)
    for checkpoint in walk.bad:
        if len(roots[checkpoint.size]) > 1:
            sentence = f"two checkpoints of size {checkpoint.size} contradict each other"
        elif checkpoint.size <= walk.proven:
            sentence = (
                f"the checkpoint of size {checkpoint.size} is of another history: it does not fit the entries, "
                f"which the checkpoint of size {walk.proven} confirms"
            )
        else:
            continue
        yield Finding(id=FindingId.FORKED, sentence=sentence)
        return


def _moved(found: _Mismatch) -> str:
    """Say what happened there, as far as the hashes that turn up later show it."""
    index, theirs, ours = found.index, found.hash_found_at, found.stored_found_at
    if theirs is not None and ours is not None:
        return (
            f": entries {index} and {theirs} changed places" if theirs == ours else ": entries changed their order here"
        )
    if theirs is not None:
        verb = "was" if theirs - index == 1 else "were"
        return f": {_entries(index, theirs)} {verb} removed, for entry {theirs} stands in that place"
    if ours is not None:
        return (
            f": {count_of(ours - index)} that the log never had {'was' if ours - index == 1 else 'were'} put in there"
        )
    return ""


def _find(wanted: bytes, values: list[bytes], position: int, after: int) -> int | None:
    start = max(0, after + 1 - position)
    return position + values.index(wanted, start) if wanted in values[start:] else None


def _as_hash(value: bytes) -> bytes:
    # A damaged file may hold anything; what is no hash differs from every hash.
    return value if len(value) == HASH_SIZE else bytes(HASH_SIZE)


def _entries(first: int, end: int) -> str:
    return f"entry {first}" if end - first == 1 else f"entries {first} to {end - 1}"

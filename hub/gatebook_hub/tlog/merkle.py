"""The root of a list of entries, and how it grows (RFC 6962, section 2.1, with SHA-256)."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple, Self

from gatebook_hub.tlog.errors import MalformedHashError

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()
# C2SP leaves the width of a size open; its implementations hold it in a signed 64-bit integer.
MAX_SIZE = 2**63 - 1

_SIZE_BYTES = 8


def hash_leaf(entry: bytes) -> bytes:
    """Hash an entry: SHA-256 of 0x00 and the entry."""
    # The prefix keeps an entry from being read as an inner node, and with it a second tree with the same root.
    return sha256(b"\x00" + entry).digest()


def hash_node(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees: SHA-256 of 0x01 and both hashes."""
    return sha256(b"\x01" + left + right).digest()


class Node(NamedTuple):
    """A complete subtree: the hash of the entries from `position << level` up to `(position + 1) << level`."""

    level: int
    position: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Frontier:
    """All that is needed to append: the roots of the complete subtrees that make up a tree, from the left.

    A value: growing gives a new one, so whoever fails to store what was appended simply keeps the old one.
    There is one hash for each bit that is set in `size`, 63 at most.

    Raises `MalformedHashError` if the hashes do not fit the size.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE or len(self.hashes) != self.size.bit_count():
            raise MalformedHashError(f"{len(self.hashes)} hashes are no frontier of {self.size} leaves")
        for value in self.hashes:
            check_hash(value)

    def root(self) -> bytes:
        """Return the root of the tree at this size."""
        if not self.hashes:
            return EMPTY_ROOT
        result = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            result = hash_node(left, result)
        return result

    def append(self, leaf_hash: bytes) -> Self:
        """Return the frontier with one leaf more."""
        return self.extend((leaf_hash,))

    def extend(self, leaf_hashes: Iterable[bytes]) -> Self:
        """Return the frontier with these leaves appended; one pass, memory of the frontier only."""
        size, stack = self.size, list(self.hashes)
        for leaf_hash in leaf_hashes:
            if len(leaf_hash) != HASH_SIZE:
                check_hash(leaf_hash)
            node, below = leaf_hash, size
            while below & 1:
                # Written out instead of hash_node(): this is the line that a verifier runs once per entry.
                node = sha256(b"\x01" + stack.pop() + node).digest()
                below >>= 1
            stack.append(node)
            size += 1
        return type(self)(size=size, hashes=tuple(stack))

    def extend_with_nodes(self, leaf_hashes: Iterable[bytes]) -> tuple[Self, tuple[Node, ...]]:
        """Return the grown frontier and every subtree that became complete, the leaves included, in order.

        Who stores these nodes (or those whose level is a multiple of 8, see `tiles`) can prove anything later.
        """
        size, stack, nodes = self.size, list(self.hashes), list[Node]()
        for leaf_hash in leaf_hashes:
            node = Node(0, size, check_hash(leaf_hash))
            nodes.append(node)
            while node.position & 1:
                node = Node(node.level + 1, node.position >> 1, hash_node(stack.pop(), node.hash))
                nodes.append(node)
            stack.append(node.hash)
            size += 1
        return type(self)(size=size, hashes=tuple(stack)), tuple(nodes)

    def to_bytes(self) -> bytes:
        """Return the size in eight bytes, big-endian, and the hashes from the left."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote; raises `MalformedHashError`."""
        size, rest = int.from_bytes(data[:_SIZE_BYTES], "big"), data[_SIZE_BYTES:]
        if len(data) < _SIZE_BYTES or len(rest) != size.bit_count() * HASH_SIZE:
            raise MalformedHashError(f"{len(data)} bytes are no frontier")
        return cls(size=size, hashes=split_hashes(rest))


def root_of(entries: Iterable[bytes]) -> bytes:
    """Return the root of a tree of these entries, in one pass."""
    return Frontier().extend(map(hash_leaf, entries)).root()


def check_hash(value: bytes) -> bytes:
    """Return the hash, or raise `MalformedHashError` if it has not 32 bytes."""
    if len(value) != HASH_SIZE:
        raise MalformedHashError(f"it has {len(value)} bytes instead of {HASH_SIZE}")
    return value


def split_hashes(data: bytes) -> tuple[bytes, ...]:
    """Cut concatenated hashes apart; raises `MalformedHashError` if the last one is cut off."""
    if len(data) % HASH_SIZE:
        raise MalformedHashError(f"{len(data)} bytes are no whole number of hashes")
    return tuple(data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE))

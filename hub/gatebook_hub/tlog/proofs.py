"""Proofs that an entry is in the log, and that an old log is the beginning of a new one (RFC 9162, section 2.1).

The verifying functions return nothing and raise `InvalidProofError`: a result that nobody looks at must not pass.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from gatebook_hub.tlog.errors import InvalidProofError
from gatebook_hub.tlog.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE, hash_node

HashAt: TypeAlias = Callable[[int, int], bytes]
"""(level, index) → the hash of the complete subtree over the entries `index << level` up to `(index + 1) << level`."""


def reader_of_leaves(leaf_hash_at: Callable[[int], bytes]) -> HashAt:
    """Return a reader that computes every subtree from the leaf hashes; it remembers what it computed.

    Costs one read per leaf below what is asked for; `tiles.reader_of_tiles` reads one tile in 256 instead.
    """
    known: dict[tuple[int, int], bytes] = {}

    def hash_at(level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hash_at(index)
        if (level, index) not in known:
            known[level, index] = hash_node(hash_at(level - 1, 2 * index), hash_at(level - 1, 2 * index + 1))
        return known[level, index]

    return hash_at


def root_at(hash_at: HashAt, size: int) -> bytes:
    """Return the root of the first `size` entries."""
    return _root_of_range(hash_at, 0, size) if size else EMPTY_ROOT


def inclusion_proof(hash_at: HashAt, index: int, size: int) -> tuple[bytes, ...]:
    """Return the audit path of entry `index` in the tree of `size` entries, from the leaf up.

    Raises `IndexError` if there is no such entry.
    """
    if not 0 <= index < size:
        msg = f"there is no entry {index} in a tree of {size}"
        raise IndexError(msg)
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_root_of_range(hash_at, middle, end))
            end = middle
        else:
            path.append(_root_of_range(hash_at, start, middle))
            start = middle
    return tuple(reversed(path))


def consistency_proof(hash_at: HashAt, old_size: int, new_size: int) -> tuple[bytes, ...]:
    """Return the proof that the first `old_size` of `new_size` entries are the old tree.

    It is empty if the sizes are equal, and if the old tree is: every tree begins with nothing.
    Raises `IndexError` if the old tree is the larger one.
    """
    if not 0 <= old_size <= new_size:
        msg = f"a tree of {old_size} entries is not the beginning of one of {new_size}"
        raise IndexError(msg)
    if old_size in (0, new_size):
        return ()
    path: list[bytes] = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_root_of_range(hash_at, middle, end))
            end = middle
        else:
            path.append(_root_of_range(hash_at, start, middle))
            start = middle
    if start:
        # The verifier holds the old root already if the old tree is one complete subtree.
        path.append(_root_of_range(hash_at, start, end))
    return tuple(reversed(path))


def verify_inclusion(*, leaf_hash: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf is entry `index` of the tree with this size and root.

    Raises `InvalidProofError`.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise InvalidProofError(f"there is no entry {index} in a tree of {size}")
    _check_lengths(leaf_hash, root, *proof)
    result = leaf_hash
    for value, is_left in _steps(proof, index, size - 1):
        result = hash_node(value, result) if is_left else hash_node(result, value)
    if result != root:
        raise InvalidProofError(f"it does not lead from entry {index} to the root of {size} entries")


def verify_consistency(
    *, old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `old_size` entries is the beginning of the tree of `new_size` entries.

    Raises `InvalidProofError`.
    """
    if not 0 <= old_size <= new_size <= MAX_SIZE:
        raise InvalidProofError(f"a tree of {old_size} entries is not the beginning of one of {new_size}")
    _check_lengths(old_root, new_root, *proof)
    if old_size in (0, new_size):
        _verify_without_path(old_size, old_root, new_root, proof)
        return
    # RFC 9162, section 2.1.4.2: an old tree that is one complete subtree is left out of the path.
    path = (old_root, *proof) if old_size & (old_size - 1) == 0 else tuple(proof)
    if not path:
        raise InvalidProofError("it is too short")
    fn, sn = old_size - 1, new_size - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    old_result = new_result = path[0]
    for value, is_left in _steps(path[1:], fn, sn):
        if is_left:
            old_result, new_result = hash_node(value, old_result), hash_node(value, new_result)
        else:
            new_result = hash_node(new_result, value)
    if old_result != old_root:
        raise InvalidProofError(f"it does not lead to the root of the {old_size} old entries")
    if new_result != new_root:
        raise InvalidProofError(f"it does not lead to the root of the {new_size} entries")


def _verify_without_path(old_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check the two cases that need no proof: the old tree is empty, or the trees have one size."""
    if proof:
        raise InvalidProofError("it is too long")
    if old_size == 0 and old_root != EMPTY_ROOT:
        raise InvalidProofError("a tree without entries has another root")
    if old_size and old_root != new_root:
        raise InvalidProofError(f"there are two different roots of {old_size} entries")


def _steps(path: Sequence[bytes], fn: int, sn: int) -> Iterator[tuple[bytes, bool]]:
    """Yield each hash of the path and whether it is the left one of its pair.

    `fn` and `sn` are the names of RFC 9162, sections 2.1.3.2 and 2.1.4.2: where we are, and the right edge.
    """
    for value in path:
        if sn == 0:
            raise InvalidProofError("it is too long")
        is_left = bool(fn & 1) or fn == sn
        yield value, is_left
        while is_left and fn and not fn & 1:
            fn, sn = fn >> 1, sn >> 1
        fn, sn = fn >> 1, sn >> 1
    if sn:
        raise InvalidProofError("it is too short")


def _split(width: int) -> int:
    """Return the largest power of two smaller than the width: how many entries the left subtree holds."""
    return 1 << ((width - 1).bit_length() - 1)


def _root_of_range(hash_at: HashAt, start: int, end: int) -> bytes:
    """Return the root over entries that are one subtree of the tree, complete or its right edge."""
    width = end - start
    if width & (width - 1) == 0:
        level = width.bit_length() - 1
        return hash_at(level, start >> level)
    middle = start + _split(width)
    return hash_node(_root_of_range(hash_at, start, middle), _root_of_range(hash_at, middle, end))


def _check_lengths(*hashes: bytes) -> None:
    if any(len(value) != HASH_SIZE for value in hashes):
        raise InvalidProofError("it holds something that is not a SHA-256 hash")

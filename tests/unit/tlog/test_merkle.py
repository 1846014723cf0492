"""The tree against the vectors of the Certificate Transparency reference and against RFC 6962 read literally."""

from hashlib import sha256

import pytest

from gatebook_hub.tlog.errors import MalformedHashError
from gatebook_hub.tlog.merkle import EMPTY_ROOT, Frontier, Node, hash_leaf, hash_node, root_of, split_hashes

LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def literal_root(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word for word."""
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\0" + entries[0]).digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return sha256(b"\1" + literal_root(entries[:k]) + literal_root(entries[k:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_root_is_the_published_one(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size]


def test_root_is_the_literal_one_at_every_size() -> None:
    entries = [b"entry %d" % index for index in range(300)]
    frontier = Frontier()
    for size in range(301):
        assert frontier.size == size
        assert frontier.root() == literal_root(entries[:size])
        assert Frontier.from_bytes(frontier.to_bytes()) == frontier
        if size < 300:
            frontier = frontier.append(hash_leaf(entries[size]))


def test_growing_leaves_the_old_frontier_as_it_was() -> None:
    old = Frontier().extend(map(hash_leaf, LEAVES[:5]))
    before = old.to_bytes()
    new = old.extend(map(hash_leaf, LEAVES[5:]))
    assert old.to_bytes() == before
    assert new.root().hex() == ROOTS[8]


def test_nodes_are_every_complete_subtree_once() -> None:
    hashes = [hash_leaf(entry) for entry in LEAVES[:7]]
    first, early = Frontier().extend_with_nodes(hashes[:3])
    frontier, late = first.extend_with_nodes(hashes[3:])
    assert frontier == Frontier().extend(hashes)
    assert [(node.level, node.position) for node in early] == [(0, 0), (0, 1), (1, 0), (0, 2)]
    assert [(node.level, node.position) for node in late] == [(0, 3), (1, 1), (2, 0), (0, 4), (0, 5), (1, 2), (0, 6)]
    assert late[1] == Node(1, 1, hash_node(hashes[2], hashes[3]))
    assert late[2].hash.hex() == ROOTS[4]


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 7, b"\0" * 7 + b"\1", b"\0" * 8 + b"x" * 32, b"\xff" * 8 + b"x" * 64 * 32]
)
def test_what_is_no_frontier_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedHashError):
        Frontier.from_bytes(data)


def test_what_is_no_hash_is_refused() -> None:
    with pytest.raises(MalformedHashError, match="31 bytes"):
        Frontier().append(b"x" * 31)
    with pytest.raises(MalformedHashError):
        Frontier().extend_with_nodes([b"x" * 33])
    with pytest.raises(MalformedHashError):
        Frontier(size=3, hashes=(EMPTY_ROOT,))
    with pytest.raises(MalformedHashError):
        Frontier(size=1, hashes=(b"x" * 31,))
    with pytest.raises(MalformedHashError):
        split_hashes(b"x" * 65)

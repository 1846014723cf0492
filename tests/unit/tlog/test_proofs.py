"""Proofs against the published vectors and exhaustively for every tree of up to seventy entries."""

from functools import partial
from itertools import pairwise

import pytest

from gatebook_hub.tlog.errors import InvalidProofError
from gatebook_hub.tlog.merkle import EMPTY_ROOT, Frontier, hash_leaf, root_of
from gatebook_hub.tlog.proofs import (
    consistency_proof,
    inclusion_proof,
    reader_of_leaves,
    root_at,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
LEAVES.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))

A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
G = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
H = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
J = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"

ENTRIES = [b"entry %d" % index for index in range(71)]
HASHES = [hash_leaf(entry) for entry in ENTRIES]
ROOTS = [Frontier().extend(HASHES[:size]).root() for size in range(72)]


@pytest.mark.parametrize(
    "index,size,path", [(0, 1, []), (0, 8, [A, B, C]), (5, 8, [D, E, F]), (2, 3, [G]), (1, 5, [H, B, D])]
)
def test_inclusion_proof_is_the_published_one(index: int, size: int, path: list[str]) -> None:
    hash_at = reader_of_leaves(lambda position: hash_leaf(LEAVES[position]))
    proof = inclusion_proof(hash_at, index, size)
    assert [value.hex() for value in proof] == path
    verify_inclusion(
        leaf_hash=hash_leaf(LEAVES[index]), index=index, size=size, proof=proof, root=root_of(LEAVES[:size])
    )


@pytest.mark.parametrize("old,new,path", [(1, 1, []), (1, 8, [A, B, C]), (6, 8, [J, E, F]), (2, 5, [B, D])])
def test_consistency_proof_is_the_published_one(old: int, new: int, path: list[str]) -> None:
    hash_at = reader_of_leaves(lambda position: hash_leaf(LEAVES[position]))
    assert [value.hex() for value in consistency_proof(hash_at, old, new)] == path


def test_every_entry_of_every_tree_is_proven_and_no_other_is() -> None:
    hash_at = reader_of_leaves(HASHES.__getitem__)
    for size in range(1, 71):
        assert root_at(hash_at, size) == ROOTS[size]
        for index in range(size):
            proof = inclusion_proof(hash_at, index, size)
            verify_inclusion(leaf_hash=HASHES[index], index=index, size=size, proof=proof, root=ROOTS[size])
            check = partial(verify_inclusion, size=size, proof=proof, root=ROOTS[size])
            with pytest.raises(InvalidProofError):
                check(leaf_hash=HASHES[index + 1], index=index)
            with pytest.raises(InvalidProofError):
                check(leaf_hash=HASHES[index], index=index + 1)
            with pytest.raises(InvalidProofError):
                verify_inclusion(leaf_hash=HASHES[index], index=index, size=size, proof=proof, root=ROOTS[size + 1])


def test_every_tree_is_the_beginning_of_every_larger_one() -> None:
    hash_at = reader_of_leaves(HASHES.__getitem__)
    for new in range(71):
        for old in range(new + 1):
            proof = consistency_proof(hash_at, old, new)
            check = partial(verify_consistency, old_size=old, new_size=new)
            check(old_root=ROOTS[old], new_root=ROOTS[new], proof=proof)
            with pytest.raises(InvalidProofError):
                check(old_root=ROOTS[old + 1], new_root=ROOTS[new], proof=proof)
            if old:  # nothing is the beginning of everything
                with pytest.raises(InvalidProofError):
                    check(old_root=ROOTS[old], new_root=ROOTS[new + 1], proof=proof)


def test_a_proof_that_is_shorter_or_longer_is_none() -> None:
    hash_at = reader_of_leaves(HASHES.__getitem__)
    for old, new in pairwise(range(1, 40)):
        inclusion, consistency = inclusion_proof(hash_at, old - 1, new), consistency_proof(hash_at, old, new)
        for proof in (inclusion[:-1], inclusion[1:], (*inclusion, HASHES[0]), (HASHES[0], *inclusion)):
            with pytest.raises(InvalidProofError):
                verify_inclusion(leaf_hash=HASHES[old - 1], index=old - 1, size=new, proof=proof, root=ROOTS[new])
        for proof in (consistency[:-1], consistency[1:], (*consistency, HASHES[0]), (HASHES[0], *consistency)):
            with pytest.raises(InvalidProofError):
                verify_consistency(old_size=old, old_root=ROOTS[old], new_size=new, new_root=ROOTS[new], proof=proof)


def test_a_proof_has_the_length_that_its_sizes_ask_for() -> None:
    # Every hash is right and leads to the root of 8: only the length tells that the size is a lie.
    hash_at = reader_of_leaves(HASHES.__getitem__)
    inclusion, consistency = inclusion_proof(hash_at, 0, 8), consistency_proof(hash_at, 2, 8)
    for size, reason in ((4, "too long"), (9, "too short")):
        with pytest.raises(InvalidProofError, match=reason):
            verify_inclusion(leaf_hash=HASHES[0], index=0, size=size, proof=inclusion, root=ROOTS[8])
        with pytest.raises(InvalidProofError, match=reason):
            verify_consistency(old_size=2, old_root=ROOTS[2], new_size=size, new_root=ROOTS[8], proof=consistency)


def test_places_that_do_not_exist_are_refused() -> None:
    hash_at = reader_of_leaves(HASHES.__getitem__)
    for index, size in ((0, 0), (5, 5), (-1, 5)):
        with pytest.raises(IndexError):
            inclusion_proof(hash_at, index, size)
        with pytest.raises(InvalidProofError):
            verify_inclusion(leaf_hash=HASHES[0], index=index, size=size, proof=(), root=EMPTY_ROOT)
    for old, new in ((3, 2), (-1, 2)):
        with pytest.raises(IndexError):
            consistency_proof(hash_at, old, new)
        with pytest.raises(InvalidProofError):
            verify_consistency(old_size=old, old_root=ROOTS[3], new_size=new, new_root=ROOTS[2], proof=())


def test_an_empty_tree_has_one_root_only() -> None:
    with pytest.raises(InvalidProofError, match="another root"):
        verify_consistency(old_size=0, old_root=HASHES[0], new_size=0, new_root=HASHES[0], proof=())
    with pytest.raises(InvalidProofError, match="another root"):
        verify_consistency(old_size=0, old_root=HASHES[0], new_size=5, new_root=ROOTS[5], proof=())


def test_a_hash_of_another_length_is_refused() -> None:
    # Without this check, a node of 64 bytes could be moved between a left and a right hash.
    with pytest.raises(InvalidProofError, match="not a SHA-256 hash"):
        verify_inclusion(leaf_hash=b"", index=0, size=1, proof=(), root=b"")
    with pytest.raises(InvalidProofError, match="not a SHA-256 hash"):
        verify_consistency(old_size=1, old_root=b"", new_size=1, new_root=b"", proof=())

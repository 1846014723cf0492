"""A proof, a note, a log: whatever bit of it flips, it no longer verifies; and every format comes back as it went."""

from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gatebook_hub.tlog.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint_unverified, sign_checkpoint
from gatebook_hub.tlog.errors import InvalidProofError, MalformedHashError, TlogError
from gatebook_hub.tlog.merkle import Frontier, hash_leaf, root_of
from gatebook_hub.tlog.note import SigningKey, VerifyKey, open_note, parse_note_unverified, sign_note
from gatebook_hub.tlog.proofs import (
    consistency_proof,
    inclusion_proof,
    reader_of_leaves,
    root_at,
    verify_consistency,
    verify_inclusion,
)
from gatebook_hub.tlog.tiles import (
    TILE_WIDTH,
    Bundle,
    Tile,
    bundles_between,
    make_bundle,
    parse_bundle,
    parse_tile_path,
    reader_of_tiles,
    tile_content,
    tiles_between,
)
from gatebook_hub.tlog.verify import verify_log

# A busy machine is not a failure.
unhurried = settings(deadline=None)

HASHES = [hash_leaf(b"%d" % index) for index in range(1500)]
HASH_AT = reader_of_leaves(HASHES.__getitem__)
ROOTS: dict[int, bytes] = {}

names = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"], exclude_characters="+"), min_size=1
)
seeds = st.binary(min_size=32, max_size=32)
signing_keys = st.builds(SigningKey, name=names, seed=seeds)
lines = st.text(st.characters(codec="utf-8", min_codepoint=32), min_size=1)
texts = st.lists(st.text(st.characters(codec="utf-8", min_codepoint=32)), min_size=1).map(
    lambda ls: "\n".join(ls) + "\n"
)
checkpoints = st.builds(
    Checkpoint,
    origin=names,
    size=st.integers(1, 2**63 - 1),
    root=seeds,
    extensions=st.lists(lines, max_size=3).map(tuple),
)
entry_lists = st.lists(st.binary(max_size=40), max_size=80)


def root(size: int) -> bytes:
    return ROOTS.setdefault(size, Frontier().extend(HASHES[:size]).root())


def flip(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(changed)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[int, int]:
    """Two sizes of one tree, the first at least one and smaller."""
    new = draw(st.integers(2, len(HASHES)))
    return draw(st.integers(1, new - 1)), new


@unhurried
@given(sizes=ranges(), which=st.integers(0), bit=st.integers(0, 255))
def test_a_flipped_bit_breaks_an_inclusion_proof(sizes: tuple[int, int], which: int, bit: int) -> None:
    index, size = sizes
    proof = inclusion_proof(HASH_AT, index, size)
    verify_inclusion(leaf_hash=HASHES[index], index=index, size=size, proof=proof, root=root(size))
    parts = [HASHES[index], root(size), *proof]
    parts[which % len(parts)] = flip(parts[which % len(parts)], bit)
    with pytest.raises(InvalidProofError):
        verify_inclusion(leaf_hash=parts[0], index=index, size=size, proof=parts[2:], root=parts[1])


@unhurried
@given(sizes=ranges(), which=st.integers(0), bit=st.integers(0, 255))
def test_a_flipped_bit_breaks_a_consistency_proof(sizes: tuple[int, int], which: int, bit: int) -> None:
    old, new = sizes
    proof = consistency_proof(HASH_AT, old, new)
    verify_consistency(old_size=old, old_root=root(old), new_size=new, new_root=root(new), proof=proof)
    parts = [root(old), root(new), *proof]
    parts[which % len(parts)] = flip(parts[which % len(parts)], bit)
    with pytest.raises(InvalidProofError):
        verify_consistency(old_size=old, old_root=parts[0], new_size=new, new_root=parts[1], proof=parts[2:])


@unhurried
@given(sizes=ranges(), other=st.integers(0, len(HASHES)))
def test_an_inclusion_proof_is_of_one_place_only(sizes: tuple[int, int], other: int) -> None:
    index, size = sizes
    assume(other != index)
    proof = inclusion_proof(HASH_AT, index, size)
    with pytest.raises(InvalidProofError):
        verify_inclusion(leaf_hash=HASHES[index], index=other, size=size, proof=proof, root=root(size))


@unhurried
@given(
    old_size=st.integers(-2, 2**64),
    new_size=st.integers(-2, 2**64),
    hashes=st.lists(st.binary(min_size=31, max_size=33), min_size=3, max_size=70),
)
def test_no_made_up_proof_verifies(old_size: int, new_size: int, hashes: list[bytes]) -> None:
    assume(old_size != new_size or hashes[0] != hashes[1])
    first, second, *proof = hashes
    with pytest.raises(InvalidProofError):
        verify_consistency(old_size=old_size, old_root=first, new_size=new_size, new_root=second, proof=proof)
    with pytest.raises(InvalidProofError):
        verify_inclusion(leaf_hash=first, index=old_size, size=new_size, proof=proof, root=second)


@unhurried
@given(sizes=ranges(), cut=st.integers(0, 1500))
def test_a_frontier_grows_the_same_in_any_steps(sizes: tuple[int, int], cut: int) -> None:
    old, new = sizes
    cut = min(cut, old)
    grown = Frontier().extend(HASHES[:cut]).extend(HASHES[cut:old])
    with_nodes, nodes = grown.extend_with_nodes(HASHES[old:new])
    assert with_nodes == Frontier().extend(HASHES[:new])
    assert with_nodes.root() == root_at(HASH_AT, new)
    assert Frontier.from_bytes(with_nodes.to_bytes()) == with_nodes
    assert all(node.hash == HASH_AT(node.level, node.position) for node in nodes)


@unhurried
@given(data=st.binary(max_size=200))
def test_bytes_are_a_frontier_or_refused(data: bytes) -> None:
    with suppress(MalformedHashError):
        assert Frontier.from_bytes(data).to_bytes() == data


@unhurried
@given(key=signing_keys)
def test_keys_come_back(key: SigningKey) -> None:
    assert SigningKey.parse(key.encode()) == key
    assert VerifyKey.parse(key.verify_key.encode()) == key.verify_key


@unhurried
@given(text=texts, keys=st.lists(signing_keys, min_size=1, max_size=3))
def test_notes_come_back(text: str, keys: list[SigningKey]) -> None:
    message = sign_note(text, keys)
    assert open_note(message.encode(), [keys[0].verify_key]).text == text
    found, signatures = parse_note_unverified(message)
    assert found + "\n" + "".join(signature.line() for signature in signatures) == message


@unhurried
@given(checkpoint=checkpoints, seed=seeds)
def test_checkpoints_come_back(checkpoint: Checkpoint, seed: bytes) -> None:
    key = SigningKey(name=checkpoint.origin, seed=seed)
    assert open_checkpoint(sign_checkpoint(checkpoint, [key]), [key.verify_key]) == checkpoint
    assert parse_checkpoint_unverified(checkpoint.text()) == checkpoint


@unhurried
@given(checkpoint=checkpoints, seed=seeds, bit=st.integers(0))
def test_a_flipped_bit_breaks_a_signed_checkpoint(checkpoint: Checkpoint, seed: bytes, bit: int) -> None:
    key = SigningKey(name=checkpoint.origin, seed=seed)
    message = sign_checkpoint(checkpoint, [key]).encode()
    changed = flip(message, bit % (8 * len(message)))
    with pytest.raises(TlogError):
        open_checkpoint(changed, [key.verify_key])


@unhurried
@given(message=st.binary(max_size=300) | st.text(max_size=300))
def test_anything_is_a_note_or_refused(message: str | bytes) -> None:
    for read in (parse_note_unverified, parse_checkpoint_unverified):
        with suppress(TlogError):
            read(message)
    if isinstance(message, str):
        for parse in (VerifyKey.parse, SigningKey.parse, parse_tile_path):
            with suppress(TlogError):
                parse(message)


@unhurried
@given(
    place=st.builds(Tile, level=st.integers(0, 63), index=st.integers(0, 2**55 - 1), width=st.integers(1, TILE_WIDTH))
    | st.builds(Bundle, index=st.integers(0, 2**55 - 1), width=st.integers(1, TILE_WIDTH))
)
def test_tile_paths_come_back(place: Tile | Bundle) -> None:
    assert parse_tile_path(place.path) == place


@unhurried
@given(entries=st.lists(st.binary(max_size=300), min_size=1, max_size=TILE_WIDTH))
def test_bundles_come_back(entries: list[bytes]) -> None:
    assert parse_bundle(make_bundle(entries), len(entries)) == tuple(entries)


@unhurried
@given(sizes=ranges(), steps=st.lists(st.integers(0, 1500), max_size=4))
def test_tiles_written_while_growing_hold_the_whole_tree(sizes: tuple[int, int], steps: list[int]) -> None:
    index, size = sizes
    files: dict[str, bytes] = {}
    entries: set[int] = set()
    old = 0
    for new in (*sorted(step for step in steps if step < size), size):
        files |= {tile.path: tile_content(tile, HASH_AT) for tile in tiles_between(old, new)}
        entries |= {entry for bundle in bundles_between(old, new) for entry in bundle.entries}
        old = new
    hash_at = reader_of_tiles(lambda tile: files[tile.path], size)
    assert root_at(hash_at, size) == root(size)
    assert entries == set(range(size))
    proof = inclusion_proof(hash_at, index, size)
    verify_inclusion(leaf_hash=HASHES[index], index=index, size=size, proof=proof, root=root(size))


@unhurried
@given(entries=entry_lists, data=st.data())
def test_a_log_with_anything_changed_is_found_out(entries: list[bytes], data: st.DataObject) -> None:
    changed = data.draw(entry_lists | st.permutations(entries).map(list))
    sizes = data.draw(st.lists(st.integers(0, len(entries)), max_size=4))
    heads = [Checkpoint(origin="log", size=size, root=root_of(entries[:size])) for size in {*sizes, len(entries)}]
    hashes = [hash_leaf(entry) for entry in entries] if data.draw(st.booleans()) else None
    assert verify_log(entries, heads, hashes).ok
    report = verify_log(changed, heads, hashes)
    covered = min(len(changed), len(entries))
    if changed[: len(entries)] != entries:
        assert not report.ok
    assert changed[: report.covered] == entries[: report.covered]
    assert report.covered <= covered
    first_wrong = next((at for at in range(covered) if changed[at] != entries[at]), None)
    if hashes is not None and first_wrong is not None:
        assert report.findings[0].first == first_wrong


@unhurried
@given(
    entries=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=80),
    which=st.integers(0),
    bit=st.integers(0),
)
def test_a_flipped_bit_is_found_at_its_place(entries: list[bytes], which: int, bit: int) -> None:
    index = which % len(entries)
    heads = [Checkpoint(origin="log", size=len(entries), root=root_of(entries))]
    changed = [*entries[:index], flip(entries[index], bit), *entries[index + 1 :]]
    assert not verify_log(changed, heads).ok
    report = verify_log(changed, heads, map(hash_leaf, entries))
    assert (report.findings[0].id, report.findings[0].first) == ("tlog.V001", index)

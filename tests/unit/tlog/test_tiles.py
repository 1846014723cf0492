"""Tiles and entry bundles: paths, contents, and which of them a growing tree changes."""

import pytest

from gatebook_hub.tlog.errors import EntryTooLongError, MalformedHashError, MalformedTileError
from gatebook_hub.tlog.merkle import Frontier, hash_leaf, hash_node
from gatebook_hub.tlog.proofs import (
    consistency_proof,
    inclusion_proof,
    reader_of_leaves,
    root_at,
)
from gatebook_hub.tlog.tiles import (
    MAX_ENTRY_BYTES,
    Bundle,
    Tile,
    bundles_between,
    is_tile_of,
    make_bundle,
    make_tile,
    parse_bundle,
    parse_tile,
    parse_tile_path,
    reader_of_tiles,
    tile_content,
    tiles_between,
)

PATHS = [
    (Tile(level=0, index=0), "tile/0/000"),
    (Tile(level=0, index=1234067), "tile/0/x001/x234/067"),
    (Tile(level=3, index=1000, width=1), "tile/3/x001/000.p/1"),
    (Tile(level=63, index=999, width=255), "tile/63/999.p/255"),
    (Bundle(index=0, width=17), "tile/entries/000.p/17"),
    (Bundle(index=273), "tile/entries/273"),
    (Bundle(index=2**55 - 1), "tile/entries/x036/x028/x797/x018/x963/967"),
]


@pytest.mark.parametrize("place,path", PATHS)
def test_a_path_is_written_and_read(place: Tile | Bundle, path: str) -> None:
    assert place.path == path
    assert parse_tile_path(path) == place


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/0000",
        "/tile/0/000",
        "tile/0/000/",
        "tile/0/000\n",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/٣/000",
        "tile/0/\N{ARABIC-INDIC DIGIT ZERO}00",
        "tile/data/000",
        "tile/0/x000/000",
        "tile/0/001/000",
        "tile/0/x001",
        "tile/0/x001/x000",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/entries/../000",
        "tile/0/..",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/" + "x001/" * 400 + "000",
    ],
)
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(MalformedTileError):
        parse_tile_path(path)


def test_the_specified_tree_of_70000_has_these_tiles() -> None:
    tiles = tiles_between(0, 70_000)
    assert tiles[:273] == tuple(Tile(level=0, index=index) for index in range(273))
    assert tiles[273:] == (
        Tile(level=0, index=273, width=112),
        Tile(level=1, index=0),
        Tile(level=1, index=1, width=17),
        Tile(level=2, index=0, width=1),
    )
    assert tiles_between(0, 256) == (Tile(level=0, index=0), Tile(level=1, index=0, width=1))


def test_only_tiles_with_something_new_are_written() -> None:
    assert tiles_between(5, 5) == ()
    assert tiles_between(0, 0) == ()
    assert tiles_between(255, 256) == (Tile(level=0, index=0), Tile(level=1, index=0, width=1))
    assert tiles_between(256, 257) == (Tile(level=0, index=1, width=1),)
    assert tiles_between(300, 520) == (
        Tile(level=0, index=1),
        Tile(level=0, index=2, width=8),
        Tile(level=1, index=0, width=2),
    )
    assert bundles_between(300, 520) == (Bundle(index=1), Bundle(index=2, width=8))
    assert bundles_between(256, 257)[0].entries == range(256, 257)
    assert bundles_between(7, 7) == ()


def test_a_tree_has_the_tiles_of_its_size_and_of_its_past() -> None:
    assert is_tile_of(Tile(level=0, index=1, width=4), 260)
    assert is_tile_of(Tile(level=0, index=1, width=2), 260)
    assert not is_tile_of(Tile(level=0, index=1, width=5), 260)
    assert is_tile_of(Tile(level=1, index=0, width=1), 260)
    assert not is_tile_of(Tile(level=1, index=0, width=1), 255)
    assert is_tile_of(Bundle(index=0), 256)
    assert not is_tile_of(Bundle(index=0), 255)


def test_proofs_from_tiles_are_those_from_leaves() -> None:
    size = 1000
    leaves = [hash_leaf(b"%d" % index) for index in range(size)]
    hash_at = reader_of_leaves(leaves.__getitem__)
    files = {tile.path: tile_content(tile, hash_at) for tile in tiles_between(0, size)}
    assert len(files["tile/0/003.p/232"]) == 232 * 32
    read: list[str] = []

    def read_tile(tile: Tile) -> bytes:
        read.append(tile.path)
        return files[tile.path]

    tiles = reader_of_tiles(read_tile, size)
    assert root_at(tiles, size) == Frontier().extend(leaves).root()
    for index in (0, 1, 255, 256, 700, 999):
        assert inclusion_proof(tiles, index, size) == inclusion_proof(hash_at, index, size)
    for old in (1, 255, 256, 257, 512, 999):
        assert consistency_proof(tiles, old, size) == consistency_proof(hash_at, old, size)
    assert len(read) == len(set(read))
    assert tiles(8, 0) == files["tile/1/000.p/3"][:32]
    assert tiles(9, 0) == hash_node(tiles(8, 0), tiles(8, 1))


def test_a_subtree_that_is_not_complete_is_refused() -> None:
    leaves = [hash_leaf(b"%d" % index) for index in range(5)]
    tiles = reader_of_tiles(lambda _: b"".join(leaves), 5)
    assert tiles(2, 0) == Frontier().extend(leaves[:4]).root()
    with pytest.raises(MalformedTileError):
        tiles(1, 2)
    with pytest.raises(MalformedTileError):
        tiles(8, 0)


def test_a_tile_of_another_length_is_refused() -> None:
    hashes = (b"a" * 32, b"b" * 32)
    assert parse_tile(make_tile(hashes), 2) == hashes
    for width in (1, 3, 256):
        with pytest.raises(MalformedTileError):
            parse_tile(make_tile(hashes), width)
    with pytest.raises(MalformedTileError):
        make_tile(())
    with pytest.raises(MalformedTileError):
        make_tile([b"a" * 32] * 257)
    with pytest.raises(MalformedHashError):
        make_tile([b"a" * 31])


def test_a_bundle_is_written_and_read() -> None:
    entries = (b"", b"a", b"x" * MAX_ENTRY_BYTES)
    data = make_bundle(entries)
    assert data.startswith(b"\0\0\0\1a\xff\xffxxx")
    assert parse_bundle(data, 3) == entries
    for width in (1, 2, 4, 256):
        with pytest.raises(MalformedTileError):
            parse_bundle(data, width)


def test_a_bundle_that_is_cut_off_is_refused() -> None:
    data = make_bundle([b"one", b"two"])
    for end in range(len(data)):
        with pytest.raises(MalformedTileError):
            parse_bundle(data[:end], 2)
    with pytest.raises(MalformedTileError):
        parse_bundle(data + b"\0", 2)


def test_an_entry_that_does_not_fit_is_refused() -> None:
    with pytest.raises(EntryTooLongError, match="65536 bytes"):
        make_bundle([b"x" * 65536])
    for entries in ([], [b""] * 257):
        with pytest.raises(MalformedTileError):
            make_bundle(entries)

"""The files in which other people's verifiers read the tree (C2SP tlog-tiles)."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gatebook_hub.tlog.errors import EntryTooLongError, MalformedTileError
from gatebook_hub.tlog.merkle import HASH_SIZE, MAX_SIZE, check_hash, hash_node, split_hashes
from gatebook_hub.tlog.proofs import HashAt

TILE_WIDTH = 256
TILE_HEIGHT = 8
MAX_ENTRY_BYTES = 2**16 - 1

_MAX_LEVEL = 63
_PREFIX_BYTES = 2
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """`width` consecutive hashes of the tree's level `8 * level`, 256 if it is full. Raises `MalformedTileError`."""

    level: int
    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        if not 0 <= self.level <= _MAX_LEVEL:
            raise MalformedTileError("its level is not between 0 and 63")
        _check_place(self.index, self.width)

    @property
    def path(self) -> str:
        """Where it is served, without a slash in front: `tile/0/x001/x234/067.p/112`."""
        return f"tile/{self.level}/{_encode_place(self.index, self.width)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """`width` consecutive entries, 256 if the bundle is full. Raises `MalformedTileError`."""

    index: int
    width: int = TILE_WIDTH

    def __post_init__(self) -> None:
        _check_place(self.index, self.width)

    @property
    def path(self) -> str:
        """Where it is served, without a slash in front: `tile/entries/000.p/1`."""
        return f"tile/entries/{_encode_place(self.index, self.width)}"

    @property
    def entries(self) -> range:
        """The indices of the entries in it."""
        return range(self.index * TILE_WIDTH, self.index * TILE_WIDTH + self.width)


ReadTile: TypeAlias = Callable[[Tile], bytes]


def parse_tile_path(path: str) -> Tile | Bundle:
    """Read `tile/<level>/<index>[.p/<width>]` or `tile/entries/<index>[.p/<width>]`, in its one canonical form.

    Raises `MalformedTileError`; nothing that could leave a folder passes.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise MalformedTileError("the path does not follow tlog-tiles")
    index = int(match["index"].replace("x", "").replace("/", ""))
    width = int(match["width"] or TILE_WIDTH)
    level = match["level"]
    place = Bundle(index=index, width=width) if level == "entries" else Tile(level=int(level), index=index, width=width)
    if place.path != path:
        raise MalformedTileError("the path has another, shorter form")
    return place


def tiles_between(old_size: int, new_size: int) -> tuple[Tile, ...]:
    """Return the tiles that are new or wider when a tree grows, from the leaves up: those that have to be written."""
    found: list[Tile] = []
    for level in range(_MAX_LEVEL + 1):
        old, new = old_size >> (TILE_HEIGHT * level), new_size >> (TILE_HEIGHT * level)
        if not new:
            break
        found += [Tile(level=level, index=index, width=width) for index, width in _places(old, new)]
    return tuple(found)


def bundles_between(old_size: int, new_size: int) -> tuple[Bundle, ...]:
    """Return the entry bundles that are new or longer when a tree grows."""
    return tuple(Bundle(index=index, width=width) for index, width in _places(old_size, new_size))


def is_tile_of(place: Tile | Bundle, size: int) -> bool:
    """Tell if a tree of this size has this tile, complete or as a beginning of what it holds by now."""
    level = place.level if isinstance(place, Tile) else 0
    return place.index * TILE_WIDTH + place.width <= size >> (TILE_HEIGHT * level)


def make_tile(hashes: Iterable[bytes]) -> bytes:
    """Return the content of a tile: its hashes, one after the other. Raises `MalformedTileError`."""
    content = tuple(check_hash(value) for value in hashes)
    if not 0 < len(content) <= TILE_WIDTH:
        raise MalformedTileError(f"it has {len(content)} hashes")
    return b"".join(content)


def parse_tile(data: bytes, width: int = TILE_WIDTH) -> tuple[bytes, ...]:
    """Return the hashes of a tile. Raises `MalformedTileError` if there are not `width` of them."""
    if len(data) != width * HASH_SIZE:
        raise MalformedTileError(f"it has {len(data)} bytes instead of {width * HASH_SIZE}")
    return split_hashes(data)


def tile_content(tile: Tile, hash_at: HashAt) -> bytes:
    """Return the content of a tile of a tree whose subtrees `hash_at` reads."""
    start = tile.index * TILE_WIDTH
    return make_tile(hash_at(tile.level * TILE_HEIGHT, index) for index in range(start, start + tile.width))


def make_bundle(entries: Sequence[bytes]) -> bytes:
    """Return the content of an entry bundle: each entry behind its length, 16 bits, big-endian.

    Raises `EntryTooLongError` and `MalformedTileError`.
    """
    if not 0 < len(entries) <= TILE_WIDTH:
        raise MalformedTileError(f"it has {len(entries)} entries")
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise EntryTooLongError(len(entry), MAX_ENTRY_BYTES)
    return b"".join(len(entry).to_bytes(_PREFIX_BYTES, "big") + entry for entry in entries)


def parse_bundle(data: bytes, width: int = TILE_WIDTH) -> tuple[bytes, ...]:
    """Return the entries of a bundle. Raises `MalformedTileError` if there are not exactly `width` of them."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + _PREFIX_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data):
            raise MalformedTileError(f"its entry {len(entries)} is cut off")
        entries.append(data[start:at])
    if len(entries) != width:
        raise MalformedTileError(f"it has {len(entries)} entries instead of {width}")
    return tuple(entries)


def reader_of_tiles(read_tile: ReadTile, size: int) -> HashAt:
    """Return a reader for proofs that reads the tiles of a tree of `size` entries, each once.

    The tiles are believed: what is made of them has to be checked against a signed root.
    """
    known: dict[tuple[int, int], tuple[bytes, ...]] = {}

    def hash_at(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        tile_index, offset = divmod(index << height, TILE_WIDTH)
        if (tile_level, tile_index) not in known:
            width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * tile_level)) - tile_index * TILE_WIDTH)
            tile = Tile(level=tile_level, index=tile_index, width=width)
            known[tile_level, tile_index] = parse_tile(read_tile(tile), width)
        hashes = known[tile_level, tile_index][offset : offset + (1 << height)]
        if len(hashes) != 1 << height:
            raise MalformedTileError("the subtree is not complete")
        while len(hashes) > 1:
            hashes = tuple(hash_node(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2))
        return hashes[0]

    return hash_at


def _places(old: int, new: int) -> Iterable[tuple[int, int]]:
    """Yield index and width of the tiles that hold the hashes `old` up to `new` of one level."""
    if new > old:
        for index in range(old // TILE_WIDTH, (new - 1) // TILE_WIDTH + 1):
            yield index, min(TILE_WIDTH, new - index * TILE_WIDTH)


def _encode_place(index: int, width: int) -> str:
    # Thousands as folders, marked with an x, so that a tile and a folder never want the same name.
    groups = f"{index:,}".split(",")
    encoded = "/".join([*(f"x{group:0>3}" for group in groups[:-1]), f"{groups[-1]:0>3}"])
    return encoded if width == TILE_WIDTH else f"{encoded}.p/{width}"


def _check_place(index: int, width: int) -> None:
    if not 0 <= index <= MAX_SIZE // TILE_WIDTH:
        raise MalformedTileError("its index is out of range")
    if not 0 < width <= TILE_WIDTH:
        raise MalformedTileError("its width is not between 1 and 256")

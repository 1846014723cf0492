"""What can go wrong while the demo database is made? One of four things.

DemoError                the base, never raised
├── ArchiveNotFetched    the package index did not give the archive
├── ArchiveNotGenuine    the archive is not the one that this program knows
├── DatabaseOccupied     the place holds something that is not the demo database
└── DatabaseNotBuilt     the database cannot be reached or refused the rows
"""

from __future__ import annotations

from pathlib import Path


class DemoError(Exception):
    """The base of what can go wrong with the demo database; never raised itself."""


class ArchiveNotFetched(DemoError):
    """The package index did not give the archive, or there is no client to ask it."""

    def __init__(self, requirement: str, reason: str) -> None:
        super().__init__(requirement, reason)
        self.requirement = requirement
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.requirement}` could not be fetched: {self.reason}; fetch its sdist yourself and give --archive"


class ArchiveNotGenuine(DemoError):
    """The archive's SHA-256 is not the pinned one, so nothing in it is read."""

    def __init__(self, archive: Path, found: str, pinned: str) -> None:
        super().__init__(archive, found, pinned)
        self.archive = archive
        self.found = found
        self.pinned = pinned

    def __str__(self) -> str:
        return f"`{self.archive}` is not the expected archive: its SHA-256 is {self.found}, expected {self.pinned}"


class DatabaseOccupied(DemoError):
    """The place holds something that is not the demo database, and nothing is ever overwritten."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason

    def __str__(self) -> str:
        return f"`{self.place}` is taken: {self.reason}; name another place, or move that away first"


class DatabaseNotBuilt(DemoError):
    """The database cannot be reached, or it refused the tables or rows; the driver's own words are in the cause."""

    def __init__(self, place: str, kind: str) -> None:
        super().__init__(place, kind)
        self.place = place
        self.kind = kind

    def __str__(self) -> str:
        return f"the demo database could not be built in `{self.place}` ({self.kind})"

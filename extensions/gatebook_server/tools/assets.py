"""Which scripts and styles do pages need? All under an address that says what they are, so that browsers keep them.

A page of widgets consists of some seventy files. Asking for each whether it has changed takes longer than all the rest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from voila.paths import STATIC_ROOT, collect_static_paths
from voila.utils import get_voila_labextensions_path

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """The folders of files, and the digest of what is in them."""

    digest: str
    folders: Mapping[str, Sequence[Path]]

    @classmethod
    def find(cls) -> Self:
        """Look where they are, and read them once."""
        folders = {
            "page": (STATIC,),
            "voila": tuple(map(Path, (STATIC_ROOT, *collect_static_paths(["voila", "nbconvert"], "base")))),
            "labextensions": tuple(map(Path, get_voila_labextensions_path())),
        }
        return cls(digest=_digest(folders), folders=folders)

    @property
    def places(self) -> dict[str, Sequence[Path]]:
        """The folders by their paths below the service's prefix."""
        return {f"static/{self.digest}/{place}": folders for place, folders in self.folders.items()}

    def address(self, prefix: str) -> str:
        """The path below which they are; ends with a slash."""
        return f"{prefix}static/{self.digest}/"


def _digest(folders: Mapping[str, Sequence[Path]]) -> str:
    found = hashlib.sha256()
    for place, roots in folders.items():
        for root in roots:
            for path in sorted(one for one in root.rglob("*") if one.is_file()):
                found.update(f"{place}/{path.relative_to(root)}\0".encode())
                found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:20]

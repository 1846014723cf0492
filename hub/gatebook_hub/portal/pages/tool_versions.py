"""Which versions of tools are there, and what is new in one of them?"""

from dataclasses import dataclass
from datetime import datetime

from gatebook_hub.portal.pages.frame import FieldError, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version in the list; `state` is `proposed`, `in_force`, `approved`, `rejected` or `withdrawn`."""

    name: str
    title: str
    version: str
    state: str
    author: str
    created_at: datetime
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolVersionsPage:
    """All versions that the reader may look at, newest first."""

    frame: Frame
    versions: tuple[VersionRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a cell: `same`, `added` or `removed`."""

    kind: str
    text: str

    @property
    def indent(self) -> str:
        """The spaces at its beginning, which are part of the code and nothing to be told."""
        return self.text[: len(self.text) - len(self.rest)]

    @property
    def rest(self) -> str:
        """What follows them."""
        return self.text.lstrip(" ")


@dataclass(frozen=True, slots=True, kw_only=True)
class CellDiff:
    """A cell of the notebook: `same`, `changed`, `added` or `removed`."""

    title: str
    kind: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """What the trial found; lines of the book's own record of it."""

    rights: str
    run: str
    sources: tuple[str, ...]
    tables: tuple[str, ...]
    actions: tuple[str, ...]
    refused: tuple[str, ...]
    others: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How it was reviewed."""

    is_approved: bool
    reviewer: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolVersionPage:
    """One version beside the one in force; `why_not` says why the reader may not review it.

    `seen` is the version in force, empty if there is none: the review holds for a comparison with that one alone.
    """

    frame: Frame
    row: VersionRow
    summary: str
    seen: str
    about: tuple[Line, ...]
    cells: tuple[CellDiff, ...]
    report: CheckReport
    why_not: str | None
    verdict: Verdict | None = None
    errors: tuple[FieldError, ...] = ()
    given_reason: str = ""

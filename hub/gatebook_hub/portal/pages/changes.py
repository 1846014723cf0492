"""The change requests that wait, and for whom."""

from dataclasses import dataclass
from datetime import datetime

from gatebook_hub.portal.pages.frame import Downloads, Frame, Pager, Tab


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How many approvals of one of these groups are needed, and how many are given."""

    groups: tuple[str, ...]
    needed: int
    given: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeCard:
    """A change request in a list. `risk` is None, or a word such as `high`; `is_broken`: done, and to be looked at."""

    id: str
    summary: str
    state: str
    source: str
    table: str | None
    requester: str
    created_at: datetime
    warnings_count: int = 0
    risk: str | None = None
    quorum: tuple[Quorum, ...] = ()
    action: str | None = None
    is_broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxPage:
    """One list of change requests. `tab` is `waiting`, `mine`, `all` or `done`, and chooses the empty sentence.

    `tools_waiting` counts the versions of tools that the reader may review.
    """

    frame: Frame
    tab: str
    tabs: tuple[Tab, ...]
    changes: tuple[ChangeCard, ...]
    pager: Pager
    downloads: Downloads
    tools_waiting: int = 0

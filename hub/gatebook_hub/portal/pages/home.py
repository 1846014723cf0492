"""What the reader can do here, and what waits for them."""

from dataclasses import dataclass
from datetime import datetime

from gatebook_hub.portal.pages.catalogue import Match, SourceCard
from gatebook_hub.portal.pages.changes import ChangeCard
from gatebook_hub.portal.pages.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCard:
    """A curated tool that the person may open; `is_favourite` where they marked it."""

    name: str
    title: str
    summary: str
    url: str
    is_favourite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTrouble:
    """A policy folder that does not load, line by line, and the revision that stays in force."""

    lines: tuple[str, ...]
    revision: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePage:
    """The first page after sign-in. The lists of changes are the first few; the inbox has the rest.

    `favourites` are what the reader marked, `recent` what else they used last.
    """

    frame: Frame
    tools: tuple[ToolCard, ...]
    waiting: tuple[ChangeCard, ...]
    mine: tuple[ChangeCard, ...]
    sources: tuple[SourceCard, ...]
    trouble: PolicyTrouble | None = None
    favourites: tuple[Match, ...] = ()
    recent: tuple[Match, ...] = ()

"""What the reader can do here, and what waits for them."""

from dataclasses import dataclass
from datetime import datetime

from gatebook_hub.portal.pages.catalogue import SourceCard
from gatebook_hub.portal.pages.changes import ChangeCard
from gatebook_hub.portal.pages.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCard:
    """A curated tool that the person may open."""

    title: str
    summary: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTrouble:
    """A policy folder that does not load, line by line, and the revision that stays in force."""

    lines: tuple[str, ...]
    revision: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HomePage:
    """The first page after sign-in. The lists of changes are the first few; the inbox has the rest.

    With `has_entities` there is a field to find records by.
    """

    frame: Frame
    tools: tuple[ToolCard, ...]
    waiting: tuple[ChangeCard, ...]
    mine: tuple[ChangeCard, ...]
    sources: tuple[SourceCard, ...]
    trouble: PolicyTrouble | None = None
    has_entities: bool = False

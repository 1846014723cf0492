"""What the reader may do, and why not."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gatebook_hub.portal.pages.frame import Downloads, FieldError, Frame


class Verdict(StrEnum):
    """What the gate would answer."""

    ALLOWED = "allowed"
    REVIEWED = "reviewed"
    DENIED = "denied"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionAccess:
    """The answer for one action on a table: the rules that decided, the sentence, and what to ask for."""

    action: str
    verdict: Verdict
    sentence: str
    rules: tuple[str, ...] = ()
    ask: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnAccess:
    """The answer for one column: `sight` is `plain`, `masked` or `refused`."""

    name: str
    sight: str
    sentence: str
    tags: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    ask: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowScope:
    """Which rows are seen, in the words of the rule."""

    sentence: str
    rules: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TableAccess:
    """The answers for one table."""

    name: str
    actions: tuple[ActionAccess, ...]
    columns: tuple[ColumnAccess, ...]
    rows: RowScope | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAccess:
    """The answers for one source; `problem` says why there are none now."""

    name: str
    title: str
    tables: tuple[TableAccess, ...]
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Access that the reader may ask for: what it gives, the most hours, and who must agree."""

    grant: str
    gives: str
    hours: float
    quorum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Access that the reader has until a moment; `id` is the request that gave it."""

    id: str
    grant: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPage:
    """All answers for the reader under one revision of the policy set; `errors` are of the form of one offer."""

    frame: Frame
    revision: str
    sources: tuple[SourceAccess, ...]
    downloads: Downloads
    may_review: bool = False
    offers: tuple[Offer, ...] = ()
    held: tuple[Held, ...] = ()
    errors: tuple[FieldError, ...] = ()
    asked: str = ""
    given_reason: str = ""

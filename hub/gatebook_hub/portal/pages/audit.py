"""Who saw or changed what, and how that is proved."""

from dataclasses import asdict, dataclass
from datetime import datetime

from gatebook_hub.portal.pages.frame import Downloads, FieldError, Frame, Pager, address


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilters:
    """Which events are asked for; an empty text asks for all. Times are ISO 8601, as typed."""

    principal: str = ""
    kind: str = ""
    source: str = ""
    table: str = ""
    since: str = ""
    until: str = ""

    @property
    def given(self) -> tuple[tuple[str, str], ...]:
        """Return name and value of each filter that is set."""
        return tuple((name, value) for name, value in asdict(self).items() if value)

    def url(self, path: str, **changes: str) -> str:
        """Return the address of the same list with some filters set otherwise (to an empty text: taken away)."""
        return address(path, **(asdict(self) | changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """An event in the list. `what` is a sentence or a statement; `outcome` None where it says nothing about one."""

    index: int
    at: datetime
    principal: str
    kind: str
    what: str
    source: str | None = None
    tables: tuple[str, ...] = ()
    outcome: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """The events that match the filters. `checkpoint_size` counts the events under the newest signed checkpoint."""

    frame: Frame
    filters: AuditFilters
    kinds: tuple[str, ...]
    sources: tuple[str, ...]
    events: tuple[EventRow, ...]
    pager: Pager
    downloads: Downloads
    checkpoint_size: int | None
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventField:
    """A field of an event; `text` is written as it is in the book (JSON for what has parts)."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """That the event is in the tree of a checkpoint: its leaf's hash and the hashes on the way to the root."""

    leaf_hash: str
    tree_size: int
    root_hash: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventPage:
    """One event with all its fields. `proof` and `checkpoint` are None until a checkpoint covers the event."""

    frame: Frame
    index: int
    at: datetime
    sentence: str
    fields: tuple[EventField, ...]
    downloads: Downloads
    proof: InclusionProof | None
    checkpoint: str | None
    related: tuple[int, ...] = ()
    change_id: str | None = None

"""What a person found by what they typed: what is called so, and records."""

from dataclasses import dataclass

from gatebook_hub.portal.pages.catalogue import Match
from gatebook_hub.portal.pages.cells import Cell
from gatebook_hub.portal.pages.frame import FieldError, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRecord:
    """One record: what its entity shows of it, by column, and where it opens, if anywhere."""

    entity: str
    key: str
    shown: tuple[tuple[str, Cell], ...]
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FindPage:
    """The search over everything; `text` is None where nothing was typed yet.

    `matches` are called so or are described so, `records` are found in sources by an entity; `notes` say what was not
    searched wholly.
    """

    frame: Frame
    entities: tuple[str, ...]
    text: str | None = None
    matches: tuple[Match, ...] = ()
    records: tuple[FoundRecord, ...] = ()
    more: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    errors: tuple[FieldError, ...] = ()

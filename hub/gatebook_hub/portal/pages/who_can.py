"""Who may do what on a table or a column."""

from dataclasses import dataclass

from gatebook_hub.portal.pages.frame import Downloads, FieldError, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule with the file and line where it stands."""

    id: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EntitledRow:
    """What one principal meets alike on some columns: `columns` is empty for whole rows."""

    principal: str
    tool: str | None
    access: str
    columns: tuple[str, ...]
    sight: str
    sentence: str
    rules: tuple[Rule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WhoCanPage:
    """The access review of what was asked for; nothing was asked yet while `target` is empty."""

    frame: Frame
    target: str
    revision: str
    rows: tuple[EntitledRow, ...]
    downloads: Downloads
    errors: tuple[FieldError, ...] = ()

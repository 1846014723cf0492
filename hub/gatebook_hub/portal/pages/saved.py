"""Saved queries: the list, one of them with its result, its versions, and the forms that change it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gatebook_hub.portal.pages.cells import Cell
from gatebook_hub.portal.pages.charts import Drawing
from gatebook_hub.portal.pages.fields import Choice, ValueField
from gatebook_hub.portal.pages.frame import Downloads, FieldError, Frame, Pager, Tab


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedCard:
    """A saved query in a list; `author` is a person's bare name."""

    id: str
    name: str
    author: str
    title: str
    description: str
    source: str
    saved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedListPage:
    """The saved queries that the reader may run; `is_cut` says that the list has only the newest of them."""

    frame: Frame
    tabs: tuple[Tab, ...]
    queries: tuple[SavedCard, ...]
    downloads: Downloads
    pager: Pager
    query: str = ""
    tab: str = ""
    count: int = 0
    is_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A column that is masked for the reader, or a table of which they see some rows alone; and the rule."""

    name: str
    how: str
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The rows that are shown; without `is_whole` there are more. `no_chart` says why there is no drawing."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: frozenset[int]
    is_whole: bool
    elapsed_ms: float
    audit_index: int | None
    masks: tuple[Seen, ...] = ()
    scopes: tuple[Seen, ...] = ()
    drawing: Drawing | None = None
    no_chart: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQueryPage:
    """One query in one version; `result` is there after it was run."""

    frame: Frame
    id: str
    name: str
    author: str
    title: str
    description: str
    source: str
    sql: str
    version: int
    newest: int
    saved_by: str
    saved_at: datetime
    note: str
    fields: tuple[ValueField, ...]
    downloads: Downloads
    call: str
    may_run: bool
    may_edit: bool
    may_share: bool
    deleted_at: datetime | None = None
    result: Result | None = None
    errors: tuple[FieldError, ...] = ()
    given_reason: str = ""
    given_purpose: str = ""
    is_favourite: bool = False

    @property
    def is_old(self) -> bool:
        """Whether there is a newer version."""
        return self.version != self.newest


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """One version in the list of all of them."""

    number: int
    saved_by: str
    saved_at: datetime
    note: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedHistoryPage:
    """All versions of a query, newest first."""

    frame: Frame
    id: str
    name: str
    author: str
    title: str
    versions: tuple[VersionRow, ...]
    may_edit: bool
    downloads: Downloads
    deleted_at: datetime | None = None
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterForm:
    """What is typed about one parameter."""

    name: str
    kind: str = "text"
    title: str = ""
    default: str = ""
    choices: str = ""
    minimum: str = ""
    maximum: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedEditPage:
    """The form of a new query (`id` is None), or of the next version of one; what was typed is kept."""

    frame: Frame
    sources: tuple[Choice, ...]
    id: str | None = None
    name: str = ""
    title: str = ""
    description: str = ""
    source: str = ""
    sql: str = ""
    parameters: tuple[ParameterForm, ...] = ()
    chart: str = ""
    chart_x: str = ""
    chart_y: str = ""
    note: str = ""
    based_on: int = 0
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSharePage:
    """Who may run a query and who may edit it, and the button that deletes it."""

    frame: Frame
    id: str
    name: str
    title: str
    seen_by: str
    edited_by: str
    errors: tuple[FieldError, ...] = ()

"""Which jobs ran, how far they are, and why one failed."""

from dataclasses import dataclass
from datetime import datetime

from gatebook_hub.portal.pages.change import Parameter
from gatebook_hub.portal.pages.frame import Downloads, Frame, Pager, Tab


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How many cells of the notebook are done."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """A run in a list. `state` is `due`, `running`, `succeeded`, `failed` or `skipped`."""

    id: str
    job: str
    title: str
    state: str
    due_at: datetime
    started_at: datetime | None = None
    duration_s: float | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsPage:
    """Runs, newest first; `tabs` choose a state."""

    frame: Frame
    tabs: tuple[Tab, ...]
    runs: tuple[RunRow, ...]
    pager: Pager
    downloads: Downloads


@dataclass(frozen=True, slots=True, kw_only=True)
class CellFailure:
    """The cell that stopped a run: its place in the notebook (from 1; None: it was no cell), its source, the error."""

    number: int | None
    source: str
    error_name: str
    error_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """One run of a job."""

    frame: Frame
    run: RunRow
    principal: str
    notebook: str
    parameters: tuple[Parameter, ...]
    attempt: int
    attempts_allowed: int
    schedule: str | None
    finished_at: datetime | None
    failure: CellFailure | None
    downloads: Downloads
    notebook_url: str | None = None

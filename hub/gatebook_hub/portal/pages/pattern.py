"""How each component looks; the values are made up and the same for everybody."""

from dataclasses import dataclass
from datetime import timedelta

from gatebook_hub.portal.pages.catalogue import ColumnCard, SourceCard, TableCard
from gatebook_hub.portal.pages.cells import Cell, cell_of
from gatebook_hub.portal.pages.change import Parameter, TimelineEntry
from gatebook_hub.portal.pages.changes import ChangeCard, Quorum
from gatebook_hub.portal.pages.charts import Drawing, drawing_of
from gatebook_hub.portal.pages.diff import RowDiff, row_diff_of
from gatebook_hub.portal.pages.fields import Choice, ValueField
from gatebook_hub.portal.pages.frame import Downloads, FieldError, Frame, Pager, Tab
from gatebook_hub.saved import Chart, ChartKind

ONE_SECOND = timedelta(seconds=1)
_MONTHS = (("January", 1523.25), ("February", -201.5), ("March", None), ("April", 904))


@dataclass(frozen=True, slots=True, kw_only=True)
class PatternPage:
    """One value for each component."""

    frame: Frame
    errors: tuple[FieldError, ...]
    cells: tuple[Cell, ...]
    diff: RowDiff
    along: RowDiff
    change: ChangeCard
    source: SourceCard
    table: TableCard
    parameters: tuple[Parameter, ...]
    sets: tuple[tuple[Parameter, ...], ...]
    timeline: tuple[TimelineEntry, ...]
    tabs: tuple[Tab, ...]
    pager: Pager
    downloads: Downloads
    states: tuple[str, ...]
    statement: str
    choices: tuple[Choice, ...]
    field: ValueField
    drawings: tuple[Drawing, ...]


def pattern_page(frame: Frame) -> PatternPage:
    """Return the pattern page with its examples."""
    return PatternPage(
        frame=frame,
        errors=(FieldError(message="Enter a reason", field="example-reason"),),
        cells=(
            cell_of("Germany"),
            cell_of(None),
            cell_of(""),
            cell_of("j***@example.org", is_masked=True),
            cell_of("ends with a space "),
            cell_of("zero\u200bwidth"),
            cell_of("A long text is folded. " * 12),
            cell_of(b"\x00\x01"),
            cell_of({"$type": "assigned", "value": ""}),
        ),
        diff=_diff(),
        along=_along(),
        change=ChangeCard(
            id="example",
            summary="3 rows of invoice would change",
            state="awaiting_review",
            source="chinook",
            table="invoice",
            requester="analyst",
            created_at=frame.now - 7000 * ONE_SECOND,
            warnings_count=1,
            risk="high",
            quorum=(Quorum(groups=("reviewers",), needed=2, given=1),),
        ),
        source=SourceCard(name="chinook", title="Chinook", engine="sqlite", is_production=True, tables_count=13),
        table=TableCard(
            name="customer",
            kind="table",
            comment="People who buy music",
            may=("select",),
            rows="only country = 'Germany'",
            columns=(
                ColumnCard(name="customerid", type="INTEGER", is_nullable=False, is_key=True),
                ColumnCard(name="email", type="VARCHAR", is_nullable=False, tags=("pii.email",), mask="email"),
                ColumnCard(name="birthdate", type="DATE", is_nullable=True, refused="the rule `hr-only` refuses it"),
            ),
        ),
        parameters=(Parameter(name="country", value=cell_of("Germany")), Parameter(name="until", value=cell_of(None))),
        sets=tuple(
            (Parameter(name="country", value=cell_of(country)), Parameter(name="until", value=cell_of(until)))
            for country, until in (("Germany", None), ("France", "2026-12-31"))
        ),
        timeline=(
            TimelineEntry(at=frame.now - 7000 * ONE_SECOND, sentence="analyst asked for the change", event_index=41),
            TimelineEntry(at=frame.now - 60 * ONE_SECOND, sentence="reviewer approved it"),
        ),
        tabs=(
            Tab(title="Waiting for me", url="#tabs", is_current=True, count=3),
            Tab(title="Done", url="#tabs", is_current=False),
        ),
        pager=Pager(newer_url="#pager", older_url="#pager"),
        downloads=Downloads(json_url="#downloads", csv_url="#downloads"),
        states=("awaiting_review", "approved", "executed", "rejected", "withdrawn", "drifted", "failed", "running"),
        statement="update invoice\n   set total = :total\n where invoiceid = :id",
        choices=(Choice(value="text", words="Text"), Choice(value="date", words="Date")),
        field=ValueField(name="amount", title="Amount", kind="number", value="1.98", hint="At most 100"),
        drawings=tuple(
            drawing_of(Chart(kind=kind, x="month", y="total"), ("month", "total"), _MONTHS) for kind in ChartKind
        ),
    )


def _diff() -> RowDiff:
    return row_diff_of(
        {
            "key": ["invoiceid"],
            "columns": ["invoiceid", "billingcity", "note", "total"],
            "rows": [
                {"key": [5], "kind": "changed", "before": [5, "Bonn", None, 1.98], "after": [5, "Bonn", "", 2.50]},
                {"key": [6], "kind": "added", "before": None, "after": [6, "Köln", "new", 3.96]},
                {"key": [7], "kind": "removed", "before": [7, "Ulm", None, 0.99], "after": None},
            ],
            "is_complete": True,
        },
    )


def _along() -> RowDiff:
    return row_diff_of(
        {
            "table": "invoiceline",
            "key": ["invoicelineid"],
            "columns": ["invoicelineid", "quantity"],
            "rows": [{"key": [31], "kind": "removed", "before": [31, 1], "after": None, "is_along": True}],
            "is_complete": False,
            "total": 1200,
            "counts": {"removed": 1200},
        },
    )

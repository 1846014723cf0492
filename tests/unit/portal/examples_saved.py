"""The pages of saved queries and of versions of tools with ordinary values."""

from dataclasses import replace

from tests.unit.portal.framed import DOWNLOADS, EARLIER, frame

from gatebook_hub.portal.pages.cells import cell_of
from gatebook_hub.portal.pages.charts import drawing_of
from gatebook_hub.portal.pages.fields import Choice, ValueField
from gatebook_hub.portal.pages.frame import FieldError, Pager, Tab
from gatebook_hub.portal.pages.saved import (
    ParameterForm,
    Result,
    SavedCard,
    SavedEditPage,
    SavedHistoryPage,
    SavedListPage,
    SavedQueryPage,
    SavedSharePage,
    Seen,
    VersionRow,
)
from gatebook_hub.portal.pages.tool_versions import CellDiff, CheckReport, Line, ToolVersionPage, ToolVersionsPage
from gatebook_hub.portal.pages.tool_versions import VersionRow as ToolVersionRow
from gatebook_hub.saved import Chart, ChartKind

SOURCES = (Choice(value="chinook", words="Chinook"), Choice(value="ledger", words="Ledger"))


def saved_card(title: str = "Revenue by country", description: str = "Invoices of a year, by country") -> SavedCard:
    """Return a saved query in a list."""
    return SavedCard(
        id=f"q-{title}",
        name="revenue_by_country",
        author="analyst",
        title=title,
        description=description,
        source="chinook",
        saved_at=EARLIER,
    )


def saved_list(cards: tuple[SavedCard, ...], query: str = "") -> SavedListPage:
    """Return a list of saved queries."""
    tabs = (Tab(title="All", url="/saved", is_current=True), Tab(title="Mine", url="/saved?tab=mine", is_current=False))
    pager = Pager(older_url="/saved?after=x")
    return SavedListPage(
        frame=frame(), tabs=tabs, queries=cards, downloads=DOWNLOADS, pager=pager, query=query, count=len(cards)
    )


def saved_query(text: str = "Revenue by country") -> SavedQueryPage:
    """Return a saved query with a field of each kind."""
    fields = (
        ValueField(name="country", title=text, kind="text", value=text),
        ValueField(name="since", title="Since", kind="date", value="2026-01-01"),
        ValueField(name="least", title="At least", kind="number", hint="A number, at least 0"),
        ValueField(name="genre", title="Genre", kind="text", choices=(Choice(value=text, words=text),)),
    )
    return SavedQueryPage(
        frame=frame(),
        id="0123456789abcdef",
        name="revenue_by_country",
        author="analyst",
        title=text,
        description=text,
        source="chinook",
        sql="select billingcountry, sum(total) as total from invoice where billingcountry = :country",
        version=3,
        newest=3,
        saved_by="analyst",
        saved_at=EARLIER,
        note=text,
        fields=fields,
        downloads=DOWNLOADS,
        call="gatebook.saved('analyst/revenue_by_country', country='Germany')",
        may_run=True,
        may_edit=True,
        may_share=True,
    )


def saved_result(kind: str, text: str = "Germany") -> Result:
    """Return rows with a chart of this kind."""
    rows: tuple[tuple[object, ...], ...] = (
        (text, 1523.25, "g***@example.org"),
        ("France", -201.5, None),
        ("", None, ""),
        ("Austria", 90, "a***@example.org"),
    )
    return Result(
        columns=("country", "total", text),
        rows=tuple(tuple(cell_of(value) for value in row) for row in rows),
        numeric=frozenset({1}),
        is_whole=True,
        elapsed_ms=4.2,
        audit_index=41,
        masks=(Seen(name="customer.email", how="email", rule=text),),
        scopes=(Seen(name=text, how="", rule="analysts-customers-dach"),),
        drawing=drawing_of(Chart(kind=ChartKind(kind), x="country", y="total"), ("country", "total", text), rows),
    )


def saved_history(text: str) -> SavedHistoryPage:
    """Return three versions."""
    return SavedHistoryPage(
        frame=frame(),
        id="0123456789abcdef",
        name="revenue_by_country",
        author="analyst",
        title=text,
        versions=tuple(
            VersionRow(number=number, saved_by=text, saved_at=EARLIER, note=text, title=text) for number in (3, 2, 1)
        ),
        may_edit=True,
        downloads=DOWNLOADS,
    )


def saved_edit(text: str) -> SavedEditPage:
    """Return the form of the next version, with one thing wrong."""
    return SavedEditPage(
        frame=frame(),
        sources=SOURCES,
        id="0123456789abcdef",
        name="revenue_by_country",
        title=text,
        description=text,
        source="chinook",
        sql=text,
        parameters=(
            ParameterForm(name="country", title=text, default=text, choices=text, minimum=text, maximum=text),
            ParameterForm(name="since", kind="date"),
        ),
        chart="bar",
        chart_x=text,
        chart_y=text,
        note=text,
        based_on=3,
        errors=(FieldError(message=text, field="p-since-kind"), FieldError(message=text)),
    )


def saved_share(text: str) -> SavedSharePage:
    """Return the form that shares a query."""
    return SavedSharePage(
        frame=frame(),
        id="0123456789abcdef",
        name="revenue_by_country",
        title=text,
        seen_by=text,
        edited_by=text,
        errors=(FieldError(message=text, field="edited_by"),),
    )


def version_row(text: str = "Customer desk", **changes: object) -> ToolVersionRow:
    """Return a version of a tool that waits."""
    made = ToolVersionRow(
        name="customer_desk", title=text, version="5f" * 32, state="proposed", author="analyst", created_at=EARLIER,
        note="Refunds show the day, too",
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def tool_versions(*rows: ToolVersionRow) -> ToolVersionsPage:
    """Return the list of versions."""
    return ToolVersionsPage(frame=frame(), versions=rows)


def tool_version(text: str = "", **changes: object) -> ToolVersionPage:
    """Return a version that this person may review; `text` stands in every free text where it is given."""
    report = CheckReport(
        rights=text or "user:analyst, in operations",
        run=text or "check-2df154302dcabd2d",
        sources=(text or "chinook",),
        tables=(text or "chinook.customer: select customerid, firstname, lastname",),
        actions=(text,) if text else (),
        refused=(text,) if text else (),
        others=((text or "group:reviewers", text or "no grant gives `email` of `customer`"),),
    )
    lines = (
        Line(kind="same", text=text or "source = 'chinook'"),
        Line(kind="removed", text=text or "limit = 10"),
        Line(kind="added", text=text or "limit = 20"),
    )
    made = ToolVersionPage(
        frame=frame(),
        row=version_row(),
        summary=text or "Find a customer, look at their invoices, refund one.",
        seen="1a" * 32,
        about=lines,
        cells=(
            CellDiff(title=text or "Cell 1: Code", kind="same", lines=lines[:1]),
            CellDiff(title=text or "Cell 2: Code, tagged parameters", kind="changed", lines=lines),
            CellDiff(title="A cell: Text", kind="removed", lines=()),
        ),
        report=report,
        why_not=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type]

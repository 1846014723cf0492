"""Every page of the portal with ordinary values, and with nothing to show."""

from dataclasses import replace
from datetime import timedelta

from tests.unit.portal.examples_found import action_card, action_page, actions, find_page
from tests.unit.portal.examples_saved import (
    SOURCES,
    saved_card,
    saved_edit,
    saved_history,
    saved_list,
    saved_query,
    saved_result,
    saved_share,
    tool_version,
    tool_versions,
    version_row,
)
from tests.unit.portal.framed import DOWNLOADS, EARLIER, NOW, STRANGER, frame

from gatebook_hub.portal.pages.access import (
    AccessPage,
    ActionAccess,
    ColumnAccess,
    Held,
    Offer,
    RowScope,
    SourceAccess,
    TableAccess,
    Verdict,
)
from gatebook_hub.portal.pages.audit import AuditFilters, AuditPage, EventField, EventPage, EventRow, InclusionProof
from gatebook_hub.portal.pages.catalogue import CataloguePage, ColumnCard, Match, SourceCard, SourcePage, TableCard
from gatebook_hub.portal.pages.cells import cell_of
from gatebook_hub.portal.pages.change import (
    Broken,
    ChangePage,
    Comment,
    Outcome,
    Parameter,
    Permission,
    Review,
    StandIn,
    TimelineEntry,
)
from gatebook_hub.portal.pages.changes import ChangeCard, InboxPage, Quorum
from gatebook_hub.portal.pages.diff import row_diff_of
from gatebook_hub.portal.pages.find import FindPage
from gatebook_hub.portal.pages.frame import FieldError, Pager, Tab
from gatebook_hub.portal.pages.home import HomePage, ToolCard
from gatebook_hub.portal.pages.notifications import ChannelChoice, KindChoice, NotificationsPage
from gatebook_hub.portal.pages.pattern import pattern_page
from gatebook_hub.portal.pages.problem import NotFoundPage, ProblemPage
from gatebook_hub.portal.pages.runs import CellFailure, Progress, RunPage, RunRow, RunsPage
from gatebook_hub.portal.pages.saved import (
    SavedEditPage,
)
from gatebook_hub.portal.pages.session import SignedOutPage, SignInOffer, SignInPage
from gatebook_hub.portal.pages.tool_versions import Verdict as VersionVerdict
from gatebook_hub.portal.pages.who_can import EntitledRow, Rule, WhoCanPage
from gatebook_hub.portal.render import Page


def typical_pages() -> dict[str, Page]:
    """Return each page with values as on an ordinary day, by a name for its file."""
    return {
        "home": home("Customer desk", "Search a customer, see invoices, refund one."),
        "catalogue": CataloguePage(frame=frame(), sources=(source(),), downloads=DOWNLOADS),
        "search": CataloguePage(
            frame=frame(),
            sources=(source(),),
            downloads=DOWNLOADS,
            query="invoice",
            matches=(Match(kind="table", title="invoice", url="/catalogue/chinook#table-invoice", summary="Bills"),),
        ),
        "source": source_page("customer", "People who buy music"),
        "tool_versions": tool_versions(version_row(), version_row("Finance month", state="in_force")),
        "tool_version": tool_version(),
        "tool_version_own": tool_version(why_not="nobody reviews a version of their own"),
        "tool_version_missing_reason": tool_version(
            errors=(FieldError(message="say why you approve or reject it", field="reason"),)
        ),
        "tool_version_done": tool_version(
            verdict=VersionVerdict(is_approved=True, reviewer="reviewer", reason="read it, tried it", at=NOW)
        ),
        "inbox": inbox((card(), card(summary="1 row of employee would be removed", risk=None, warnings_count=0))),
        "change": change(),
        "change_missing_reason": replace(
            change(), errors=(FieldError(message="Enter why you approve or reject it", field="reason"),)
        ),
        "change_moved": replace(
            change(),
            errors=(FieldError(message="The rows changed while you read. Look at the new rows, then decide again"),),
            given_reason="Agreed with finance, ticket 4711",
        ),
        "change_overtaken": overtaken(),
        "change_overtaken_at_the_end": replace(
            overtaken(), state="withdrawn", review=Permission(is_allowed=False), expires_at=None
        ),
        "change_own": replace(
            change(),
            review=Permission(is_allowed=False, why_not="nobody approves their own request"),
            withdraw=Permission(is_allowed=True),
            glass=Permission(is_allowed=True),
        ),
        "change_approved": replace(
            change(),
            state="approved",
            review=Permission(is_allowed=False, why_not="you reviewed it already"),
            execute=Permission(is_allowed=True),
            reviews=(Review(reviewer="reviewer", verdict="approve", reason="Agreed with finance", at=EARLIER),),
        ),
        "change_executed": replace(
            change(),
            frame=frame(notice="your approval is recorded"),
            state="executed",
            review=Permission(is_allowed=False),
            outcome=Outcome(rows_changed=4, audit_index=44, at=NOW, is_linked=True),
            undo=Permission(is_allowed=True),
        ),
        "change_broken": replace(change(), state="executed", broken=broken(), glass=Permission(is_allowed=False)),
        "change_undone": replace(
            change(),
            state="undone",
            review=Permission(is_allowed=False),
            undo=Permission(is_allowed=False),
            undone_by="c-82",
        ),
        "change_undo": replace(change(), undoes="c-80"),
        "change_tables": tables(),
        "change_sample": sample(),
        "change_sets": replace(
            change(),
            statement="insert into genre (genreid, name) values (:id, :name)",
            parameters=(),
            sets=sets(),
            sets_count=812,
        ),
        "change_failed": replace(change(), state="failed", failure="the column `total` takes no negative value"),
        "saved": saved_list((saved_card(), saved_card(title="Open tickets", description=""))),
        "saved_query": saved_query(),
        "saved_result": replace(saved_query(), result=saved_result("bar")),
        "saved_line": replace(saved_query(), result=saved_result("line")),
        "saved_cut": replace(
            saved_query(),
            version=2,
            result=replace(saved_result("bar"), drawing=None, no_chart="`total` has no numbers", is_whole=False),
        ),
        "saved_wrong": replace(
            saved_query(), errors=(FieldError(message="`country` is missing", field="p-country"),), given_reason="asked"
        ),
        "saved_deleted": replace(saved_query(), may_run=False, may_edit=False, may_share=False, deleted_at=NOW),
        "saved_history": saved_history("Revenue by country"),
        "saved_new": SavedEditPage(frame=frame(), sources=SOURCES),
        "saved_edit": saved_edit("Revenue by country"),
        "saved_share": saved_share("analysts, job:nightly_revenue"),
        "audit": audit((event("select email from customer where country = :country"), event("signed in"))),
        "event": event_page("analyst read 13 rows of `customer`"),
        "runs": runs((run_row("succeeded"), run_row("running"), run_row("failed"))),
        "run": run(run_row("running")),
        "run_failed": replace(
            run(run_row("failed")),
            finished_at=NOW,
            failure=CellFailure(
                number=7,
                source="revenue = frame['total'].sum()\nassert revenue > 0, 'no revenue'",
                error_name="AssertionError",
                error_text="no revenue",
            ),
        ),
        "find": find_page("Almeida & Söhne"),
        "actions": actions(action_card(), action_card("Open ticket")),
        "action": replace(action_page(), rehearsal=None),
        "action_effect": action_page(),
        "action_wrong": replace(
            action_page(),
            rehearsal=None,
            errors=(FieldError(message="`amount` is above 0", field="p-amount"), FieldError(message="not now")),
            given_reason="asked by phone",
        ),
        "access": access("customer", "the grant lets analysts read customers of Germany"),
        "who_can": who_can("group:analysts", "sees it masked as email"),
        "notifications": notifications("Mail", "waits for review"),
        "sign_in": SignInPage(frame=STRANGER, command="gatebook sign-in --user reviewer"),
        "sign_in_offer": SignInPage(frame=STRANGER, command="", offer=SignInOffer(code="one-time")),
        "sign_in_failed": SignInPage(
            frame=STRANGER, command="gatebook sign-in --user reviewer", problem="this link was used already"
        ),
        "signed_out": SignedOutPage(frame=STRANGER, sign_in_url="/sign-in"),
        "problem": problem("your grants do not cover the column `birthdate`"),
        "not_found": NotFoundPage(frame=frame()),
        "pattern": pattern_page(frame()),
    }


def empty_pages() -> dict[str, Page]:
    """Return the pages that list things, with nothing to list."""
    nothing = Pager()
    lists: dict[str, Page] = {
        "tool_versions_empty": tool_versions(),
        "home_empty": HomePage(frame=frame(inbox_count=0), tools=(), waiting=(), mine=(), sources=()),
        "catalogue_empty": CataloguePage(frame=frame(), sources=(), downloads=DOWNLOADS, query="none", matches=()),
        "source_empty": SourcePage(frame=frame(), source=source(), tables=(), downloads=DOWNLOADS),
        "change_no_rows": replace(
            change(), diffs=(row_diff_of({"key": ["id"], "columns": ["id"], "rows": [], "is_complete": True}),)
        ),
        "change_action": replace(
            change(), diffs=(), reason=None, table=None, warnings=(), parameters=(), timeline=(), expires_at=None
        ),
        "audit_empty": replace(audit(()), filters=AuditFilters(), checkpoint_size=None, pager=nothing),
        "audit_no_match": replace(audit(()), pager=nothing),
        "event_fresh": replace(event_page("asked"), proof=None, checkpoint=None),
        "runs_empty": replace(runs(()), pager=nothing),
        "run_queued": replace(run(RunRow(id="9", job="j", title="J", state="due", due_at=NOW)), parameters=()),
        "who_can_empty": WhoCanPage(frame=frame(), target="", revision="3f9c", rows=(), downloads=DOWNLOADS),
        "notifications_empty": replace(notifications("", ""), channels=()),
        "saved_empty": replace(saved_list(()), pager=nothing),
        "saved_none_found": replace(saved_list((), "none"), pager=nothing),
        "saved_no_rows": replace(
            saved_query(),
            description="",
            note="",
            fields=(),
            result=replace(saved_result("bar"), rows=(), masks=(), scopes=(), drawing=None, no_chart="nothing"),
        ),
        "saved_no_source": SavedEditPage(frame=frame(), sources=()),
        "actions_empty": actions(),
        "action_in_a_tool": replace(action_page(), action=replace(action_card(), is_open=False), rehearsal=None),
        "action_nowhere": replace(action_page(), action=replace(action_card(), is_open=False, tools=()), fields=()),
        "find_empty": FindPage(frame=frame(), entities=(), text=None),
        "find_nothing": FindPage(frame=frame(), entities=("Customer",), text="none"),
        "find_wrong": FindPage(
            frame=frame(), entities=("Customer",), text="a", errors=(FieldError(message="type more", field="text"),)
        ),
        "access_empty": AccessPage(frame=frame(groups=()), revision="3f9c", sources=(), downloads=DOWNLOADS),
    }
    return lists | {f"inbox_empty_{tab}": replace(inbox(()), tab=tab) for tab in ("waiting", "mine", "all", "done")}


def home(title: str, summary: str) -> HomePage:
    """Return a first page with one tool of this title."""
    return HomePage(
        frame=frame(),
        tools=(
            ToolCard(
                name="customer_desk",
                title=title,
                summary=summary,
                url="http://localhost:8000/services/tools/customer_desk",
                is_favourite=True,
            ),
        ),
        favourites=(Match(kind="table", title=title, url="/catalogue/chinook#table-track", summary=summary),),
        recent=(Match(kind="query", title=title, url="/saved/q-1", summary=summary),),
        waiting=(card(), card(summary="1 row of refund would be added", risk=None)),
        mine=(card(state="executed", warnings_count=0, risk=None),),
        sources=(source(),),
    )


def source() -> SourceCard:
    """Return the demo source."""
    return SourceCard(name="chinook", title="Chinook", engine="sqlite", is_production=True, tables_count=13)


def source_page(table: str, comment: str) -> SourcePage:
    """Return the page of a source with two tables."""
    columns = (
        ColumnCard(name="customerid", type="INTEGER", is_nullable=False, is_key=True),
        ColumnCard(name="country", type="VARCHAR(40)", is_nullable=True, description=comment),
        ColumnCard(name="email", type="VARCHAR(60)", is_nullable=False, tags=("pii.email",), mask="email"),
        ColumnCard(
            name=table, type=table, is_nullable=True, tags=(table, comment), refused=comment, rule=table, ask=comment
        ),
    )
    tables = (
        TableCard(name=table, kind="table", comment=comment, columns=columns, may=("select", "update", "insert")),
        TableCard(name="invoice", kind="view", comment="", columns=columns, may=(), rows="only country = 'Germany'"),
    )
    return SourcePage(
        frame=frame(), source=source(), tables=tables, downloads=DOWNLOADS, description=comment, offers=(comment,)
    )


def card(**changes: object) -> ChangeCard:
    """Return a change request that waits."""
    made = ChangeCard(
        id="c-81",
        summary="3 rows of invoice would change",
        state="awaiting_review",
        source="chinook",
        table="invoice",
        requester="analyst",
        created_at=EARLIER,
        warnings_count=2,
        risk="high",
        quorum=(Quorum(groups=("reviewers", "finance"), needed=1, given=0),),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def inbox(changes: tuple[ChangeCard, ...]) -> InboxPage:
    """Return the inbox with these change requests."""
    tabs = (
        Tab(title="Waiting for me", url="/inbox?tab=waiting", is_current=True, count=3),
        Tab(title="My requests", url="/inbox?tab=mine", is_current=False, count=1),
        Tab(title="All I may see", url="/inbox?tab=all", is_current=False),
        Tab(title="Done", url="/inbox?tab=done", is_current=False),
    )
    pager = Pager(older_url="/inbox?before=c-12")
    return InboxPage(frame=frame(), tab="waiting", tabs=tabs, changes=changes, pager=pager, downloads=DOWNLOADS)


def change(text: str = "") -> ChangePage:
    """Return a change request that this person may review; `text` stands in every free text where it is given."""
    address = text or "Theodor-Heuss-Straße 34, Stuttgart, Baden-Württemberg, Germany, second backyard, ring twice " * 3
    document = {
        "key": ["invoiceid"],
        "columns": ["invoiceid", "email", "address", "city", "state", "note", "total", "postalcode"],
        "rows": [
            {
                "key": [5],
                "kind": "changed",
                "before": [5, "j***@e***", address, "Bonn", None, "", {"$type": "decimal", "value": "1.98"}, 53111],
                "after": [5, "j***@e***", address + "!", "Bonn ", "", text or "paid", 2.5, "53111"],
            },
            {
                "key": [6],
                "kind": "added",
                "before": None,
                "after": [6, "k***@e***", "Ring 1", "Köln", "NW", None, 0.99, 50667],
            },
            {
                "key": [7],
                "kind": "removed",
                "before": [7, None, "Gasse 2", "Ulm", None, "abc\u202edef", 0.99, 89073],
                "after": None,
            },
            {
                "key": [8],
                "kind": "changed",
                "before": [8, "x***@e***", "", "Ulm", None, "a\nb", 0.99, 89073],
                "after": [9, "y***@e***", "", "Ulm", None, "a\nb", 0.99, 89073],
            },
        ],
        "is_complete": False,
    }
    return ChangePage(
        frame=frame(),
        id=text or "c-81",
        summary=text or "4 rows of invoice would change",
        state="awaiting_review",
        source=text or "chinook",
        table=text or "invoice",
        operation=text or "update",
        statement=text or "update invoice\n   set total = :total, note = 'paid'\n where customerid in (:a, :b)\n",
        parameters=(
            Parameter(name=text or "total", value=cell_of(text or {"$type": "decimal", "value": "2.50"})),
            Parameter(name="note", value=cell_of(None)),
        ),
        requester=text or "analyst",
        reason=text or "Ticket 4711: the price of two invoices was wrong",
        created_at=EARLIER,
        expires_at=NOW + timedelta(days=2),
        digest=text or "sha256:" + "5f3c9a" * 10,
        warnings=(text or "a trigger of `invoice` writes to `invoice_history`", "more than 3 rows change"),
        diffs=(row_diff_of(document, total=812, masked=("email",), hidden=(text or "birthdate",)),),
        quorum=(Quorum(groups=(text or "reviewers",), needed=2, given=1),),
        reviews=(
            Review(
                reviewer=text or "second",
                verdict="reject",
                reason=text or "Which invoices?",
                at=EARLIER,
                instead_of=text or "maria",
            ),
        ),
        stand_ins=(StandIn(person=text or "second", instead_of=text or "maria"),),
        sets=sets(text) if text else (),
        sets_count=2 if text else 0,
        timeline=(
            TimelineEntry(at=EARLIER, sentence=text or "analyst asked for the change", event_index=41),
            TimelineEntry(at=NOW, sentence="second rejected it"),
        ),
        review=Permission(is_allowed=True),
        withdraw=Permission(is_allowed=False),
        execute=Permission(is_allowed=False),
        undo=Permission(is_allowed=bool(text)),
        glass=Permission(is_allowed=bool(text)),
        execution=text or "with the last approval",
        risk_points=5,
        risk_sentences=(text or "it removes rows", "it is in production"),
        broken=broken(text) if text else None,
        comments=(Comment(author=text or "second", text=text or "Which invoices?", at=NOW),),
        downloads=DOWNLOADS,
        action=text or None,
        undoes=text or None,
        undone_by=text or None,
    )


def sets(text: str = "") -> tuple[tuple[Parameter, ...], ...]:
    """Return two sets of values of a statement."""
    return tuple(
        (
            Parameter(name=text or "id", value=cell_of(number)),
            Parameter(name=f"{text or 'name'}s", value=cell_of(text or name)),
        )
        for number, name in ((26, "Fado"), (27, None))
    )


def tables() -> ChangePage:
    """Return a request that concerns three tables: two that it names, and rows of one that go along."""

    def added(number: int) -> dict[str, object]:
        return {"key": [number], "kind": "added", "before": None, "after": [number, 5, 1]}

    def gone(number: int, *, is_along: bool) -> dict[str, object]:
        kept = {"key": [number], "kind": "removed", "before": [number, 7, 2], "after": None}
        return {**kept, "is_along": is_along}

    named = {"key": ["id"], "columns": ["id", "invoiceid", "quantity"], "is_complete": True}
    documents = (
        {**named, "table": "invoice", "rows": [gone(7, is_along=False), gone(8, is_along=True)]},
        {**named, "table": "credit", "rows": [added(1)]},
        {**named, "table": "invoiceline", "rows": [gone(31, is_along=True), gone(32, is_along=True)]},
        {**named, "rows": [], "is_complete": False, "total": 3, "counts": {"added": 0, "changed": 3, "removed": 0}},
    )
    return replace(
        change(),
        summary="1 row would be removed from invoice and 1 row would be added to credit",
        operation="merge",
        statement="delete from invoice where invoiceid = 7;\ninsert into credit values (1, 5, 1)",
        parameters=(),
        diffs=tuple(map(row_diff_of, documents)),
    )


def sample() -> ChangePage:
    """Return a request of many rows, some of which are shown."""
    rows = [{"key": [n], "kind": "changed", "before": [n, 1], "after": [n, 2]} for n in range(0, 40, 2)]
    document = {"key": ["id"], "columns": ["id", "total"], "rows": rows, "is_complete": False, "table": "invoice"}
    counts = {"added": 0, "changed": 40_000, "removed": 0}
    written = {**document, "table": "journal", "rows": rows[:3], "is_complete": True}
    return replace(
        change(),
        table="invoice",
        diffs=(row_diff_of({**document, "total": 40_000, "counts": counts}),),
        beside=(row_diff_of(written),),
    )


def overtaken() -> ChangePage:
    """Return the page that answers a press that came too late."""
    return replace(
        change(),
        errors=(FieldError(message="the request has moved on since you looked at it"),),
        given_reason="The price list says so",
        news=(
            TimelineEntry(at=EARLIER, sentence="second commented on it"),
            TimelineEntry(at=NOW, sentence="second approved it"),
            TimelineEntry(at=None, sentence="it went from `awaiting review` to `approved`"),
        ),
        seen="7.awaiting_review.1.-.2",
    )


def broken(text: str = "") -> Broken:
    """Return what is shown after a glass was broken."""
    return Broken(
        reason=text or "the shop is down",
        at=EARLIER,
        reviews=(
            Review(reviewer=text or "second", verdict="approve", reason=text or "Yes", at=NOW, instead_of=text or None),
        ),
        missing=(Quorum(groups=(text or "reviewers",), needed=2, given=1),),
    )


def event(what: str, name: str = "analyst") -> EventRow:
    """Return an event of the list."""
    return EventRow(
        index=41,
        at=EARLIER,
        principal=name,
        kind="query",
        what=what,
        source="chinook",
        tables=(name, "invoice") if name != "analyst" else (),
        outcome="13 rows" if what != "signed in" else None,
    )


def audit(events: tuple[EventRow, ...]) -> AuditPage:
    """Return the audit page with these events and one filter."""
    return AuditPage(
        frame=frame(),
        filters=AuditFilters(principal="analyst", since="2026-11-01"),
        kinds=("query", "review", "refusal"),
        sources=("chinook",),
        events=events,
        pager=Pager(newer_url="/audit?after=50", older_url="/audit?before=20"),
        downloads=DOWNLOADS,
        checkpoint_size=1204,
    )


def event_page(sentence: str) -> EventPage:
    """Return the page of an event under a checkpoint."""
    return EventPage(
        frame=frame(),
        index=41,
        at=EARLIER,
        sentence=sentence,
        fields=(
            EventField(name="principal", text="user:analyst"),
            EventField(name="statement", text="select *\n  from customer\n where country = :country"),
            EventField(name="provenance", text='{"kernel": "6f1c", "notebook": "work.ipynb"}'),
            EventField(name="reason", text=""),
        ),
        downloads=DOWNLOADS,
        proof=InclusionProof(leaf_hash="ab" * 32, tree_size=1204, root_hash="cd" * 32, path=("ef" * 32, "01" * 32)),
        checkpoint="gatebook.example/book\n1204\nzc3Nzc3Nzc0=\n\n— gatebook.example/book qwAAAA==\n",
        related=(42,),
        change_id="c-81",
    )


def run_row(state: str) -> RunRow:
    """Return a run in this state."""
    return RunRow(
        id="r-7",
        job="nightly_revenue",
        title="Nightly revenue, 22 November",
        state=state,
        due_at=EARLIER,
        started_at=EARLIER,
        duration_s=4.25 if state != "running" else None,
        progress=Progress(done=7, total=12),
    )


def runs(rows: tuple[RunRow, ...]) -> RunsPage:
    """Return the list of runs."""
    tabs = (Tab(title="All", url="/runs", is_current=True), Tab(title="Failed", url="/runs?s=failed", is_current=False))
    return RunsPage(frame=frame(), tabs=tabs, runs=rows, pager=Pager(older_url="/runs?b=1"), downloads=DOWNLOADS)


def run(row: RunRow) -> RunPage:
    """Return the page of this run."""
    return RunPage(
        frame=frame(),
        run=row,
        principal="job:nightly_revenue",
        notebook="notebooks/jobs/nightly_revenue.ipynb",
        parameters=(Parameter(name="day", value=cell_of("2026-11-21")), Parameter(name="country", value=cell_of(None))),
        attempt=1,
        attempts_allowed=3,
        schedule="every day at 02:15 (Europe/Berlin)",
        finished_at=None,
        failure=None,
        downloads=DOWNLOADS,
        notebook_url="/runs/r-7/notebook",
    )


def access(table: str, sentence: str) -> AccessPage:
    """Return the answers for one table."""
    actions = (
        ActionAccess(action="select", verdict=Verdict.ALLOWED, sentence=sentence, rules=("analysts-read", table)),
        ActionAccess(action="update", verdict=Verdict.REVIEWED, sentence="needs a reviewer", rules=("four-eyes",)),
        ActionAccess(action="delete", verdict=Verdict.DENIED, sentence="no grant", ask="a grant of delete"),
    )
    columns = (
        ColumnAccess(name="country", sight="plain", sentence=sentence, rules=("analysts-read",)),
        ColumnAccess(name="email", sight="masked", sentence=sentence, tags=("pii.email",), rules=("mask-email",)),
        ColumnAccess(name=table, sight="refused", sentence=sentence, tags=(table,), rules=(table,), ask=sentence),
    )
    answers = TableAccess(
        name=table, actions=actions, columns=columns, rows=RowScope(sentence=sentence, rules=(table,))
    )
    sources = (
        SourceAccess(name=table, title=sentence, tables=(answers, replace(answers, name="invoice"))),
        SourceAccess(name="ledger", title="Ledger", tables=()),
    )
    offers = (
        Offer(grant="pay-for-a-while", gives=f"select on hr.{table}", hours=8, quorum="1 of people_team"),
        Offer(grant="desk", gives=sentence, hours=0.5, quorum=f"2 of {table}"),
    )
    return AccessPage(
        frame=frame(),
        revision="3f9c2ab1",
        sources=sources,
        downloads=DOWNLOADS,
        offers=offers,
        held=(Held(id="c-9", grant=table, until=NOW),),
        errors=(FieldError(message=sentence, field="hours-desk"), FieldError(message=table, field="reason-desk")),
        asked="desk",
        given_reason=sentence,
    )


def who_can(principal: str, sentence: str) -> WhoCanPage:
    """Return an access review with one row."""
    row = EntitledRow(
        principal=principal,
        tool="customer_desk",
        access="select",
        columns=("email",),
        sight="masked",
        sentence=sentence,
        rules=(Rule(id="mask-email", place="protections.yaml:12"),),
    )
    return WhoCanPage(
        frame=frame(), target="chinook.customer.email", revision="3f9c2ab1", rows=(row,), downloads=DOWNLOADS
    )


def notifications(title: str, words: str) -> NotificationsPage:
    """Return the choices for two channels."""
    kinds = (
        KindChoice(kind="requested", words=words, mode="at_once"),
        KindChoice(kind="executed", words=words, mode="daily"),
        KindChoice(kind="failed", words=words, mode="never"),
    )
    return NotificationsPage(
        frame=frame(),
        channels=(
            ChannelChoice(name="mail", title=title, kinds=kinds),
            ChannelChoice(name=f"second-{title}", title=title, kinds=kinds),
        ),
        digest_at="07:00 (Europe/Berlin)",
        expiring_h=8,
    )


def problem(detail: str) -> ProblemPage:
    """Return a refusal."""
    return ProblemPage(
        frame=frame(),
        status=403,
        title="Refused by policy",
        detail=detail,
        code="GB-203",
        rule="hr-only",
        ask="a grant on `employee.birthdate`",
        reference="evt-41",
    )

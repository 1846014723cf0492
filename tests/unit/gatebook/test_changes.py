"""A change request says what would happen, follows its state, and shows foreign values as text only."""

import dataclasses
import threading
import time
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any

import pytest

import gatebook
from gatebook import live
from gatebook.changes import Change, State
from gatebook.errors import ChangeRefused, GatewayFailed, NotFound


class Outline(HTMLParser):
    """Tags, attributes and the text within them, as a browser would read them."""

    def __init__(self, html: Any) -> None:
        super().__init__()
        self.tags, self.texts, self.open = [], [], []
        self.feed(html)

    def handle_starttag(self, tag: Any, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: Any) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: Any) -> None:
        if "style" not in self.open:
            self.texts.append((self.open[-1] if self.open else "", data))

    def inside(self, tag: Any) -> Any:
        return [text for where, text in self.texts if where == tag]

    @property
    def text(self) -> Any:
        return " ".join(text for _, text in self.texts)


@pytest.fixture
def card(change_document_of: Any) -> Any:
    return lambda **parts: Outline(Change.from_json(change_document_of(**parts))._repr_html_())


def test_a_write_gives_its_change_request(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.said(gate_server.change(), 202))
    change = gatebook.query("chinook", "update invoice set total = 2.5 where invoiceid = 5")
    assert change.state is State.AWAITING_REVIEW
    assert change.sentence == "1 row of invoice would change"
    assert change.diff.rows[0].after == (5, "Boston", 2.5)
    assert "1 approval by reviewers needed, 0 given" in str(change)
    assert "http://127.0.0.1:8001/changes/chg_1" in str(change)


def test_a_write_that_needs_nobody_gives_its_outcome(gate_server: Any) -> None:
    answer = {"kind": "outcome", "rows_changed": 2, "audit_index": 9, "change": None}
    gate_server.on("POST", "/query", gate_server.said(answer))
    outcome = gatebook.query("chinook", "insert into t values (1), (2)")
    assert (outcome.rows_changed, outcome.audit_index) == (2, 9)
    assert str(outcome) == "2 rows changed · book entry 9"


def test_an_outcome_has_what_the_write_returned(gate_server: Any) -> None:
    rows = [[4, {"$type": "decimal", "value": "1.50"}, "<b>"], [5, None, None]]
    returned = {"columns": ["id", "price", "note"], "rows": rows}
    answer = {"kind": "outcome", "rows_changed": 2, "audit_index": 9, "change": "c", "returned": returned}
    gate_server.on("POST", "/query", gate_server.said(answer))
    outcome = gatebook.query("chinook", "insert into t (price) values (1.5), (null) returning *")
    assert outcome.returned.rows == ((4, Decimal("1.50"), "<b>"), (5, None, None))
    frame = outcome.returned.to_pandas()
    assert list(frame.columns) == ["id", "price", "note"]
    assert frame["price"][0] == Decimal("1.50")
    assert "&lt;b&gt;" in outcome.returned._repr_html_()


def test_waiting_asks_for_a_state_that_differs(gate_server: Any) -> None:
    states = ["awaiting_review", "approved", "executed"]
    outcome = {"rows_changed": 1, "audit_index": 9, "at": "now"}

    def answer(_: object) -> Any:
        state = states.pop(0)
        return gate_server.said(gate_server.change(state=state, outcome=outcome if state == "executed" else None))

    gate_server.on("GET", "/changes/chg_1", answer)
    done = gatebook.change("chg_1").wait(30)
    assert done.state is State.EXECUTED
    assert done.outcome.rows_changed == 1
    assert [one.query.get("state") for one in gate_server.asked] == [None, "awaiting_review", "approved"]
    assert gate_server.asked[1].query["wait"] == "25"


def test_waiting_ends_in_time_and_does_not_hammer_a_gate_that_never_waits(gate_server: Any) -> None:
    gate_server.on("GET", "/changes/chg_1", lambda _: gate_server.said(gate_server.change()))
    change = gatebook.change("chg_1")
    began = time.monotonic()
    assert change.wait(1.2).state is State.AWAITING_REVIEW
    assert time.monotonic() - began < 5
    assert len(gate_server.asked) <= 4


def test_moves_go_to_the_gate_and_give_the_request_as_it_became(gate_server: Any) -> None:
    gate_server.on("POST", "/changes/chg_1/withdraw", gate_server.said(gate_server.change(state="withdrawn")))
    refusal = gate_server.problem(409, "GB-404", detail="The rows changed since they were approved.")
    gate_server.on("POST", "/changes/chg_1/execute", refusal)
    gate_server.on("GET", "/changes/chg_1", gate_server.said(gate_server.change()))
    change = gatebook.change("chg_1")
    with pytest.raises(ChangeRefused) as drift:
        change.execute()
    assert drift.value.code == "GB-404"
    assert change.withdraw().state is State.WITHDRAWN
    assert change.state is State.AWAITING_REVIEW
    with pytest.raises(NotFound):
        gatebook.change("chg_2")


def test_the_list_of_requests_asks_for_what_is_wanted(gate_server: Any) -> None:
    listed = {name: value for name, value in gate_server.change().items() if name != "diffs"}
    gate_server.on("GET", "/changes", gate_server.said({"changes": [listed]}))
    (change,) = gatebook.changes(state="awaiting_review", mine=True, limit=5)
    assert (change.id, change.diff) == ("chg_1", None)
    assert gate_server.asked[0].query == {"state": "awaiting_review", "mine": "true", "limit": "5"}
    assert "Rows before" not in change._repr_html_()


def test_a_state_of_tomorrow_is_no_crash(change_document_of: Any) -> None:
    with pytest.raises(GatewayFailed) as unknown:
        Change.from_json(change_document_of(state="levitating"))
    assert "update gatebook" in str(unknown.value)


def test_the_card_begins_with_the_sentence_and_says_the_state_in_words(card: Any) -> None:
    outline = card()
    texts = [text.strip() for _, text in outline.texts if text.strip()]
    assert texts[:2] == ["1 row of invoice would change", "Awaiting review"]
    assert ("a", "http://127.0.0.1:8001/changes/chg_1") in [(tag, attrs.get("href")) for tag, attrs in outline.tags]
    assert "chg_1" in outline.inside("code")


def test_the_card_shows_the_key_and_what_differs(card: Any) -> None:
    outline = card()
    assert outline.inside("th") == ["invoiceid", "total", "Changed"]
    assert outline.inside("td")[0] == "5"
    assert outline.inside("del") == ["1.98"]
    assert outline.inside("ins") == ["2.5"]
    assert "1 other column not shown." in outline.text


def test_null_empty_blank_masked_and_text_never_look_alike(card: Any) -> None:
    diff = {
        "key": ["id"],
        "columns": ["id", "a", "b", "c", "d", "e"],
        "rows": [
            {
                "key": [1],
                "kind": "changed",
                "before": [1, None, "", "NULL", {"$type": "masked", "value": "a***"}, "  "],
                "after": [1, "NULL", "empty", None, "masked", ""],
            }
        ],
        "masked": [],
    }
    outline = card(diffs=[diff])
    marks = [text for where, text in outline.texts if where == "span"]
    assert marks[1:] == ["NULL", "empty", "NULL", "masked", "2 blanks", "empty"]
    assert outline.inside("ins") == ["NULL", "empty", "masked"]


def test_added_and_removed_rows_are_whole(card: Any) -> None:
    diff = {
        "key": ["id"],
        "columns": ["id", "name"],
        "total": 812,
        "rows": [
            {"key": [1], "kind": "added", "before": None, "after": [1, "new"]},
            {"key": [2], "kind": "removed", "before": [2, "old"], "after": None},
        ],
        "is_complete": False,
    }
    outline = card(diffs=[diff])
    assert outline.inside("ins") == ["1", "new"]
    assert outline.inside("del") == ["2", "old"]
    assert [text for text in outline.inside("th") if text] == ["id", "name", "Added", "Removed"]
    assert "This is a sample of 812 rows; the digest covers all of them." in outline.text


def test_a_change_of_type_or_of_places_is_a_change(card: Any) -> None:
    diff = {
        "key": ["id"],
        "columns": ["id", "total"],
        "rows": [{"key": [1], "kind": "changed", "before": [1, "5"], "after": [1, {"$type": "decimal", "value": "5"}]}],
    }
    outline = card(diffs=[diff])
    assert (outline.inside("del"), outline.inside("ins")) == (["5"], ["5"])


def test_many_rows_are_counted_not_drawn(card: Any) -> None:
    rows = [{"key": [i], "kind": "changed", "before": [i, 1], "after": [i, 2]} for i in range(500)]
    outline = card(diffs=[{"key": ["id"], "columns": ["id", "n"], "rows": rows}])
    assert len(outline.inside("ins")) == 20
    assert "480 more rows on the request's page." in outline.text


EVIL = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'&amp;"


def test_nothing_that_came_over_the_wire_becomes_markup(card: Any) -> None:
    diff = {
        "key": [EVIL],
        "columns": [EVIL, EVIL + "2"],
        "rows": [
            {"key": [EVIL], "kind": EVIL, "before": [EVIL, EVIL], "after": [EVIL, {"$type": EVIL, "value": EVIL}]}
        ],
        "hidden": [EVIL],
        "masked": [EVIL],
    }
    outline = card(
        id=EVIL,
        url=f"https://portal/{EVIL}",
        source=EVIL,
        summary=EVIL,
        warnings=[EVIL],
        failure=EVIL,
        reason=EVIL,
        diffs=[diff],
        quorum=[{"groups": [EVIL], "needed": 1, "given": 0}],
        reviews=[{"reviewer": EVIL, "verdict": EVIL, "reason": EVIL, "at": EVIL, "instead_of": EVIL}],
    )
    assert {tag for tag, _ in outline.tags}.isdisjoint({"img", "script"})
    assert not [name for _, attrs in outline.tags for name in attrs if name.startswith("on")]
    assert outline.text.count("<script>alert(2)</script>") >= 10


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//elsewhere", "", " javascript:alert(1)"])
def test_only_web_addresses_become_links(card: Any, url: Any) -> None:
    assert "a" not in {tag for tag, _ in card(url=url).tags}


def test_a_failed_or_decided_request_says_so(card: Any) -> None:
    review = {"reviewer": "reviewer", "verdict": "reject", "reason": "wrong invoice", "at": "now"}
    assert "Rejected by reviewer: wrong invoice." in card(state="rejected", reviews=[review]).text
    instead = {**review, "instead_of": "maria"}
    assert "Rejected by reviewer, in place of maria: wrong invoice." in card(state="rejected", reviews=[instead]).text
    assert "It broke." in card(state="failed", failure="it broke").text
    done = card(state="executed", outcome={"rows_changed": 1, "audit_index": 12, "at": "now"})
    assert "1 row changed · book entry 12." in done.text
    assert "Warning: no WHERE" in card(warnings=["no WHERE"]).text


def test_what_its_reader_may_not_do_is_said_where_the_state_would_let_them(card: Any) -> None:
    why = {
        "review": "nobody approves their own request",
        "execute": "it is executed at 22:00-04:00 (UTC)",
        "undo": "what the rows were before is no longer kept",
    }
    nothing = {"withdraw": False, "execute": False, "undo": False}
    approved = card(state="approved", may=nothing | {"withdraw": True}, why_not=why).text
    assert "Approved." in approved
    assert "You cannot execute it now: it is executed at 22:00-04:00 (UTC)." in approved
    assert "undo" not in approved
    assert (
        "You cannot undo it: what the rows were before is no longer kept."
        in card(state="executed", may=nothing, why_not=why).text
    )
    assert "cannot" not in card(state="rejected", may=nothing, why_not=why).text
    assert "Approved, and may be executed." in card(state="approved", may={"execute": True}).text


def test_decimals_of_a_diff_stay_exact(change_document_of: Any) -> None:
    price = {"$type": "decimal", "value": "0.10"}
    row = {"key": [1], "kind": "added", "before": None, "after": [1, price]}
    change = Change.from_json(change_document_of(diffs=[{"key": ["id"], "columns": ["id", "p"], "rows": [row]}]))
    assert change.diff.rows[0].after == (1, Decimal("0.10"))


def test_a_watch_tells_news_once_and_ends_with_the_final_state(gate_server: Any) -> None:
    states = ["awaiting_review", "awaiting_review", "approved", "executed"]
    gate_server.on("GET", "/changes/chg_1", lambda _: gate_server.said(gate_server.change(state=states.pop(0))))
    news, done = [], threading.Event()

    def listen(change: Any) -> Any:
        news.append(change.state)
        if change.is_final:
            done.set()

    live.watch(gatebook.change("chg_1"), listen)
    assert done.wait(20)
    time.sleep(0.2)
    assert news == ["approved", "executed"]
    assert "chg_1" not in live._watches
    assert not [thread for thread in threading.enumerate() if thread.name == "gatebook chg_1"]


def test_a_watch_outlives_a_gate_that_is_away_for_a_moment_and_a_listener_that_is_gone(gate_server: Any) -> None:
    answers = [
        gate_server.change(),
        None,
        None,
        None,
        gate_server.change(state="approved"),
        gate_server.change(state="executed"),
    ]

    def answer(_: object) -> Any:
        document = answers.pop(0)
        return gate_server.said(document) if document else None

    gate_server.on("GET", "/changes/chg_1", answer)
    change = gatebook.change("chg_1")
    done = threading.Event()

    def gone(_: object) -> None:
        raise RuntimeError("the socket is closed")

    live.watch(change, gone)
    live.watch(change, lambda newer: done.set() if newer.is_final else None)
    assert done.wait(30)


def test_a_watch_ends_when_the_request_is_no_longer_ours_to_see(gate_server: Any) -> None:
    gate_server.on("GET", "/changes/chg_1", gate_server.said(gate_server.change()))
    change = gatebook.change("chg_1")
    gate_server.on("GET", "/changes/chg_1", gate_server.problem(401, "GB-101", detail="The token has ended."))
    live.watch(change, lambda _: None)
    deadline = time.monotonic() + 5
    while "chg_1" in live._watches and time.monotonic() < deadline:
        time.sleep(0.02)
    assert "chg_1" not in live._watches


def test_only_so_many_requests_are_watched(gate_server: Any) -> None:
    ids = [f"chg_w{number}" for number in range(live.MOST_WATCHED + 2)]
    is_over = threading.Event()

    def held(_: object) -> Any:
        is_over.wait(20)
        return gate_server.said(gate_server.change(id="chg_w", state="executed"))

    base = Change.from_json(gate_server.change())
    gate = gatebook.transport.gate()
    for one in ids:
        gate_server.on("GET", f"/changes/{one}", held)
        live.watch(dataclasses.replace(base, id=one, through=gate), lambda _: None)
    try:
        assert list(live._watches) == ids[2:]
    finally:
        is_over.set()


def draft_of(document: dict[str, Any], **parts: Any) -> dict[str, Any]:
    """The document of a dry run."""
    filed = (
        "id",
        "url",
        "action",
        "created_at",
        "expires_at",
        "digest",
        "reviews",
        "outcome",
        "failure",
        "may",
        "why_not",
    )
    return (
        {name: value for name, value in document.items() if name not in filed}
        | {
            "state": "draft",
            "audit_index": 12,
        }
        | parts
    )


def test_a_dry_run_is_asked_for_and_is_no_request(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.said(draft_of(gate_server.change())))
    change = gatebook.query("chinook", "update invoice set total = 2.5 where invoiceid = 5", dry_run=True)
    gatebook.query("chinook", "update invoice set total = 2.5 where invoiceid = 5")
    assert [body.get("dry_run") for body in gate_server.bodies("/query")] == [True, None]
    assert (change.state, change.id, change.url, change.audit_index) == (State.DRAFT, "", "", 12)
    assert change.is_final
    assert change.wait(5) is change
    assert str(change).splitlines() == [
        "1 row of invoice would change [dry run]",
        "a dry run: nothing was filed, and nothing was changed; 1 approval by reviewers would be needed",
        "dry run on chinook · book entry 12",
    ]
    for step in (change.refresh, change.withdraw, change.execute):
        with pytest.raises(ChangeRefused, match="dry run"):
            step()


def test_the_card_of_a_dry_run_says_that_nothing_was_done(change_document_of: Any) -> None:
    rows = [{"key": [n], "kind": "changed", "before": [n, "a"], "after": [n, "<b>"]} for n in range(30)]
    diff = {"key": ["id"], "columns": ["id", "name"], "rows": rows}
    document = draft_of(change_document_of(diffs=[diff]), quorum=[], warnings=["30 rows are concerned"])
    outline = Outline(Change.from_json(document)._repr_html_())
    assert "A dry run: nothing was filed, and nothing was changed; no approval would be needed." in outline.text
    assert "Dry run on chinook · book entry 12." in outline.text
    assert "Warning: 30 rows are concerned" in outline.text
    assert "10 more rows in `diff.rows`." in outline.text
    assert outline.inside("del")[0] == "a"
    assert not [tag for tag, _ in outline.tags if tag in {"a", "b", "code"}]
    assert ("section", {"class": "gb-card gb-dry", "aria-label": "dry run on chinook · book entry 12"}) in outline.tags


def test_a_request_without_an_id_is_not_understood(change_document_of: Any) -> None:
    document = change_document_of()
    del document["id"]
    with pytest.raises(GatewayFailed):
        Change.from_json(document)

"""A card's buttons ask first, send what was answered, and say what the gate said."""

import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from gatebook import live
from gatebook.buttons import WIDGET_VIEW, Buttons, Card
from gatebook.changes import Change, State, Step
from gatebook.transport import gate

OPEN = {"may": {"withdraw": True, "execute": False, "undo": False}, "why_not": {}}
DONE = {"state": "executed", "may": {"withdraw": False, "execute": False, "undo": True}, "why_not": {}}


class Site:
    """A gate with one request in some state, which its steps move on; `tell` collects what a card hears."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.now: dict[str, Any] = OPEN
        self.heard: list[State] = []
        server.on("GET", "/changes/chg_1", self.answer)

    def answer(self, asked: Any) -> Any:
        deadline = time.monotonic() + min(5, float(asked.query.get("wait", 0)))
        while self.now.get("state", "awaiting_review") == asked.query.get("state") and time.monotonic() < deadline:
            time.sleep(0.02)
        return self.server.said(self.server.change(**self.now))

    def becomes(self, **parts: Any) -> Any:
        """What a step answers, from when on the request is like that."""

        def answer(_: object) -> Any:
            self.now = parts
            return self.server.said(self.server.change(**parts))

        return answer

    def buttons(self, **parts: Any) -> Buttons:
        self.now = parts or OPEN
        change = Change.from_json(self.server.change(**self.now), gate())
        return Buttons(change, lambda newer: self.heard.append(newer.state))

    def sent(self) -> list[str]:
        return [one.path for one in self.server.asked if one.method == "POST"]


@pytest.fixture
def site(gate_server: Any) -> Any:
    made = Site(gate_server)
    yield made
    # What is final lets the card's thread go.
    made.now = {"state": "withdrawn"}
    until(lambda: live._watches.keys().isdisjoint({"chg_1", "chg_2"}))


def until(what: Any, timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def is_shown(widget: Any) -> bool:
    return widget.layout.display != "none"


def shown_of(buttons: Buttons) -> list[str]:
    """The buttons that a person sees."""
    if not is_shown(buttons._row):
        return [one.description for one in (buttons._yes, buttons._keep)] if is_shown(buttons._asking) else []
    return [one.description for one in buttons._row.children if is_shown(one)]


@pytest.mark.parametrize(
    "parts, expected",
    [
        (OPEN, ["Withdraw"]),
        ({"state": "approved", "may": {"withdraw": True, "execute": True}}, ["Execute", "Withdraw"]),
        ({"state": "approved", "may": {}}, []),
        ({"state": "executing", "may": {"withdraw": True, "execute": True, "undo": True}}, []),
        (DONE, ["Undo"]),
        ({"state": "rejected", "may": {"withdraw": True}}, []),
    ],
)
def test_a_button_is_there_where_its_step_is_possible(site: Site, parts: Any, expected: list[str]) -> None:
    assert shown_of(site.buttons(**parts)) == expected


def test_a_press_asks_and_can_be_taken_back(site: Site) -> None:
    buttons = site.buttons()
    buttons._yes.click()  # nobody has asked
    buttons._presses[Step.EXECUTE].click()  # not shown
    assert shown_of(buttons) == ["Withdraw"]
    buttons._presses[Step.WITHDRAW].click()
    assert "Withdraw this request?" in buttons._question.value
    assert shown_of(buttons) == ["Yes, withdraw it", "Keep it"]
    assert not is_shown(buttons._reason)
    buttons._keep.click()
    buttons._yes.click()
    assert shown_of(buttons) == ["Withdraw"]
    assert site.sent() == []


def test_what_was_answered_is_sent_once_and_the_card_hears_of_it_once(site: Site) -> None:
    site.server.on("POST", "/changes/chg_1/withdraw", site.becomes(state="withdrawn", may={}))
    buttons = site.buttons()
    buttons._presses[Step.WITHDRAW].click()
    buttons._yes.click()
    buttons._yes.click()
    until(lambda: buttons.change.state is State.WITHDRAWN)
    until(lambda: "chg_1" not in live._watches)
    assert site.sent() == ["/changes/chg_1/withdraw"]
    assert site.heard == ["withdrawn"]
    assert shown_of(buttons) == []
    assert buttons._said.value == ""


def test_a_question_goes_when_the_request_moves_on_by_itself(site: Site) -> None:
    buttons = site.buttons()
    buttons._presses[Step.WITHDRAW].click()
    site.now = DONE
    until(lambda: buttons.change.state is State.EXECUTED)
    buttons._yes.click()
    assert shown_of(buttons) == ["Undo"]
    assert site.sent() == []


def test_a_refusal_is_a_sentence_with_its_reference_and_the_card_looks_again(site: Site) -> None:
    def refuse(_: object) -> Any:
        site.now = {"state": "expired", "may": {}}
        return site.server.problem(409, "GB-402", detail="the request is <expired>", reference="41")

    site.server.on("POST", "/changes/chg_1/withdraw", refuse)
    buttons = site.buttons()
    buttons._presses[Step.WITHDRAW].click()
    buttons._yes.click()
    until(lambda: "reference 41" in buttons._said.value)
    assert "The request is &lt;expired&gt;." in buttons._said.value
    assert 'role="alert"' in buttons._said.value
    until(lambda: site.heard == ["expired"])
    assert shown_of(buttons) == []


def test_an_answer_that_is_lost_is_not_called_a_failure(site: Site) -> None:
    site.server.on("POST", "/changes/chg_1/withdraw", lambda _: None)
    buttons = site.buttons()
    buttons._presses[Step.WITHDRAW].click()
    buttons._yes.click()
    until(lambda: "it is not known what came of it" in buttons._said.value)
    assert shown_of(buttons) == ["Withdraw"]


def test_an_undo_has_a_reason_and_a_card_below_and_takes_the_first_card_along(site: Site) -> None:
    undo = site.server.change(id="chg_2", undoes="chg_1", reason="wrong", **OPEN)
    site.server.on("POST", "/changes/chg_1/undo", site.server.said(undo))
    is_approved = threading.Event()

    def second(asked: Any) -> Any:
        is_approved.wait(5 if "wait" in asked.query else 0)
        if is_approved.is_set():
            site.now = {"state": "undone", "may": {}, "undone_by": "chg_2"}
        return site.server.said({**undo, "state": "executed"} if is_approved.is_set() else undo)

    site.server.on("GET", "/changes/chg_2", second)
    buttons = site.buttons(**DONE)
    buttons._presses[Step.UNDO].click()
    buttons._reason.value = " wrong "
    buttons._yes.click()
    until(lambda: buttons._below.children)
    assert site.server.bodies("/changes/chg_1/undo") == [{"reason": "wrong"}]
    view, _ = buttons._below.children[0].children
    assert "It takes back what request chg_1 did." in view.value
    assert "Awaiting review" in view.value
    is_approved.set()
    until(lambda: site.heard == ["undone"])
    assert "Executed" in view.value
    assert shown_of(buttons) == []


def test_a_card_that_may_not_look_any_more_says_so_and_looks_when_asked(site: Site) -> None:
    site.server.on("GET", "/changes/chg_1", site.server.problem(401, "GB-101", detail="The token has ended."))
    buttons = site.buttons()
    until(lambda: shown_of(buttons) == ["Withdraw", "Look again"])
    assert "does not follow its request any more" in buttons._said.value
    site.server.on("GET", "/changes/chg_1", site.answer)
    buttons._again.click()
    until(lambda: shown_of(buttons) == ["Withdraw"])
    site.now = DONE
    until(lambda: site.heard == ["executed"])


def test_an_answer_that_comes_late_does_not_bring_a_state_back(site: Site) -> None:
    buttons = site.buttons()
    late = buttons.change
    site.now = DONE
    until(lambda: site.heard == ["executed"])
    buttons._on_news(late)
    assert buttons.change.state is State.EXECUTED
    assert site.heard == ["executed"]


def test_a_card_is_one_widget_and_nothing_where_there_are_none(site: Site) -> None:
    site.now = OPEN
    card = Card(Change.from_json(site.server.change(**OPEN), gate()))
    assert "Awaiting review" in card.box.children[0].value
    bundle = card.bundle
    assert bundle[WIDGET_VIEW]["model_id"] == card.box.model_id
    assert (bundle["text/html"], bundle["text/plain"]) == ("", "")
    site.now = DONE
    until(lambda: "Executed" in card.box.children[0].value)


def test_the_client_loads_widgets_with_the_first_button_alone() -> None:
    program = (
        "import sys; sys.modules['ipywidgets'] = None\n"
        "import gatebook, gatebook.buttons, gatebook.displaying as room\n"
        "assert room.front_end_here() is room.FrontEnd.FILE"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

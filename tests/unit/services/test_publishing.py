"""Which version of a tool is in force, who brought it there, and what is the installation's part?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import RULES, Shop, person

from gatebook_hub.errors import (
    GatebookError,
    InvalidInput,
    NotFound,
    NotPermitted,
    PortalOnly,
    ReviewRefused,
    StateConflict,
)  # fmt: skip
from gatebook_hub.model import Channel, Principal, PrincipalKind, Tool
from gatebook_hub.services.cases import use_cases_of
from gatebook_hub.services.gate import Call
from gatebook_hub.services.notebook_form import version_of
from gatebook_hub.services.opening import OPERATOR, open_gate
from gatebook_hub.services.publishing import Publishing
from gatebook_hub.services.queries import Answer, Question
from gatebook_hub.services.tool_needs import needs_of, refusals
from gatebook_hub.settings import Settings
from gatebook_hub.stores.book import EventFilter

ANA = Principal(kind=PrincipalKind.USER, name="ana", groups=frozenset({"desk"}))
REA, ROB = person("rea", "checkers"), person("rob", "checkers")
TOOLS = Call(principal=Principal(kind=PrincipalKind.SERVICE, name="tools", channel=Channel.HUB_TOKEN))
WITH_TOOLS = RULES.replace(
    "    via: desk\n",
    """    via: desk
  - {id: tools, to: [group:desk, group:clerks], tools: [desk]}
  - {id: versions, to: group:checkers, review_tools: "*"}
""",
)


def notebook(title: str = "Desk", **described: Any) -> str:
    about = {"kind": "tool", "title": title, "summary": "Look.", **described}
    cell = {"cell_type": "code", "execution_count": None, "id": "a", "metadata": {}, "outputs": [], "source": "x = 1"}
    return json.dumps({"cells": [cell], "metadata": {"gatebook": about}, "nbformat": 4, "nbformat_minor": 5})


@contextmanager
def opened(folder: Path, **more: Any) -> Iterator[Publishing]:
    shop = Shop(folder) if not (folder / "policies").exists() else None
    if shop is not None:
        shop.write(WITH_TOOLS)
    (folder / "notebooks" / "tools").mkdir(parents=True, exist_ok=True)
    settings = Settings(
        _env_file=None, state=folder / "state", policies=folder / "policies", notebooks=folder / "notebooks", **more
    )
    with open_gate(settings) as gate:
        gate.in_force.sources.get("shop").prepare()
        yield use_cases_of(gate).publishing


@pytest.fixture
def publishing(tmp_path: Path) -> Iterator[Publishing]:
    with opened(tmp_path) as made:
        yield made


def propose(publishing: Publishing, content: str, name: str = "desk", author: Principal = ANA) -> str:
    check = publishing.begin_check(OPERATOR, name, content, author)
    report = publishing.end_check(OPERATOR, check, None)
    return publishing.propose(OPERATOR, check, content, note="new", report=report).version


def approve(publishing: Publishing, version: str, call: Call = REA, name: str = "desk") -> None:
    current = publishing.current(name)
    seen = current.version if current else ""
    publishing.review(call, name, version, is_approved=True, reason="read", seen=seen)


def in_force(publishing: Publishing) -> dict[str, tuple[str, str]]:
    return {one.name: (one.version, one.by) for one in publishing.in_force()}


def test_a_version_is_in_force_once_somebody_else_approved_it(publishing: Publishing) -> None:
    version = propose(publishing, notebook())
    assert in_force(publishing) == {}
    approve(publishing, version)
    assert in_force(publishing) == {"desk": (version, "user:rea")}
    assert publishing.hand_out(TOOLS, "desk", version)[0].content == notebook()


@pytest.mark.parametrize(
    "call, error",
    [
        pytest.param(person("ana", "checkers"), ReviewRefused, id="the author"),
        pytest.param(person("Ana", "checkers"), ReviewRefused, id="the author, spelt otherwise"),
        pytest.param(person("ola", "desk"), NotFound, id="without a grant"),
        pytest.param(replace(REA, principal=replace(REA.principal, channel=Channel.HUB_TOKEN)), PortalOnly, id="token"),
        pytest.param(replace(REA, principal=replace(REA.principal, kind=PrincipalKind.JOB)), PortalOnly, id="a job"),
        pytest.param(OPERATOR, PortalOnly, id="the operator"),
    ],
)
def test_nobody_else_reviews_it(publishing: Publishing, call: Call, error: type[GatebookError]) -> None:
    """Each try is in the book."""
    version = propose(publishing, notebook())
    with pytest.raises(error) as refused:
        publishing.review(call, "desk", version, is_approved=True, reason="x", seen="")
    event = publishing._gate.book.find(EventFilter(kind="tool.refused"))[0]
    assert event.index == refused.value.reference
    assert event.content["principal"] == call.principal.id
    assert in_force(publishing) == {}


def test_a_review_holds_for_what_was_on_the_page(publishing: Publishing) -> None:
    one, two = propose(publishing, notebook("One")), propose(publishing, notebook("Two"))
    approve(publishing, one)
    with pytest.raises(StateConflict, match="another version came into force"):
        publishing.review(ROB, "desk", two, is_approved=True, reason="x", seen="")
    with pytest.raises(InvalidInput):
        publishing.review(ROB, "desk", two, is_approved=True, reason="  ", seen=one)
    publishing.review(ROB, "desk", two, is_approved=False, reason="worse", seen=one)
    with pytest.raises(ReviewRefused):
        publishing.review(REA, "desk", two, is_approved=True, reason="x", seen=one)
    assert in_force(publishing) == {"desk": (one, "user:rea")}


def test_two_reviews_at_once_do_not_put_a_version_in_force_that_was_compared_with_another(
    publishing: Publishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second looked at what is new since nothing; by the time of its verdict the first is in force."""
    one, two = propose(publishing, notebook("One")), propose(publishing, notebook("Two"))
    store = publishing._gate.tools
    review = store.review

    def first_the_other(*args: Any, **given: Any) -> None:
        monkeypatch.setattr(store, "review", review)
        approve(publishing, one)
        review(*args, **given)

    monkeypatch.setattr(store, "review", first_the_other)
    with pytest.raises(StateConflict, match="came into force"):
        publishing.review(ROB, "desk", two, is_approved=True, reason="read", seen="")
    assert in_force(publishing) == {"desk": (one, "user:rea")}
    approve(publishing, two, ROB)
    assert in_force(publishing) == {"desk": (two, "user:rob")}


@pytest.mark.parametrize(
    "described, said",
    [
        ({"title": "Desk\x1b]0;owned\x07"}, "`gatebook.title`"),
        ({"title": "Desk\nnobody would be refused"}, "`gatebook.title`"),
        ({"summary": "\u202eksed"}, "`gatebook.summary`"),
        ({"parameters": {"x": {"type": "string", "pattern": "(a+)+"}}}, "`pattern`"),
        ({"parameters": {"x": {"type": "string", "pattern": "a?" * 30 + "a" * 30}}}, "`pattern`"),
    ],
)
def test_what_a_notebook_says_of_itself_deceives_no_terminal_and_stalls_nobody(
    publishing: Publishing, described: dict[str, Any], said: str
) -> None:
    document = json.loads(notebook(**{"title": "Desk", "parameters": {"x": {"type": "string"}}, **described}))
    document["cells"][0]["metadata"]["tags"] = ["parameters"]
    with pytest.raises(InvalidInput, match=said):
        publishing.begin_check(OPERATOR, "desk", json.dumps(document), ANA)


def test_a_content_is_stored_once_and_only_as_it_was_checked(publishing: Publishing) -> None:
    propose(publishing, notebook())
    with pytest.raises(StateConflict):
        propose(publishing, notebook())
    check = publishing.begin_check(OPERATOR, "desk", notebook("Other"), ANA)
    report = publishing.end_check(OPERATOR, check, None)
    with pytest.raises(InvalidInput, match="not the notebook that was checked"):
        publishing.propose(OPERATOR, check, notebook("Evil"), note="new", report=report)
    with pytest.raises(InvalidInput, match="does not run: NameError in cell 1"):
        publishing.propose(
            OPERATOR, check, notebook("Other"), note="new", report={**report, "failure": "NameError in cell 1"}
        )


def test_a_rollback_goes_to_the_version_before_and_to_nothing_from_the_first(publishing: Publishing) -> None:
    """Calls come through what is approved; what was taken back is out, and may come back by its own name."""
    versions = []
    for title in ("One", "Two", "Three"):
        versions.append(propose(publishing, notebook(title)))
        approve(publishing, versions[-1])
    one, two, three = versions
    assert publishing.roll_back(OPERATOR, "desk").version == two
    assert [publishing.may_attest("desk", version) for version in versions] == [True, True, False]
    assert publishing.roll_back(OPERATOR, "desk").version == one
    assert publishing.roll_back(OPERATOR, "desk", three[:8]).version == three
    assert [publishing.may_attest("desk", version) for version in versions] == [False, False, True]
    with pytest.raises(InvalidInput):
        publishing.roll_back(OPERATOR, "desk", three[:4])
    with pytest.raises(InvalidInput):
        publishing.roll_back(OPERATOR, "desk", "f" * 64)
    assert publishing.roll_back(OPERATOR, "desk").version is None
    assert in_force(publishing) == {}
    with pytest.raises(NotFound):
        publishing.roll_back(OPERATOR, "desk")
    with pytest.raises(NotFound):
        publishing.roll_back(OPERATOR, "unknown")


def test_a_rollback_never_reaches_what_was_not_approved(publishing: Publishing) -> None:
    approve(publishing, propose(publishing, notebook("One")))
    waits = propose(publishing, notebook("Waits"))
    with pytest.raises(InvalidInput):
        publishing.roll_back(OPERATOR, "desk", waits)


def test_nothing_is_handed_to_anybody_else(publishing: Publishing) -> None:
    version = propose(publishing, notebook())
    approve(publishing, version)
    tool = replace(TOOLS, principal=replace(TOOLS.principal, tool=Tool(name="desk", version=version)))
    named = replace(REA, principal=replace(REA.principal, name="tools"))
    for call in (REA, OPERATOR, tool, named):
        with pytest.raises(NotPermitted):
            publishing.hand_out(call)


def test_tools_of_the_installation_are_served_where_the_setting_says_so(tmp_path: Path) -> None:
    """Until a version of their name is approved, and never again after that; without a word only in the demo."""
    folder = tmp_path / "notebooks" / "tools"
    folder.mkdir(parents=True)
    shipped = notebook("Shipped")
    (folder / "desk.ipynb").write_text(shipped)
    (folder / "job.ipynb").write_text(notebook(kind="job"))
    (folder / "Odd name.ipynb").write_text(shipped)
    (folder / "broken.ipynb").write_text("{")
    (folder / "api.ipynb").write_text(shipped)
    (folder / "linked.ipynb").symlink_to(folder / "desk.ipynb")
    with opened(tmp_path) as publishing:
        assert in_force(publishing) == {}
    with opened(tmp_path, installed_tools=True) as publishing:
        assert in_force(publishing) == {"desk": (version_of(shipped), "installation")}
        told = [
            event.content["extra"]["tool"] for event in publishing._gate.book.find(EventFilter(kind="tool.installed"))
        ]
        assert told == ["desk"]
        assert publishing.may_attest("desk", version_of(shipped))
        version = propose(publishing, notebook("Published"))
        assert in_force(publishing) == {"desk": (version_of(shipped), "installation")}
        approve(publishing, version)
        assert in_force(publishing) == {"desk": (version, "user:rea")}
        assert not publishing.may_attest("desk", version_of(shipped))
        publishing.roll_back(OPERATOR, "desk")
        assert in_force(publishing) == {}
    assert Settings(_env_file=None, demo=True).serves_installed_tools
    assert not Settings(_env_file=None, demo=True, installed_tools=False).serves_installed_tools
    assert not Settings(_env_file=None).serves_installed_tools


def test_each_group_to_whom_it_is_offered_is_compared(publishing: Publishing) -> None:
    """From the statements of the run in the book: the clerks, who have the tool and no table, would be refused."""
    gate = publishing._gate
    cases = use_cases_of(gate)
    check = publishing.begin_check(OPERATOR, "desk", notebook(), ANA)
    question = Question(source="shop", sql="select name from customer", parameters={})
    answer = cases.queries.ask(Call(principal=check.principal), question)
    assert isinstance(answer, Answer)
    assert sum(batch.num_rows for batch in answer.batches()) == 3
    answer.close()
    report = publishing.end_check(OPERATOR, check, None)
    assert report["tables"] == ["shop.customer: select name"]
    assert [(one["to"], "`customer`" in one["sentence"]) for one in report["others"]] == [("group:clerks", True)]
    assert refusals(gate, Tool(name="nobody", version="x"), needs_of(gate.book, check.principal, check.since)) == ()

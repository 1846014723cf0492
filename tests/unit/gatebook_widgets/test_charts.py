"""Is a chart harmless, told in words, and the same as the values beneath it?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal

import pandas as pd
import pytest

import gatebook
from gatebook.errors import GatewayUnreachable, SourceUnavailable
from gatebook_widgets import Chart, Part, RecordTable, SideBySide, Tabs, Tool
from gatebook_widgets import tool as tool_module

HOSTILE = "<img src=x onerror=alert(1)>\"'&"


def chart(frame: pd.DataFrame, **how: object) -> Chart:
    return Chart("Revenue", None, lambda: frame, **{"x": "month", "y": "total", **how})  # type: ignore[arg-type]


@pytest.fixture
def frame() -> pd.DataFrame:
    values = [Decimal("10.50"), None, Decimal("30.25")]
    return pd.DataFrame({"month": ["Jan", "Feb", "Mar"], "total": values, "refunds": [1, 2, 3]}, dtype=object)


@pytest.mark.parametrize("kind", ["bar", "line"])
def test_a_chart_has_words_and_its_values_beneath(frame: pd.DataFrame, kind: str) -> None:
    html = chart(frame, kind=kind, y=["total", "refunds"], labels={"total": "Total"})._view.value
    assert f'aria-label="{kind.capitalize()} chart by Month, Jan to Mar: Total from 10.5 to 30.25;' in html
    assert "<svg" in html
    assert "<details>" in html
    assert html.count('<td class="gb-number">30.25</td>') == 1
    assert '<span class="gb-mark">NULL</span>' in html


def test_nothing_is_loaded_and_the_pages_own_colours_are_used(frame: pd.DataFrame) -> None:
    html = chart(frame, y=["total", "refunds"])._view.value
    picture = re.search(r"<svg.*</svg>", html, re.DOTALL)[0]  # type: ignore[index]
    without_names = re.sub(r'xmlns(?::\w+)?="[^"]*"', "", picture)
    assert "http" not in without_names
    assert "<style" not in picture
    assert re.findall(r"#[0-9a-fA-F]{6}\b", picture) == []
    assert "var(--gb-series-1)" in picture
    assert "currentColor" in picture


def test_two_charts_on_a_page_share_no_names(frame: pd.DataFrame) -> None:
    names = [set(re.findall(r'id="([^"]+)"', chart(frame)._view.value)) for _ in range(2)]
    assert names[0]
    assert not names[0] & names[1]


def test_values_names_and_titles_are_escaped() -> None:
    data = pd.DataFrame({"month": [HOSTILE, "$a$ and $b$"], HOSTILE: [1, 2]})
    html = Chart(HOSTILE, None, lambda: data, x="month", y=HOSTILE)._view.value
    assert "<img" not in html
    assert "$a$ and $b$" in html


@pytest.mark.parametrize(
    "how, told",
    [
        ({"y": "nothing"}, "no column <code>nothing</code>"),
        ({"kind": "pie"}, "not <code>pie</code>"),
        ({"y": "month"}, "is no number"),
        ({"y": []}, "one to 6"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(frame: pd.DataFrame, how: dict[str, object], told: str) -> None:
    made = chart(frame, **how)
    assert told in made.status.text
    assert made._view.value == ""


def test_too_many_points_are_refused_and_none_is_said() -> None:
    assert "more than a chart shows" in chart(pd.DataFrame({"month": range(6000), "total": range(6000)})).status.text
    assert "nothing to draw" in chart(pd.DataFrame({"month": [], "total": []}))._view.value


def test_a_chart_follows_and_is_emptied(frame: pd.DataFrame) -> None:
    source = Part()
    made = Chart("Revenue", source, x="month", y="refunds", kind="line")
    source.announce(frame)
    assert "<svg" in made._view.value
    made.refresh()
    source.announce(None)
    assert made._view.value == ""


# ── what holds parts together ──


def test_tabs_show_one_of_them_and_a_name_that_is_not_there_opens_none() -> None:
    first, second, said = Part(), Part(), []
    tabs = Tabs({"One": [first], "Two": [second]})
    tabs.follow(said.append)
    tabs.open("Two")
    tabs.open("Three")
    assert [panel.layout.display for panel in tabs._panels.values()] == ["none", None]
    assert said == ["Two"]


def test_a_tool_refreshes_all_of_its_parts() -> None:
    loads: list[int] = []

    def load() -> pd.DataFrame:
        loads.append(1)
        return pd.DataFrame({"a": [1]})

    top, left, hidden = (RecordTable(name, None, load) for name in ("a", "b", "c"))
    tool = Tool("T <b>", "d", top, SideBySide(left), tabs={"One": [Part()], "Two": [hidden]})
    assert len(loads) == 3
    tool.refresh()
    assert len(loads) == 6
    assert "<b>" not in tool.box.children[0].value


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Exception | None]]:
    """What the gateway answers to those who look for it, one after the other."""
    answers: list[Exception | None] = []

    def me() -> None:
        if answers and (error := answers.pop(0)) is not None:
            raise error

    monkeypatch.setattr(tool_module, "SHORTEST_PAUSE_S", 0.01)
    monkeypatch.setattr(gatebook, "me", me)
    return answers


def test_a_lost_connection_is_said_looked_for_and_told_when_it_is_back(hasty: list[Exception | None]) -> None:
    is_away = [True]
    hasty.extend([GatewayUnreachable("gone"), SourceUnavailable("away", code="GB-601"), None])

    def load() -> pd.DataFrame:
        if is_away[0]:
            raise GatewayUnreachable("gone")
        return pd.DataFrame({"a": [1]})

    is_away[0] = False
    table = RecordTable("Things", None, load)
    tool = Tool("T", "d", table)
    is_away[0] = True
    table.refresh()
    looking = tool._looking
    assert looking is not None
    assert "cannot be reached" in tool.status.text
    assert 'role="alert"' in tool.status.text
    is_away[0] = False
    looking.join(5)
    assert not tool.is_lost
    assert "there again" in tool.status.text
    assert table.status.text == ""


def test_who_is_signed_out_meanwhile_is_told(hasty: list[Exception | None]) -> None:
    hasty.append(gatebook.errors.NotAuthenticated("the session has ended"))
    tool = Tool("T", "d")
    tool.on_lost()
    assert tool._looking is not None
    tool._looking.join(5)
    assert "The session has ended." in tool.status.text


def test_what_is_no_loss_is_not_looked_for(hasty: list[Exception | None]) -> None:
    tool, part = Tool("T", "d"), Part()

    def fail() -> None:
        raise gatebook.errors.AccessRefused("no")

    part.attempt(fail)
    assert not tool.is_lost

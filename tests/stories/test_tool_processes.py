"""Operations use a tools service of two processes and notice nothing: each person's page, kernel and login are in one.

A real Hub, gateway and tools service; people over HTTP and websockets with their own cookies, one in Chromium.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, expect
from tests.stories.test_operations import (
    BEFORE_DRAWN_MS,
    DESK,
    OpenDesk,
    answers,
    connect,
    find,
    message,
    open_desk,
    signed_in,
    xsrf,
)
from tests.stories.workspace import Person, Workspace
from websocket import WebSocketBadStatusException

from gatebook_server.tools.processes import COOKIE

pytestmark = [pytest.mark.hub, pytest.mark.browser, pytest.mark.slow]
NAMES = ("ops", "reviewer", "ops", "reviewer")


@pytest.fixture(scope="module")
def workspace() -> Iterator[Workspace]:
    settings = {"GATEBOOK_TOOLS_PROCESSES": "2", "GATEBOOK_TOOL_SLOTS": "16"}
    with Workspace(services=("gateway", "tools"), environment=settings) as running:
        yield running


@pytest.fixture
def opened(workspace: Workspace) -> Iterator[list[OpenDesk]]:
    """Four browsers of two people, each with the desk open."""
    with contextlib.ExitStack() as stack:
        people = [stack.enter_context(contextlib.closing(workspace.person(name))) for name in NAMES]
        yield [open_desk(person) for person in people]


def process_of(person: Person) -> str | None:
    return next((one.value for one in person.browser.cookies.jar if one.name == COOKIE), None)


def describe(person: Person, kernel: str) -> int:
    url = f"{person.hub}/services/tools/api/kernels/{kernel}"
    return person.browser.get(url, headers={"X-XSRFToken": xsrf(person)}).status_code


def services(workspace: Workspace) -> list[psutil.Process]:
    return [one for one in workspace.processes() if one.cmdline()[-1:] == ["gatebook_server.tools"]]


def test_people_are_divided_and_each_reaches_their_own_kernel(workspace: Workspace, opened: list[OpenDesk]) -> None:
    """Page, description and websocket come from one process, again and again."""
    assert {process_of(one.person) for one in opened} == {"0", "1"}
    assert len({one.kernel for one in opened}) == len(opened)
    assert len(services(workspace)) == 3
    for one in opened:
        assert {describe(one.person, one.kernel) for _ in range(4)} == {200}
        with connect(one.person, one.kernel) as channels:
            assert answers(channels, message("kernel_info_request", {}), "kernel_info_reply")


@pytest.mark.adversary
def test_another_number_in_the_cookie_opens_nothing(opened: list[OpenDesk]) -> None:
    """The other process knows neither the login nor the kernel; no number leads to anybody else's."""
    for one in opened:
        url, number = one.person.hub + DESK, process_of(one.person)
        header = httpx.Request("GET", url, cookies=one.person.browser.cookies).headers["Cookie"]
        assert f"{COOKIE}={number}" in header
        other = header.replace(f"{COOKIE}={number}", f"{COOKIE}={1 - int(number or 0)}")
        answer = httpx.get(url, headers={"Cookie": other})
        assert answer.status_code == 302
        assert "/hub/api/oauth2/authorize" in answer.headers["Location"]
        for foreign in opened:
            if foreign is not one:
                assert describe(one.person, foreign.kernel) == 404
                with pytest.raises(WebSocketBadStatusException), connect(one.person, foreign.kernel):
                    pass


def test_the_desk_works_in_a_browser(browser: Browser, workspace: Workspace) -> None:
    """And again after a reload, and with a value in its address."""
    with signed_in(browser, workspace, "ops") as page:
        page.get_by_label("Name, number, whole e-mail or phone").wait_for(timeout=BEFORE_DRAWN_MS)
        find(page)
        expect(page.locator(".gb-record-part").get_by_text("Almeida")).to_be_visible()
        page.reload()
        page.get_by_label("Name, number, whole e-mail or phone").wait_for(timeout=BEFORE_DRAWN_MS)
        page.goto(f"{workspace.settings.hub_url}{DESK}?customer=12")
        expect(page.locator(".gb-record-part").get_by_text("Almeida")).to_be_visible(timeout=BEFORE_DRAWN_MS)


def test_signing_out_ends_the_kernel_where_it_is(workspace: Workspace) -> None:
    with contextlib.closing(workspace.person("reviewer")) as person:
        mine = open_desk(person)
        assert describe(person, mine.kernel) == 200
        assert person.browser.get(f"{person.hub}/services/tools/logout").status_code == 302
        assert person.browser.get(person.hub + DESK).status_code == 302

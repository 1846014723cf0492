"""Does a kernel belong to one viewer in one session, and to nobody before and after?"""

from __future__ import annotations

import asyncio
import uuid

import pytest
from tests.unit.gatebook_server_tools.conftest import Service

from gatebook_server.errors import NoCredentials
from gatebook_server.tools.catalogue import Catalogue, Tool
from gatebook_server.tools.handlers import hand_out
from gatebook_server.tools.sessions import Sessions
from gatebook_server.tools.speaking import Speaker
from gatebook_server.tools.viewers import Handout, Handouts, Viewer

OPS = Viewer(name="ops", session_id="one")


@pytest.fixture
def tool(catalogue: Catalogue) -> Tool:
    found = catalogue.find("customer_desk")
    assert found is not None
    return found


def test_a_hand_out_is_never_changed(tool: Tool) -> None:
    handouts = Handouts()
    handouts.record(Handout(kernel_id="k", viewer=OPS, tool=tool))
    with pytest.raises(RuntimeError):
        handouts.record(Handout(kernel_id="k", viewer=Viewer(name="reviewer", session_id="two"), tool=tool))
    assert handouts.is_of("k", OPS)


def test_another_session_of_the_same_person_is_another_viewer(tool: Tool) -> None:
    handouts = Handouts()
    handouts.record(Handout(kernel_id="k", viewer=OPS, tool=tool))
    assert not handouts.is_of("k", Viewer(name="ops", session_id="two"))
    assert not handouts.is_of("other", OPS)


async def test_who_opens_many_pages_at_once_has_no_more_than_others(
    service: Service, tool: Tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    most, kernels, handouts = [], [], service.desk.handouts

    async def take(wanted: Tool, viewer: Viewer, _values: object) -> None:
        most.append(len(handouts.of(viewer.name)) + 1)
        await asyncio.sleep(0.01)
        kernels.append(str(uuid.uuid4()))
        handouts.record(Handout(kernel_id=kernels[-1], viewer=viewer, tool=wanted))

    monkeypatch.setattr(service.desk.ready, "take", take)
    await asyncio.gather(*(hand_out(service.desk, OPS, tool, {}) for _ in range(8)))
    assert max(most) == service.desk.per_viewer
    assert [one.kernel_id for one in handouts.of(OPS.name)] == kernels[-2:]


async def test_a_kernel_that_waits_can_call_nothing() -> None:
    """And it is known that it tried: what it drew then is handed out to nobody."""
    handouts = Handouts()
    speaker = Speaker(handouts=handouts, sessions=Sessions(), service_token="s")
    with pytest.raises(NoCredentials):
        await speaker.credentials("k")
    assert handouts.was_early("k")
    assert not handouts.was_early("another")
    handouts.forget("k")
    assert not handouts.was_early("k")


async def test_a_kernel_calls_as_its_viewer_through_its_tool(tool: Tool) -> None:
    handouts, sessions = Handouts(), Sessions()
    session = sessions.begin("the viewer's token")
    handouts.record(Handout(kernel_id="k", viewer=Viewer(name="ops", session_id=session.id), tool=tool))
    speaker = Speaker(handouts=handouts, sessions=sessions, service_token="the service's token")
    assert await speaker.credentials("k") == {
        "Authorization": "Bearer the viewer's token",
        "Gatebook-Service-Token": "the service's token",
        "Gatebook-Tool": tool.claim,
    }
    sessions.end(session.id)
    with pytest.raises(NoCredentials):
        await speaker.credentials("k")


async def test_a_kernel_that_ended_can_call_nothing(tool: Tool) -> None:
    handouts, sessions = Handouts(), Sessions()
    viewer = Viewer(name="ops", session_id=sessions.begin("token").id)
    handouts.record(Handout(kernel_id="k", viewer=viewer, tool=tool))
    handouts.forget("k")
    with pytest.raises(NoCredentials):
        await Speaker(handouts=handouts, sessions=sessions, service_token="s").credentials("k")


def test_a_session_ends_by_itself() -> None:
    now = [0.0]
    sessions = Sessions(clock=lambda: now[0])
    session = sessions.begin("token")
    assert sessions.find(session.id) == session
    now[0] = session.ends_at
    assert sessions.find(session.id) is None
    assert "token" not in repr(session)

"""People hear of change requests: at once, after a restart, as they chose; and a message opens nothing by itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.fixtures.receiver import Receiver
from tests.stories.alone import Alone
from tests.stories.gateway import APP, PortalPerson, field
from tests.stories.test_without_hub import run_page

from gatebook_hub.model import NoticeKind
from gatebook_hub.services.opening import open_gate
from gatebook_hub.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

NOTIFICATIONS = """
channels:
  reviews: {url_env: GATEBOOK_NOTIFY_REVIEWS, to: group:reviewers, kinds: [requested, failed]}
personal:
  mail: {title: Mail to you, url_env: GATEBOOK_NOTIFY_MAIL, to: group:reviewers}
"""
PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "send-notifications.md"
REASON = "ticket 4711, says Zoe"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Receiver() as found:
        yield found


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    shutil.copytree(APP / "policies", folder)
    (folder / "notifications.yaml").write_text(NOTIFICATIONS)
    return folder


@pytest.fixture
def gateway(tmp_path: Path, chinook_template: Path, policies: Path, receiver: Receiver) -> Iterator[Alone]:
    environment = {
        "GATEBOOK_OUTBOX_POLL_S": "0.2",
        "GATEBOOK_NOTIFY_REVIEWS": f"{receiver.url}/reviews",
        "GATEBOOK_NOTIFY_MAIL": receiver.url + "/mail/{name}",
    }
    (tmp_path / "gateway").mkdir()
    with Alone(tmp_path / "gateway", chinook_template, policies=policies, environment=environment) as running:
        yield running


def ask(gateway: Alone, city: str = "Bonn") -> str:
    """A change request's id."""
    answer = gateway.ask(f"update invoice set billingcity = '{city}' where invoiceid = 1", reason=REASON)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def tell(gateway: Alone, policies: Path, kind: NoticeKind, change: str) -> None:
    """Tell as the services do, from a process beside the gateway's."""
    with open_gate(Settings(_env_file=None, state=gateway.state, policies=policies)) as gate:
        gate.notices.tell(kind, gate.changes.get(change))


@pytest.mark.slow
def test_a_message_leads_to_a_page_that_wants_a_login_and_does_nothing(
    gateway: Alone, policies: Path, receiver: Receiver
) -> None:
    change = ask(gateway)
    receiver.wait(1)
    [(path, title, body)] = receiver.messages
    assert (path, title) == ("/reviews", "Gatebook: Update of 1 row of chinook.invoice waits for review")
    assert "asked for by analyst" in body
    for value in ("Bonn", "Stuttgart", "4711", "Zoe", "billingcity", "update invoice"):
        assert value not in title + body
    [link] = re.findall(r"http://\S+", body)
    assert link == f"{gateway.url}/changes/{change}"
    with gateway.client() as stranger:
        answer = stranger.get(link)
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/sign-in?next=")
        assert stranger.post(f"{link}/review", data={"verdict": "approve"}).status_code in {401, 403}
    with gateway.person("reviewer", "reviewers") as reviewer:
        page = reviewer.get(f"/changes/{change}")
        assert page.status_code == 200
        assert "Bonn" in page.text
    assert gateway.rows("select billingcity from invoice where invoiceid = 1") == [("Stuttgart",)]


@pytest.mark.slow
def test_messages_wait_for_a_restart_and_for_their_receiver(gateway: Alone, policies: Path, receiver: Receiver) -> None:
    change = ask(gateway)
    receiver.wait(1)
    gateway.kill()
    tell(gateway, policies, NoticeKind.FAILED, change)
    receiver.is_down = True
    gateway.start()
    receiver.wait(1, refused=1)
    receiver.is_down = False
    gateway.restart()
    receiver.wait(2)
    gateway.restart()
    assert [title.split("invoice ")[1] for title in receiver.to("/reviews")] == ["waits for review", "failed"]


@pytest.mark.slow
def test_a_person_chooses_what_to_hear_and_no_address(gateway: Alone, policies: Path, receiver: Receiver) -> None:
    with gateway.person("analyst", "analysts") as analyst:
        assert "No personal channel is open to you" in analyst.get("/notifications").text
        assert analyst.press("/notifications", channel="mail", executed="at_once").status_code == 404
    with gateway.person("reviewer", "reviewers") as reviewer:
        page = reviewer.get("/notifications")
        assert "Mail to you" in page.text
        assert receiver.url not in page.text
        for fields in ({"channel": receiver.url}, {"channel": "reviews"}, {"channel": ""}):
            assert reviewer.press("/notifications", requested="at_once", **fields).status_code == 404
        assert reviewer.press("/notifications", channel="mail", requested="soon").status_code == 422
        assert reviewer.press("/notifications", channel="mail", requested="at_once", origin=None).status_code == 403
        assert (
            reviewer.press("/notifications", channel="mail", url=receiver.url, requested="at_once").status_code == 303
        )
        assert "our choice is kept" in reviewer.get("/notifications?notice=kept").text
        assert chosen(reviewer, "requested") == "at_once"
        assert chosen(reviewer, "executed") == "never"
        change = ask(gateway)
        receiver.wait(2)
        digest = field(reviewer.get(f"/changes/{change}").text, "digest")
        assert reviewer.press(f"/changes/{change}/review", verdict="approve", digest=digest).status_code == 303
    assert gateway.rows("select billingcity from invoice where invoiceid = 1") == [("Bonn",)]
    ask(gateway, "Ulm")
    receiver.wait(4)
    assert [title.split("invoice ")[1] for title in receiver.to("/mail/reviewer")] == ["waits for review"] * 2
    assert len(receiver.to("/reviews")) == 2
    with gateway.client(gateway.token("operator", "operators")) as operator:
        assert 'gatebook_notices_total{fate="sent"}' in operator.get("/metrics").text


def chosen(person: PortalPerson, kind: str) -> str:
    """The mode that the page shows for a kind."""
    select = person.get("/notifications").text.split(f'name="{kind}"', 1)[1].split("</select>", 1)[0]
    found = re.search(r'value="(\w+)" selected', select)
    assert found is not None
    return found[1]


@pytest.mark.slow
def test_the_page_on_notifications_works_as_written(tmp_path: Path, chinook_template: Path, receiver: Receiver) -> None:
    """Its YAML is a part of the demo's policy set, and its commands send through its channels."""
    shutil.copytree(APP / "policies", tmp_path / "policies")
    [text] = re.findall(r"(?ms)^```yaml\n(.*?)^```$", PAGE.read_text())
    (tmp_path / "policies" / "notifications.yaml").write_text(text)
    (tmp_path / "state" / "databases").mkdir(parents=True)
    shutil.copyfile(chinook_template, tmp_path / "state" / "databases" / "chinook.sqlite")
    environment = {
        "GATEBOOK_STATE": str(tmp_path / "state"),
        "GATEBOOK_POLICIES": str(tmp_path / "policies"),
        "GATEBOOK_NOTIFY_OPS": f"{receiver.url}/ops",
        "GATEBOOK_NOTIFY_REVIEWS": f"{receiver.url}/reviews",
        "GATEBOOK_NOTIFY_MAIL": receiver.url + "/mail/{name}",
    }
    run_page("send-notifications.md", tmp_path, 8001, environment)
    assert [path for path, _, _ in receiver.messages] == ["/ops", "/mail/reviewer"]

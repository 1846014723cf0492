"""Do messages reach those who want them: at once, once a day, again after a failure, once?"""

from __future__ import annotations

import datetime as dt
import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fixtures.receiver import Receiver
from tests.unit.services.shop import RULES, Shop, ann

from gatebook_hub.changes import ChangeRequest, Message, NoticeMode
from gatebook_hub.errors import NotFound, PolicyInvalid
from gatebook_hub.model import NoticeKind, Principal
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.delivering import Postman
from gatebook_hub.services.notices import Fate
from gatebook_hub.services.queries import Question

NOTIFICATIONS = """
digest_at: "07:00"
channels:
  ops: {url_env: GATEBOOK_NOTIFY_OPS, kinds: [failed, expiring, expired]}
  room: {url_env: GATEBOOK_NOTIFY_ROOM, to: group:reviewers, kinds: [requested]}
  digest: {url_env: GATEBOOK_NOTIFY_DIGEST, digest: daily}
personal:
  mail: {title: Mail, url_env: GATEBOOK_NOTIFY_MAIL, to: [group:reviewers, user:ann]}
"""
MONDAY = dt.datetime(2030, 1, 7, 12, tzinfo=dt.UTC)


class Clock:
    """What the gate takes for the time."""

    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> dt.datetime:
        return self.now

    def pass_(self, **amount: float) -> None:
        self.now += dt.timedelta(**amount)


class World:
    """A shop whose messages go to a receiver."""

    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.shop = Shop(folder)
        self.policy(NOTIFICATIONS)
        self.fates: list[tuple[Fate, int]] = []

    def policy(self, text: str) -> None:
        (self.shop.policies / "notifications.yaml").write_text(text)

    @contextmanager
    def open(self) -> Iterator[UseCases]:
        with self.shop.open() as cases:
            cases.gate.now = self.clock
            cases.gate.notices.counted = lambda fate, count: self.fates.append((fate, count))
            yield cases


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Receiver() as found:
        for name in ("OPS", "ROOM", "DIGEST"):
            monkeypatch.setenv(f"GATEBOOK_NOTIFY_{name}", f"{found.url}/{name.lower()}")
        monkeypatch.setenv("GATEBOOK_NOTIFY_MAIL", found.url + "/mail/{name}")
        yield found


@pytest.fixture
def world(tmp_path: Path, receiver: Receiver) -> World:
    return World(tmp_path)


def request(cases: UseCases) -> ChangeRequest:
    """A request, as if nobody had been told of it."""
    made = asked(cases)
    outbox = cases.gate.notices.outbox
    for told_id, notice in outbox.told():
        outbox.plan(told_id, notice, (), MONDAY, 0)
    return made


def asked(cases: UseCases) -> ChangeRequest:
    question = Question(source="shop", sql="update customer set name = 'Eve' where id = 1", parameters={})
    found = cases.queries.ask(ann("writers"), question)
    assert isinstance(found, ChangeRequest)
    return found


def person(name: str, *groups: str) -> Principal:
    return replace(ann(*groups).principal, name=name)


# ── at once ──


def test_a_message_goes_to_the_channels_that_serve_it(world: World, receiver: Receiver) -> None:
    with world.open() as cases:
        made = request(cases)
        cases.gate.notices.tell(NoticeKind.REQUESTED, made)
        cases.gate.notices.tell(NoticeKind.FAILED, made)
        Postman(cases.gate).look()
    assert receiver.to("/room") == ["Gatebook: Update of 1 row of shop.customer waits for review"]
    assert receiver.to("/ops") == ["Gatebook: Update of 1 row of shop.customer failed"]
    assert f"/changes/{made.id}\n" in receiver.messages[0][2]
    assert world.fates == [(Fate.SENT, 1), (Fate.SENT, 1)]


def test_the_thread_sends_as_soon_as_it_is_told(world: World, receiver: Receiver) -> None:
    with world.open() as cases:
        postman = Postman(cases.gate)
        postman.start()
        try:
            asked(cases)
            receiver.wait(1)
        finally:
            postman.stop()
    assert len(receiver.messages) == 1


def test_nothing_is_kept_where_nobody_wants_to_hear(tmp_path: Path) -> None:
    with Shop(tmp_path).open() as cases:
        cases.gate.notices.tell(NoticeKind.REQUESTED, request(cases))
        assert cases.gate.notices.outbox.waiting() == 0


# ── digests ──


def test_a_digest_holds_the_messages_of_a_day(world: World, receiver: Receiver) -> None:
    with world.open() as cases:
        made = request(cases)
        postman = Postman(cases.gate)
        for kind in (NoticeKind.REQUESTED, NoticeKind.EXECUTED, NoticeKind.UNDONE):
            cases.gate.notices.tell(kind, made)
        postman.look()
        assert receiver.to("/digest") == []
        world.clock.now = MONDAY.replace(day=8, hour=6, minute=59)
        postman.look()
        assert receiver.to("/digest") == []
        world.clock.pass_(minutes=1)
        postman.look()
        postman.look()
    assert receiver.to("/digest") == ["Gatebook: 3 notices about change requests"]
    [body] = [body for path, _, body in receiver.messages if path == "/digest"]
    assert [word in body for word in ("waits for review", "was executed", "was undone")] == [True] * 3


# ── again ──


def test_a_receiver_that_was_down_gets_its_messages_later_and_once(world: World, receiver: Receiver) -> None:
    with world.open() as cases:
        made = request(cases)
        postman = Postman(cases.gate)
        receiver.is_down = True
        cases.gate.notices.tell(NoticeKind.FAILED, made)
        cases.gate.notices.tell(NoticeKind.FAILED, made)
        pauses = []
        for attempt in range(1, 6):
            started = world.clock.now
            while receiver.refused < attempt:
                postman.look()
                world.clock.pass_(seconds=5)
            pauses.append((world.clock.now - started).total_seconds())
        assert pauses == sorted(pauses)
        assert pauses[-1] >= 8 * pauses[1] / 2
        assert receiver.refused == 5
        receiver.is_down = False
        world.clock.pass_(hours=2)
        for _ in range(3):
            postman.look()
    assert receiver.to("/ops") == ["Gatebook: Update of 1 row of shop.customer failed"] * 2
    assert world.fates.count((Fate.FAILED, 1)) == 5


def test_what_cannot_be_sent_for_days_is_dropped_and_counted(world: World, receiver: Receiver) -> None:
    receiver.is_down = True
    with world.open() as cases:
        cases.gate.notices.tell(NoticeKind.FAILED, request(cases))
        postman = Postman(cases.gate)
        for _ in range(80):
            postman.look()
            world.clock.pass_(hours=1)
        receiver.is_down = False
        postman.look()
        assert (Fate.DROPPED, 1) in world.fates
    assert [title for title in receiver.to("/ops") if title.endswith(" failed")] == []


def test_one_channel_that_fails_holds_up_no_other(world: World, receiver: Receiver) -> None:
    def send(url: str, _message: Message) -> bool:
        if url.endswith("/ops"):
            raise RuntimeError(url)
        sent.append(url)
        return True

    sent: list[str] = []
    with world.open() as cases:
        made = request(cases)
        for kind in (NoticeKind.FAILED, NoticeKind.REQUESTED):
            cases.gate.notices.tell(kind, made)
        Postman(cases.gate, send).look()
    assert sent == [f"{receiver.url}/room"]


def test_a_channel_with_much_to_hear_lets_others_have_their_turn(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatebook_hub.services.delivering._MOST_IN_A_ROW", 2)
    with world.open() as cases:
        made = request(cases)
        for kind in [NoticeKind.FAILED] * 5 + [NoticeKind.REQUESTED]:
            cases.gate.notices.tell(kind, made)
        postman = Postman(cases.gate)
        looks = 0
        while looks == 0 or cases.gate.notices.bell.is_set():
            postman.look()
            looks += 1
    assert looks == 3
    assert [path for path, _, _ in receiver.messages] == ["/ops", "/ops", "/room", "/ops", "/ops", "/ops"]


def test_a_url_that_the_environment_lacks_is_waited_for(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GATEBOOK_NOTIFY_ROOM")
    with world.open() as cases:
        cases.gate.notices.tell(NoticeKind.REQUESTED, request(cases))
        postman = Postman(cases.gate)
        postman.look()
        monkeypatch.setenv("GATEBOOK_NOTIFY_ROOM", f"{receiver.url}/room")
        world.clock.pass_(minutes=1)
        postman.look()
    assert len(receiver.to("/room")) == 1


def test_no_secret_of_a_url_is_logged(
    world: World, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    receiver.is_down = True
    for scheme in (receiver.url.replace("://", "://user:hush@"), "json://user:hush@127.0.0.1:1", "nonsense://hush"):
        monkeypatch.setenv("GATEBOOK_NOTIFY_ROOM", scheme + "/hush")
        with world.open() as cases:
            cases.gate.notices.tell(NoticeKind.REQUESTED, request(cases))
            world.clock.pass_(hours=3)
            Postman(cases.gate).look()
    assert "takes no messages" in caplog.text
    assert [record.getMessage() for record in caplog.records if "hush" in record.getMessage()] == []


# ── after a restart ──


def test_what_was_not_sent_goes_out_after_a_restart_and_nothing_twice(world: World, receiver: Receiver) -> None:
    with world.open() as cases:
        made = request(cases)
        cases.gate.notices.tell(NoticeKind.REQUESTED, made)
        Postman(cases.gate).look()
        cases.gate.notices.tell(NoticeKind.FAILED, made)
    with world.open() as cases:
        Postman(cases.gate).look()
        receiver.is_down = True
        cases.gate.notices.tell(NoticeKind.FAILED, made)
        Postman(cases.gate).look()
    receiver.is_down = False
    world.clock.pass_(hours=1)
    with world.open() as cases:
        for _ in range(2):
            Postman(cases.gate).look()
    assert len(receiver.to("/room")) == 1
    assert len(receiver.to("/ops")) == 2


# ── bounds ──


def test_telling_never_raises_and_is_bounded(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with world.open() as cases:
        made = request(cases)
        cases.gate.notices._limit = 2
        for _ in range(3):
            cases.gate.notices.tell(NoticeKind.FAILED, made)
        assert cases.gate.notices.outbox.waiting() == 2
        cases.gate.notices.outbox = None  # type: ignore[assignment]
        cases.gate.notices.tell(NoticeKind.FAILED, made)
        cases.gate.notices.tell(NoticeKind.FAILED, replace(made, diffs=None))  # type: ignore[arg-type]
    assert world.fates == [(Fate.DROPPED, 1)] * 3
    assert "messages wait already" in caplog.text
    assert "cannot be told" in caplog.text


def test_a_gateway_that_tells_nobody_does_not_load_apprise() -> None:
    program = "import sys, gatebook_hub.app; sys.exit('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_telling_is_cheap(world: World) -> None:
    with world.open() as cases:
        made = request(cases)
        started = time.perf_counter()
        for _ in range(50):
            cases.gate.notices.tell(NoticeKind.FAILED, made)
        assert (time.perf_counter() - started) / 50 < 0.1


def test_a_place_that_is_full_takes_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gatebook_hub.services.delivering._MOST_AT_A_PLACE", 2)
    with world.open() as cases:
        made = request(cases)
        for _ in range(4):
            cases.gate.notices.tell(NoticeKind.UNDONE, made)
        Postman(cases.gate).look()
        assert cases.gate.notices.outbox.waiting() == 2
    assert world.fates == [(Fate.DROPPED, 2)]


# ── the clock ──


def test_a_request_that_ends_soon_is_told_once(world: World, receiver: Receiver) -> None:
    with world.open() as cases:
        request(cases)
        postman = Postman(cases.gate)
        for hours in (0, 60, 5, 1, 1):
            world.clock.pass_(hours=hours)
            postman.look()
        assert receiver.to("/ops") == ["Gatebook: Update of 1 row of shop.customer expires soon"]
        world.clock.pass_(hours=6)
        postman.look()
        assert cases.changes.expire_overdue() == 1
        postman.look()
    assert [title.split("customer ")[1] for title in receiver.to("/ops")] == ["expires soon", "expired"]


def test_nobody_is_reminded_of_a_short_request_as_it_begins(world: World, receiver: Receiver) -> None:
    world.policy("expiring_h: 100\n" + NOTIFICATIONS)
    with world.open() as cases:
        request(cases)
        postman = Postman(cases.gate)
        for hours in (0, 35, 2):
            assert receiver.to("/ops") == []
            world.clock.pass_(hours=hours)
            postman.look()
    assert len(receiver.to("/ops")) == 1


# ── people ──


def test_people_hear_what_they_chose(world: World, receiver: Receiver) -> None:
    at_once, daily = NoticeMode.AT_ONCE, NoticeMode.DAILY
    with world.open() as cases:
        made = request(cases)
        choose = cases.preferences.choose
        choose(person("rita", "reviewers"), "mail", {NoticeKind.REQUESTED: at_once, NoticeKind.EXECUTED: daily})
        choose(person("ann", "reviewers"), "mail", {NoticeKind.REQUESTED: at_once, NoticeKind.EXECUTED: at_once})
        postman = Postman(cases.gate)
        for kind in (NoticeKind.REQUESTED, NoticeKind.EXECUTED, NoticeKind.FAILED):
            cases.gate.notices.tell(kind, made)
        postman.look()
        assert receiver.to("/mail/rita") == ["Gatebook: Update of 1 row of shop.customer waits for review"]
        assert receiver.to("/mail/ann") == ["Gatebook: Update of 1 row of shop.customer was executed"]
        world.clock.pass_(days=1)
        postman.look()
        assert receiver.to("/mail/rita")[1:] == ["Gatebook: 1 notice about change requests"]


def test_a_person_chooses_among_what_policy_offers(world: World, receiver: Receiver) -> None:
    with world.open() as cases:
        rita, bob = person("rita", "reviewers"), person("bob", "writers")
        odd = person("rita,eve@evil.example", "reviewers")
        [(offer, modes)] = cases.preferences.offered(rita)
        assert offer.title == "Mail"
        assert set(modes.values()) == {NoticeMode.NEVER}
        for who, channel in ((bob, "mail"), (odd, "mail"), (rita, "ops"), (rita, receiver.url)):
            with pytest.raises(NotFound):
                cases.preferences.choose(who, channel, {})
        assert cases.preferences.offered(odd) == ()


def test_who_leaves_a_group_or_loses_a_channel_hears_no_more(world: World, receiver: Receiver) -> None:
    everything = dict.fromkeys(NoticeKind, NoticeMode.AT_ONCE)
    with world.open() as cases:
        made = request(cases)
        rita = person("rita", "reviewers")
        cases.preferences.choose(rita, "mail", everything)
        cases.gate.notices.tell(NoticeKind.EXECUTED, made)
        moved = person("rita", "writers")
        assert cases.preferences.is_known_as(rita)
        assert not cases.preferences.is_known_as(moved)
        cases.preferences.meet(moved)
        assert cases.preferences.is_known_as(moved)
        Postman(cases.gate).look()
        assert receiver.to("/mail/rita") == []
        cases.preferences.meet(rita)
        receiver.is_down = True
        cases.gate.notices.tell(NoticeKind.EXECUTED, made)
        Postman(cases.gate).look()
    receiver.is_down = False
    world.policy(NOTIFICATIONS.replace("[group:reviewers, user:ann]", "user:ann"))
    world.clock.pass_(hours=1)
    with world.open() as cases:
        Postman(cases.gate).look()
    assert receiver.to("/mail/rita") == []
    assert (Fate.DROPPED, 1) in world.fates


def test_a_template_without_a_name_stops_the_start(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEBOOK_NOTIFY_MAIL", "mailto://user:word@smtp.example.org?to=all@example.org")
    with pytest.raises(PolicyInvalid, match=r"notifications.yaml:8: policy.E019 channel `mail`"), world.open():
        pass


# ── in the place of somebody ──

AWAY = """
absences:
  - {id: away, who: 'user:rita', for: [reviewers], instead: 'user:tom', from: 2030-01-07, until: 2030-01-08}
"""


def test_who_is_in_somebodys_place_is_told_of_what_waits(world: World, receiver: Receiver) -> None:
    world.policy(NOTIFICATIONS.replace("group:reviewers, user:ann", "group:reviewers, user:tom"))
    world.shop.write(RULES + AWAY)
    rita, tom = person("rita", "reviewers"), person("tom")
    with world.open() as cases:
        cases.sessions.open(rita, None)
        cases.preferences.choose(tom, "mail", dict.fromkeys(NoticeKind, NoticeMode.AT_ONCE))
        made = request(cases)
        own = replace(made, requester=rita)
        told = [
            (NoticeKind.REQUESTED, made), (NoticeKind.BREAK_GLASS, made), (NoticeKind.EXECUTED, made),
            (NoticeKind.REQUESTED, own),
        ]  # fmt: skip
        for kind, about in told:
            cases.gate.notices.tell(kind, about)
        Postman(cases.gate).look()
        world.clock.pass_(days=2)
        cases.gate.notices.tell(NoticeKind.REQUESTED, made)
        Postman(cases.gate).look()
    assert [title.rpartition("customer ")[2] for title in receiver.to("/mail/tom")] == [
        "waits for review",
        "is executed at once, without review",
    ]

"""How do messages get from the outbox to people? One thread sorts them out, sends them, and tries again.

Nothing else waits for it. It also looks at the clock, and tells that a request ends soon.
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence

from gatebook_hub import policy
from gatebook_hub.changes import Message, Notice, NoticeMode, daily_message, message_of
from gatebook_hub.model import NoticeKind
from gatebook_hub.services import standing_in
from gatebook_hub.services.gate import Gate
from gatebook_hub.services.notices import Fate
from gatebook_hub.services.preferring import address_in
from gatebook_hub.services.sending import send
from gatebook_hub.stores.outbox import Delivery, Place, Planned
from gatebook_hub.stores.preferences import Preference

_MOST_AT_A_PLACE = 500
_MOST_IN_A_ROW = 20
_FIRST_PAUSE_S = 15
_LONGEST_PAUSE_S = 3_600
_GIVE_UP = dt.timedelta(days=2)
_CLOCK = dt.timedelta(minutes=1)
_LONG_AGO = dt.datetime.min.replace(tzinfo=dt.UTC)
_OWN_DOING = frozenset({NoticeKind.REQUESTED, NoticeKind.WITHDRAWN})
_FOR_STAND_INS = frozenset({NoticeKind.REQUESTED, NoticeKind.EXPIRING, NoticeKind.BREAK_GLASS})
_log = logging.getLogger(__name__)


class Postman:
    """Sends what the outbox holds. `look` is one look; `start` has a thread do it."""

    def __init__(self, gate: Gate, send: Callable[[str, Message], bool] = send) -> None:
        self._gate = gate
        self._send = send
        self._clock_at = _LONG_AGO
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> None:
        """Tell what the clock says, sort out what was told, and send what is due."""
        notices = self._gate.notices
        notices.bell.clear()
        now = self._gate.now()
        if now - self._clock_at >= _CLOCK:
            self._clock_at = now
            self._read_clock(now)
        dropped = 0
        while told := notices.outbox.told():
            for told_id, notice in told:
                planned = tuple(self._planned(notice, now))
                dropped += notices.outbox.plan(told_id, notice, planned, now, _MOST_AT_A_PLACE)
        if dropped:
            _log.error("%s messages are dropped: so many wait already where they go to", dropped)
            notices.counted(Fate.DROPPED, dropped)
        down: set[str] = set()
        for place in notices.outbox.places(now):
            # One person's turn tells that a service is away; the others need not wait for it one by one.
            if place.channel not in down and not self._deliver(place, notices.outbox.due(place, now)):
                down.add(place.channel)

    def start(self) -> None:
        """Look until `stop`."""
        self._thread = threading.Thread(target=self._run, name="postman", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, after the message that is on its way."""
        self._end.set()
        self._gate.notices.bell.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def _run(self) -> None:
        while not self._end.is_set():
            try:
                self.look()
            except Exception:  # noqa: BLE001 - the next look may do better, and this thread must live to take it
                _log.exception("messages cannot be sent")
                self._end.wait(self._gate.settings.outbox_poll_s)
            self._gate.notices.bell.wait(self._gate.settings.outbox_poll_s)

    def _read_clock(self, now: dt.datetime) -> None:
        gate = self._gate
        notifications = gate.policy.notifications
        if notifications.is_empty:
            return
        ahead = dt.timedelta(hours=notifications.expiring_h)
        for soon in gate.changes.ending(now + ahead):
            # Of a request that lives no longer than that, nobody wants to hear as soon as it begins.
            if now < soon.expires_at <= now + min(ahead, (soon.expires_at - soon.created_at) / 2):
                gate.notices.remind(gate.changes.get(soon.id))
        gate.notices.outbox.forget_reminders()

    def _planned(self, notice: Notice, now: dt.datetime) -> Iterator[Planned]:
        """Every place of a notice, under the policy of now; a person hears of it once for each channel."""
        notifications = self._gate.policy.notifications
        daily_at = policy.next_digest(notifications, now)
        for channel in policy.channels_for(notifications, notice.kind, notice.parties):
            due_at = daily_at if channel.is_daily else now
            yield Planned(place=Place(channel=channel.name), due_at=due_at, is_daily=channel.is_daily)
        if not notifications.personal:
            return
        for chosen in self._gate.notices.preferences.every():
            if notice.parties.isdisjoint(chosen.names | self._names_instead(notice, chosen)):
                continue
            if notice.kind in _OWN_DOING and notice.requester == chosen.principal:
                continue
            for offer in policy.personal_for(notifications, chosen.names):
                mode = chosen.channels.get(offer.name, {}).get(notice.kind, NoticeMode.NEVER)
                if mode is NoticeMode.NEVER:
                    continue
                is_daily = mode is NoticeMode.DAILY
                place = Place(channel=offer.name, person=_name_of(chosen))
                yield Planned(place=place, due_at=daily_at if is_daily else now, is_daily=is_daily)

    def _names_instead(self, notice: Notice, chosen: Preference) -> frozenset[str]:
        """The groups in which a person is in somebody else's place, where reviewers are told that they are needed."""
        if notice.kind not in _FOR_STAND_INS:
            return frozenset()
        seats = standing_in.seats(self._gate, chosen.principal)
        return frozenset(f"group:{group}" for seat in seats if seat.holder != notice.requester for group in seat.groups)

    def _deliver(self, place: Place, due: Sequence[Delivery]) -> bool:
        """Send some of what is due at a place, in its order; False if one cannot be sent: the rest waits with it."""
        portal_url = self._gate.settings.portal_url
        url = self._url_of(place)
        if url is None:
            _log.error("channel %s is gone: %s messages are dropped", place, len(due))
            self._forget(due, Fate.DROPPED)
            return True
        left = list(due)
        for _ in range(_MOST_IN_A_ROW):
            if not left or self._end.is_set():
                return True
            first = left[0]
            batch = [delivery for delivery in left if delivery.is_daily] if first.is_daily else [first]
            notices = [delivery.notice for delivery in batch]
            message = daily_message(notices, portal_url) if first.is_daily else message_of(first.notice, portal_url)
            if not self._is_sent(place, url, message):
                self._fail(place, left)
                return False
            self._forget(batch, Fate.SENT)
            left = [delivery for delivery in left if delivery not in batch]
        if left:
            self._gate.notices.bell.set()  # others have their turn, and then the next look comes at once
        return True

    def _is_sent(self, place: Place, url: str, message: Message) -> bool:
        try:
            return bool(url) and self._send(url, message)
        except Exception as error:  # noqa: BLE001 - plugins of many services raise what they like
            # Its text, and that of its traceback, may hold the URL, and so a secret.
            _log.error("channel %s: %s", place, type(error).__name__)
            return False

    def _fail(self, place: Place, left: Sequence[Delivery]) -> None:
        now = self._gate.now()
        too_old = [delivery for delivery in left if now - delivery.told_at > _GIVE_UP]
        kept = [delivery for delivery in left if delivery not in too_old]
        attempts = min(delivery.attempts for delivery in left)
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(attempts, 16), _LONGEST_PAUSE_S)
        _log.warning("channel %s takes no messages, attempt %s: %s wait %s s", place, attempts + 1, len(kept), pause_s)
        self._gate.notices.counted(Fate.FAILED, 1)
        if too_old:
            _log.error("channel %s took no messages for long: %s are dropped", place, len(too_old))
            self._forget(too_old, Fate.DROPPED)
        if kept:
            ids = [delivery.id for delivery in kept]
            self._gate.notices.outbox.postpone(ids, now + dt.timedelta(seconds=pause_s))

    def _forget(self, deliveries: Sequence[Delivery], fate: Fate) -> None:
        self._gate.notices.outbox.remove([delivery.id for delivery in deliveries])
        self._gate.notices.counted(fate, len(deliveries))

    def _url_of(self, place: Place) -> str | None:
        """The URL of a place, empty while the environment has none; None for a place that policy no longer has."""
        notifications = self._gate.policy.notifications
        if not place.person:
            channel = notifications.channels.get(place.channel)
            return os.environ.get(channel.url_env, "") if channel else None
        chosen = self._gate.notices.preferences.get(f"user:{place.person}")
        offers = policy.personal_for(notifications, chosen.names) if chosen else ()
        for offer in offers:
            if offer.name == place.channel:
                return address_in(offer, place.person) or ""
        return None


def _name_of(chosen: Preference) -> str:
    return chosen.principal.removeprefix("user:")

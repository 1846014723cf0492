"""How does the gate tell people what became of a change request? It keeps what happened; another thread sends it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import StrEnum

from gatebook_hub.changes import ChangeRequest, notice_of
from gatebook_hub.model import NoticeKind
from gatebook_hub.services.in_force import InForce
from gatebook_hub.stores.outbox import Outbox
from gatebook_hub.stores.preferences import PreferenceStore

_log = logging.getLogger(__name__)


class Fate(StrEnum):
    """What came of a message."""

    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


def _nobody(_fate: Fate, _count: int) -> None:
    pass


class Notices:
    """What was told and waits. `bell` wakes the thread that sends; `counted` hears of fates (for metrics)."""

    def __init__(self, outbox: Outbox, preferences: PreferenceStore, in_force: InForce, limit: int) -> None:
        self.outbox = outbox
        self.preferences = preferences
        self.bell = threading.Event()
        self.counted: Callable[[Fate, int], None] = _nobody
        self._in_force = in_force
        self._limit = limit

    def tell(self, kind: NoticeKind, request: ChangeRequest) -> None:
        """Tell those whom it concerns; one insert, and whatever goes wrong with it is logged and no more."""
        self._keep(kind, request)

    def remind(self, request: ChangeRequest) -> None:
        """Tell once that a request ends soon."""
        self._keep(NoticeKind.EXPIRING, request, is_once=True)

    def _keep(self, kind: NoticeKind, request: ChangeRequest, *, is_once: bool = False) -> None:
        try:
            if self._in_force.policy.notifications.is_empty:
                return
            keep = self.outbox.remind if is_once else self.outbox.add
            if keep(notice_of(kind, request), self._limit):
                self.bell.set()
                return
            _log.error("%s messages wait already; that %s is %s is not told", self._limit, request.id, kind)
        except Exception:  # noqa: BLE001 - whatever it is, the change request goes on
            _log.exception("that change request %s is %s cannot be told", request.id, kind)
        self.counted(Fate.DROPPED, 1)

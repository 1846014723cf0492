"""What happens to change requests while nobody looks? Windows open, time runs out, rows of old ones are forgotten."""

from __future__ import annotations

from gatebook_hub.services.changes import Changes
from gatebook_hub.services.gate import Call
from gatebook_hub.services.looking import Looker

_LOOK_S = 30.0


class Keeper(Looker):
    """Looks now and then, in the operator's name."""

    def __init__(self, changes: Changes, call: Call) -> None:
        super().__init__("keeper", _LOOK_S, "change requests cannot be looked after")
        self._changes = changes
        self._call = call

    def look(self) -> None:
        """Do what is due."""
        self._changes.expire_overdue()
        self._changes.recover(self._call)
        self._changes.execute_due(self._call)
        self._changes.forget(self._call)

"""How does each person want to hear about change requests?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine, delete, insert, select

from gatebook_hub.changes import NoticeMode
from gatebook_hub.model import NoticeKind
from gatebook_hub.stores.tables import preference

Modes = Mapping[NoticeKind, NoticeMode]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """A person's choice for each personal channel, and the groups in which the portal saw them last."""

    principal: str
    groups: frozenset[str]
    channels: Mapping[str, Modes] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Every name under which a request may concern this person."""
        return frozenset({self.principal, *(f"group:{group}" for group in self.groups)})


class PreferenceStore:
    """The choices of those who made one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def keep(self, chosen: Preference) -> None:
        """Keep a person's choice, in place of what was there."""
        channels = {
            name: {str(kind): str(mode) for kind, mode in modes.items()} for name, modes in chosen.channels.items()
        }
        document = json.dumps({"groups": sorted(chosen.groups), "channels": channels})
        with self._engine.begin() as connection:
            connection.execute(delete(preference).where(preference.c.principal == chosen.principal))
            connection.execute(insert(preference).values(principal=chosen.principal, document=document))

    def get(self, principal: str) -> Preference | None:
        """A person's choice, or None."""
        query = select(preference.c.document).where(preference.c.principal == principal)
        with self._engine.connect() as connection:
            text = connection.scalar(query)
        return _read(principal, text) if text is not None else None

    def every(self) -> tuple[Preference, ...]:
        """All choices."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(preference).order_by(preference.c.principal)).all()
        return tuple(_read(row.principal, row.document) for row in rows)


def _read(principal: str, text: str) -> Preference:
    found = json.loads(text)
    channels = {
        name: {NoticeKind(kind): NoticeMode(mode) for kind, mode in modes.items()}
        for name, modes in found["channels"].items()
    }
    return Preference(principal=principal, groups=frozenset(found["groups"]), channels=channels)

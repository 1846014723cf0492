"""How does a person choose how to hear about change requests? Among the personal channels that policy offers."""

from __future__ import annotations

import os
from collections.abc import Mapping

from gatebook_hub import policy
from gatebook_hub.changes import NoticeMode
from gatebook_hub.errors import NotFound
from gatebook_hub.model import NoticeKind, Principal
from gatebook_hub.policy import PersonalChannel
from gatebook_hub.services.gate import Gate
from gatebook_hub.services.in_force import under_one_set
from gatebook_hub.stores.preferences import Modes, Preference


class Preferences:
    """What is offered to a person, and what they chose."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._met = {chosen.principal: chosen.groups for chosen in gate.notices.preferences.every()}

    @under_one_set
    def offered(self, principal: Principal) -> tuple[tuple[PersonalChannel, Modes], ...]:
        """The channels that policy offers this person, each with a mode for every kind of notice."""
        known = self._gate.notices.preferences.get(principal.id)
        never = dict.fromkeys(NoticeKind, NoticeMode.NEVER)
        return tuple(
            (channel, {**never, **(known.channels.get(channel.name, {}) if known else {})})
            for channel in policy.personal_for(self._gate.policy.notifications, principal.names)
            if address_in(channel, principal.name) is not None
        )

    @under_one_set
    def choose(self, principal: Principal, channel: str, modes: Mapping[NoticeKind, NoticeMode]) -> None:
        """Keep how a person wants to hear through a channel; raises NotFound for one that is not offered."""
        if channel not in {offer.name for offer, _ in self.offered(principal)}:
            raise NotFound("there is no such channel")
        known = self._gate.notices.preferences.get(principal.id)
        channels = {**(known.channels if known else {}), channel: modes}
        self._keep(Preference(principal=principal.id, groups=principal.groups, channels=channels))

    def has_chosen(self, principal: Principal) -> bool:
        """Whether a person chose anything."""
        return principal.id in self._met

    def is_known_as(self, principal: Principal) -> bool:
        """Whether a person who chose something is still in the groups that are kept with the choice."""
        return self._met.get(principal.id, principal.groups) == principal.groups

    def meet(self, principal: Principal) -> None:
        """Keep the groups of a person who chose something: they decide which requests are theirs to hear of."""
        known = self._gate.notices.preferences.get(principal.id)
        if known is not None:
            self._keep(Preference(principal=principal.id, groups=principal.groups, channels=known.channels))

    def _keep(self, chosen: Preference) -> None:
        self._gate.notices.preferences.keep(chosen)
        self._met[chosen.principal] = chosen.groups


def address_in(channel: PersonalChannel, name: str) -> str | None:
    """The URL of somebody in a personal channel, or None while the environment has none or the name does not fit."""
    return policy.address_of(os.environ.get(channel.url_env, ""), name)

"""Which channels does a message go to, when, and what address does a person have there?"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection
from urllib.parse import quote
from zoneinfo import ZoneInfo

from gatebook_hub.model import NoticeKind
from gatebook_hub.policy.rules import NoticeChannel, Notifications, PersonalChannel

PLACEHOLDER = "{name}"
_BEFORE_DOMAIN = re.compile(r"\{name\}(?:@|%40)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_NAME_WITH_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}@[A-Za-z0-9][A-Za-z0-9.-]{0,62}")


def channels_for(notifications: Notifications, kind: NoticeKind, parties: Collection[str]) -> tuple[NoticeChannel, ...]:
    """The shared channels of a message about a request of these parties (`user:ann`, `group:reviewers`)."""
    return tuple(
        channel
        for channel in notifications.channels.values()
        if (channel.kinds is None or kind in channel.kinds)
        and (channel.to is None or not channel.to.isdisjoint(parties))
    )


def personal_for(notifications: Notifications, names: Collection[str]) -> tuple[PersonalChannel, ...]:
    """The personal channels that somebody with these names (`user:ann`, `group:reviewers`) may choose."""
    return tuple(
        channel for channel in notifications.personal.values() if channel.to is None or not channel.to.isdisjoint(names)
    )


def address_of(template: str, name: str) -> str | None:
    """The URL of a person, or None where the name does not fit into it.

    apprise decodes what is percent-encoded before it looks for addresses, and takes `a@elsewhere,b` for two of them:
    so a name is plain, and brings a domain only where the template does not.
    """
    has_domain = _BEFORE_DOMAIN.search(template) is not None
    fits = _NAME.fullmatch(name) or (not has_domain and _NAME_WITH_DOMAIN.fullmatch(name))
    if PLACEHOLDER not in template or not fits:
        return None
    return template.replace(PLACEHOLDER, quote(name, safe=""))


def next_digest(notifications: Notifications, now: dt.datetime) -> dt.datetime:
    """The next time of digests after `now`, in UTC."""
    zone = ZoneInfo(notifications.zone)
    hours, minutes = divmod(notifications.digest_min, 60)
    day = now.astimezone(zone).date()
    for _ in range(2):
        found = dt.datetime.combine(day, dt.time(hours, minutes), zone).astimezone(dt.UTC)
        if found > now:
            return found
        day += dt.timedelta(days=1)
    return dt.datetime.combine(day, dt.time(hours, minutes), zone).astimezone(dt.UTC)

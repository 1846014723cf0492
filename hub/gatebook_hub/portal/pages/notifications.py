"""How does the reader want to hear about change requests?"""

from dataclasses import dataclass

from gatebook_hub.portal.pages.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class KindChoice:
    """One kind of message, what it is in words, and the `mode` that is chosen: `at_once`, `daily` or `never`."""

    kind: str
    words: str
    mode: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelChoice:
    """A personal channel with a choice for each kind."""

    name: str
    title: str
    kinds: tuple[KindChoice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NotificationsPage:
    """The channels that policy offers the reader; `digest_at` says when the daily message comes."""

    frame: Frame
    channels: tuple[ChannelChoice, ...]
    digest_at: str
    expiring_h: float

"""How does a message reach a channel? Through apprise, which is loaded with the first message.

Its import and its table of services take a quarter of a second and 25 MB, which a gateway that tells nobody saves.
"""

from __future__ import annotations

import logging

from gatebook_hub.changes import Message

_log = logging.getLogger(__name__)


def send(url: str, message: Message) -> bool:
    """Send plain text to an apprise URL; False if it did not arrive, or the URL is none."""
    import apprise

    told = logging.getLogger("apprise")
    # Below warnings both log whole requests, and apprise logs a URL that it does not know: all hold secrets.
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    told.setLevel(logging.CRITICAL + 1)
    receiver = apprise.Apprise(asset=apprise.AppriseAsset(app_id="Gatebook", app_desc="Gatebook", secure_logging=True))
    if not receiver.add(url):
        _log.error("the URL of a channel is none that apprise knows")
        return False
    told.setLevel(logging.WARNING)
    return bool(
        receiver.notify(
            title=message.title, body=message.body, body_format=apprise.NotifyFormat.TEXT, interpret_escapes=False
        )
    )

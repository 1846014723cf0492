"""How does a person choose what to hear about? For each kind of message and each channel that policy offers."""

from __future__ import annotations

from starlette.responses import Response

from gatebook_hub.changes import NoticeMode, words_of
from gatebook_hub.errors import InvalidInput
from gatebook_hub.model import NoticeKind
from gatebook_hub.portal.pages.frame import address
from gatebook_hub.portal.pages.notifications import ChannelChoice, KindChoice, NotificationsPage
from gatebook_hub.portal.visits import Visit, leave_for, shown


def notifications(visit: Visit) -> Response:
    """GET /notifications."""
    told = visit.cases.gate.policy.notifications
    # Told only if it is so: the address may come from anybody.
    is_kept = visit.asked("notice") == "kept" and visit.cases.preferences.has_chosen(visit.principal)
    hours, minutes = divmod(told.digest_min, 60)
    page = NotificationsPage(
        frame=visit.frame("your choice is kept" if is_kept else None),
        channels=tuple(
            ChannelChoice(
                name=channel.name,
                title=channel.title,
                kinds=tuple(
                    KindChoice(kind=str(kind), words=words_of(kind), mode=str(modes[kind])) for kind in NoticeKind
                ),
            )
            for channel, modes in visit.cases.preferences.offered(visit.principal)
        ),
        digest_at=f"{hours:02}:{minutes:02} ({told.zone})",
        expiring_h=told.expiring_h,
    )
    return shown(page)


def choose(visit: Visit) -> Response:
    """POST /notifications: one channel, with a mode for each kind."""
    try:
        modes = {kind: NoticeMode(visit.form.get(kind, NoticeMode.NEVER)) for kind in NoticeKind}
    except ValueError as error:
        raise InvalidInput("choose `at once`, `once a day` or `never`") from error
    visit.cases.preferences.choose(visit.principal, visit.form.get("channel", ""), modes)
    return leave_for(address("/notifications", notice="kept"))

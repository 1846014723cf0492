"""How does a change request look in a list?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gatebook_hub.changes import Outline, State, missing_after
from gatebook_hub.changes.transitions import approvals_for
from gatebook_hub.portal.pages.changes import ChangeCard, Quorum
from gatebook_hub.services.showing import Sights
from gatebook_hub.web.views import requester_of, summary_of

_HIGH_RISK = 5


def card_of(outline: Outline, sights: Sights) -> ChangeCard:
    """A change request in a list."""
    missing = missing_after(outline)
    return ChangeCard(
        id=outline.id,
        summary=summary_of(outline, sights),
        state=str(outline.state),
        source=outline.source,
        table=outline.table,
        requester=requester_of(outline.requester),
        created_at=outline.created_at,
        warnings_count=outline.warnings,
        quorum=_quorum_of(outline),
        risk="high" if outline.risk >= _HIGH_RISK else None,
        is_broken=bool(missing),
        action=outline.action,
    )


def quorums_of(found: Sequence[Mapping[str, Any]]) -> tuple[Quorum, ...]:
    """What a request needs, from its JSON."""
    return tuple(Quorum(groups=tuple(item["groups"]), needed=item["needed"], given=item["given"]) for item in found)


def _quorum_of(outline: Outline) -> tuple[Quorum, ...]:
    """What a request needs: before it is done or, after a glass was broken, afterwards."""
    if outline.broken is not None:
        wanted = missing_after(outline)
    elif outline.state is State.AWAITING_REVIEW:
        wanted = tuple((item, approvals_for(outline, item)) for item in outline.requirements)
    else:
        wanted = ()
    return tuple(Quorum(groups=item.groups, needed=item.needed, given=given) for item, given in wanted)

"""What the example pages have around them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gatebook_hub.portal.pages.frame import Downloads, Frame

NOW = datetime(2026, 11, 22, 13, 55, 33, tzinfo=UTC)
EARLIER = NOW - timedelta(hours=3, minutes=20)


def frame(**changes: object) -> Frame:
    """Return the frame of a signed-in reviewer in trial mode."""
    made = Frame(
        now=NOW,
        xsrf="xsrf-of-this-session",
        person="reviewer",
        groups=("reviewers", "staff"),
        hub_url="http://localhost:8000/hub/home",
        inbox_count=3,
        is_trial=True,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


STRANGER = frame(person=None, groups=(), inbox_count=0, is_trial=False)
DOWNLOADS = Downloads(json_url="/api/v1/changes", csv_url="/inbox.csv?tab=waiting")

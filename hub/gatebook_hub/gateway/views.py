"""How do core values look in the API's JSON? As on the pages: the views are below both."""

from gatebook_hub.web.views import (
    change_view,
    diff_view,
    event_view,
    proven_view,
    run_view,
    summary_of,
    write_outcome,
)

__all__ = ["change_view", "diff_view", "event_view", "proven_view", "run_view", "summary_of", "write_outcome"]

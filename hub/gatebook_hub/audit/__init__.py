"""What is written in an event of the book? Pure: facts in, canonical bytes out."""

from gatebook_hub.audit.events import Event, EventKind, Outcome, canonical, parse_event, written_time
from gatebook_hub.audit.redacting import digest_value, recorded_parameters, recorded_values

__all__ = [
    "Event",
    "EventKind",
    "Outcome",
    "canonical",
    "digest_value",
    "parse_event",
    "recorded_parameters",
    "recorded_values",
    "written_time",
]

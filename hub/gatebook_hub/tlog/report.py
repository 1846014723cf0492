"""What the verification of a log says: findings with stable ids, a sentence each, and the places they are about.

| id | says |
|---|---|
| `tlog.V001` | this entry is not the one that was logged |
| `tlog.V002` | something between two checkpoints was changed |
| `tlog.V003` | entries are missing at the end |
| `tlog.V004` | the entries are right, the stored leaf hashes are not |
| `tlog.V005` | a checkpoint is of another history of this log |
| `tlog.V006` | no checkpoint was given, so nothing vouches for the log |
| `tlog.V007` | the checkpoints are of different logs |
| `tlog.V008` | a note: the last entries are younger than the newest checkpoint |
"""

from dataclasses import dataclass
from enum import StrEnum


class FindingId(StrEnum):
    """The stable names of what can be found."""

    ENTRY_CHANGED = "tlog.V001"
    RANGE_CHANGED = "tlog.V002"
    ENTRIES_MISSING = "tlog.V003"
    HASHES_DAMAGED = "tlog.V004"
    FORKED = "tlog.V005"
    NO_CHECKPOINT = "tlog.V006"
    FOREIGN = "tlog.V007"
    UNCOVERED = "tlog.V008"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found; `first` and `last` are the entries it is about, if it is about some."""

    id: FindingId
    sentence: str
    first: int | None = None
    last: int | None = None

    @property
    def is_failure(self) -> bool:
        """Only a note is none."""
        return self.id is not FindingId.UNCOVERED


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found in a log of `size` entries, of which a checkpoint vouches for the first `covered`."""

    size: int
    covered: int
    root: bytes
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        """True if nothing is wrong."""
        return not any(finding.is_failure for finding in self.findings)

    @property
    def summary(self) -> str:
        """One sentence for the person who asked."""
        if not self.ok:
            return "the log is not what was signed"
        return f"the log has {count_of(self.size)}, and a checkpoint vouches for {self.covered} of them"

    @property
    def sentences(self) -> tuple[str, ...]:
        """The findings, to be read by a person."""
        return tuple(f"{finding.id}: {finding.sentence}" for finding in self.findings)


def count_of(number: int) -> str:
    """Return "1 entry", "2 entries"."""
    return "1 entry" if number == 1 else f"{number} entries"

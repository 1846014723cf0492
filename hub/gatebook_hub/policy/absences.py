"""For whom does somebody review while they are away, and can rules about it have an effect?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from gatebook_hub.model import Seat
from gatebook_hub.policy.contradicting import Finding
from gatebook_hub.policy.rules import Absence, PolicySet


def seats_of(policy: PolicySet, person: str, now: dt.datetime) -> tuple[Seat, ...]:
    """The places that a person (`user:tom`) takes now, with the groups that the rules name.

    The rules cannot know whether the one who is away is in these groups.
    """
    return tuple(
        Seat(holder=rule.who, groups=rule.groups, rule=rule.ref.id)
        for rule in policy.absences
        if rule.instead == person and rule.who != person and rule.is_in_force(now)
    )


def stand_ins(policy: PolicySet, now: dt.datetime) -> tuple[str, ...]:
    """Everybody who takes somebody's place now."""
    return tuple(sorted({rule.instead for rule in policy.absences if rule.is_in_force(now)}))


def lint_absences(policy: PolicySet, now: dt.datetime | None) -> Iterator[Finding]:
    """Absences that contradict each other, lead on to somebody else, or are over."""
    for rule in policy.absences:
        name = rule.ref.id
        if rule.is_over(now):
            sentence = f"absence `{name}` is over: until {rule.last.isoformat()} ({rule.zone})"
            yield _finding(policy, "W027", name, sentence, is_error=False)
        for other in policy.absences:
            if not rule.meets(other):
                continue
            if name < other.ref.id and rule.who == other.who and rule.groups & other.groups:
                groups = ", ".join(f"`{group}`" for group in sorted(rule.groups & other.groups))
                sentence = f"absences `{name}` and `{other.ref.id}` both speak of `{rule.who}` in {groups} on some days"
                yield _finding(policy, "E020", other.ref.id, sentence, is_error=True)
            if other.who == rule.instead:
                yield _finding(policy, "W031", name, _chain(rule, other), is_error=False)


def _chain(rule: Absence, other: Absence) -> str:
    return (
        f"absence `{rule.ref.id}`: `{rule.instead}` is away as well on some of its days (`{other.ref.id}`), "
        f"and `{other.instead}` does not stand in for `{rule.who}`"
    )


def _finding(policy: PolicySet, number: str, rule: str, sentence: str, *, is_error: bool) -> Finding:
    return Finding(id=f"policy.{number}", place=policy.place_of(rule), sentence=sentence, is_error=is_error)

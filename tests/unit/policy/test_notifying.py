"""Does notifications.yaml load or say what is wrong, and do messages go where it says?"""

from __future__ import annotations

import datetime as dt
from typing import Any

import apprise
import pytest

from gatebook_hub.errors import PolicyInvalid
from gatebook_hub.model import NoticeKind
from gatebook_hub.policy import PolicySet, address_of, channels_for, load, next_digest, personal_for
from gatebook_hub.policy.notifying import PLACEHOLDER

SOURCE = """
source: shop
title: Shop
engine: sqlite
url: sqlite:///x
default_quorum: [{groups: [reviewers]}]
"""
GOOD = """
digest_at: "18:30"
zone: Europe/Berlin
expiring_h: 4
channels:
  ops:
    url_env: GATEBOOK_NOTIFY_OPS
    kinds: [failed, break_glass]
  review-room:
    url_env: GATEBOOK_NOTIFY_ROOM
    to: group:reviewers
    digest: daily
personal:
  mail:
    title: Mail
    url_env: GATEBOOK_NOTIFY_MAIL
    to: [group:reviewers, user:ann]
"""
MAIL = "mailto://user:word@smtp.example.org?to={name}@example.org"


def loaded(text: str) -> PolicySet:
    return load({"sources/shop.yaml": SOURCE, "notifications.yaml": text})


def wrong(text: str) -> str:
    with pytest.raises(PolicyInvalid) as caught:
        loaded(text)
    return str(caught.value)


def test_without_the_file_nobody_is_told() -> None:
    assert load({"sources/shop.yaml": SOURCE}).notifications.is_empty


def test_the_file_says_where_messages_go() -> None:
    found = loaded(GOOD)
    told = found.notifications
    assert (told.digest_min, told.zone, told.expiring_h) == (18 * 60 + 30, "Europe/Berlin", 4)
    assert told.channels["ops"].kinds == {NoticeKind.FAILED, NoticeKind.BREAK_GLASS}
    assert told.channels["review-room"].is_daily
    assert found.place_of("channel review-room") == "notifications.yaml:9"
    assert found.place_of("personal mail") == "notifications.yaml:14"


@pytest.mark.parametrize(
    "text,place,sentence",
    [
        (
            "channels:\n  ops:\n    url_env: GATEBOOK_NOTIFY_X\n    kinds: [fails]",
            4,
            "unknown `fails`, did you mean `failed`?",
        ),
        ("channels:\n  ops:\n    url_env: GATEBOOK_NOTIFY_X\n    kinds: []", 2, "`kinds` is empty"),
        (
            "channels:\n  ops:\n    url_env: GATEBOOK_NOTIFY_X\n    digset: daily",
            4,
            "unknown key, did you mean `digest`?",
        ),
        ("channels:\n  ops:\n    url: mailto://x", 2, "url_env: field required"),
        ("channels:\n  ops:\n    url_env: mailto://user:secret@smtp", 3, "string should match pattern"),
        ("channels:\n  ops:\n    url_env: GATEBOOK_NOTIFY_X\n    to: group:reviewer", 2, "did you mean `reviewers`?"),
        ("channels:\n  ops:\n    url_env: GATEBOOK_NOTIFY_X\n    to: tool:desk", 4, "string should match pattern"),
        ("channels:\n  Ops:\n    url_env: GATEBOOK_NOTIFY_X", 2, "string should match pattern"),
        (
            "personal:\n  mail:\n    title: M\n    url_env: GATEBOOK_NOTIFY_X\n    to: group:nobody",
            2,
            "no rule about the group",
        ),
        ("personal:\n  mail:\n    url_env: GATEBOOK_NOTIFY_X", 2, "title: field required"),
        ("zone: Europe/Berlim", 1, "`Europe/Berlim` is not a time zone"),
        ("digest_at: 25:00", 1, "string should match pattern"),
        ("expiring_h: 0", 1, "greater than 0"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, place: int, sentence: str) -> None:
    found = wrong(text)
    assert f"notifications.yaml:{place}: policy.E0" in found
    assert sentence in found


@pytest.mark.parametrize(
    "kind,parties,expected",
    [
        (NoticeKind.FAILED, {"user:ann", "group:reviewers"}, ["ops", "review-room"]),
        (NoticeKind.FAILED, {"user:ann"}, ["ops"]),
        (NoticeKind.REQUESTED, {"group:reviewers"}, ["review-room"]),
        (NoticeKind.REQUESTED, {"group:finance"}, []),
    ],
)
def test_a_channel_hears_of_its_kinds_and_of_those_it_serves(
    kind: NoticeKind, parties: set[str], expected: list[str]
) -> None:
    found = channels_for(loaded(GOOD).notifications, kind, parties)
    assert [channel.name for channel in found] == expected


def test_a_personal_channel_is_for_those_whom_policy_names() -> None:
    told = loaded(GOOD).notifications
    assert [channel.name for channel in personal_for(told, {"user:ann"})] == ["mail"]
    assert personal_for(told, {"user:bob", "group:writers"}) == ()


@pytest.mark.parametrize(
    "now,expected",
    [
        ("2026-07-01T12:00:00+00:00", "2026-07-01T16:30:00+00:00"),
        ("2026-07-01T16:30:00+00:00", "2026-07-02T16:30:00+00:00"),
        ("2026-07-01T22:30:00+00:00", "2026-07-02T16:30:00+00:00"),
        ("2026-10-24T17:00:00+00:00", "2026-10-25T17:30:00+00:00"),
        ("2026-12-01T12:00:00+00:00", "2026-12-01T17:30:00+00:00"),
    ],
)
def test_digests_come_once_a_day_at_the_hour_of_their_zone(now: str, expected: str) -> None:
    found = next_digest(loaded(GOOD).notifications, dt.datetime.fromisoformat(now))
    assert found == dt.datetime.fromisoformat(expected)


# ── a name in a URL ──


def targets(url: str | None) -> list[Any]:
    receiver: Any = apprise.Apprise.instantiate(url or "")
    return [address for _, address in receiver.targets]


@pytest.mark.parametrize("name", ["ann", "ann.lee", "ann_lee-2", "A1"])
def test_a_name_stands_in_the_address_of_its_person(name: str) -> None:
    assert targets(address_of(MAIL, name)) == [f"{name}@example.org"]


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "ann@evil.example", "ann@evil.example,ann", "ann,bob", "ann bob", "ann%40evil.example",
        "ann&cc=eve@evil.example", "ann/../x", "änn", "ann\n", "<ann>", "ann;bob", "a" * 64, "{name}",
    ],
)  # fmt: skip
def test_a_name_that_could_be_another_address_has_none(name: str) -> None:
    """What is percent-encoded is decoded by apprise before it looks for addresses."""
    assert address_of(MAIL, name) is None


def test_a_name_may_bring_its_domain_where_the_template_has_none() -> None:
    template = "mailto://user:word@smtp.example.org?to={name}"
    assert targets(address_of(template, "ann@example.org")) == ["ann@example.org"]
    assert address_of(template, "ann@example.org,eve@evil.example") is None
    assert address_of(MAIL.replace("@example.org", "%40example.org"), "ann@evil.example") is None
    assert address_of(MAIL + "&cc={name}", "ann@evil.example") is None


def test_a_template_without_a_name_is_nobodys() -> None:
    assert address_of("mailto://user:word@smtp.example.org?to=all@example.org", "ann") is None
    assert address_of("", "ann") is None
    assert PLACEHOLDER in MAIL

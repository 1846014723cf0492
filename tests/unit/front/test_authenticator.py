"""Passwords are checked one account at a time, and guessing is slow."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from gatebook_hub.front.authenticator import PasswordFileAuthenticator, Throttle, ensure_passwords


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_passwords_are_made_once_and_kept_private(tmp_path: Path) -> None:
    first = ensure_passwords(tmp_path, ["analyst", "ops"])
    assert set(first.made) == {"analyst", "ops"}
    assert first.made["analyst"] != first.made["ops"]
    assert modes(tmp_path) == {0o600}
    again = ensure_passwords(tmp_path, ["analyst", "ops", "admin"])
    assert set(again.made) == {"admin"}
    kept = dict(line.split(" ") for line in again.plain.read_text().splitlines())
    assert kept == {**first.made, **again.made}


def test_the_file_of_hashes_holds_no_password(tmp_path: Path) -> None:
    passwords = ensure_passwords(tmp_path, ["analyst"])
    text = passwords.hashes.read_text()
    assert "$argon2id$" in text
    assert passwords.made["analyst"] not in text


@pytest.fixture
def authenticator(tmp_path: Path) -> PasswordFileAuthenticator:
    passwords = ensure_passwords(tmp_path, ["analyst", "ops"])
    made = PasswordFileAuthenticator(hashes_file=str(passwords.hashes), allowed_users={"analyst", "ops"})
    made.passwords = dict(passwords.made)
    return made


async def attempt(authenticator: PasswordFileAuthenticator, name: str, password: str) -> str | None:
    return await authenticator.authenticate(None, {"username": name, "password": password})


async def test_the_right_password_logs_in_and_anothers_does_not(authenticator: PasswordFileAuthenticator) -> None:
    passwords = authenticator.passwords
    assert await attempt(authenticator, "analyst", passwords["analyst"]) == "analyst"
    assert await attempt(authenticator, "Analyst", passwords["analyst"]) == "analyst"
    assert await attempt(authenticator, "analyst", passwords["ops"]) is None
    assert await attempt(authenticator, "analyst", "") is None
    assert await attempt(authenticator, "nobody", passwords["ops"]) is None
    assert await attempt(authenticator, "", "") is None


async def test_a_missing_field_is_no_login(authenticator: PasswordFileAuthenticator) -> None:
    assert await authenticator.authenticate(None, {}) is None


async def test_without_a_file_nobody_logs_in() -> None:
    assert await attempt(PasswordFileAuthenticator(), "analyst", "") is None


async def test_after_failures_even_the_right_password_must_wait(authenticator: PasswordFileAuthenticator) -> None:
    for _ in range(5):
        assert await attempt(authenticator, "ops", "wrong") is None
    assert await attempt(authenticator, "ops", authenticator.passwords["ops"]) is None
    assert await attempt(authenticator, "analyst", authenticator.passwords["analyst"]) == "analyst"


def test_the_wait_grows_and_is_bounded() -> None:
    throttle = Throttle()
    assert [throttle.admit("a", 0.0) for _ in range(6)] == [True] * 5 + [False]
    assert throttle.admit("a", 1.0)
    assert not throttle.admit("a", 2.5)
    assert throttle.admit("a", 3.0)
    now = 10_000.0
    for _ in range(20):
        now += 60.0
        assert throttle.admit("a", now)
    assert not throttle.admit("a", now + 59.0)


def test_a_success_forgives() -> None:
    throttle = Throttle()
    for _ in range(5):
        throttle.admit("a", 0.0)
    throttle.clear("a")
    assert throttle.admit("a", 0.0)


def test_many_invented_names_do_not_fill_the_memory() -> None:
    throttle = Throttle()
    for number in range(10_000):
        throttle.admit(str(number), 0.0)
    assert len(throttle._failures) <= 4096

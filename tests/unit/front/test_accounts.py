"""Linux accounts: only those made here are ever used, and removing them leaves nothing."""

from __future__ import annotations

import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook_hub.front.accounts import AccountError, Accounts, end_processes, has_processes, wipe


@pytest.mark.parametrize("prefix", ["", "-", "gb", "GB-", "0x-", "g b-", "../-", "root", "abcdefghijk-", "gb-\n"])
def test_a_prefix_that_could_mean_other_accounts_is_refused(prefix: str) -> None:
    with pytest.raises(AccountError):
        Accounts(prefix)


def test_a_hub_user_never_becomes_a_system_account() -> None:
    names = Accounts("gb-")
    assert names.user_name("root") == "gb-u-root"
    assert names.user_name("analyst") == "gb-u-analyst"
    assert names.user_name("tool-0") == "gb-u-tool-0"


@given(st.text(max_size=80), st.text(max_size=80))
def test_every_hub_user_has_a_safe_account_of_their_own(one: str, other: str) -> None:
    names = Accounts("abcdefghij-")
    assert (names.user_name(one) == names.user_name(other)) == (one == other)
    made = names.user_name(one)
    assert len(made) <= 31
    assert set(made) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert made.startswith(("abcdefghij-u-", "abcdefghij-x-"))


@pytest.mark.parametrize("service", ["u-analyst", "x-1", "", "../x", "A"])
def test_a_part_cannot_take_a_users_account(service: str) -> None:
    with pytest.raises(AccountError):
        Accounts("gb-").service_name(service)


@pytest.fixture
def accounts() -> Iterator[Accounts]:
    root = Path(tempfile.mkdtemp(prefix="gbtest-"))
    root.chmod(0o711)
    made = Accounts(f"t{secrets.token_hex(3)}-", root)
    yield made
    made.remove()
    shutil.rmtree(root)


@pytest.mark.root
def test_an_account_has_a_closed_home_and_no_login(accounts: Accounts) -> None:
    account = accounts.ensure(accounts.user_name("ann"))
    assert accounts.ensure(account.name) == account == accounts.lookup(account.name)
    entry = pwd.getpwnam(account.name)
    assert entry.pw_shell == "/usr/sbin/nologin"
    assert account.home.stat().st_mode & 0o777 == 0o700
    assert account.home.stat().st_uid == account.uid != 0
    assert accounts.names() == (account.name,)


@pytest.mark.root
@pytest.mark.parametrize("name", ["root", "nobody", "daemon"])
def test_an_account_of_somebody_else_is_refused(accounts: Accounts, name: str) -> None:
    with pytest.raises(AccountError):
        accounts.ensure(name)
    with pytest.raises(AccountError):
        accounts.lookup(name)


@pytest.mark.root
def test_an_account_with_our_prefix_that_we_did_not_make_is_refused(accounts: Accounts) -> None:
    accounts.ensure(accounts.user_name("ann"))
    foreign = accounts.user_name("foreign")
    subprocess.run(["/usr/sbin/useradd", "--system", "--no-create-home", foreign], check=True)
    try:
        with pytest.raises(AccountError, match="was not made by Gatebook"):
            accounts.ensure(foreign)
        assert foreign not in accounts.names()
    finally:
        subprocess.run(["/usr/sbin/userdel", foreign], check=True)


@pytest.mark.root
def test_removing_ends_processes_and_leaves_neither_home_nor_files(accounts: Accounts) -> None:
    account = accounts.ensure(accounts.user_name("ann"))
    left = Path(tempfile.gettempdir()) / f"gbtest-left-{account.uid}"
    # It forks for ever, as fast as it can, to escape.
    runaway = "import os, time\nfor _ in range(40):\n    os.fork() and time.sleep(600)\ntime.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", f"open({str(left)!r}, 'w').close()\n{runaway}"], user=account.uid,
                          group=account.gid, extra_groups=[], start_new_session=True) as process:  # fmt: skip
        while not left.exists():
            assert process.poll() is None
            time.sleep(0.02)
        assert has_processes(account)
        assert accounts.remove() == (account.name,)
        assert process.wait(10) == -9
    assert not has_processes(account)
    assert not account.home.exists()
    assert not left.exists()
    with pytest.raises(KeyError):
        pwd.getpwnam(account.name)


@pytest.mark.root
def test_wiping_does_not_follow_links(accounts: Accounts, tmp_path: Path) -> None:
    account = accounts.ensure(accounts.user_name("ann"))
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    (account.home / "link").symlink_to(precious)
    (account.home / "folder").mkdir()
    (account.home / "folder" / "deep-link").symlink_to(precious)
    end_processes(account)
    wipe(account)
    assert (precious / "file").read_text() == "x"
    assert list(account.home.iterdir()) == []


@pytest.mark.root
def test_the_command_removes_a_prefix(accounts: Accounts) -> None:
    account = accounts.ensure(accounts.user_name("ann"))
    command = [sys.executable, "-m", "gatebook_hub.front.accounts"]
    more = ["--prefix", accounts.prefix, "--home-root", str(accounts.home_root)]
    assert subprocess.run([*command, "list", *more], check=True, capture_output=True, text=True).stdout.split() == [
        account.name
    ]
    subprocess.run([*command, "remove", *more], check=True, capture_output=True)
    assert accounts.names() == ()
    refused = subprocess.run([*command, "remove", "--prefix", "root"], check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "account prefix `root`" in refused.stderr

"""Under which Linux account does something run? One of those made here, found by their prefix and their group.

An account counts as ours only if it is a member of the marker group (`<prefix>accounts`), so that no name of a Hub user
can ever lead to an account that somebody else made: the Hub user `root` becomes `gb-u-root`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME_ROOT = Path("/var/lib/gatebook")
_PREFIX = re.compile(r"[a-z][a-z0-9]{0,9}-\Z")
_PLAIN_NAME = re.compile(r"[a-z][a-z0-9-]*\Z")
_LONGEST = 31
_SHARED_FOLDERS = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"))  # noqa: S108 - searched for leftovers, not used
_SWEEPS = 50
_LOCK = Path("/run/lock/gatebook-accounts.lock")


class AccountError(Exception):
    """A Linux account could not be made, found or removed; the text says which and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A Linux account that we made."""

    name: str
    uid: int
    gid: int
    home: Path


def may_isolate() -> bool:
    """Whether this process can run each part under its own Linux account; if not, it is trial mode."""
    return sys.platform.startswith("linux") and os.geteuid() == 0 and shutil.which("useradd") is not None


class Accounts:
    """The accounts of one prefix. Needs root for all but names."""

    def __init__(self, prefix: str, home_root: Path = HOME_ROOT) -> None:
        if not _PREFIX.match(prefix):
            message = f"account prefix `{prefix}` must be up to ten of a-z and 0-9, starting with a letter, then a dash"
            raise AccountError(message)
        self.prefix = prefix
        self.group = f"{prefix}accounts"
        self.home_root = home_root

    def user_name(self, hub_user: str) -> str:
        """Return the account's name for a Hub user; two users never share one.

        A name that Linux takes is kept (`u-`), any other is hashed (`x-`).
        """
        plain = f"{self.prefix}u-{hub_user}"
        if _PLAIN_NAME.match(hub_user) and len(plain) <= _LONGEST:
            return plain
        return f"{self.prefix}x-{hashlib.sha256(hub_user.encode()).hexdigest()[:16]}"

    def service_name(self, service: str) -> str:
        """Return the account's name of a part such as `gateway`, or of a kernel slot such as `tool-0`."""
        if not _PLAIN_NAME.match(service) or service.startswith(("u-", "x-")):
            message = f"`{service}` is not the name of a part"
            raise AccountError(message)
        return self.prefix + service

    def ensure(self, name: str) -> Account:
        """Return the account, made if it is missing; its home is its own and closed to others."""
        import pwd

        self._check_name(name)
        with _locked():
            with suppress(KeyError):
                pwd.getpwnam(name)
                return self.lookup(name)
            _run("groupadd", "--system", "--force", self.group)
            home = self.home_root / "homes" / name
            _run(
                *("useradd", "--system", "--no-create-home", "--user-group", "--groups", self.group),
                *("--home-dir", str(home), "--shell", "/usr/sbin/nologin", "--comment", "Gatebook", name),
            )
        account = self.lookup(name)
        for folder in (self.home_root, home.parent):
            if not folder.exists():
                folder.mkdir(parents=True, exist_ok=True)
                folder.chmod(0o711)
        home.mkdir(mode=0o700, exist_ok=True)
        os.chown(home, account.uid, account.gid)
        home.chmod(0o700)
        return account

    def lookup(self, name: str) -> Account:
        """Return an account that we made, or raise."""
        import grp
        import pwd

        self._check_name(name)
        try:
            entry, group = pwd.getpwnam(name), grp.getgrnam(self.group)
        except KeyError as exc:
            message = f"there is no account `{name}`"
            raise AccountError(message) from exc
        if name not in group.gr_mem or entry.pw_uid == 0 or entry.pw_gid == 0:
            message = f"the account `{name}` was not made by Gatebook (it is not in the group `{self.group}`)"
            raise AccountError(message)
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid, home=Path(entry.pw_dir))

    def names(self) -> tuple[str, ...]:
        """Return the names of all accounts of this prefix that we made."""
        import grp

        try:
            members = grp.getgrnam(self.group).gr_mem
        except KeyError:
            return ()
        return tuple(sorted(name for name in members if name.startswith(self.prefix)))

    def remove(self) -> tuple[str, ...]:
        """End the processes of all accounts of this prefix, delete homes and accounts; return their names."""
        names = self.names()
        for name in names:
            account = self.lookup(name)
            end_processes(account)
            wipe(account)
            with _locked():
                _run("userdel", name)
            with suppress(FileNotFoundError):
                shutil.rmtree(self._home(account))
        if names:
            with _locked():
                _run("groupdel", self.group)
        return names

    def _home(self, account: Account) -> Path:
        homes = self.home_root / "homes"
        if account.home.parent != homes:
            message = f"the home of `{account.name}` is not below `{homes}`"
            raise AccountError(message)
        return account.home

    def _check_name(self, name: str) -> None:
        if not name.startswith(self.prefix) or not _PLAIN_NAME.match(name) or len(name) > _LONGEST + 1:
            message = f"`{name}` is not an account name of the prefix `{self.prefix}`"
            raise AccountError(message)


def has_processes(account: Account) -> bool:
    """Whether anything but a zombie runs under the account."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError, IndexError):
                status = (entry / "status").read_text()
                uids = status.split("\nUid:", 1)[1].split("\n", 1)[0].split()
                if str(account.uid) in uids and "\nState:\tZ" not in status:
                    return True
    return False


def end_processes(account: Account) -> None:
    """End every process of the account; one that forks meanwhile does not escape.

    The signal comes from inside the account, sent to all at once, so that no process id can be mistaken for another's.
    """
    if account.uid == 0:
        message = "refusing to end the processes of root"
        raise AccountError(message)
    for _ in range(_SWEEPS):
        if not has_processes(account):
            return
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", "import os; os.kill(-1, 9)"],
            user=account.uid, group=account.gid, extra_groups=[], check=False, cwd="/", env={},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(0.02)
    message = f"processes of `{account.name}` do not end"
    raise AccountError(message)


def wipe(account: Account) -> None:
    """Empty the account's home and remove what it left in the folders that everybody may write to."""
    for entry in _owned(account):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


def _owned(account: Account) -> list[Path]:
    owned = list(account.home.iterdir()) if account.home.is_dir() else []
    for folder in _SHARED_FOLDERS:
        for entry in folder.iterdir() if folder.is_dir() else ():
            with suppress(OSError):
                if entry.lstat().st_uid == account.uid:
                    owned.append(entry)
    return owned


@contextmanager
def _locked() -> Iterator[None]:
    # Several Hubs may start on one machine; useradd's own lock fails at once instead of waiting.
    _LOCK.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(_LOCK, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _run(program: str, *arguments: str) -> None:
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path is None:
        message = f"`{program}` is missing on this machine"
        raise AccountError(message)
    done = subprocess.run([path, *arguments], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)  # noqa: S603
    if done.returncode != 0:
        message = f"`{program}` failed: {done.stderr.strip()}"
        raise AccountError(message)


def main() -> None:
    """Run `python -m gatebook_hub.front.accounts list|remove --prefix P`."""
    parser = argparse.ArgumentParser(description="Linux accounts that Gatebook made.")
    parser.add_argument("action", choices=("list", "remove"))
    parser.add_argument("--prefix", required=True)
    parser.add_argument("--home-root", type=Path, default=HOME_ROOT)
    options = parser.parse_args()
    try:
        accounts = Accounts(options.prefix, options.home_root)
        names = accounts.remove() if options.action == "remove" else accounts.names()
    except AccountError as exc:
        sys.exit(str(exc))
    for name in names:
        print(name)  # noqa: T201 - a command's answer


if __name__ == "__main__":
    main()

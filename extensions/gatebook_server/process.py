"""How does one of our processes give up what it does not need, and how does it die with its parent?

Standard library only: wrappers call this while they are still root.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3
_LARGE_BYTES = 1_048_576
_PROCESSORS = "GATEBOOK_PROCESSORS"
_IS_LINUX = sys.platform.startswith("linux")
_libc = ctypes.CDLL(None, use_errno=True) if _IS_LINUX else None


def _prctl(option: int, value: int) -> None:
    if _libc is None:
        return
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def share_memory() -> None:
    """Have threads share what they free, and give back what is large.

    For Linux with glibc; elsewhere nothing happens.
    """
    mallopt = getattr(_libc, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 2)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def stay_on_one_processor() -> None:
    """Keep all threads that begin from now on where this one is.

    Threads of one interpreter run one at a time: on several processors they spend more on waking each other there than
    on their work. What this process starts may spread again. For Linux with glibc; elsewhere nothing happens.
    """
    where = getattr(_libc, "sched_getcpu", None)
    if where is None:
        return
    os.environ.setdefault(_PROCESSORS, ",".join(map(str, sorted(os.sched_getaffinity(0)))))
    os.sched_setaffinity(0, {where()})


def processors() -> dict[str, str]:
    """What a process that shall `spread` gets in its environment."""
    return {_PROCESSORS: os.environ[_PROCESSORS]} if _PROCESSORS in os.environ else {}


def spread() -> None:
    """Use all processors that the one which started this might have used."""
    if _PROCESSORS in os.environ:
        os.sched_setaffinity(0, map(int, os.environ[_PROCESSORS].split(",")))


def die_with_parent(signum: int = signal.SIGTERM, *, parent: int | None = None) -> None:
    """Have the kernel send `signum` to this process when its parent ends, even by SIGKILL.

    To be called after any change of user: setuid clears the setting. `parent` is the expected parent, so that one which
    ended before this call is noticed too. Does nothing but on Linux.
    """
    expected = os.getppid() if parent is None else parent
    _prctl(_PR_SET_PDEATHSIG, signum)
    if _IS_LINUX and os.getppid() != expected:
        os.kill(os.getpid(), signum)


def forbid_inspection() -> None:
    """Close `/proc/PID/environ`, `/proc/PID/mem` and ptrace to other processes of the same user. Linux only."""
    _prctl(_PR_SET_DUMPABLE, 0)


def forbid_new_privileges() -> None:
    """Make setuid programs (sudo, su) powerless in this process and all it starts. Linux only."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def become(account: str) -> None:
    """Turn this root process into `account` for good: group, no supplementary groups, user, home folder.

    A process that changes its user is not dumpable from that instant on, so there is no moment in which another process
    of the account could open its memory. (A program *started* as the account would have such a moment.)
    """
    import pwd  # absent where there is no fork

    entry = pwd.getpwnam(account)
    if entry.pw_uid == 0 or entry.pw_gid == 0:
        message = f"refusing to run as `{account}`, which is root"
        raise PermissionError(message)
    os.setgroups([])
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    if os.getuid() != entry.pw_uid or os.geteuid() != entry.pw_uid or os.getgroups():
        message = f"could not become `{account}`"
        raise PermissionError(message)
    os.chdir(entry.pw_dir)


def orphan_guard(signum: int = signal.SIGKILL) -> Callable[[], None]:
    """Return a `preexec_fn` that ties a child to this process; the library is loaded here, not after the fork."""
    libc = _libc

    def guard() -> None:
        if libc is not None:
            libc.prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)

    return guard


def settle() -> None:
    """Do all that a service of the Hub wants at its start: die with the Hub, no inspection, private files."""
    die_with_parent()
    forbid_inspection()
    os.umask(0o077)


def main(argv: list[str]) -> None:
    """Run `… ACCOUNT PROGRAM ARGS…`: the program as that account (`-`: as it is), tied to its parent."""
    account, program, *arguments = argv
    parent = os.getppid()
    if account != "-":
        become(account)
    die_with_parent(parent=parent)
    os.execvp(program, [program, *arguments])  # noqa: S606 - the Hub's configuration wrote this line


if __name__ == "__main__":
    main(sys.argv[1:])

"""What does a worker give up before it opens a database? Everything but the database's folder and its own threads.

Limits of memory, processor and processes hold everywhere; on Linux Landlock (the file system) and seccomp (programs,
sockets, other processes) come on top where the kernel has them. Each returns whether it holds, and the gateway asks.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gatebook_server.process import forbid_inspection, forbid_new_privileges

_IS_LINUX = sys.platform.startswith("linux")
_libc = ctypes.CDLL(None, use_errno=True) if _IS_LINUX else None
_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER = 22, 2

# The numbers of system calls differ per machine; landlock's are the same on all.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _RULE_PATH = 444, 445, 446, 1
_READ_FILE, _READ_DIR, _WRITE_FILE, _REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 2, 1 << 3, 1 << 1, 1 << 5, 1 << 8, 1 << 14
_HANDLED_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}

# Per machine: its number in audit, what is looked at more closely, and what is refused: fork vfork execve execveat
# socket connect accept accept4 bind listen ptrace kill process_vm_readv process_vm_writev unshare setns mount bpf
# perf_event_open userfaultfd io_uring_setup pidfd_open pidfd_getfd keyctl open_by_handle_at process_madvise add_key
# request_key tkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal.
_REFUSED_CALLS: dict[str, tuple[int, dict[str, int], str]] = {
    "x86_64": (
        0xC000003E,
        {"clone": 56, "clone3": 435, "tgkill": 234, "prlimit64": 302},
        (
            "57 58 59 322 41 42 43 288 49 50 101 62 310 311 272 308 165 321 298 323 425 434 438 250 304 440 248 249 "
            "200 129 297 424"
        ),
    ),
    "aarch64": (
        0xC00000B7,
        {"clone": 220, "clone3": 435, "tgkill": 131, "prlimit64": 261},
        (
            "221 281 198 203 202 242 200 201 117 129 270 271 97 268 40 280 241 282 425 434 438 219 265 440 217 218 "
            "130 138 240 424"
        ),
    ),
}
_CLONE_THREAD = 0x00010000


def limit_resources(memory_bytes: int) -> None:
    """No core dumps, no memory beyond `memory_bytes`, few open files; other processes cannot look inside."""
    forbid_inspection()
    forbid_new_privileges()
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    if _IS_LINUX:
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


def limit_processor(seconds: float) -> None:
    """Let the kernel end this process when it uses so many seconds more: the last net, should all others fail."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 2, hard))


def forbid_files(database: Path) -> bool:
    """Leave the database's folder (a link's too), and the interpreter's own files to be read (Landlock)."""
    if _libc is None:
        return False
    version = _libc.syscall(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return False
    handled = _HANDLED_BY_VERSION[min(version, max(_HANDLED_BY_VERSION))]
    rules = ctypes.create_string_buffer(struct.pack("<Q", handled))
    ruleset = _call(_CREATE_RULESET, rules, 8, 0)
    writing = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
    folders = {str(database.parent), str(database.resolve().parent)}
    allowed = [*((folder, writing) for folder in folders), *((path, _READ_FILE | _READ_DIR) for path in _own_files())]
    try:
        for path, access in allowed:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                rule = ctypes.create_string_buffer(struct.pack("<Qi", access & handled, opened))
                _call(_ADD_RULE, ruleset, _RULE_PATH, rule, 0)
            finally:
                os.close(opened)
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def forbid_calls() -> bool:
    """Refuse to start programs and processes, to open sockets, to touch other processes (seccomp)."""
    known = _REFUSED_CALLS.get(platform.machine())
    if _libc is None or known is None:
        return False
    architecture, special, refused = known
    program = _filter(architecture, special, [int(number) for number in refused.split()])
    code = ctypes.create_string_buffer(b"".join(program))
    described = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    return bool(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, described, 0, 0) == 0)


def _filter(architecture: int, special: dict[str, int], refused: Sequence[int]) -> list[bytes]:
    """A program of classic BPF: anything listed is an error, threads are allowed, what is of another machine kills."""

    def step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
        return struct.pack("<HBBI", code, then, otherwise, value)

    load, equal, at_least, has, end = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, kill, fails = 0x7FFF0000, 0x80000000, 0x00050000
    program = [step(load, 4), step(equal, architecture, 1, 0), step(end, kill), step(load, 0)]
    program += [step(at_least, 0x40000000, 0, 1), step(end, kill)]  # x32, the same numbers under another name
    for number in refused:
        program += [step(equal, number, 0, 1), step(end, fails | errno.EPERM)]
    # To this process alone: the C library ends itself so, and sets its own limits.
    for name, process in (("tgkill", os.getpid()), ("prlimit64", 0)):
        program += [step(equal, special[name], 0, 4), step(load, 16), step(equal, process, 1, 0)]
        program += [step(end, fails | errno.EPERM), step(end, allow)]
    # Its flags lie in memory, where a filter cannot look; the C library then uses `clone`.
    program += [step(equal, special["clone3"], 0, 1), step(end, fails | errno.ENOSYS)]
    program += [step(equal, special["clone"], 0, 4), step(load, 16), step(has, _CLONE_THREAD, 1, 0)]
    program += [step(end, fails | errno.EPERM), step(end, allow), step(end, allow)]
    return program


def _own_files() -> list[str]:
    modules = (sys.modules["gatebook_hub"], sys.modules["gatebook_server"])
    packages = [str(Path(str(module.__file__)).parent) for module in modules]
    # DuckDB asks what the machine has, and crashes where it may not; zones of time lie outside of the interpreter.
    machine = ("/proc/self", "/sys/fs/cgroup", "/sys/devices/system/cpu", "/usr/share/zoneinfo")
    wanted = {path for path in (sys.prefix, sys.base_prefix, *packages, *machine) if path != "/"}
    return sorted(path for path in wanted if os.path.exists(path))  # noqa: PTH110 - cheap, and a path is a string here


def _call(number: int, *arguments: Any) -> int:
    assert _libc is not None
    found = int(_libc.syscall(number, *arguments))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return found

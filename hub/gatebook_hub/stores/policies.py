"""What does the policy folder hold? The texts of its YAML files, by path; or those of a revision in git.

A set is read as a whole or not at all: no links that lead out of the folder, nothing but ordinary files of ordinary
size, and nothing that changes while it is read.
"""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

from gatebook_hub.errors import PolicyInvalid

MAX_FILE_BYTES = 1_000_000
MAX_FILES = 2_000
MAX_BYTES = 10_000_000
_GIT_S = 30
_SUFFIXES = (".yaml", ".yml")

Print = tuple[tuple[str, int, int, int], ...]


class SetMoved(PolicyInvalid):
    """Somebody wrote in the folder while it was read: what was read is no set that anybody meant."""


def read_policies(folder: Path) -> dict[str, str]:
    """Read every YAML file below the folder; raises PolicyInvalid when there is none or one cannot be read."""
    paths = _paths(folder)
    before = _print(folder, paths)
    texts = {name: _text(path, name) for name, path in paths.items()}
    if _print(folder, _paths(folder)) != before:
        raise SetMoved(f"the policy folder `{folder}` changed while it was read")
    if not texts:
        raise PolicyInvalid(f"the policy folder `{folder}` has no YAML files")
    return texts


def print_of(folder: Path) -> Print | None:
    """What changes when a file of the folder does: names, inodes, sizes and times; None when it cannot be told."""
    try:
        return _print(folder, _paths(folder))
    except PolicyInvalid:
        return None


def read_revision(text: str) -> dict[str, str]:
    """The texts of a folder, or of `REVISION:folder` of the git repository around the working folder."""
    if Path(text).is_dir() or ":" not in text:
        return read_policies(Path(text))
    revision, _, folder = text.partition(":")
    if revision.startswith("-") or folder.startswith("-"):
        raise PolicyInvalid(f"`{text}` is not of the form `REVISION:folder`")
    found = f"{revision}:{folder.rstrip('/')}"
    names = [name for name in _git("ls-tree", "-r", "--name-only", "-z", found).split("\0") if name]
    names = [name for name in names if name.endswith(_SUFFIXES) and not _is_hidden(name)]
    if not names or len(names) > MAX_FILES:
        raise PolicyInvalid(f"`{text}` has {len(names) or 'no'} YAML files")
    return {name: _git("show", f"{found}/{name}") for name in names}


def _git(*words: str) -> str:
    command = ["git", *words]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_GIT_S, check=True)  # noqa: S603 - words of ours
        return done.stdout.decode("utf-8")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        told = getattr(error, "stderr", b"") or b""
        raise PolicyInvalid(f"git does not have it: {told.decode(errors='replace').strip() or error}") from error


def _paths(folder: Path) -> dict[str, Path]:
    """Every YAML file by its name in the set; raises PolicyInvalid for one that leads out of the folder."""
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise PolicyInvalid(f"there is no policy folder `{folder}`") from error
    if not root.is_dir():
        raise PolicyInvalid(f"there is no policy folder `{folder}`")
    found: dict[str, Path] = {}
    for path in sorted(path for path in root.rglob("*") if path.suffix in _SUFFIXES):
        name = path.relative_to(root).as_posix()
        if _is_hidden(name):
            continue
        try:
            real = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:
            raise PolicyInvalid(f"{name}: cannot be read: {error}") from error
        if not real.is_relative_to(root):
            raise PolicyInvalid(f"{name}: leads out of the policy folder; a set is what lies in it")
        if real.is_dir():
            continue
        found[name] = real
    if len(found) > MAX_FILES:
        raise PolicyInvalid(f"the policy folder has {len(found):,} YAML files, at most {MAX_FILES:,} are taken")
    return found


def _is_hidden(name: str) -> bool:
    # Mounted sets keep their versions in hidden folders and link to them; editors keep drafts in hidden files.
    return any(part.startswith(".") for part in name.split("/"))


def _print(folder: Path, paths: dict[str, Path]) -> Print:
    try:
        stats = [(name, path.stat()) for name, path in paths.items()]
    except OSError as error:
        raise SetMoved(f"the policy folder `{folder}` changed while it was read: {error}") from error
    if sum(found.st_size for _, found in stats) > MAX_BYTES:
        raise PolicyInvalid(f"the policy folder has more than {MAX_BYTES:,} bytes")
    return tuple((name, found.st_ino, found.st_size, found.st_mtime_ns) for name, found in stats)


def _text(path: Path, name: str) -> str:
    try:
        # Not through a link that was put there since, and never waiting for a pipe.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise PolicyInvalid(f"{name}: is not an ordinary file")
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            raise PolicyInvalid(f"{name}: has more than {MAX_FILE_BYTES:,} bytes")
        return data.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyInvalid(f"{name}: cannot be read: {error}") from error

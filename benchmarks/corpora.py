"""Whose statements are tried, where do they come from, and what is their hash?"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mysqltest import mysqltest_steps
from psql import psql_steps
from sqllogic import sqllogic_steps
from steps import Script, read_text
from tcltest import tcl_steps
from tpc import PACKAGES, SCALE, tpc_scripts

from gatebook_hub.model import Engine

CACHE = Path(os.environ.get("GATEBOOK_BENCHMARKS", "~/.cache/gatebook-benchmarks")).expanduser()
_MIRROR = "http://deb.debian.org/debian"


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Statements of others: the package they come in, its hash, the scripts in their order."""

    name: str
    engine: Engine
    package: str
    sha256: str
    scripts: list[Script]

    @property
    def slug(self) -> str:
        """Its name in a file's name."""
        return "".join(letter for letter in self.name.lower() if letter.isalnum())


def sqlite_corpus() -> Corpus:
    """SQLite's own tests, of the version that Debian's source package has."""
    archive = _debian("sqlite3", "sqlite3_*.orig.tar.xz", is_source=True)
    folder = _unpacked(archive, "/test/")
    scripts = []
    for path in sorted(folder.glob("*/test/*.test")):
        text = read_text(path)
        if text is not None:
            scripts.append(Script(corpus="SQLite's tests", name=path.stem, steps=lambda _, text=text: tcl_steps(text)))
    return _corpus("SQLite's tests", Engine.SQLITE, archive, scripts)


def postgres_corpus() -> Corpus:
    """PostgreSQL's regression tests, in the order of its schedule, in one database."""
    archive = _debian("postgresql-15", "postgresql-15_*.orig.tar.bz2", is_source=True)
    folder = next(_unpacked(archive, "/src/test/regress/").glob("*/src/test/regress"))
    known = {"PG_ABS_SRCDIR": str(folder), "PG_LIBDIR": "/nowhere", "PG_DLSUFFIX": ".so", "AUTOCOMMIT": "on"}
    known |= {"DBNAME": "regression", "USER": "postgres", "HOST": "localhost"}
    scripts = []
    for line in (folder / "parallel_schedule").read_text().splitlines():
        names = line.removeprefix("test:").split() if line.startswith("test:") else []
        for name in names:
            text = read_text(folder / "sql" / f"{name}.sql")
            if text is not None:
                steps = lambda variables, text=text: psql_steps(text, variables)  # noqa: E731
                corpus = "PostgreSQL's regression tests"
                is_fresh = name == "test_setup"
                scripts.append(Script(corpus=corpus, name=name, steps=steps, variables=dict(known), is_fresh=is_fresh))
    return _corpus("PostgreSQL's regression tests", Engine.POSTGRESQL, archive, scripts)


def mariadb_corpus() -> Corpus:
    """MariaDB's main test suite."""
    archive = _debian("mariadb-test-data", "mariadb-test-data_*.deb", is_source=False)
    folder = _unpacked(archive, "") / "usr/share/mysql/mysql-test"
    scripts = []
    for path in sorted([*folder.glob("main/*.test"), *folder.glob("suite/json/t/*.test")]):
        text = read_text(path)
        if text is not None:
            steps = lambda _, text=text: mysqltest_steps(text, folder)  # noqa: E731
            scripts.append(Script(corpus="MariaDB's tests", name=path.stem, steps=steps))
    return _corpus("MariaDB's tests", Engine.MARIADB, archive, scripts)


def duckdb_corpora() -> list[Corpus]:
    """DuckDB's tests: no package carries them, so they are there only if somebody laid a checkout into the cache."""
    folder = CACHE / "duckdb-v1.5.5"
    paths = sorted(folder.glob("test/sql/**/*.test"))
    if not paths:
        return []
    digest = hashlib.sha256()
    scripts = []
    for path in paths:
        digest.update(path.read_bytes())
        text = read_text(path)
        if text is not None:
            steps = lambda _, text=text: sqllogic_steps(text)  # noqa: E731 - bound to its text
            scripts.append(Script(corpus="DuckDB's tests", name=path.stem, steps=steps))
    package = "test/sql of duckdb v1.5.5, all files in order"
    return [
        Corpus(name="DuckDB's tests", engine=Engine.DUCKDB, package=package, sha256=digest.hexdigest(), scripts=scripts)
    ]


def tpc_corpora(engine: Engine) -> list[Corpus]:
    """TPC-H and TPC-DS, as DuckDB's extensions make them."""
    found = []
    for title, (path, script) in tpc_scripts(CACHE).items():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        package = f"{PACKAGES[1 if title == 'TPC-H' else 2]}, scale {SCALE}"
        found.append(Corpus(name=title, engine=engine, package=package, sha256=digest, scripts=[script]))
    return found


def _corpus(name: str, engine: Engine, archive: Path, scripts: list[Script]) -> Corpus:
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    return Corpus(name=name, engine=engine, package=archive.name.replace("%3a", ":"), sha256=digest, scripts=scripts)


def _debian(package: str, pattern: str, *, is_source: bool) -> Path:
    """A package's file in the cache, fetched with apt under a list of sources of its own."""
    folder = CACHE / "debian"
    found = sorted(folder.glob(pattern))
    if found:
        return found[-1]
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
    release = _release()
    key = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    lines = [f"{kind} {key} {_MIRROR}{rest}" for kind in ("deb", "deb-src") for rest in _suites(release)]
    (folder / "sources.list").write_text("\n".join(lines) + "\n")
    options = {
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    subprocess.run([*apt, "update"], check=True, cwd=folder)
    act = ["source", "--download-only", "--tar-only"] if is_source else ["download"]
    # The lists may be ahead of what the mirror has: then the release's own version is taken.
    if subprocess.run([*apt, *act, package], check=False, cwd=folder).returncode:
        subprocess.run([*apt, *act, f"{package}/{release}"], check=True, cwd=folder)
    return max(folder.glob(pattern))


def _release() -> str:
    text = Path("/etc/os-release").read_text()
    return next(line.split("=")[1] for line in text.splitlines() if line.startswith("VERSION_CODENAME"))


def _suites(release: str) -> Iterator[str]:
    yield f" {release} main"
    yield f"-security {release}-security main"


def _unpacked(archive: Path, part: str) -> Path:
    """The archive's files below `part`, unpacked once per hash."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:16]
    folder = CACHE / "unpacked" / digest
    if folder.exists():
        return folder
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if archive.suffix == ".deb":
        subprocess.run(["/usr/bin/dpkg", "-x", archive, partial], check=True)
    else:
        subprocess.run(
            ["/usr/bin/tar", "-xf", archive, "-C", partial, "--no-same-owner", "--wildcards", f"*{part}*"], check=True
        )
    partial.rename(folder)
    return folder

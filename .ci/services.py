"""Which servers and browser do the tests need?  Runs a command with PostgreSQL, MariaDB and Chromium at hand.

What runs on the usual port and lets us in is used as it is. Otherwise a private server is started in a temporary folder
on a free port, and ended with the command; root on Debian installs missing programs first. What cannot be had is named
in one line, and in `GBTEST_…_SKIP`, which the fixtures read. Nobody else's server is touched.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pymysql

LOOPBACK = "127.0.0.1"
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM_ON_MACOS = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
POLICY = Path("/usr/sbin/policy-rc.d")


class MissingError(Exception):
    """A server or browser cannot be had on this machine; the text says why."""


def main() -> int:
    """Start what is missing, run the command, stop what was started."""
    private = "GBTEST_PRIVATE" in os.environ  # start own servers even if others run
    with contextlib.ExitStack() as stack:
        provide("POSTGRES_URL", lambda: (None if private else running_postgres()) or own_postgres(stack))
        provide("MARIADB_URL", lambda: (None if private else running_mariadb()) or own_mariadb(stack))
        provide("CHROMIUM", chromium)
        command = subprocess.Popen(sys.argv[1:])
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: command.send_signal(number))
        while True:
            try:
                return command.wait()
            except KeyboardInterrupt:  # the terminal has told the command as well: let it finish
                continue


def provide(name: str, find: Callable[[], str]) -> None:
    """Set the variable by which tests find one service, or the one that says why there is none."""
    if os.environ.get(f"GBTEST_{name}"):
        return
    try:
        os.environ[f"GBTEST_{name}"] = find()
    except (MissingError, OSError, subprocess.SubprocessError) as exc:
        os.environ[f"GBTEST_{name}_SKIP"] = str(exc)
        print(f"test: skipping what needs {name.removesuffix('_URL').title()}: {exc}", file=sys.stderr)


# ── programs ──


def install(*packages: str) -> None:
    """Install Debian packages, if we may; their services are not started."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        msg = f"{packages[0]} is not installed"
        raise MissingError(msg)
    print(f"test: installing {' '.join(packages)} with apt-get", file=sys.stderr)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with services_kept_down():
        for step in (("update",), ("install", "-y", "--no-install-recommends", *packages)):
            done = subprocess.run(
                ["apt-get", "-qq", *step],
                env=environment,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
            )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["apt-get failed"])[-1]
        msg = f"{packages[0]} cannot be installed: {last}"
        raise MissingError(msg)


@contextlib.contextmanager
def services_kept_down() -> Iterator[None]:
    """Debian's own way to install a server without starting it."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink()


def program(name: str, *packages: str, folders: tuple[str, ...] = ()) -> str:
    """Path of a program, which is looked for in PATH and in folders, and installed if need be."""
    for attempt in range(2):
        found = shutil.which(name) or next(
            (str(path / name) for pattern in folders for path in newest_first(pattern) if (path / name).exists()), None
        )
        if found:
            return found
        if attempt == 0:
            install(*packages)
    msg = f"{name} was not found after installing {packages[0]}"
    raise MissingError(msg)


def newest_first(pattern: str) -> list[Path]:
    """Folders that match a pattern below the root."""
    return sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)


def chromium() -> str:
    """Path of a Chromium."""
    for name in CHROMIUM_NAMES:
        if found := shutil.which(name):
            return found
    if CHROMIUM_ON_MACOS.exists():
        return str(CHROMIUM_ON_MACOS)
    return program("chromium", "chromium")


# ── servers ──


def running_postgres() -> str | None:
    """The server on the usual port, if it lets us make databases."""
    for user in dict.fromkeys((pwd.getpwuid(os.geteuid()).pw_name, "postgres")):
        url = f"postgresql://{user}@{LOOPBACK}:5432/postgres"
        with contextlib.suppress(psycopg.Error), psycopg.connect(url, connect_timeout=3) as connection:
            row = connection.execute("select rolcreatedb or rolsuper from pg_roles where rolname = current_user")
            if row.fetchone() == (True,):
                return url
    return None


def running_mariadb() -> str | None:
    """The server on the usual port, if it is a MariaDB that takes root without a password."""
    with contextlib.suppress(pymysql.Error):
        connection = pymysql.connect(host=LOOPBACK, port=3306, user="root", connect_timeout=3)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute("select version()")
            is_mariadb = "MariaDB" in str(cursor.fetchone())
        if is_mariadb:
            return f"mysql+pymysql://root@{LOOPBACK}:3306/"
    return None


def own_postgres(stack: contextlib.ExitStack) -> str:
    """Start a PostgreSQL that lives as long as the command."""
    folders = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin")
    initdb = program("initdb", "postgresql", folders=folders)
    account = "postgres" if os.geteuid() == 0 else None
    folder, port = folder_of(stack, account), free_port()
    data = folder / "data"
    run_as(account, initdb, "--pgdata", data, "--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-sync")
    # Speed, not durability: the data is gone with the tests.
    flags = {"fsync": "off", "listen_addresses": LOOPBACK, "port": port, "unix_socket_directories": folder}
    arguments = [part for name, value in flags.items() for part in ("-c", f"{name}={value}")]
    serve(stack, account, "INT", folder / "log", Path(initdb).with_name("postgres"), "-D", data, *arguments)
    url = f"postgresql://postgres@{LOOPBACK}:{port}/postgres"

    def is_ready() -> bool:
        with contextlib.suppress(psycopg.Error), psycopg.connect(url, connect_timeout=1):
            return True
        return False

    wait_for(is_ready, "PostgreSQL", folder / "log")
    return url


def own_mariadb(stack: contextlib.ExitStack) -> str:
    """Start a MariaDB that lives as long as the command."""
    folders = ("/usr/sbin", "/usr/libexec", "/opt/homebrew/bin")
    server = program("mariadbd", "mariadb-server", folders=folders)
    account = "mysql" if os.geteuid() == 0 else None
    folder, port = folder_of(stack, account), free_port()
    run_as(
        account,
        program("mariadb-install-db", "mariadb-server"),
        "--no-defaults",
        f"--datadir={folder / 'data'}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    )
    # A folder of its own for temporary tables: another server that starts removes what it finds in a shared one.
    places = {"datadir": folder / "data", "tmpdir": folder, "socket": folder / "socket"}
    flags = {**places, "port": port, "bind-address": LOOPBACK}
    arguments = [f"--{name}={value}" for name, value in flags.items()]
    arguments += ["--character-set-server=utf8mb4", "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"]
    serve(stack, account, "TERM", folder / "log", server, "--no-defaults", *arguments)

    def is_ready() -> bool:
        with contextlib.suppress(pymysql.Error):
            pymysql.connect(host=LOOPBACK, port=port, user="root", connect_timeout=1).close()
            return True
        return False

    wait_for(is_ready, "MariaDB", folder / "log")
    return f"mysql+pymysql://root@{LOOPBACK}:{port}/"


def folder_of(stack: contextlib.ExitStack, account: str | None) -> Path:
    """A temporary folder that belongs to the server's account."""
    folder = Path(tempfile.mkdtemp(prefix="gbtest-", dir="/tmp"))  # short, for a socket's path
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    if account:
        shutil.chown(folder, account, pwd.getpwnam(account).pw_gid)
    return folder


def free_port() -> int:
    """A port that nobody holds now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def run_as(account: str | None, *command: str | Path) -> None:
    """Run a program to its end under an account."""
    group = pwd.getpwnam(account).pw_gid if account else None
    extra: list[str] | None = [] if account else None
    done = subprocess.run(
        command, user=account, group=group, extra_groups=extra, cwd="/", capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["no word why"])[-1]
        msg = f"{Path(command[0]).name} failed: {last}"
        raise MissingError(msg)


def serve(stack: contextlib.ExitStack, account: str | None, end: str, log: Path, *command: str | Path) -> None:
    """Start a server under an account; it ends with us, whatever our end."""
    prefix: list[str] = []
    if shutil.which("setpriv"):
        prefix = ["setpriv", f"--pdeathsig={end}"]
        if account:
            prefix += [f"--reuid={account}", f"--regid={pwd.getpwnam(account).pw_gid}", "--clear-groups"]
    elif account:
        msg = "setpriv is missing, which starts a server under its own account"
        raise MissingError(msg)
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for the tests, which still need the server while they clean up.
        server = subprocess.Popen(
            [*prefix, *map(str, command)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def stop() -> None:
        server.send_signal(getattr(signal, f"SIG{end}"))
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()

    stack.callback(stop)


def wait_for(is_ready: Callable[[], bool], name: str, log: Path) -> None:
    """Wait until a server answers."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        if is_ready():
            return
        time.sleep(0.2)
    last = (log.read_text(errors="replace").strip().splitlines() or ["no word why"])[-1]
    msg = f"{name} did not start: {last}"
    raise MissingError(msg)


if __name__ == "__main__":
    sys.exit(main())

"""The same gateway runs alone: with tokens from the command line, for any Python, for policy tests and for auditors.

The how-to pages are run as they are written: their shell and Python blocks as one script, and each line of a `text`
block must appear in what came out.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from tests.stories.alone import Alone
from tests.stories.gateway import _GATEBOOK, APP, _free_port

import gatebook

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = Path(__file__).resolve().parents[2] / "docs"
BLOCK = re.compile(r"(?ms)^```(bash|python|text)\n(.*?)^```$")


@pytest.fixture(scope="module")
def gateway(chinook_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    copy = tmp_path_factory.mktemp("auditor") / "checkpoint"
    kept = {"GATEBOOK_CHECKPOINT_COPY": str(copy)}
    with Alone(tmp_path_factory.mktemp("gateway"), chinook_template, environment=kept) as running:
        yield running


@pytest.fixture
def connection(gateway: Alone) -> Iterator[gatebook.Connection]:
    """The analyst, in plain Python, with an address and a token."""
    with gatebook.connect("chinook", url=gateway.url, token=gateway.token()) as opened:
        yield opened


# ── plain Python ──


def test_a_read_is_a_frame_masked_and_scoped(connection: gatebook.Connection) -> None:
    frame = connection.query("select country, email, phone from customer order by customerid")
    assert isinstance(frame, pd.DataFrame)
    assert set(frame["country"]) == {"Germany", "Austria"}
    assert frame["email"].str.contains("***", regex=False).all()
    assert frame["phone"].str.startswith("***").all()
    outcome = frame.attrs["gatebook"]
    assert outcome["rows"] == len(frame)
    assert {mask["column"] for mask in outcome["masks"]} == {"customer.email", "customer.phone"}
    assert outcome["row_filters"] == [{"table": "customer", "rule": "analysts-customers-dach"}]


def test_what_is_there_and_what_would_be_decided_is_asked_like_a_read(connection: gatebook.Connection) -> None:
    tables = connection.arrow("show tables").to_pylist()
    assert "customer" in {row["table"] for row in tables}
    columns = {row["column"]: row for row in connection.arrow("describe customer").to_pylist()}
    assert columns["email"]["shown"] == "masked: email"
    steps = connection.arrow("explain select email from customer").to_pylist()
    assert {"mask", "rows", "rules", "limit"} <= {row["step"] for row in steps}
    with pytest.raises(gatebook.errors.AccessRefused) as refused:
        connection.query("explain select birthdate from employee")
    assert refused.value.rule == "birthdate-people-only"


def test_a_purpose_opens_what_a_grant_ties_to_it(gateway: Alone) -> None:
    with gatebook.connect("chinook", url=gateway.url, token=gateway.token("pia", "privacy")) as privacy:
        with pytest.raises(gatebook.errors.AccessRefused) as refused:
            privacy.query("select email from customer where customerid = 2")
        assert "access_request" in str(refused.value)
        frame = privacy.query(
            "select email from customer where customerid = 2", purpose="access_request", reason="a letter"
        )
    assert isinstance(frame, pd.DataFrame)
    assert frame["email"].tolist() == ["leonekohler@surfeu.de"]


def test_a_refusal_names_the_rule_and_what_to_ask_for(connection: gatebook.Connection) -> None:
    with pytest.raises(gatebook.errors.AccessRefused) as refused:
        connection.query("select birthdate from employee")
    assert refused.value.rule == "birthdate-people-only"
    assert "people" in (refused.value.ask or "")
    assert refused.value.reference


def test_a_write_is_a_change_request_that_waits(connection: gatebook.Connection, gateway: Alone) -> None:
    change = connection.query("update invoice set billingcity = 'Bonn' where invoiceid = 1", reason="moved")
    assert isinstance(change, gatebook.Change)
    assert change.state == "awaiting_review"
    assert gateway.rows("select billingcity from invoice where invoiceid = 1") == [("Stuttgart",)]
    assert change.withdraw().state == "withdrawn"


def test_the_connection_knows_nothing_without_its_token(gateway: Alone) -> None:
    with pytest.raises(gatebook.errors.NotAuthenticated):
        gatebook.connect("chinook", url=gateway.url, token="gbt_wrong").query("select 1 from genre")


# ── commands ──


def test_a_token_is_issued_by_command_and_shown_once(gateway: Alone) -> None:
    done = gateway.run("token", "issue", "--user", "kim", "--groups", "analysts, reviewers", "--ttl", "30m")
    assert done.returncode == 0
    secret = done.stdout.strip()
    assert re.fullmatch(r"gbt_[\w-]{43}", secret)
    with gateway.client(secret) as client:
        me = client.get("/api/v1/me").json()
    assert (me["name"], me["kind"], me["groups"]) == ("kim", "user", ["analysts", "reviewers"])
    (issued,) = [event for event in gateway.events(kind="token.issued") if event["extra"]["for"] == "user:kim"]
    assert issued["channel"] == "operator"
    assert secret not in str(issued)


@pytest.mark.parametrize("arguments", [[], ["--user", "a", "--service", "b"]])
def test_a_token_is_somebodys(arguments: list[str], gateway: Alone) -> None:
    done = gateway.run("token", "issue", *arguments)
    assert done.returncode == 2
    assert "either --user or --service" in done.stderr
    assert done.stdout == ""


def test_policy_is_checked_and_tested_beside_the_running_gateway(gateway: Alone) -> None:
    assert ": 0 errors" in gateway.command("policy", "check")
    told = gateway.command("policy", "test").splitlines()
    assert re.fullmatch(r"\d+ passed, 0 failed", told[-1])
    assert "ok  birth dates are refused" in told
    assert json.loads(gateway.command("policy", "schema"))["$defs"].keys() == {
        "sources", "actions", "connections", "entities", "jobs", "tests", "rules", "notifications",
    }  # fmt: skip


def test_the_state_is_for_its_owner_alone(gateway: Alone) -> None:
    for path in (gateway.state, *gateway.state.rglob("*")):
        if "databases" in path.parts:
            continue  # made by this test
        assert path.stat().st_mode & 0o077 == 0, path


def test_no_command_shows_a_traceback(gateway: Alone, tmp_path: Path) -> None:
    for command in (
        ["audit", "verify", "--state", tmp_path],
        ["audit", "checkpoint", "--state", tmp_path],
        ["audit", "verify", "--export", tmp_path, "--key", gateway.state / "keys" / "book.pub"],
        ["source", "prepare", "nothing"],
        ["token", "revoke", "nothing"],
        ["policy", "check", "--policies", tmp_path],
    ):
        done = gateway.run(*command)
        assert done.returncode == 1, command
        assert "Error: " in done.stderr, command
        assert "Traceback" not in done.stderr, command


# ── the book ──


def test_the_book_verifies_online_and_offline(gateway: Alone, tmp_path: Path) -> None:
    """Offline with the public key alone, against a checkpoint that the gateway put elsewhere while it ran."""
    gateway.ask("select name from genre")
    kept = Path(gateway._environment["GATEBOOK_CHECKPOINT_COPY"])
    early = tmp_path / "early"
    early.write_text(kept.read_text())
    gateway.ask("select name from artist")
    assert gateway.command("audit", "verify", "--checkpoint", str(early)).startswith("verified: ")
    folder, key = tmp_path / "export", tmp_path / "book.pub"
    shutil.copy2(gateway.state / "keys" / "book.pub", key)
    gateway.command("audit", "export", str(folder))
    offline = ["audit", "verify", "--state", tmp_path / "nothing", "--export", folder, "--key", key]
    done = gateway.run(*offline, "--checkpoint", early)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("verified: ")


@pytest.mark.parametrize("what", ["entries", "0", "checkpoint"])
def test_one_byte_in_an_export_shows(what: str, gateway: Alone, tmp_path: Path) -> None:
    folder = tmp_path / "export"
    gateway.command("audit", "export", str(folder))
    if what == "checkpoint":
        path = folder / what
        path.write_text(re.sub(r"(?m)^(\d+)$", lambda size: str(int(size[0]) - 1), path.read_text(), count=1))
    else:
        path = next(path for path in sorted((folder / "tile" / what).rglob("*")) if path.is_file())
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    done = gateway.run("audit", "verify", "--export", folder, "--key", gateway.state / "keys" / "book.pub")
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr


def test_a_tail_that_was_cut_off_shows(gateway: Alone, tmp_path: Path) -> None:
    """Only against a checkpoint kept elsewhere: the shorter book is whole in itself."""
    gateway.command("audit", "export", str(tmp_path / "short"))
    gateway.ask("select name from genre")
    kept = tmp_path / "kept"
    kept.write_text(gateway.command("audit", "checkpoint") + "\n")
    offline = ["audit", "verify", "--export", tmp_path / "short", "--key", gateway.state / "keys" / "book.pub"]
    assert gateway.run(*offline).returncode == 0
    done = gateway.run(*offline, "--checkpoint", kept)
    assert done.returncode == 1
    assert "NOT VERIFIED" in done.stdout


# ── the pages ──


def script_of(page: Path) -> tuple[str, list[str]]:
    """The page's blocks as one script, and the lines that must come out of it."""
    lines, expected = ["set -euo pipefail"], []
    for language, text in BLOCK.findall(page.read_text()):
        if language == "bash":
            lines.append(text)
        elif language == "python":
            lines.append(f"python - <<'END_OF_PYTHON'\n{text}END_OF_PYTHON")
        else:
            expected += text.splitlines()
    return "\n".join(lines), expected


def run_page(name: str, folder: Path, port: int, environment: dict[str, str]) -> None:
    """Run a page in a folder with the programs that it names; every process that it left behind is ended."""
    programs = folder / "programs"
    programs.mkdir()
    for program, line in {"gatebook": [*_GATEBOOK], "python": [sys.executable]}.items():
        path = programs / program
        path.write_text(f'#!/bin/sh\nexec {" ".join(line)} "$@"\n')
        path.chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GATEBOOK_", "JUPYTER"))}
    path_of = f"{programs}{os.pathsep}{os.environ['PATH']}"
    script, expected = script_of(DOCS / "how-to" / name)
    with subprocess.Popen(
        ["bash", "-c", script.replace("8001", str(port))],
        cwd=folder,
        env=kept | {"PATH": path_of, "GATEBOOK_GATEWAY_PORT": str(port)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            told, _ = process.communicate(timeout=200)
        finally:
            if process.returncode != 0:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
    assert process.returncode == 0, told
    assert [line for line in expected if line.replace("8001", str(port)) not in told] == [], told


@pytest.mark.slow
def test_the_page_on_serving_without_a_hub_works_as_written(tmp_path: Path, chinook_archive: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("no curl, which the page uses to wait")
    shutil.copytree(APP / "policies", tmp_path / "policies")
    cache = {"GATEBOOK_CACHE": str(chinook_archive.parent)}
    run_page("serve-without-a-hub.md", tmp_path, _free_port(), cache)


@pytest.mark.slow
def test_the_page_on_verifying_the_book_works_as_written(tmp_path: Path, gateway: Alone) -> None:
    gateway.ask("select name from genre")
    run_page("verify-the-book.md", tmp_path, gateway.port, {"GATEBOOK_STATE": str(gateway.state)})


@pytest.mark.slow
def test_the_page_on_changing_the_policy_works_as_written(tmp_path: Path, chinook_template: Path) -> None:
    """In a repository of its own, whose folder a gateway has in force."""
    folder = tmp_path / "repository"
    shutil.copytree(APP / "policies", folder / "policies")
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    for words in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "rules")):
        subprocess.run(["git", *words], cwd=folder, check=True)
    (tmp_path / "gateway").mkdir()
    with Alone(tmp_path / "gateway", chinook_template, policies=folder / "policies") as running:
        run_page("change-the-policy.md", folder, running.port, {"GATEBOOK_STATE": str(running.state)})


def test_the_pages_say_what_comes_out() -> None:
    """Guards the tests above: a page without expected lines would pass by running."""
    for name in ("serve-without-a-hub.md", "verify-the-book.md"):
        script, expected = script_of(DOCS / "how-to" / name)
        assert "gatebook audit verify" in script
        assert expected
    script, expected = script_of(DOCS / "how-to" / "change-the-policy.md")
    commands = ("check", "test", "explain", "diff", "who-can", "reload")
    assert [word for word in commands if f"gatebook policy {word}" not in script] == []
    assert expected

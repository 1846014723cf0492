"""The shipped policy set is valid on the live demo schema, and says what its own tests expect."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def gatebook(*words: str, state: Path, policies: Path = ROOT / "policies") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gatebook_hub.cli", *words, "--state", str(state), "--policies", str(policies)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_shipped_policies_have_no_errors(state: Path) -> None:
    done = gatebook("policy", "check", state=state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 errors" in done.stdout


def test_the_shipped_policies_pass_their_own_tests(state: Path) -> None:
    done = gatebook("policy", "test", state=state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed" in done.stdout


def test_a_rule_that_is_loosened_fails_its_test(state: Path, tmp_path: Path) -> None:
    copy = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", copy)
    protections = copy / "protections.yaml"
    protections.write_text(protections.read_text().replace("mask: email\n", "mask: year\n"))
    done = gatebook("policy", "test", state=state, policies=copy)
    assert done.returncode == 1
    assert "FAILED  analysts see masked contacts of their region" in done.stdout


def test_a_rule_for_a_table_that_is_not_there_is_an_error(state: Path, tmp_path: Path) -> None:
    copy = tmp_path / "policies"
    shutil.copytree(ROOT / "policies", copy)
    grants = copy / "grants.yaml"
    grants.write_text(grants.read_text().replace("on: chinook.employee", "on: chinook.employees"))
    done = gatebook("policy", "check", state=state, policies=copy)
    assert done.returncode == 1
    assert re.search(r"grants.yaml:\d+: policy.E010 there is no table `chinook.employees`", done.stdout)

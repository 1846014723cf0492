"""How is a tool's notebook tried before it is published? Once, as a run is: a process and a kernel of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatebook_hub.worker.orders import Order, Report, failure
from gatebook_server.environment import is_kernel_variable

TIMEOUT_S = 120.0
_SLACK_S = 30.0
_RUN = ("-I", "-m", "gatebook_hub.worker.running")


def try_notebook(
    name: str,
    content: str,
    parameters: Mapping[str, Any],
    *,
    run_id: str,
    token: str,
    gateway_url: str,
    account: str | None,
    timeout_s: float = TIMEOUT_S,
) -> Report:
    """Run the notebook once against the gateway; never raises for what the notebook does.

    Its process, and with it its kernel, runs under the Linux `account`; None: under that of the caller.
    """
    with _folder(name, content, account) as folder:
        order = Order(
            run_id=run_id,
            job=name,
            notebook=f"jobs/{name}.ipynb",
            parameters=parameters,
            timeout_s=timeout_s,
            notebooks=folder,
            gateway_url=gateway_url,
            launcher=None,
            token=token,
        )
        become = ("-I", "-m", "gatebook_server.process", account, sys.executable) if account else ()
        command = [sys.executable, *become, *_RUN]
        try:
            done = subprocess.run(  # noqa: S603 - words of ours
                command,
                input=order.to_json().encode() + b"\n",
                stdout=subprocess.PIPE,
                cwd=folder,
                env=_environment(folder if account else None),
                timeout=timeout_s + _SLACK_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Report(failure=failure("Timeout", f"it took longer than {timeout_s:g} seconds"))
    return _report(done.stdout, done.returncode)


def _environment(home: Path | None) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if is_kernel_variable(key)}
    return kept | ({"HOME": str(home)} if home is not None else {})


@contextmanager
def _folder(name: str, content: str, account: str | None) -> Iterator[Path]:
    """A folder with the notebook alone, which is gone afterwards; the account's own where there is one."""
    folder = Path(tempfile.mkdtemp(prefix="gatebook-check-"))
    try:
        (folder / "jobs").mkdir()
        (folder / "jobs" / f"{name}.ipynb").write_text(content, encoding="utf-8")
        if account:
            for path in (folder, folder / "jobs", folder / "jobs" / f"{name}.ipynb"):
                shutil.chown(path, account, account)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _report(printed: bytes, status: int) -> Report:
    for line in reversed(printed.splitlines()):
        found = json.loads(line)
        if "report" in found:
            return Report.from_object(found["report"])
    return Report(failure=failure("CheckFailed", f"the process of the check ended with status {status}"))

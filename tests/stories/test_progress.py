"""An analyst watches a long read arrive, breaks it off, and goes on working: a real kernel on a real gateway."""

from __future__ import annotations

import re
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest
from jupyter_client.manager import start_new_kernel
from tests.stories.alone import Alone
from tests.stories.gateway import APP

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = "select a.trackid from track a, track b, track c"  # 43 thousand million rows
WIDE = {"GATEBOOK_LIMIT_ROWS": "100000000000", "GATEBOOK_LIMIT_BYTES": "1000000000000"}


@pytest.fixture(scope="module")
def gateway(chinook_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    """A gateway whose source has no limit of rows."""
    folder = tmp_path_factory.mktemp("progress")
    shutil.copytree(APP / "policies", folder / "policies")
    source = folder / "policies" / "sources" / "chinook.yaml"
    source.write_text(source.read_text().replace("rows: 100000, ", ""))
    with Alone(folder, chinook_template, policies=folder / "policies", environment=WIDE) as running:
        yield running


@pytest.fixture
def kernel(gateway: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The manager and the client of a kernel that has the analyst's token."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("GATEBOOK_URL", gateway.url)
    monkeypatch.setenv("GATEBOOK_TOKEN", gateway.token())
    manager, client = start_new_kernel(kernel_name="python3")
    client.execute("%load_ext gatebook\nimport pandas, pyarrow", reply=True, timeout=60)
    yield manager, client
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


def test_a_read_that_is_broken_off_is_cancelled_and_leaves_nothing(gateway: Alone, kernel: Any) -> None:
    """The line grows while rows arrive; the interrupt ends the statement, keeps nothing, and the next cell works."""
    manager, client = kernel
    said: list[str] = []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] in {"display_data", "update_display_data"}:
            said.append(message["content"]["data"]["text/plain"])
            if len(said) == 4:
                manager.interrupt_kernel()

    cell = f"%%sql chinook --progress --into found\n{LONG}"
    reply = client.execute_interactive(cell, output_hook=hear, timeout=60)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    assert said[0] == "waiting for the first rows"
    counts = [int(re.split(r" rows?", text)[0].replace(",", "")) for text in said[1:4]]
    assert counts == sorted(set(counts))
    assert re.fullmatch(r"interrupted after [\d,]+ rows · \d+\.\d s; nothing of it is kept", said[-1])
    deadline = time.monotonic() + 20
    while (last := gateway.events(kind="query.outcome")[-1:]) == [] and time.monotonic() < deadline:
        time.sleep(0.2)
    assert (last[0]["outcome"], last[0]["detail"]) == ("failed", "the caller went away")

    texts: list[str] = []
    after = "%%sql chinook --into kept --as rows\nselect name from genre"
    client.execute_interactive(after, output_hook=lambda _: None, timeout=60)
    client.execute_interactive(
        "print('found' in globals(), '_sql' in globals(), len(kept))",
        output_hook=lambda message: texts.append(message["content"].get("text", "")),
        timeout=60,
    )
    assert "False False 25" in "".join(texts)

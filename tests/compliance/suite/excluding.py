"""Which tests of the suite are not asked of the gate, and why not?  Each is skipped with its reason."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from exclusions import EXCLUSIONS

OWN_FAILURES = Path(__file__).with_name("own_failures.txt")
_CONFIGURED = re.compile(r"_(?:sqlite|postgresql|mariadb|duckdb)\+[a-z0-9_]+(?=::)")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip them; the engine's own dialect is asked everything."""
    urls = config.getoption("dburi")
    if not urls or "+gatebook" not in urls[0]:
        return
    engine = urls[0].partition("+")[0]
    own = {line.partition(" ")[2] for line in OWN_FAILURES.read_text().splitlines() if line.startswith(f"{engine} ")}
    for item in items:
        name = _CONFIGURED.sub("", item.nodeid.partition("::")[2])
        if name in own:
            item.add_marker(pytest.mark.skip(reason="it fails with the engine's own dialect as well"))
            continue
        for pattern, engines, reason in EXCLUSIONS:
            if engine in engines and _matches(name, pattern):
                item.add_marker(pytest.mark.skip(reason=reason))
                break


def _matches(name: str, pattern: str) -> bool:
    """With `*` as the only sign that stands for others: names of tests have brackets."""
    return fnmatchcase(name, pattern.replace("[", "[[]"))

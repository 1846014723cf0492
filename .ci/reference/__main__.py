"""Are the reference pages what the code says? `python .ci/reference` writes them anew; `--check` only compares."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import of_errors
import of_events
import of_http
import of_policy
import of_settings

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: Mapping[str, Callable[[], str]] = {
    "settings.md": of_settings.page,
    "errors.md": of_errors.page,
    "http.md": of_http.page,
    "policy.md": of_policy.page,
    "events.md": of_events.page,
}


def main() -> int:
    """Write every page, or with `--check` say which differ."""
    is_check = sys.argv[1:] == ["--check"]
    stale = []
    for name, make in PAGES.items():
        path, text = FOLDER / name, make()
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not is_check:
            path.write_text(text, encoding="utf-8")
    for name in stale:
        print(f"docs/reference/{name} {'is not what the code says; run `make docs`' if is_check else 'written'}")
    return 1 if stale and is_check else 0


if __name__ == "__main__":
    sys.exit(main())

"""What would have to be understood next? Every class of refusal by size, and every difference with its statement.

    .venv/bin/python benchmarks/findings.py FILE

Reads what `compatibility.py` left in the cache.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from corpora import CACHE

_LONG = 420
_WORST = ("silently different", "other order", "crashed", "failed", "other types", "not carried")
_EACH = {"silently different": 400, "other order": 60, "crashed": 40}


def main() -> None:
    """Write the list."""
    parts = []
    for path in sorted(CACHE.glob("results-*.json")):
        parts += _engine(path.stem.removeprefix("results-"), json.loads(path.read_text())["rows"])
    head = Path(sys.argv[2]).read_text().splitlines() if len(sys.argv) > 2 else []
    Path(sys.argv[1]).write_text("\n".join([*head, "", *parts]) + "\n")


def _engine(engine: str, rows: list[dict[str, Any]]) -> list[str]:
    total = len(rows)
    counts = Counter(row["outcome"] for row in rows)
    found = [f"# {engine}: {total} statements", ""]
    found += [f"* {outcome}: {count} ({100 * count / total:.2f} %)" for outcome, count in counts.most_common()]
    found += ["", f"## {engine}: refused, by size", "", "| statements | class | shortest example |", "|---|---|---|"]
    found += [f"| {size} | {reason} | {example} |" for size, reason, example in _classes(rows, "refused")]
    for outcome in _WORST:
        chosen = [row for row in rows if row["outcome"] == outcome]
        if chosen and outcome in _EACH:
            found += ["", f"## {engine}: {outcome} ({len(chosen)})", ""]
            for row in chosen[: _EACH[outcome]]:
                found += [f"* `{row['script']}` {row['reason']}", *_block(row["sql"], row["sent"], row["detail"])]
        elif chosen:
            found += ["", f"## {engine}: {outcome} ({len(chosen)}), by reason", ""]
            found += ["| statements | reason | shortest example |", "|---|---|---|"]
            found += [f"| {size} | {reason} | {example} |" for size, reason, example in _classes(rows, outcome)]
    chosen = sorted((row for row in rows if row["outcome"] == "other names"), key=lambda row: len(row["sql"]))
    if chosen:
        found += ["", f"## {engine}: other names ({len(chosen)}), the 40 shortest", ""]
        found += [f"* {_cell(row['sql'])}: {_cell(row['detail'])}" for row in chosen[:40]]
    return [*found, ""]


def _classes(rows: list[dict[str, Any]], outcome: str) -> list[tuple[int, str, str]]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["outcome"] == outcome:
            groups[row["reason"]].append(row)
    found = []
    for reason, group in sorted(groups.items(), key=lambda item: -len(item[1])):
        found.append((len(group), reason.replace("|", "¦"), _cell(min((row["sql"] for row in group), key=len))))
    return found


def _cell(text: str) -> str:
    text = " ".join(text.split()).replace("|", "¦")
    text = text if len(text) <= _LONG else text[:_LONG] + " …"
    return f"`` {text} ``"


def _block(sql: str, sent: str, detail: str) -> list[str]:
    cut = [part if len(part) < 700 else part[:700] + " …" for part in (sql, sent, detail)]
    return ["  ```", *(f"  {line}" for line in cut[0].splitlines()), f"  → {cut[1]}", f"  {cut[2]}", "  ```"]


if __name__ == "__main__":
    main()

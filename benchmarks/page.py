"""How are the results told? `docs/reference/compatibility.md`, made of what the last runs left in the cache."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from corpora import CACHE
from services import ROOT
from trying import Outcome

PAGE = ROOT / "docs" / "reference" / "compatibility.md"
_MOST_CLASSES = 40
_MOST_HOW = 12
_HEAD = """# Compatibility

Of the statements that others wrote for an engine, how many come through the gate, for somebody who may select
everything, exactly as the engine answers them alone: the same rows, the same types, the same column names?

The statements are the engines' own tests and the TPC suites. Counted is every different `SELECT`, `WITH`, `VALUES` or
`TABLE` that the engine alone answers within its time limit (5 s; TPC 60 s), with at most 50,000 rows, and twice in the
same way, on MariaDB the second time under the SQL mode that the gate pins; those that write, lock or store their answer
are no reads. The scripts' other statements set up the database directly. Temporary tables become ordinary ones, since
no gate sees another session's. Values are compared with their types (in PostgreSQL as its own text and type number);
rows in order where the statement has an `ORDER BY`, else as multisets.

* *other order*: the same rows in another order, although there is an `ORDER BY`; ties may explain it.
* *silently different*: other rows. The worst; `benchmarks/findings.py FILE` lists each with its statement.
* *refused*: the gate says no, with a code and a hint. *failed*: the database did not take what the gate sent.
* *not carried*: the same rows, but no Arrow type holds a column's mixed values, which is said as an error.
* *crashed*: an error without a code. A defect.

Repeat: `.venv/bin/python benchmarks/compatibility.py` (some minutes per engine; `--sample 60` is quicker,
`--engine sqlite` takes one). It fetches the packages into `~/.cache/gatebook-benchmarks` and writes this page.
"""
# What a class of refusal means, by the beginning of its name; the first that fits.
_WHY = (
    ("GB-206 relation: catalogue", "catalogues show what policy hides; the governed schema answers instead"),
    ("GB-206 relation: view", "a view is a relation of its own only when policy names it"),
    ("GB-206 relation: materialised view", "as for views"),
    ("GB-206 relation", "a relation outside of the governed namespace, or none at all"),
    ("GB-207 column: a name in double", "SQLite would silently take an unknown name for a text"),
    ("GB-207", "a column that the analysis does not find in the tables that one may see"),
    ("GB-205 the function", "not on the engine's list of functions; policy may add it"),
    ("GB-204 functions and expr", "table functions have a short list of their own"),
    ("GB-204 the type", "a type that is not on the list: its input may read catalogues, or nothing was tried with it"),
    ("GB-204", "a construct that is not on the list of those that are understood"),
    ("GB-203", "not one of the statement kinds that are taken"),
    ("GB-201", "the parser does not know it"),
    ("GB-208", "`:name` and `:1` are parameters here"),
    ("policy", "policy decides"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    meta: dict[str, Any]
    rows: list[dict[str, Any]]

    @property
    def counts(self) -> Counter[str]:
        return Counter(row["outcome"] for row in self.rows)

    def of(self, outcome: Outcome) -> list[dict[str, Any]]:
        return [row for row in self.rows if row["outcome"] == outcome]


def write() -> None:
    """Write the page from every result that is there."""
    found = []
    for path in sorted(CACHE.glob("results-*.json")):
        result = json.loads(path.read_text())
        found.append(_Measured(meta=result["meta"], rows=result["rows"]))
    found.sort(key=lambda one: (not one.meta["corpus"].startswith("TPC"), one.meta["engine"], one.meta["corpus"]))
    parts = [_HEAD, "## Results", "", *_table(found), "", "## Where the statements come from", "", *_sources(found)]
    parts += ["", "## What comes back otherwise"]
    for one in found:
        parts += _differences(one)
    parts += ["", "## What is refused", "", "A statement is counted under the first reason that the gate meets in it."]
    for one in found:
        parts += _refusals(one)
    PAGE.write_text("\n".join(parts).rstrip() + "\n")


def _table(found: list[_Measured]) -> list[str]:
    shown = [outcome for outcome in Outcome if outcome is not Outcome.SAME]
    lines = [
        f"| corpus | engine | statements | same | {' | '.join(shown)} |",
        "|---|---|---" + "|---" * (len(shown) + 1) + "|",
    ]
    for one in found:
        total = max(1, len(one.rows))
        same = f"**{100 * one.counts[Outcome.SAME] / total:.2f} %**"
        cells = [_share(one.counts[outcome], total) for outcome in shown]
        note = " (cut)" if one.meta["cut"] else ""
        lines.append(
            f"| {one.meta['corpus']}{note} | {one.meta['version']} | {total:,} | {same} | {' | '.join(cells)} |"
        )
    return lines


def _share(count: int, total: int) -> str:
    return f"{count} ({100 * count / total:.2f} %)" if count else "0"


def _sources(found: list[_Measured]) -> list[str]:
    lines = ["| corpus | engine | package | SHA-256 | run | gate |", "|---|---|---|---|---|---|"]
    for one in found:
        meta = one.meta
        cells = [
            meta["corpus"],
            meta["engine"],
            f"`{meta['package']}`",
            f"`{meta['sha256']}`",
            meta["run"],
            meta["gate"],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _differences(one: _Measured) -> list[str]:
    """Where statements came back otherwise: the scripts of the worst, the reasons of the others."""
    lines: list[str] = []
    for outcome in (Outcome.DIFFERENT, Outcome.ORDER, Outcome.CRASHED):
        scripts = Counter(row["script"] for row in one.of(outcome))
        if scripts:
            named = ", ".join(f"`{script}` {count}" for script, count in sorted(scripts.items()))
            lines += ["", f"### {one.meta['corpus']}: {outcome}, by script", "", named]
    for outcome in (Outcome.FAILED, Outcome.TYPES, Outcome.UNCARRIED):
        rows = one.of(outcome)
        if rows:
            lines += ["", f"### {one.meta['corpus']}: {outcome}", "", "| statements | how |", "|---|---|"]
            lines += [f"| {size} | {reason} |" for reason, size in _classes(rows)[:_MOST_HOW]]
    return lines


def _refusals(one: _Measured) -> list[str]:
    classes = _classes(one.of(Outcome.REFUSED))
    if not classes:
        return []
    lines = ["", f"### {one.meta['corpus']} ({one.meta['version']}): refused", ""]
    lines += ["| statements | share | class | why |", "|---|---|---|---|"]
    for reason, size in classes[:_MOST_CLASSES]:
        lines.append(f"| {size} | {100 * size / len(one.rows):.2f} % | {reason} | {_why(reason)} |")
    rest = sum(size for _, size in classes[_MOST_CLASSES:])
    if rest:
        share = f"{100 * rest / len(one.rows):.2f} %"
        lines.append(f"| {rest} | {share} | {len(classes) - _MOST_CLASSES} smaller classes | |")
    return lines


def _why(reason: str) -> str:
    return next((why for start, why in _WHY if reason.startswith(start)), "")


def _classes(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Reasons and their sizes, the largest first."""
    counts = Counter(row["reason"] for row in rows)
    return [(_cell(reason), size) for reason, size in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def _cell(reason: str) -> str:
    """A reason as a table's cell; the hint at its end is for the person who typed the statement."""
    return reason.split("; write", maxsplit=1)[0].replace("|", "¦").replace("<", "&lt;") or "—"

"""A reviewer sees every difference, and none that is not there."""

from typing import Any

import pytest

from gatebook_hub.portal.pages.cells import CellState
from gatebook_hub.portal.pages.diff import DiffCell, RowKind, row_diff_of


def changed(before: object, after: object) -> DiffCell:
    return row_diff_of(document(before, after)).rows[0].cells[0]


def document(before: object, after: object) -> dict[str, Any]:
    row = {"key": [1], "kind": "changed", "before": [1, before], "after": [1, after]}
    return {"key": ["id"], "columns": ["id", "value"], "rows": [row], "is_complete": True}


@pytest.mark.parametrize(
    "before,after",
    [
        (None, ""),
        ("", " "),
        (1, "1"),
        (True, "true"),
        ("a", "a "),
        ("1.0", {"$type": "decimal", "value": "1.0"}),
        ("x" * 400, "x" * 399 + "y"),
        ({"$type": "bytes", "value": "AAE="}, {"$type": "bytes", "value": "AAI="}),
        ([1, 2], [2, 1]),
    ],
)
def test_what_differs_shows_as_changed(before: object, after: object) -> None:
    assert changed(before, after).is_changed


@pytest.mark.parametrize("value", [None, "", 0, False, "x" * 400, [1], {"$type": "date", "value": "2026-01-01"}])
def test_what_is_the_same_does_not(value: object) -> None:
    assert not changed(value, value).is_changed


def test_values_that_read_alike_say_their_types() -> None:
    pair = changed(1, "1")
    assert pair.before is not None
    assert pair.after is not None
    assert (pair.before.says_type, pair.before.type_name, pair.after.type_name) == (True, "number", "text")
    void = changed(None, "")
    assert void.before is not None
    assert not void.before.says_type


def test_the_excerpt_of_a_long_text_holds_the_difference() -> None:
    pair = changed("x" * 5000 + "old" + "y" * 5000, "x" * 5000 + "new" + "y" * 5000)
    assert pair.before is not None
    assert pair.after is not None
    assert "old" in (pair.before.excerpt or "")
    assert "new" in (pair.after.excerpt or "")
    assert len(pair.after.excerpt or "") < 130


def test_an_appended_tail_is_in_the_excerpt() -> None:
    pair = changed("x" * 400, "x" * 400 + " and more")
    assert pair.after is not None
    assert (pair.after.excerpt or "").endswith("and more")


def test_masked_values_say_so_and_never_look_like_null() -> None:
    given = {
        "key": ["id"],
        "columns": ["id", "email"],
        "rows": [{"key": [1], "kind": "changed", "before": [1, "j***"], "after": [1, None]}],
        "is_complete": True,
    }
    made = row_diff_of(given, masked=["email"])
    pair = made.rows[0].cells[0]
    assert made.masked == ("email",)
    assert pair.before is not None
    assert pair.after is not None
    assert (pair.before.state, pair.after.state) == (CellState.MASKED, CellState.MASKED)


def test_a_changed_key_shows() -> None:
    given = {
        "key": ["id"],
        "columns": ["id"],
        "rows": [{"key": [8], "kind": "changed", "before": [8], "after": [9]}],
        "is_complete": True,
    }
    assert row_diff_of(given).rows[0].key[0].is_changed


def test_a_key_outside_the_columns_comes_first() -> None:
    given = {
        "key": ["id"],
        "columns": ["total"],
        "rows": [{"key": [8], "kind": "added", "before": None, "after": [2]}],
        "is_complete": False,
    }
    made = row_diff_of(given, total=90)
    assert made.rows[0].kind is RowKind.ADDED
    assert made.rows[0].key[0].after is not None
    assert made.rows[0].key[0].after.text == "8"
    assert (made.total, made.is_complete) == (90, False)


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "changed", "key": [1], "before": [1], "after": [1, 2]},
        {"kind": "replaced", "key": [1], "before": [1, 2], "after": [1, 2]},
        {"kind": "changed", "key": [], "before": [1, 2], "after": [1, 2]},
        {"kind": "changed", "key": [1], "after": [1, 2]},
        {"kind": "changed", "key": [1], "before": [1, {"$type": "bytes", "value": "?"}], "after": [1, 2]},
    ],
)
def test_half_a_row_is_refused(broken: dict[str, object]) -> None:
    given = {"key": ["id"], "columns": ["id", "value"], "rows": [broken], "is_complete": True}
    with pytest.raises((KeyError, ValueError)):
        row_diff_of(given)


def test_what_changes_comes_first_and_is_named() -> None:
    given = {
        "key": ["id"],
        "columns": ["id", "city", "note", "total"],
        "rows": [
            {"key": [1], "kind": "changed", "before": [1, "Bonn", None, 1], "after": [1, "Bonn", "", 1]},
            {"key": [2], "kind": "changed", "before": [2, "Ulm", "", 1], "after": [2, "Ulm", "", 2]},
            {"key": [3], "kind": "added", "before": None, "after": [3, "Köln", "", 2]},
        ],
        "is_complete": True,
    }
    made = row_diff_of(given)
    assert made.changed == ("note", "total")
    assert made.columns == ("note", "total", "city")
    assert [pair.is_changed for pair in made.rows[1].cells] == [False, True, False]
    after = made.rows[2].cells[2].after
    assert after is not None
    assert after.text == "Köln"


def test_the_document_itself_marks_cells_and_names_columns() -> None:
    masked, assigned = {"$type": "masked", "value": "•••"}, {"$type": "assigned", "value": "assigned at execution"}
    given = {
        "key": ["id"],
        "columns": ["id", "email", "fax"],
        "rows": [{"key": ["assigned"], "kind": "added", "before": None, "after": [assigned, masked, None]}],
        "is_complete": True,
        "masked": ["email", "fax"],
        "hidden": ["birthdate"],
    }
    made = row_diff_of(given)
    assert (made.masked, made.hidden) == (("email", "fax"), ("birthdate",))
    cells = [pair.after.state for pair in (*made.rows[0].key, *made.rows[0].cells) if pair.after is not None]
    assert cells == [CellState.ASSIGNED, CellState.MASKED, CellState.NULL]


def test_rows_that_go_along_are_counted_among_those_of_each_kind() -> None:
    rows = [
        {"key": [1], "kind": "removed", "before": [1], "after": None, "is_along": True},
        {"key": [2], "kind": "removed", "before": [2], "after": None},
        {"key": [3], "kind": "added", "before": None, "after": [3]},
    ]
    given = {"key": ["id"], "columns": ["id"], "rows": rows, "is_complete": True}
    made = row_diff_of(given)
    assert (made.along, made.is_along) == (1, False)
    assert made.counts == ((RowKind.ADDED, 1), (RowKind.REMOVED, 2))
    assert row_diff_of({**given, "rows": rows[:1]}).is_along
    assert not row_diff_of({**given, "rows": []}).is_along


def test_a_sample_counts_all_rows() -> None:
    given = {"key": ["id"], "columns": ["id"], "rows": [], "is_complete": False, "total": 7}
    made = row_diff_of({**given, "counts": {"added": 0, "changed": 7, "removed": 0}})
    assert made.counts == ((RowKind.CHANGED, 7),)

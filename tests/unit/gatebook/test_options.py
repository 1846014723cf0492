"""The first line of a cell is understood word for word, or refused with what it could be."""

from typing import Any

import pytest
from IPython.core.error import UsageError

from gatebook.options import Call, parse_call


@pytest.mark.parametrize(
    "line, meant",
    [
        ("chinook", {}),
        ("chinook select 1", {"rest": "select 1"}),
        ("chinook --dry-run --progress --explain", {"is_dry_run": True, "has_progress": True, "is_explained": True}),
        ("chinook --as polars --into found", {"kind": "polars", "into": "found"}),
        ("chinook --as=arrow --progress select 1", {"kind": "arrow", "has_progress": True, "rest": "select 1"}),
        ("chinook --dtypes arrow --limit 5", {"dtypes": "arrow", "limit_rows": 5}),
        ("chinook --as pandas --dtypes 'nullable'", {"dtypes": "nullable"}),
        (
            "chinook --dry-run update t set a = 1 --progress",
            {"is_dry_run": True, "rest": "update t set a = 1 --progress"},
        ),
    ],
)
def test_what_is_asked_for(line: str, meant: dict[str, Any]) -> None:
    assert parse_call(line) == Call(source="chinook", **meant)


@pytest.mark.parametrize(
    "line, words",
    [
        ("chinook --as spark", "`--as spark` is not known; it is `pandas`, `arrow`, `polars` or `rows`"),
        ("chinook --as Arrow", "`--as Arrow` is not known"),
        ("chinook --dtypes numpy", "`--dtypes numpy` is not known; it is `nullable` or `arrow`"),
        ("chinook --as arrow --dtypes arrow", "`--dtypes` is for pandas, and this is `--as arrow`"),
        ("chinook --as", "`--as` is not an option, or has no value"),
        ("chinook --dry-runs", "`--dry-runs` is not an option"),
        ("chinook --dryrun select 1", "`--dryrun` is not an option"),
        ("chinook --dry-run=no", "`--dry-run=no` is not an option"),
        ("chinook --progress=1", "`--progress=1` is not an option"),
    ],
)
def test_what_is_not_understood_is_refused(line: str, words: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_call(line)
    assert words in str(refused.value)

"""What counts as risky about a write, and how much?"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from gatebook_hub.changes.risk import Stakes, risks_of, score

HARMLESS = Stakes(rows=1)
STAKES = st.builds(
    Stakes,
    rows=st.integers(0, 10_000),
    has_condition=st.booleans(),
    removes=st.booleans(),
    is_production=st.booleans(),
    is_off_hours=st.booleans(),
    is_most=st.booleans(),
    tags=st.frozensets(st.sampled_from(["pii.email", "pii.phone"])),
)


def test_each_thing_that_counts_has_its_sentence() -> None:
    assert risks_of(HARMLESS) == ()
    worse = {
        "condition": replace(HARMLESS, has_condition=False),
        "more than 20 rows": replace(HARMLESS, rows=21),
        "more than 200 rows": replace(HARMLESS, rows=201),
        "`pii.email`": replace(HARMLESS, tags={"pii.email"}),
        "removes": replace(HARMLESS, removes=True),
        "production": replace(HARMLESS, is_production=True),
        "working hours": replace(HARMLESS, is_off_hours=True),
        "half of the rows": replace(HARMLESS, is_most=True),
    }
    for words, stakes in worse.items():
        (risk,) = risks_of(stakes)
        assert words in risk.sentence
        assert risk.points > 0


@given(STAKES, st.integers(0, 10_000))
def test_more_of_anything_is_never_less_risk(stakes: Stakes, more: int) -> None:
    before = score(risks_of(stakes))
    for worse in (
        replace(stakes, rows=stakes.rows + more),
        replace(stakes, has_condition=False),
        replace(stakes, removes=True),
        replace(stakes, is_production=True),
        replace(stakes, is_off_hours=True),
        replace(stakes, is_most=True),
        replace(stakes, tags={*stakes.tags, "pii.email"}),
    ):
        assert score(risks_of(worse)) >= before

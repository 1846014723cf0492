"""Does a text that the parser cannot take end in a refusal that tells no values, and never in a crash?"""

from __future__ import annotations

import threading

import pytest

from gatebook_hub.errors import NotParsed
from gatebook_hub.sql.second_reading import facts_of, trees_agree
from gatebook_hub.sql.second_reading.engine_parser import read

LEVELS = {
    "plus": ("select 1", "+1"),
    "cast": ("select 1", "::text"),
    "union": ("select 1", " union select 1"),
    "join": ("select 1 from t", " cross join t"),
    "not": ("select ", "not "),
    "postfix": ("select 1", " isnull"),
    "array": ("select ", "array["),
    "parenthesis": ("select ", "("),
    "case": ("select ", "case when "),
    "subquery": ("select * from ", "(select * from "),
    "collation": ("select a", ' collate "C"'),
    "cte": ("", "with x as ("),
}

# As deep as the limits leave room for, in every way at once.
MIXED = "select " + "f(" * 9_900 + "1" + "+1" * 19_000 + " isnull" * 16_000 + ")" * 9_900


@pytest.mark.parametrize("shape", LEVELS)
@pytest.mark.parametrize("depth", [1_000, 14_000, 100_000])
def test_deep_nesting_is_refused(shape: str, depth: int) -> None:
    start, level = LEVELS[shape]
    text = start + level * min(depth, 3_000_000 // len(level))
    for attempt in (lambda: trees_agree(text, text), lambda: facts_of(text)):
        with pytest.raises(NotParsed):
            attempt()


def test_the_deepest_text_that_is_read_leaves_the_stack_of_a_thread_whole() -> None:
    outcomes: list[str] = []

    def read_deep() -> None:
        for text in ("select 1" + "+1" * 15_000, "select 1" + " isnull" * 28_000, "select 1" + "+1" * 19_990, MIXED):
            with pytest.raises(NotParsed):
                read(text)
            outcomes.append("refused")

    size = threading.stack_size(8 * 1024 * 1024)
    try:
        thread = threading.Thread(target=read_deep)
        thread.start()
        thread.join()
    finally:
        threading.stack_size(size)
    assert outcomes == ["refused"] * 4


def test_wide_texts_are_read() -> None:
    numbers = ", ".join(map(str, range(15_000)))
    assert trees_agree(f"select 1 from t where a in ({numbers})", f"select 1 from t where a in ({numbers})") is None
    rows = ", ".join(["(1, 'x')"] * 9_000)
    assert trees_agree(f"insert into t values {rows}", f"insert into t values {rows}") is None
    ors = " or ".join(["a = 1"] * 2_000)
    assert trees_agree(f"select 1 from t where {ors}", f"select 1 from t where {ors}") is None


@pytest.mark.parametrize(
    "text",
    [
        "select 'secret-4711' +",
        "select secret4711(",
        "select 'secret-4711",
        "selec secret4711",
        "select $secret4711$ x",
    ],
)
def test_an_error_tells_no_values(text: str) -> None:
    with pytest.raises(NotParsed) as caught:
        read(text)
    assert "4711" not in f"{caught.value} {caught.value.__cause__}"


def test_a_nul_character_hides_nothing() -> None:
    with pytest.raises(NotParsed):
        read("select 1\0; drop table t")


def test_half_a_character_is_refused() -> None:
    with pytest.raises(NotParsed):
        read("select '\ud800'")


def test_a_difference_tells_where_and_no_values() -> None:
    difference = trees_agree("select a from t where b = 'secret-4711'", "select a from t where b = 'secret-4712'")
    assert difference is not None
    assert difference.path == "SelectStmt.whereClause.A_Expr.rexpr.A_Const.sval.String.sval"
    assert "4711" not in str(difference)


def test_threads_read_side_by_side() -> None:
    texts = [f"select a{number} from t where b in ({number}, {number + 1})" for number in range(40)]
    expected = [read(text) for text in texts]
    outcomes: list[bool] = []

    def again() -> None:
        outcomes.extend(read(text) == tree for text, tree in zip(texts * 5, expected * 5, strict=True))

    threads = [threading.Thread(target=again) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == [True] * 8 * 200

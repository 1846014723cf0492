"""Are two queries of one meaning told from two others, by DuckDB's own parser?"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from gatebook_hub.errors import NotParsed
from gatebook_hub.sql.second_reading.duckdb_reading import trees_agree_duckdb

Serialize = Callable[[str], str]


@pytest.fixture(scope="module")
def serialize() -> Serialize:
    """The engine's own reading of a text."""
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect(config={"enable_external_access": False})
    return lambda text: str(connection.execute("select json_serialize_sql(?)", [text]).fetchone()[0])


SAME = [
    ("select a::int, b::varchar from t", 'SELECT CAST("a" AS INT), CAST("b" AS TEXT) FROM "t"'),
    ("select 1 from t where a not in (1, 2)", 'SELECT 1 FROM "t" WHERE NOT "a" IN (1, 2)'),
    ("select 1 from t where a is not null and b <> 2", 'SELECT 1 FROM "t" WHERE NOT "a" IS NULL AND "b" != 2'),
    ("select array[1, 2] as x", 'SELECT [1, 2] AS "x"'),
    ("select substr(a, 1) as x from t", 'SELECT SUBSTRING("a", 1) AS "x" FROM "t"'),
    ("select pow(a, 2) as y from t", 'SELECT POWER("a", 2) AS "y" FROM "t"'),
    ("select stddev(a) over (order by b) as x from t", 'SELECT STDDEV_SAMP("a") OVER (ORDER BY "b") AS "x" FROM "t"'),
    ("select interval '10 days' as x", "SELECT INTERVAL '10' DAYS AS \"x\""),
    ("select d - interval 1 month as x from t", 'SELECT "d" - INTERVAL \'1\' MONTH AS "x" FROM "t"'),
    ("select extract(dow from d) as x from t", 'SELECT DATE_PART(\'dayofweek\', "d") AS "x" FROM "t"'),
    ("select a from t order by a nulls last, b desc", 'SELECT "a" FROM "t" ORDER BY "a" ASC, "b" DESC NULLS LAST'),
    (
        "with v(a) as (values (1)) select a from v",
        'WITH "v"("a") AS (SELECT * FROM (VALUES (1)) AS "_values") SELECT "a" FROM "v"',
    ),
    ("select count(*), lower(a) from t", 'SELECT COUNT(*) AS "count_star()", LOWER("a") AS "lower(a)" FROM "t"'),
    ("select current_date as x", 'SELECT CURRENT_DATE AS "x"'),
    ("select a from t where b = $1", 'SELECT "a" FROM "t" WHERE "b" = $1'),
]
DIFFERENT = [
    ("select a ~ 'b' as x from t", 'SELECT REGEXP_MATCHES("a", \'b\') AS "x" FROM "t"'),
    ("select encode(a, 'hex') as x from t", 'SELECT ENCODE("a") AS "x" FROM "t"'),
    ("select date_trunc(day, d) as x from t", 'SELECT DATE_TRUNC(\'DAY\', "d") AS "x" FROM "t"'),
    ("select interval '1 day 2 hours' as x", "SELECT INTERVAL '1' DAY AS \"x\""),
    ("select interval '10' days as x", "SELECT INTERVAL '10' HOURS AS \"x\""),
    ("select a from t order by a nulls first", 'SELECT "a" FROM "t" ORDER BY "a"'),
    ("select a from t where b = 1", 'SELECT "a" FROM "t" WHERE "b" = 2'),
    ("select a from t where b = 1", 'SELECT "a" FROM "t" WHERE "b" >= 1'),
    ("select a from t join u using (b)", 'SELECT "a" FROM "t" LEFT JOIN "u" USING ("b")'),
    ("select a from t union select b from u", 'SELECT "a" FROM "t" UNION ALL SELECT "b" FROM "u"'),
    ("select distinct a from t", 'SELECT "a" FROM "t"'),
    ("select lower(a) from t order by b", 'SELECT LOWER("a") AS "b" FROM "t" ORDER BY "b"'),
    ("select * from (select lower(a) from t)", 'SELECT * FROM (SELECT LOWER("a") AS "x" FROM "t")'),
    ("select a as x from t", 'SELECT "a" AS "y" FROM "t"'),
    ("select a from t where b = $1 or c = $2", 'SELECT "a" FROM "t" WHERE "b" = $2 OR "c" = $1'),
    ("values ('1') union all select 2", "SELECT * FROM (VALUES ('1')) AS \"_values\" UNION ALL SELECT 2"),
    ("select try_cast(a as int) as x from t", 'SELECT CAST("a" AS INT) AS "x" FROM "t"'),
    ("select try_cast('1 day' as interval) as x", "SELECT CAST('1 day' AS INTERVAL) AS \"x\""),
    ("select sum(a) filter (b) as x from t", 'SELECT SUM("a") AS "x" FROM "t"'),
    ("select a from t limit 1", 'SELECT "a" FROM "t" LIMIT 2'),
    ("select a from t using sample 5", 'SELECT "a" FROM "t"'),
    ("select 1", "SELECT 1; SELECT 2"),
    ("select 1", "SELECT FROM"),
    (
        "select sum(a) over (order by b rows 1 preceding) as x from t",
        'SELECT SUM("a") OVER (ORDER BY "b" ROWS 2 PRECEDING) AS "x" FROM "t"',
    ),
]


@pytest.mark.parametrize("typed, regenerated", SAME)
def test_two_spellings_of_one_meaning_agree(serialize: Serialize, typed: str, regenerated: str) -> None:
    assert trees_agree_duckdb(typed, regenerated, serialize) is None


@pytest.mark.parametrize("typed, regenerated", DIFFERENT)
def test_another_meaning_is_a_difference(serialize: Serialize, typed: str, regenerated: str) -> None:
    assert trees_agree_duckdb(typed, regenerated, serialize) is not None


@pytest.mark.parametrize("text", ["select 'secret-4711' +", "insert into t values (4711)", "select 1\0; select 4711"])
def test_what_the_parser_does_not_take_is_refused_and_tells_no_values(serialize: Serialize, text: str) -> None:
    with pytest.raises(NotParsed) as caught:
        trees_agree_duckdb(text, "select 1", serialize)
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize("answer", ["", "{", "{}", json.dumps({"error": True, "error_message": "near 4711"})])
def test_an_answer_that_is_none_is_a_refusal(answer: str) -> None:
    with pytest.raises(NotParsed) as caught:
        trees_agree_duckdb("select 1", "select 1", lambda _: answer)
    assert "4711" not in str(caught.value)


def test_deep_nesting_is_refused(serialize: Serialize) -> None:
    for text in ("select 1" + "+1" * 900, "select " + "(" * 400 + "1" + ")" * 400, "select " + "not " * 900 + "true"):
        try:
            assert trees_agree_duckdb(text, text, serialize) is None
        except NotParsed:
            continue

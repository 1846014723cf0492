"""Can a statement make a value huge, by putting it beside itself level by level?"""

from __future__ import annotations

import pytest

from gatebook_hub.errors import ConstructRefused, FunctionRefused
from gatebook_hub.model import Engine
from gatebook_hub.sql.parsing import parse

pytestmark = pytest.mark.adversary

LEVELS = {Engine.MARIADB: 8}
HOW = {
    Engine.SQLITE: [
        "x || x",
        "concat(x, x)",
        "hex(x)",
        "printf('%s%s', x, x)",
        "replace(x, 'a', 'aa')",
        "quote(x) || x",
    ],
    Engine.MARIADB: [
        "concat(x, x)",
        "concat_ws(x, 1, 2, 3)",
        "hex(x)",
        "replace(x, 'a', 'aa')",
        "concat(x, '', (select x))",
    ],
    Engine.POSTGRESQL: ["x || x", "concat(x, x)", "format('%1$s%1$s', x)", "array_to_string(array[x, x], '')"],
    Engine.DUCKDB: ["x || x", "concat(x, x)", "format('{0}{0}', x)", "list_concat([x], [x, x])", "[x, x]"],
}
GATHERED = {
    Engine.SQLITE: "group_concat(x, '')",
    Engine.MARIADB: "group_concat(x separator '')",
    Engine.POSTGRESQL: "string_agg(x, '')",
    Engine.DUCKDB: "string_agg(x, '')",
}
ENGINES = pytest.mark.parametrize("engine", list(Engine))
START = {Engine.SQLITE: "'" + "a" * 1000 + "'"}


def _start(engine: Engine) -> str:
    return START.get(engine, "repeat('a', 1000)")


def _levels(engine: Engine, value: str, source: str = "") -> tuple[str, str]:
    """The same with common table expressions and with subqueries."""
    first = f"select {_start(engine)} as x"
    named, nested = [f"c0 as ({first})"], first
    for level in range(1, LEVELS.get(engine, 14) + 1):
        named.append(f"c{level} as (select {value} as x from c{level - 1}{source})")
        nested = f"select {value} as x from ({nested}) q{source}"
    return f"with {', '.join(named)} select length(x) as n from c{len(named) - 1}", nested


@ENGINES
def test_a_value_is_not_doubled_again_and_again(engine: Engine) -> None:
    taken = []
    for how in HOW[engine]:
        for text in _levels(engine, how):
            try:
                parse(text, engine)
            except FunctionRefused:
                continue
            taken.append((how, text[:40]))
    assert taken == []


@ENGINES
def test_rows_are_not_gathered_again_and_again(engine: Engine) -> None:
    source = ", (select 1 as y union all select 2 union all select 3) v"
    with pytest.raises(FunctionRefused, match="times as long"):
        parse(_levels(engine, GATHERED[engine], source)[0], engine)


@ENGINES
def test_growth_is_seen_through_every_name(engine: Engine) -> None:
    start = _start(engine)
    twice = f"replace(replace(x, 'a', '{'b' * 400}'), 'b', '{'c' * 400}')"
    other = twice.replace("(x", "(d.x")
    cte = f"with c as (select {start} as x)"
    taken = []
    for text in (
        f"{cte} select {twice} as y from c",
        f"{cte} select {other} as y from c d",
        f"{cte}, d as (select * from c) select {twice} as y from d",
        f"{cte}, d as (select c.* from c) select {twice} as y from d",
        f"{cte}, d as (select x as z from c) select {twice.replace('(x', '(z')} as y from d",
        f"with c as (select '1' as x union all select {start}) select {twice} as y from c",
        f"with c(x) as (select {start}) select {twice} as y from c",
        f"{cte} select 1 as y from c where {twice} = 'a'",
        f"{cte} select 1 as y from c order by {twice}",
        f"{cte} select (select {twice}) as y from c",
        f"{cte} select 1 as n from c join c d on {other} = 'a'",
        f"{cte} select case when 1 = 1 then {twice} else 'a' end as y from c",
        f"{cte} select max({twice}) over (order by x) as y from c",
        f"{cte} select count({twice}) as y from c group by x having max({twice}) = 'a'",
        f"{cte} select d.x as y from (c join (select {twice} as x from c) d on 1 = 1)",
        f"with recursive r as (select {start} as x union all select x from r) select {twice} as y from r",
        f"update t set y = (with c as (select {start} as x) select {twice} from c) where z = 1",
    ):
        try:
            parse(text, engine)
        except FunctionRefused:
            continue
        taken.append(text.replace(start, "…")[:200])
    assert taken == []


ORDINARY = """
select concat(a, ' ', b, ', ', c) as x from t
with c as (select concat(a, ' ', b) as x from t), d as (select concat(x, ' - ', x) as y from c) select upper(y) as z from d
with a as (select x, count(*) as n from t group by x), b as (select x, n, n * 100.0 / sum(n) over () as p from a), \
c as (select x, round(p, 2) as p, n from b), d as (select x, p, n, case when p > 50 then 'many' when p > 20 then 'some' \
else 'few' end as k from c), e as (select k, sum(n) as n, max(p) as p, min(x) as x from d group by k) \
select k, n, p, concat(k, ': ', n, ' (', p, ')') as label from e order by n desc
select count(*) as n, sum(a) as s, avg(b) as m from t where c in ('aaaaaaaaaaa', 'bbbbbbbbbbbbb', 'ccccccc') group by d
with recursive n(i) as (select 1 union all select i + 1 from n where i < 1000) select i from n
select a.x, b.y, coalesce(a.x, b.y, 'none') as z from a join b on a.id = b.id left join c on c.id = a.id and c.x like 'a%'
select x from (select x from (select x from (select concat(x, y) as x from t) a) b) c
"""


@ENGINES
def test_an_ordinary_statement_is_none_that_grows(engine: Engine) -> None:
    for text in filter(None, ORDINARY.split("\n")):
        parse(text, engine)
    listed = ", ".join(f"'value number {number}'" for number in range(4_000))
    parse(f"select x from t where x in ({listed})", engine)
    parse(f"select {GATHERED[engine]} as x from t group by y", engine)
    parse(f"select {' + '.join(['x'] * 150)} as x from t where {'(' * 8}x = 1{')' * 8}", engine)
    nested = "select x from t"
    for level in range(25):
        nested = f"select x from ({nested}) q{level}"
    parse(nested, engine)


@ENGINES
def test_a_common_table_expression_is_reckoned_once(engine: Engine) -> None:
    """However often it is named; MariaDB would read it each time, and is not asked."""
    if engine is Engine.MARIADB:
        with pytest.raises(ConstructRefused, match="nest them less"):
            parse(_NAMED_OFTEN, engine)
        return
    parse(_NAMED_OFTEN, engine)


def _named_often() -> str:
    named = ["c0 as (select 1 as x)"]
    named += [f"c{level} as (select a.x from c{level - 1} a, c{level - 1} b, c{level - 1} d)" for level in range(1, 60)]
    return f"with {', '.join(named)} select x from c59"


_NAMED_OFTEN = _named_often()


DOUBLING = [
    "r (x, n) as (select 'a', 1 union all select concat(x, x), n + 1 from r where n < 19)",
    "r (x, n) as (select 'a', 0 union all select concat(x, x), n + 1 from r where n < 20 union all select x, n from r)",
    "r (x, y) as (select 'a', 'b' union all select y, concat(x, y) from r)",
    "r as (select 'a' as x, 'b' as y, 'c' as z, 'd' as w union all select y, z, w, concat(x, x) from r)",
    "r (x) as (select 'a' union all select concat(one.x, two.x) from r one join r two on 1 = 1)",
    "r as (select 'a' as x union all select * from (select concat(x, x) as x from r) z)",
    "r (x, y) as (select 'a', 'b' union all select concat(x, y), concat(y, '0123456789') from r)",
]
ADDING = [
    "r (x, id) as (select name, id from t union all select concat(r.x, '/', t.name), t.id from t join r on t.up = r.id)",
    "r (x, sep, id) as (select name, ' > ', id from t union all "
    "select concat(r.x, r.sep, t.name), r.sep, t.id from t join r on t.up = r.id)",
    "r as (select name as x, id from t union all select concat(r.x, t.name, '#', r.id), t.id from t join r on t.up = r.id)",
    "r (x, f) as (select 1, 1 union all select x + 1, f * (x + 1) from r where x < 10)",
]


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("recursion", DOUBLING)
def test_a_recursion_is_no_way_around_the_bound_of_growth(engine: Engine, recursion: str) -> None:
    with pytest.raises(FunctionRefused):
        parse(f"with recursive {recursion} select max(length(replace(x, 'a', 'bb'))) as l from r", engine)


@pytest.mark.parametrize("engine", Engine)
@pytest.mark.parametrize("recursion", ADDING)
def test_a_recursion_may_add_to_a_value(engine: Engine, recursion: str) -> None:
    parse(f"with recursive {recursion} select upper(concat(x, '!')) as l from r", engine)

"""PostgreSQL reads `t.f` as the call `f(t)`: is any function reached that way, or any row told of by comparing rows?"""

from __future__ import annotations

import pytest
from tests.adversary.worlds import Fortress, every

from gatebook_hub.errors import FunctionRefused, GatebookError, UnknownColumn
from gatebook_hub.model import Engine
from gatebook_hub.sql import parse

pytestmark = pytest.mark.adversary

CALLS = """
select ts_stat.ts_stat from unnest(array['select 1']) as ts_stat(x)
select pg_read_file.pg_read_file from unnest(array['/etc/hostname']) as pg_read_file(x)
select pg_ls_dir.pg_ls_dir from jsonb_array_elements_text('["/"]') as pg_ls_dir(x)
select x.pg_ls_dir from jsonb_array_elements_text('["/"]') as x
select current_setting.current_setting from unnest(array['data_directory']) as current_setting(x)
select pg_sleep.pg_sleep from generate_series(1, 1) g, unnest(array[0.1]) as pg_sleep(x)
select 1 from unnest(array[0.1]) as f(x) where f.pg_sleep is null
select 1 from unnest(array[0.1]) as f(x) order by f.pg_sleep
select count(*) from unnest(array[0.1]) as f(x) group by f.pg_sleep
select s.record_out from (select 'a' || customerid from customer) s
select s.hash_record from (select 'a' || customerid from customer) s
select s.row_to_json from (select 1 + 1) s
with s as (select 1 + 1) select s.record_out from s
select s.record_out from (values (1)) s
select customer.pg_column_size from customer
select c.record_out from customer as c(a, b)
select j.pg_sleep from json_to_recordset('[]') as j(a int)
select g.pg_sleep from generate_series(1, 2) with ordinality as g
select pg_read_file.pg_read_file from jsonb_array_elements_text('["/etc/hostname"]') as pg_read_file
select ts_stat.ts_stat from json_array_elements_text('["select 1"]') as ts_stat
select record_out.record_out from unnest(array[1], array[2]) as record_out
select (select count(*) from genre a join genre b on c.current_setting like '/%', (select 'x' as current_setting) c) as n from unnest(array['data_directory']) as c(x)
select (select max(y) from unnest(array['data_directory']) as c(x), (genre g cross join lateral (select c.current_setting as y) l) as j) as n from (select 'q' as current_setting) c
select (select max(y) from unnest(array['data_directory']) as c(x), (genre g cross join unnest(array[c.current_setting]) u(y)) as j) as n from (select 'q' as current_setting) c
select s.record_out from (select * from (select 1 as x, 2 as p) a join (select 1 as x, 3 as record_out) b using (x)) as s(c1, c2, c3)
select s.pg_read_file from (select 1 as pg_read_file) s
""".strip().splitlines()

# The second part is compared, and fails, only where the first part was equal.
COMPARED = """
select count(*) from (select ticketid = 1, true from support_ticket) s where s = (true, 5)
select count(*) from (select total > 20, true from invoice) s where s = (true, 5)
with s as (select ticketid = 1, true from support_ticket) select count(*) from s where s = (true, 5)
select count(*) from (select ticketid = 1 as a, true as b from support_ticket) s where s = (true, 5)
select count(*) from support_ticket s where s = (1, 5, 6)
""".strip().splitlines()

# What a condition means depends on the names that an alias gives, and on which side of a join it stands.
REPEATED = """
select i.customerid, i.invoiceid from invoice as i(customerid, invoiceid) where i.customerid = 7 and 1 / i.invoiceid >= 0
select count(*) from genre g left join invoice as i(customerid, invoiceid) on true where i.customerid = 7 and 1 / g.genreid >= 0
""".strip().splitlines()


def test_no_function_is_called_as_if_it_were_a_column(walls: Fortress) -> None:
    if walls.engine is not Engine.POSTGRESQL:
        pytest.skip("the notation is PostgreSQL's")
    every(CALLS, lambda sql: _is(walls.refused(sql), UnknownColumn))


READ = """
select value from jsonb_array_elements('[1]') as x
select x.value from jsonb_array_elements('[1, 2]') as x
select c.customerid, t.n from customer c cross join lateral (select count(*) as n from invoice i where i.customerid = c.customerid) t
select g.name, j.lastname from genre g, (customer c join invoice i on i.customerid = c.customerid) as j where g.genreid = 1
select a.name from genre a join genre b on a.genreid = b.genreid, mediatype m where m.mediatypeid = 1
select (select count(*) from genre a join genre b on c.customerid = a.genreid) as n from customer c
""".strip().splitlines()


def test_what_is_written_without_that_notation_is_answered(walls: Fortress) -> None:
    if walls.engine is not Engine.POSTGRESQL:
        pytest.skip("the notation is PostgreSQL's")
    every(READ, walls.equals_world)


def test_whole_rows_are_compared_behind_the_fence(walls: Fortress) -> None:
    if walls.engine is not Engine.POSTGRESQL:
        pytest.skip("the others compare no rows of different types")
    for sql in COMPARED:
        hidden, nobody = sql, sql.replace("ticketid = 1", "ticketid = 999999").replace("> 20", "> 200")
        assert _outcome(walls, hidden) == _outcome(walls, nobody), sql


def test_a_condition_is_repeated_under_its_own_names_alone(walls: Fortress) -> None:
    every(REPEATED, walls.assault)


def test_what_is_known_of_hidden_values_drops_no_condition(walls: Fortress) -> None:
    """DuckDB knows the greatest value of a column, and leaves out what no value meets."""
    if walls.engine is not Engine.DUCKDB:
        pytest.skip("the others do not reckon that way")
    text = "select count(*) from invoice i left join genre g on sqrt(-1 - i.invoiceid) > 0 and i.total > "
    assert _outcome(walls, f"{text}20.5") == _outcome(walls, f"{text}99.5")
    text = (
        "select c.customerid, (select count(*) from genre g anti join customer c on c.customerid = g.genreid "
        "where c.customerid = 2 and sqrt(g.genreid) > 0) as n from customer c"
    )
    walls.equals_world(text)


@pytest.mark.parametrize("engine", list(Engine))
def test_small_values_are_not_made_huge(engine: Engine) -> None:
    for value in (
        "repeat(repeat(repeat('a', 1000), 1000), 200)",
        "replace(replace(repeat('a', 1000), 'a', repeat('b', 1000)), 'b', repeat('c', 200))",
        "replace(replace(repeat('a', 1000), 'a', repeat('b', 1000)), 'b', 'cccccccccccccccccccc')",
    ):
        with pytest.raises(FunctionRefused):
            parse(f"select length({value}) as n", engine)
    with pytest.raises(FunctionRefused):
        parse("with a as (select repeat('a', 1000) as x), b as (select repeat(x, 1000) as x from a) "
              "select repeat(x, 1000) as x from b", engine)  # fmt: skip
    if engine is not Engine.SQLITE:  # which has no pads
        parse("select rpad(a, 30), rpad(b, 40), lpad(c, 20), replace(replace(a, ',', ', '), ' ', '  ') from t", engine)


def _is(error: GatebookError, kind: type[GatebookError]) -> None:
    assert isinstance(error, kind), error


def _outcome(walls: Fortress, sql: str) -> str:
    try:
        return str(walls.read(sql).rows)
    except GatebookError as error:
        return type(error).__name__

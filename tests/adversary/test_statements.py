"""Is there a kind of statement, a spelling or a second statement that gets past the gate?"""

from __future__ import annotations

import time

import pytest
from tests.adversary.worlds import Answered, Fortress, every

from gatebook_hub.errors import (
    ConstructRefused,
    GatebookError,
    InvalidInput,
    KindRefused,
    NotOneStatement,
    NotParsed,
    ParameterMismatch,
)
from gatebook_hub.model import Engine

pytestmark = pytest.mark.adversary

# The parser reads `from t` and `table t` as `select * from t`, and so they are answered.
READING = {"select", "with", "from", "table"}
KINDS = """
pragma table_info(customer)
pragma query_only = off
attach database 'x.sqlite' as x
detach database main
vacuum
vacuum into 'stolen.sqlite'
reindex
analyze
analyze customer
copy customer to 'stolen.csv'
copy customer to program 'id'
copy customer from '/etc/passwd'
copy (select * from customer) to stdout
set role postgres
set session authorization postgres
set search_path = public
set statement_timeout = 0
set @x = 1
set global general_log = 1
reset all
show all
show databases
show variables
show create table customer
show grants
explain analyze select * from customer
begin
start transaction read write
commit
rollback
end
abort
savepoint a
release savepoint a
release a
rollback to a
prepare transaction 'x'
prepare p as select * from customer
prepare p from 'select * from customer'
execute p
deallocate p
listen x
unlisten *
notify x
lock table customer
lock tables customer write
unlock tables
flush tables
discard all
checkpoint
cluster customer
call p()
do $$ begin perform pg_sleep(10); end $$
do sleep(1)
load 'x'
load data infile '/etc/passwd' into table genre
load data local infile '/etc/passwd' into table genre
select * from customer into outfile 'stolen'
select * into outfile 'stolen' from customer
select * from customer into dumpfile 'stolen'
select email into @x from customer limit 1
select * into stolen from customer
select * into temp stolen from customer
create table stolen as select * from customer
create temp table stolen as select * from customer
create view v as select * from customer
create or replace view v as select 1
create trigger t after insert on genre begin select 1; end
create function f() returns int as 'select 1' language sql
create extension dblink
create user mallory
create index i on customer (email)
create rule r as on select to genre do instead select * from customer
alter table customer rename to x
alter system set x = 1
alter user root identified by 'x'
drop table customer
drop database chinook
truncate customer
truncate table customer
grant all on customer to public
revoke all on customer from public
grant select on customer to mallory
comment on table customer is 'x'
security label on table customer is 'x'
import foreign schema public from server s into public
handler customer open
handler customer read first
install plugin x soname 'x.so'
install x
kill 1
kill query 1
shutdown
purge binary logs to 'x'
reset master
change master to master_host = 'x'
use mysql
help 'x'
table customer
from customer
replace into genre (genreid, name) values (1, 'x')
insert or replace into genre (genreid, name) values (1, 'x')
declare c cursor for select * from customer
fetch all from c
move 1 from c
close c
refresh materialized view v
reassign owned by a to b
with x as (delete from genre returning *) select * from x
with x as (insert into genre (genreid, name) values (99, 'x') returning *) select * from x
with x as (update genre set name = 'x' returning *) select * from x
select * from (delete from genre returning *) x
select * from customer for update
select * from customer for share
select * from customer for no key update
select * from customer for update skip locked
select * from customer lock in share mode
select * from customer tablesample system (10)
select * from only customer
select * from customer for system_time all
select * from customer partition (p0)
select * from customer use index (x)
select * from customer force index (x)
select * from customer indexed by x
select * from customer not indexed
select sql_no_cache * from customer
select high_priority * from customer
select straight_join * from customer
select * from customer procedure analyse()
select /*+ MAX_EXECUTION_TIME(1) */ * from customer
select * from customer /*! union select * from mysql.user */
select * from customer /*M! union select * from mysql.user */
select * from customer where lastname match 'x'
select * from customer where lastname regexp 'x'
select * from customer where lastname glob '*'
select * from customer where lastname ~ 'x'
select * from customer where customerid in employee
select * from customer order by email using >
select * from customer limit 1 with ties
select * from customer fetch first 1 rows with ties
select * from customer window w as (order by email)
select * from customer qualify row_number() over () = 1
select distinct on (country) * from customer order by country, customerid
select @@version
select @@datadir, @@secure_file_priv
select @x
select @x := email from customer
select current_user
select session_user
select user
select current_role
select current_catalog
select current_schema
select x'41'
select b'1'
select n'a'
select _utf8'a'
select e'a'
select u&'\\0041'
select $$a$$
select $1
select ?
select 'a' collate nocase
select cast('customer' as regclass)
select 'customer'::regclass::oid
select cast('1' as xml)
select cast(1 as json)
select array[1, 2]
select (array[1, 2])[1]
select row(1, 2)
select {'a': 1}
select interval '1' year to month
select 1 as a, a + 1
select * from json_table('[]', '$[*]' columns (a int path '$')) t
select * from xmltable('/a' passing '<a/>' columns a int)
select * from lateral (select 1) x
select * from unnest(array[1])
select * from rows from (generate_series(1, 2))
select * from customer, lateral (select email) x
select * from customer cross apply (select 1) x
select * from customer semi join employee on 1 = 1
select * from customer anti join employee on 1 = 1
select * from customer asof join employee on 1 = 1
select * from customer positional join employee
select * from customer pivot (count(*) for country in ('Germany'))
select * from customer match_recognize (pattern (a) define a as true)
select all * from customer
""".strip().splitlines()


def test_a_dangerous_statement_changes_nothing_and_tells_nothing(walls: Fortress) -> None:
    def check(sql: str) -> None:
        answered = walls.assault(sql)
        # Few of these are ordinary reads in one dialect; what is answered has been compared with the policy world.
        assert not isinstance(answered, Answered) or sql.split(maxsplit=1)[0] in READING

    every(KINDS, check)


def test_a_statement_that_is_no_read_and_no_plain_write_is_refused(walls: Fortress) -> None:
    def check(sql: str) -> None:
        error = walls.refused(sql)
        assert error.code.startswith("GB-2"), error.code
        assert error.reference is not None

    every((sql for sql in KINDS if sql.split(maxsplit=1)[0] not in READING), check)


STACKED = [
    "select 1; select 2",
    "select 1; drop table customer",
    "select 1;; select 2",
    "select 1; -- x\nselect 2",
    "select 1; /* x */ delete from genre",
    "select 1 /* ; */; update genre set name = 'x'",
    "delete from genre; select 1",
    "select 1;\x0bselect 2",
]


def test_two_statements_are_refused(walls: Fortress) -> None:
    for sql in STACKED:
        assert isinstance(walls.refused(sql), NotOneStatement | NotParsed), sql


def test_nothing_is_not_a_statement(walls: Fortress) -> None:
    for sql in ("", " ", ";", ";;;", "-- x", "/* x */", "\n\t"):
        assert isinstance(walls.refused(sql), NotOneStatement | NotParsed | KindRefused), sql


SPELLINGS = [
    "select count(*) from customer -- where",
    "select count(*) from customer # where country = 'Brazil'",
    "select count(*) from customer /* where */ where country = 'Germany'",
    "select count(*) from customer where country = 'Germany'--\n or country = 'Brazil'",
    "select/**/email/**/from/**/customer",
    "SELECT EMAIL FROM CUSTOMER",
    'select "email" from "customer"',
    'select "Email" from customer',
    'select "nosuch" from customer',
    'select "leonekohler@surfeu.de"',
    'select count(*) from customer where "email" = "leonekohler@surfeu.de"',
    "select `email` from `customer`",
    "select [email] from [customer]",
    "select 'a''b', 'a\"b', 'a`b'",
    "select 'a\\'",
    "select 'a\\\\'",
    "select 'a\\'' or 1=1 --'",
    "select 'a\\\\' union select email from employee --'",
    "select count(*) from customer where lastname = '\\' or country <> '' -- '",
    "select count(*) from customer where lastname = 'a\\' or 1 = 1 or lastname = 'b'",
    'select \'x\' as "a""b", \'y\' as "c`d"',
    "select 'x' as `a``b`, 'y' as `c\"d`",
    "select 1 as `a]b`",
    "select '%s %(x)s %% %', 100 % 7",
    "select count(*) from customer where lastname like '%e%' or lastname like '%(gb_principal)s'",
    "select ':email', '::', ':1' from artist where name = ':x'",
    "select 5--1",
    "select 5 - -1, - - 1, +1, - + - 2",
    "select 1e2, .5, 5., 0.1e-2, 00012",
    "select 'ſ', 'K', upper('ß'), '​'",
    "select lastname from ＣＵＳＴＯＭＥＲ",
    "select lastname from cuſtomer",
    "select lastname from customer​",
    "\ufeffselect lastname from customer",
    "select lastname\u00a0from customer",
    "select lastname from customer where country = 'Germany' /* sqlglot.meta gatebook_base=employee */",
    "select lastname from customer /* sqlglot.meta gatebook_cte=0 */ c",
    "with x as (select birthdate from (select '1' as birthdate) y) select lastname from employee "
    "/* sqlglot.meta gatebook_cte=0 */",
    "select * from main.customer",
    "select * from public.customer",
    "select * from chinook.customer",
    "select chinook.customer.email from customer",
    "select main.customer.email from main.customer",
    "select * from raw.customer",
    "select * from temp.customer",
    "select * from pg_temp.customer",
    "select * from mysql.user",
    "select * from a.b.c.customer",
]


def test_no_spelling_widens_an_answer(walls: Fortress) -> None:
    every(SPELLINGS, walls.assault)


def test_strings_come_back_as_they_were_sent(walls: Fortress) -> None:
    """What the gate writes is read by the database as what the gate understood."""
    for text in (
        "a",
        "",
        "it's",
        'q"q',
        "b`b",
        "100%",
        "%s",
        "%(x)s",
        ":name",
        "$1",
        "?",
        "ü€😀",
        "--x",
        "/*x*/",
        ";",
        "a\nb",
    ):
        literal = text.replace("'", "''")
        assert walls.read(f"select '{literal}' as x").rows == [(text,)], text
        assert bound(walls, text) == text
    for text in ("\\", "a\\", "\\'", "\\\\", "a\\'b", "\\n", "\\0", "%\\%"):
        assert bound(walls, text) == text


def bound(walls: Fortress, text: str) -> object:
    """A text that went as a parameter; on DuckDB `select :value` would be an alias in front."""
    return walls.read("select 1 as one, :value as x", value=text).rows[0][1]


def test_a_nul_is_refused(walls: Fortress) -> None:
    for sql in ("select '\0'", "select 1\0", "\0", "select * from customer where lastname = 'a\0b'"):
        assert isinstance(walls.refused(sql), NotParsed)


def test_half_a_character_is_refused_and_in_the_book(walls: Fortress) -> None:
    for sql in ("select '\ud800'", "\udfff", "select 1 as \ud900"):
        assert walls.refused(sql).reference is not None
    walls.assault("select :x as x", x="\ud800")
    assert walls.read("select 1 as x").rows == [(1,)]


HUGE = {
    "parentheses": "select " + "(" * 20_000 + "1" + ")" * 20_000,
    "queries": "select * from " + "(select * from " * 2_000 + "genre" + ")" * 2_000,
    "functions": "select " + "abs(" * 5_000 + "1" + ")" * 5_000,
    "cases": "select " + "case when 1=1 then " * 3_000 + "1" + " end" * 3_000,
    "nots": "select " + "not " * 20_000 + "1",
    "sums": "select " + "1+" * 40_000 + "1",
    "casts": "select 1" + "::int" * 15_000,
    "unions": "select 1" + " union select 1" * 6_000,
    "joins": "select * from genre" + " join genre" * 40,
    "left joins": "select * from genre" + " left join genre" * 40,
    "join pairs": "select * from genre" + " join genre join genre on 1=1" * 40,
    "joins in parentheses": "select * from " + "(genre join " * 60 + "genre",
    "types": "select cast(1 as " + "array<" * 9_000 + "int" + ">" * 9_000 + ")",
    "structs": "select 1 order by " + "struct ( " * 60,
    "chars": "select 1 where " + "char( substring(x from " * 40,
    "jsons": "select " + "json( extract" * 40,
    "ifs": "select 1 where " + "+ if " * 60,
    "limits": "select f(" + "f( end limit " * 40,
    "limits of types": "select " + "date limit substring(x from row(" * 40,
    "unions in parentheses": "select * from " + "union ( " * 60,
    "braces": "insert into genre " + "{ by " * 60,
    "brackets": "select " + "[" * 5_000 + "1",
    "tildes": "select " + "~" * 20_000 + "1",
    "withs": "with a as (" * 2_000 + "select 1" + ") select 1" * 2_000,
    "exists": "select 1 where " + "exists (" * 5_000 + "select 1" + ")" * 5_000,
    "too long": "select '" + "x" * 200_000 + "'",
}


def test_a_huge_statement_is_refused_soon(walls: Fortress) -> None:
    for name, sql in HUGE.items():
        started = time.process_time()
        error = walls.refused(sql)
        assert isinstance(error, NotParsed | ConstructRefused | InvalidInput | KindRefused), name
        assert time.process_time() - started < 3, name


def test_parameters_that_belong_to_the_gate_are_refused(walls: Fortress) -> None:
    for name in ("gb_principal", "gb_now", "gb_x", "GB_PRINCIPAL", "Gb_mask_inner"):
        error = walls.refused(f"select * from customer where lastname = :{name}", **{name: "x"})
        assert isinstance(error, ParameterMismatch)
        assert isinstance(walls.refused(f"select * from customer where lastname = :{name}"), ParameterMismatch)
        assert isinstance(walls.refused("select 1", **{name: "x"}), ParameterMismatch)
    assert isinstance(walls.refused("select 1 where 1 = :a"), ParameterMismatch)
    assert isinstance(walls.refused("select 1", a=1), ParameterMismatch)
    sql = "select count(*) from customer where lastname = :g and customerid > :k0 and customerid > :v0"
    assert walls.read(sql, g="x", k0=1, v0=1).rows == [(0,)]


def test_a_parameter_is_a_value_and_never_text_of_a_statement(walls: Fortress) -> None:
    for value in ("' or 1=1 --", "x' union select email from employee --", "\\' or 1=1 -- ", "email", "`email`"):
        assert walls.read("select count(*) from customer where lastname = :v", v=value).rows == [(0,)]
        walls.assault("select lastname from customer order by :v", v=value)
        walls.assault("select :v as v from customer limit 1", v=value)
        walls.assault("select lastname from customer limit :v", v=value)
    for sql in ("select * from :t", "select :c.email from customer", "select lastname from customer order by email :d"):
        name = "t" if ":t" in sql else "c" if ":c" in sql else "d"
        assert isinstance(walls.assault(sql, **{name: "customer"}), GatebookError), sql


def test_values_of_every_type_are_bound(walls: Fortress) -> None:
    import datetime as dt
    from decimal import Decimal

    for value in (
        1,
        -(2**62),
        1.5,
        True,
        None,
        "x",
        Decimal("1.50"),
        dt.date(2020, 1, 2),
        dt.datetime(2020, 1, 2, 3, 4, tzinfo=dt.UTC),
    ):
        answered = walls.assault("select count(*) from invoice where total = :v or :v is null", v=value)
        if walls.engine not in {Engine.POSTGRESQL, Engine.DUCKDB}:
            assert isinstance(answered, Answered), (value, answered)
    assert walls.read("select count(*) from invoice where total > :v", v=Decimal("0.5")).rows[0][0] > 0


GUESSES = [
    "select {column} from {table}",
    "select x.{column} from {table} x",
    "select * from {table}",
    "update {table} set {column} = 1",
    "delete from {table} where {column} = 1",
    "insert into {table} ({column}) values (1)",
    "explain select {column} from {table}",
    "describe {table}",
]


def test_names_cannot_be_guessed(walls: Fortress) -> None:
    """A table without a grant, with or without such a column, reads as one that does not exist."""
    for template in GUESSES:
        said = set()
        for table, column in (("invoiceline", "quantity"), ("invoiceline", "nosuch"), ("nosuchline", "quantity")):
            error = walls.refused(template.format(table=table, column=column))
            said.add((error.code, str(error).replace(table, "T").replace('"', "").replace("`", "")))
        assert len(said) == 1, (template, said)

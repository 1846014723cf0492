"""Can what DuckDB alone understands reach a file, a setting, a catalogue, or a value that is hidden?"""

from __future__ import annotations

import pytest
from tests.adversary.worlds import Answered, Fortress, StockError, every, normal

from gatebook_hub.errors import GatebookError

pytestmark = pytest.mark.adversary


NEVER = """
select * from read_csv('/etc/passwd')
select * from read_csv_auto('/etc/passwd')
select * from read_text('/etc/passwd')
select * from read_blob('/etc/passwd')
select * from read_json('/etc/passwd')
select * from read_json_auto('/etc/passwd')
select * from read_ndjson('/etc/passwd')
select * from read_parquet('x.parquet')
select * from parquet_scan('x.parquet')
select * from parquet_metadata('x.parquet')
select * from parquet_schema('x.parquet')
select * from sniff_csv('/etc/passwd')
select * from glob('/etc/*')
select * from '/etc/passwd'
select * from 'x.csv'
select * from 'x.parquet'
select * from "x.parquet"
select * from "/etc/passwd"
select * from 'https://127.0.0.1/x.parquet'
select * from "https://127.0.0.1/x.csv"
select * from 's3://bucket/x.parquet'
from 'x.csv'
from "x.parquet"
from '/etc/passwd' select *
select (select content from read_text('/etc/passwd')) as x
select * from genre where name in (select content from read_text('/etc/passwd'))
with x as (from read_text('/etc/passwd')) from x
select * from (from 'x.csv') t
select * from genre, 'x.csv'
select * from genre join 'x.csv' x on true
select count(*) from genre natural join "x.parquet"
select * from query('select * from customer')
select * from query_table('customer')
select * from query_table(['customer', 'employee'])
select * from json_execute_serialized_sql(json_serialize_sql('select * from customer'))
select json_serialize_sql('select 1')
select json_deserialize_sql('{}')
select getenv('HOME')
select current_setting('threads')
select current_database(), current_schema(), current_schemas(true)
select current_query()
select version()
select pg_typeof(email) from customer
select * from duckdb_tables()
select * from duckdb_columns()
select * from duckdb_settings()
select * from duckdb_secrets()
select * from duckdb_functions()
select * from duckdb_databases()
select * from duckdb_views()
select * from duckdb_constraints()
select * from duckdb_memory()
select * from duckdb_temporary_files()
select * from duckdb_extensions()
select * from duckdb_logs
select * from duckdb_tables
select * from pragma_storage_info('customer')
select * from pragma_table_info('customer')
select * from pragma_database_size()
select * from pragma_show('customer')
select * from pragma_version()
select * from storage_info('customer')
select * from sqlite_master
select * from sqlite_scan('x', 'y')
select * from postgres_scan('x', 'y', 'z')
select * from iceberg_scan('x')
select * from delta_scan('x')
select * from information_schema.tables
select * from pg_catalog.pg_class
select * from main.customer_mails
select * from temp.main.x
select * from chinook.main.customer_mails
select * from memory.main.customer
select * from repeat_row(1, num_rows => 1000000000)
select * from repeat(1, 1000000000)
select * from seq_scan('customer')
select * from summary((select * from customer))
select * from test_all_types()
select * from checkpoint()
select * from force_checkpoint()
select * from which_secret('x', 'y')
select * from range(10, unknown => 1)
select * from unnest(query('select 1'))
pragma database_list
pragma table_info('customer')
pragma show_tables
pragma version
pragma enable_profiling
pragma threads = 9
pragma storage_info('customer')
call pragma_version()
call duckdb_tables()
set threads = 9
set enable_external_access = true
set lock_configuration = false
set variable x = (select max(email) from customer)
select getvariable('x')
reset threads
reset variable x
attach 'x.duckdb' as x
attach ':memory:' as x
attach 'x.sqlite' as x (type sqlite)
detach x
use x
use memory
copy customer to 'x.csv'
copy (select * from customer) to 'x.parquet' (format parquet)
copy customer from '/etc/passwd'
copy from database chinook to x
export database 'x'
import database 'x'
install httpfs
install spatial from community
load httpfs
load 'x.duckdb_extension'
force install httpfs
update extensions
create secret s (type s3, key_id 'x', secret 'y')
create macro f(x) as x + 1
create macro t() as table select * from customer
create function f(x) as x + 1
create temp macro f() as 1
create type t as enum ('a')
create type t as enum (select email from customer)
create sequence s
create schema s
create table x as from customer
create or replace temp table x as from customer
create view v as from customer
summarize customer
summarize select * from customer
summarize from customer
describe select * from customer
describe summarize customer
select * from (describe customer)
select * from (summarize customer)
select * from (show tables)
from (describe employee)
show
show databases
show all tables
show tables from chinook
show create table customer
pivot customer on country using count(*)
pivot customer on country using max(email) group by city
unpivot customer on email, phone into name n value v
unpivot employee on columns(* exclude (employeeid)) into name n value v
select * from customer pivot (max(email) for country in ('Germany'))
select * from (pivot customer on country using count(*))
with p as (pivot customer on country using max(birthdate)) from p
from customer select columns(*)
select columns('birth.*') from employee
select columns(*) from employee
select columns(c -> c like 'b%') from employee
select min(columns(*)) from customer
select * from customer where columns(*) is not null
select unpack(columns(*)) from customer
select * exclude (email) from customer
select * replace (upper(email) as email) from customer
select * rename (email as e) from customer
select * like '%mail%' from customer
select * similar to 'e.*' from customer
select customer.* exclude (phone) from customer
select #1 from customer
select * from customer order by #4
select email from customer group by #1
select customer from customer
select c.email.x from customer c
select struct_extract(c, 'email') from customer c
select (c).email from customer c
select row(c.*) from customer c
select struct_pack(a := email).a from customer
select unnest(c) from customer c
select to_json(c) from customer c
select c::varchar from customer c
select [c for c in [1, 2]] as x
select [x + 1 for x in [1, 2] if x > 1] as x
select list_transform([1, 2], x -> x + 1) as x
select list_transform([1, 2], lambda x: x + 1) as x
select list_filter(['a'], x -> x = 'a') as x
select list_reduce([1, 2], (x, y) -> x + y) as x
select list_apply([1], x -> (select max(birthdate) from employee)) as x
select apply(['a'], x -> getenv(x)) as x
select array_apply([1], x -> x) as x
select email.upper() from customer
select 'HOME'.getenv()
select ('/etc/passwd').read_text()
select "getenv"('HOME')
select main.getenv('HOME')
select system.main.getenv('HOME')
select list_aggregate([1, 2], 'getenv') as x
select list_aggregate(list(email), 'string_agg', ',') from customer
select list_aggr([1], 'sum') as x
select array_aggregate([1], 'max') as x
select 1 from customer tablesample 10%
select * from customer using sample 5
select * from customer using sample reservoir(2 rows) repeatable (1)
select * from customer asof join employee on customer.supportrepid >= employee.employeeid
select * from customer asof left join employee using (city)
select * from customer positional join employee
select * from customer semi join employee on customerid = employeeid
select * from customer anti join employee on customerid = employeeid
select * from customer at (version => 1)
select rowid from customer
select c.rowid from customer c where rowid = 0
select count(*) from support_ticket where rowid < 5
select max(rowid) from invoice
select rowid, * from employee
update support_ticket set subject = 'x' where rowid = 0
select $$a$$
select $x$a$x$
select e'\\x41'
select x'41'::blob
select cast('a' as enum ('a', 'b'))
select 'x'::mood
select cast(email as struct(a varchar)) from customer
select nextval('tickets')
select currval('tickets')
select txid_current()
select uuid()
select gen_random_uuid()
select setseed(0.5)
select hash(email) from customer
select sha256(email) from customer
select write_log('x')
select error('x')
select error(email) from customer
select add_parquet_key('a', 'b')
select in_search_path('a', 'b')
select is_histogram_other_bin(1)
select finalize(x) from (select 1 as x) t
select sql_auto_complete('s')
select alias(email) from customer
select stats(email) from customer
select vector_type(email) from customer
select constant_or_null(1, 2)
select try(cast(lastname as int)) from customer
select format('{}', email) from customer
select printf('%s', email) from customer
select bar(1, 0, 1000000000, 1000000000)
select repeat('x', 1000000000000)
select * from generate_series(1, 2) t(a), lateral (select getenv('HOME')) u
select * from customer limit (select count(*) from customer)
select * from customer limit 10%
select * from customer order by all
select distinct on (country) email from customer
execute p
prepare p as select * from customer
deallocate p
explain analyze select * from customer
checkpoint
force checkpoint
vacuum
analyze
begin transaction
abort
from customer |> select email
alter table customer add column x int
drop macro f
merge into customer using employee on true when matched then delete
insert into support_ticket by name select 1 as ticketid
insert or ignore into support_ticket (ticketid) values (1)
delete from support_ticket returning (select max(email) from customer) as e
truncate support_ticket
comment on table customer is 'x'
""".strip().splitlines()


def test_what_duckdb_alone_understands_shows_no_more(duck: Fortress) -> None:
    """Refused, or answered as the policy world does; nothing of the server either way."""

    def check(sql: str) -> None:
        answered = duck.assault(sql)
        if isinstance(answered, Answered):
            assert "root:" not in repr(answered)
            duck.world(sql)

    every(NEVER, check)


def test_no_file_is_read_whatever_it_is_called(duck: Fortress) -> None:
    """A replacement scan takes any unknown name for a file; so do the functions that read."""
    for sql in NEVER:
        if any(word in sql for word in ("/etc/", ".csv", ".parquet", "://", "read_", "glob(", "getenv", "duckdb_")):
            assert isinstance(duck.assault(sql), GatebookError), sql


# Over what the principal sees these never raise: every postal code there is a number.
CONVERSIONS = [
    "select count(*) from invoice where billingpostalcode = 70174",
    "select count(*) from invoice where billingpostalcode > 5.5",
    "select count(*) from invoice where billingpostalcode between 1 and 70174",
    "select count(*) from invoice where billingpostalcode in (70174, 3)",
    "select count(*) from invoice where not (billingpostalcode = 3)",
    "select count(*) from invoice join (select 70174 as billingpostalcode) x using (billingpostalcode)",
    "select count(*) from invoice natural join (select 70174 as billingpostalcode) x",
    "select count(*) from invoice i join genre g on i.billingpostalcode = g.genreid",
    "select count(*) from invoice i left join genre g on i.billingpostalcode < g.genreid",
    "select count(*) from genre where exists (select 1 from invoice where genreid = billingpostalcode)",
    "select count(*) from genre g where g.genreid = any (select cast(billingpostalcode as int) from invoice)",
    "with recursive r(x) as (select 1 union select billingpostalcode from invoice, r where x = 1) select * from r",
    "select max(cast(billingpostalcode as int)) from invoice",
    "select sum(billingpostalcode::int) over (order by invoiceid) from invoice",
    "select count(*) from invoice group by cast(billingpostalcode as int)",
    "select invoiceid from invoice order by cast(billingpostalcode as int), invoiceid limit 3",
    "select count(*) from invoice where case when billingpostalcode > 3 then true end",
    "select count(*) from invoice where (billingpostalcode, invoiceid) = (70174, 1)",
    "select count(*) from invoice where billingpostalcode is not distinct from 70174",
    "select count(*) from invoice where customerid = 1.0000000000000000000000000000000001",
    "select customerid from invoice union select 1.0000000000000000000000000000000001 from genre",
    "select coalesce(customerid, 1.000000000000000000000000000000000001) as x from invoice",
    "from invoice where billingpostalcode = 70174 select count(*)",
    "select count(*) from invoice qualify max(billingpostalcode) over () = 70174",
    "select count(*) filter (where billingpostalcode = 70174) from invoice",
]


def test_what_becomes_a_number_tells_nothing_of_hidden_rows(duck: Fortress) -> None:
    """DuckDB makes numbers of texts to compare them, and hidden postal codes are none."""
    hidden = "select count(*) from invoice where billingpostalcode = 70174"
    with pytest.raises(StockError):
        duck.raw(hidden)
    assert duck.world(hidden).rows[0][0] > 0

    def check(sql: str) -> None:
        try:
            expected = normal(duck.world(sql).rows)
        except StockError:
            duck.refused(sql)
            return
        assert normal(duck.read(sql).rows) == expected, sql

    every(CONVERSIONS, check)


SAME = [
    "from genre",
    "from genre select name where genreid < 5",
    "select country, count(*) as n from customer group by all",
    "select lastname, email from customer qualify rank() over (partition by country order by lastname) = 1",
    "select [1, 2, 3][2] as x",
    "select list_sort(list(email)) as x from customer",
    "select unnest([1, 2]) as x",
    "select x from range(1, 4) t(x)",
    "select list_max([1, 2]) as x",
    "select struct_pack(a := 1, b := 'x') as x",
    "select {'a': 1}['a'] as x",
    "select lastname ilike 's%' as x from customer",
    "select count(*) filter (where country = 'Germany') as n from customer",
    "select arg_max(email, customerid) as x from customer",
    "select string_agg(email, ',' order by email) as x from customer",
    "select try_cast(lastname as int) as x from customer",
    "select json_extract_string('{\"a\": \"b\"}', '$.a') as x",
    "select url_encode(email) as x from customer",
    "select median(total) as x from invoice",
    "select date_part('year', invoicedate) as y, sum(total) as s from invoice group by 1",
]


def test_what_analysts_write_is_answered_as_the_policy_world_does(duck: Fortress) -> None:
    every(SAME, duck.equals_world)

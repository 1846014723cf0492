"""Can a function, a catalogue or a variable of the server be reached?"""

from __future__ import annotations

import time

import pytest
from tests.adversary.comparing import alarms
from tests.adversary.worlds import Answered, Fortress, every

from gatebook_hub.errors import (
    FunctionRefused,
    GatebookError,
    LimitExceeded,
    MemoryExceeded,
    StatementFailed,
    StatementTimeout,
    WriteRefused,
)
from gatebook_hub.model import Engine

pytestmark = pytest.mark.adversary

CALLS = """
load_extension('x') readfile('/etc/passwd') writefile('x', 'y') edit('x') fts3_tokenizer('x') zeroblob(1000000000)
randomblob(1000000000) hex(zeroblob(100000000)) printf('%.*c', 1000000000, 'x') format('%1000000000d', 1)
sqlite_version() sqlite_source_id() sqlite_compileoption_get(1) changes() total_changes() last_insert_rowid()
json_each('[]') sqlite_offset(1)
pg_read_file('/etc/passwd') pg_read_binary_file('/etc/passwd') pg_ls_dir('/') pg_stat_file('/etc/passwd')
pg_sleep(10) pg_sleep_for('10s') lo_import('/etc/passwd') lo_export(1, 'x') lo_create(0) lo_get(1) lo_from_bytea(0, 'x')
dblink('x', 'select 1') dblink_exec('x', 'x') current_setting('data_directory') set_config('x.y', 'z', false)
current_user() session_user() user() current_database() current_schema() current_schemas(true) version()
pg_backend_pid() pg_terminate_backend(1) pg_cancel_backend(1) pg_reload_conf() pg_rotate_logfile() pg_switch_wal()
query_to_xml('select * from customer', true, true, '') table_to_xml('customer', true, true, '')
database_to_xml(true, true, '') schema_to_xml('public', true, true, '') cursor_to_xml('gatebook', 1, true, true, '')
pg_typeof(1) pg_get_viewdef('x') pg_get_functiondef(1) to_regclass('customer') regclass('customer') pg_relation_size('customer')
has_table_privilege('customer', 'select') obj_description(1) col_description(1, 1) xmlagg(email)
generate_series(1, 1000000000) repeat('x', 1000000000) lpad('x', 1000000000) rpad('x', 1000000000)
nextval('x') currval('x') setval('x', 1) lastval() txid_current() pg_advisory_lock(1) pg_try_advisory_lock(1) pg_notify('x', 'y')
inet_server_addr() inet_client_addr() pg_postmaster_start_time() gen_random_uuid() uuid_generate_v4() clock_timestamp()
sleep(10) benchmark(1000000000, md5('x')) load_file('/etc/passwd') get_lock('x', 10) release_lock('x') is_free_lock('x')
master_pos_wait('x', 1) database() schema() system_user() current_role() connection_id() last_insert_id() row_count()
found_rows() uuid() uuid_short() encrypt('x') aes_encrypt('x', 'y') password('x') old_password('x')
updatexml(1, concat(0x7e, email), 1) extractvalue(1, concat(0x7e, email))
name_const('x', 1) values(email) default(email) export_set(1, 'x', 'y') make_set(1, 'x')
space(1000000000) insert('x', 1, 1, 'y') compress(email) uncompress('x') sys_exec('id') sys_eval('id') lib_mysqludf_sys_info()
column_create('x', 1) spider_direct_sql('x') json_table('[]', '$') pg_catalog.pg_sleep(10) mysql.f(1) public.f() main.f()
"pg_sleep"(10) "current_user"() "lower"('x') `sleep`(10) [load_extension]('x') cast('x' as pg_sleep) convert(email using latin1)
getenv('HOME') read_text('/etc/passwd') read_csv('/etc/passwd') read_blob('/etc/passwd') read_parquet('x') glob('/*')
query('select 1') query_table('customer') duckdb_tables() duckdb_secrets() duckdb_settings() pragma_version() sniff_csv('x')
write_log('x') sql_auto_complete('s') json_execute_serialized_sql('x') json_serialize_sql('select 1') txid_current_snapshot()
range(1000000000) list_reduce([1], (x, y) -> 1) parse_duckdb_log_message('x', 'y')
xmlparse(document 'x') exists(1) grouping(email) row(email) pg_catalog.lower('x')
""".split("\n")


# In one engine or another these are listed, for they read nothing but their arguments, or are no calls.
PLAIN_CALLS = (
    '"lower"', "grouping", "exists", "uuid()", "values", "row(", "json_each", "normalize",
)  # fmt: skip


def _split(line: str) -> list[str]:
    found, depth, start = [], 0, 0
    for index, character in enumerate(line + " "):
        depth += (character == "(") - (character == ")")
        if character == " " and depth == 0:
            found.append(line[start:index].strip())
            start = index + 1
    return [call for call in found if call]


def _calls() -> list[str]:
    return [call for line in CALLS for call in _split(line)]


def test_a_function_that_is_not_listed_is_refused(walls: Fortress) -> None:
    assert len(_calls()) > 150

    def check(call: str) -> None:
        for sql in (
            f"select {call} from customer",
            f"select count(*) from customer where {call} = '1'",
            f"select 1 as x from genre order by {call}",
            f"select * from {call}",
        ):
            started = time.monotonic()
            answered = walls.assault(sql)
            assert time.monotonic() - started < 9, "it was run"
            is_plain = call.startswith(PLAIN_CALLS)
            assert isinstance(answered, GatebookError) or is_plain, sql

    every(_calls(), check)


# These read nothing but their arguments: they see what the principal sees.
PLAIN = {
    Engine.SQLITE: "quote(email) likelihood(1, 0.5) soundex('x') json_extract('[]', '$') printf('%5.2f|%s', 1, email)",
    Engine.POSTGRESQL: "md5(email) overlay(email placing '#' from 2) regexp_replace(email, '[aeiou]', '#') lpad(email, 40)",
    Engine.DUCKDB: "md5(email) reverse(email) regexp_replace(email, '[aeiou]', '#') lpad(email, 40, '-') split_part(email, '@', 1)",
    Engine.MARIADB: "quote(email) md5(email) sha1(email) sha2(email,256) crc32(email) elt(1, email) field('x', email) lpad(email,40,'-')",
}


def test_a_plain_function_sees_the_masked_value(walls: Fortress) -> None:
    for call in _split(PLAIN[walls.engine]):
        walls.equals_world(f"select {call} as x from customer")
        walls.equals_world(f"select count(*) as n from customer group by {call}")


ROWS_AS_VALUES = {
    Engine.POSTGRESQL: "row_to_json(customer) to_json(customer) to_jsonb(customer) customer array(select email)",
    Engine.DUCKDB: "to_json(customer) customer list_transform([email, phone], x -> upper(x))",
}


def test_a_row_as_a_value_holds_what_the_principal_sees(walls: Fortress) -> None:
    for call in _split(ROWS_AS_VALUES.get(walls.engine, "")):
        walls.equals_world(f"select {call} as x from customer")
    if walls.engine in ROWS_AS_VALUES:
        walls.equals_world("select count(c) as n, max(c.email) as m from customer c where c.customerid > 3")


def test_a_sample_is_of_visible_rows(walls: Fortress) -> None:
    call = "rand()" if walls.engine is Engine.MARIADB else "random()"
    visible = {tuple(row) for row in walls.world("select customerid, email from customer").rows}
    found = walls.read(f"select customerid, email from customer order by {call} limit 5").rows
    assert len(found) == 5
    assert set(map(tuple, found)) <= visible
    assert isinstance(walls.refused(f"update support_ticket set subject = {call} where ticketid = 5"), WriteRefused)


# Each on a connection of its own, and called as policy and the lists allow.
ROWS = {
    Engine.SQLITE: ["select value from json_each('[1, 2]')", "select count(*) as n from json_tree('{\"a\": [1]}')"],
    Engine.POSTGRESQL: ["select n from generate_series(1, 3) as t(n)", "select unistr(lastname) as x from customer"],
    Engine.MARIADB: ["select to_base64(email) as x from customer"],
    Engine.DUCKDB: ["select n from range(3) as t(n)", "select url_encode(email) as x from customer"],
}


def test_a_function_that_gives_rows_or_is_vouched_for_is_answered(walls: Fortress) -> None:
    """And without an alarm: SQLite makes the tables of such functions when a connection meets them first."""
    start = walls.cases.gate.book.size()
    for sql in ROWS[walls.engine]:
        walls.equals_world(sql)
    assert not alarms(walls, start)


CATALOGS = """
sqlite_master sqlite_schema sqlite_temp_master sqlite_sequence sqlite_stat1 dbstat sqlite_dbpage pragma_table_info
pragma_database_list main.sqlite_master temp.sqlite_master information_schema.tables information_schema.columns
information_schema.processlist pg_catalog.pg_class pg_class pg_catalog.pg_user pg_shadow pg_authid pg_stats pg_statistic
pg_stat_activity pg_settings pg_largeobject pg_views pg_tables pg_hba_file_rules public.gatebook_ledger gatebook_ledger
main.gatebook_ledger GATEBOOK_LEDGER "gatebook_ledger" mysql.user mysql.db performance_schema.threads sys.version
information_schema.innodb_trx world.customer nosuch invoiceline playlist customer_world.customer
""".split()


def test_no_catalogue_is_readable(walls: Fortress) -> None:
    def check(name: str) -> None:
        for sql in (
            f"select * from {name}",
            f"select count(*) from customer, {name}",
            f"select 1 from customer where exists (select 1 from {name})",
            f"with x as (select * from {name}) select * from x",
            f"select (select count(*) from {name}) from genre",
            f"delete from {name}",
            f"insert into {name} (a) values (1)",
            f"update {name} set a = 1",
        ):
            error = walls.refused(sql)
            assert error.code.startswith("GB-2") or error.code == "GB-301", (sql, error)

    every(CATALOGS, check)


def test_an_unknown_table_and_a_forbidden_one_read_alike(walls: Fortress) -> None:
    forbidden = str(walls.refused("select * from invoiceline"))
    unknown = str(walls.refused("select * from nosuchline"))
    assert forbidden.replace("invoiceline", "X").replace('"', "") == unknown.replace("nosuchline", "X").replace('"', "")


BOMBS = [
    "with recursive t(n) as (select 1 union all select n + 1 from t) select count(*) from t",
    "with recursive t(n) as (select 1 union all select n + 1 from t) select n from t",
    "select count(*) from track a, track b, track c, track d",
    "with recursive t(s) as (select 'aaaaaaaaaaaaaaaa' union all select replace(s, 'a', 'aaaaaaaa') from t) "
    "select max(length(s)) from t",
    "with recursive t(s, n) as (select cast('aaaaaaaaaaaaaaaa' as char(9)), 1 union all select concat(s, s), n + 1 from t) "
    "select max(length(s)) from t",
]


@pytest.mark.slow
def test_a_bomb_ends_at_a_limit(walls: Fortress) -> None:
    """Each ends with a limit or an error of the database, and the next statement is answered at once."""
    rules = walls.cases.gate.in_force.policy.sources["chinook"]
    assert rules.limits.time_s == 8
    for sql in BOMBS:
        started = time.monotonic()
        try:
            walls.ask(sql)
        except (LimitExceeded, MemoryExceeded, StatementTimeout, StatementFailed, FunctionRefused):
            pass
        else:
            # MariaDB ends a recursion after a thousand rounds by itself, with a warning.
            assert walls.engine is Engine.MARIADB, sql
        assert time.monotonic() - started < 40, sql
        assert isinstance(walls.assault("select count(*) from genre"), Answered)


def test_the_second_lock_would_hold_as_well(walls: Fortress) -> None:
    """A plan that the analysis did not make meets a session that is read only and, on SQLite, an authorizer."""
    from gatebook_hub.model import Limits
    from gatebook_hub.sql import Plan

    source = walls.cases.gate.in_force.sources.get("chinook")
    table = "public.genre" if walls.engine is Engine.POSTGRESQL else "genre"
    for sql in (f"delete from {table}", f"insert into {table} values (99, 'x')", f"update {table} set name = 'x'"):
        plan = Plan(
            engine=walls.engine, sql=sql, parameters=frozenset(), reads={"genre": frozenset({"genreid", "name"})}
        )
        with pytest.raises(StatementFailed):
            source.read(plan, {}, Limits())
    assert walls.raw("select count(*) from genre").rows == [(25,)]

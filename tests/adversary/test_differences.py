"""Does a database answer what was typed, or is something else written for what it has not?"""

from __future__ import annotations

import pytest
from tests.adversary.worlds import Fortress, StockError, every

from gatebook_hub.errors import ConstructRefused
from gatebook_hub.model import Engine
from gatebook_hub.sql.functions import FUNCTIONS

pytestmark = pytest.mark.adversary

_EMULATED = """
select lastname from customer where lastname ilike 's%'
select lastname from customer where lastname not ilike 's%'
select try_cast(lastname as decimal) as x from customer
select distinct on (country) country, lastname from customer
select distinct on (country) country, lastname from customer order by country, lastname
select lastname from customer qualify row_number() over (partition by country order by customerid) = 1
select customerid from customer where customerid between symmetric 9 and 2
select country from customer order by country limit 2 union select name from genre
update support_ticket set subject = try_cast('x' as decimal) where ticketid = 5
delete from support_ticket where subject ilike 'x'
"""
# What the engine reads otherwise than it would be written, or does not read at all.
_ONE_ENGINE_S = {
    Engine.MARIADB: """
select c.customerid, g.genreid from customer c full join genre g on g.genreid = c.customerid
select c.customerid, g.genreid from customer c full outer join genre g on g.genreid = c.customerid
select count(*) as n from customer full join invoice using (customerid)
select cast(total as boolean) as x from invoice
select cast(total * 1000 as tinyint) as x from invoice
select cast(total * 1000 as smallint) as x from invoice
select cast(total as real) as x from invoice
select cast('2024-01-01 00:00:00+05:00' as timestamp with time zone) as x from genre
select cast('2024-01-01 00:00:00.123456' as timestamp(3)) as x from genre
select cast(lastname as longblob) as x from customer
select trim(lastname, 'ab') as x from customer
select extract(epoch from invoicedate) as x from invoice
""",
    Engine.SQLITE: """
select 7 div 2 as x from genre
select cast(postalcode as string) as x from customer
select cast(postalcode as bytea) as x from customer
select cast(postalcode as binary) as x from customer
select cast(total as long) as x from invoice
select postalcode::string as x from customer
select trim('ab' from lastname) as x from customer
select 1_000 as x from genre
select 0b101 as x from genre
select ! genreid as x from genre
select '{"a.b": 1}' -> 'a.b' as x from genre
select '{"": 1}' ->> '' as x from genre
select name like binary 'r%' as x from genre
""",
}
_KEPT = """
select count(*) as n from customer c left join invoice i using (customerid)
select trim(lastname) as x from customer
select coalesce(lastname, 'x') as string from customer
select cast(customerid as decimal) as x from customer
select customerid from customer where customerid between 2 and 9
select distinct country from customer
select lower(lastname) like lower('S%') as x from customer
"""
_KEPT_BY_ONE = {
    Engine.MARIADB: """
(select country from customer order by country limit 2) union select name from genre
select cast(total as int) as x from invoice
select cast(total as double) as x from invoice
select trim(both 'a' from lastname) as x from customer
select 7 div 2 as x from genre
select timestamp '2024-01-01 00:00:00' as x from genre
select customerid, country from customer order by country is null, country, customerid limit 5
""",
    Engine.SQLITE: """
select count(*) as n from customer c full join genre g on g.genreid = c.customerid
select cast(total as integer) as x from invoice
select cast(postalcode as text) as x from customer
select trim(lastname, 'ab') as x from customer
select '{"a": {"b": 1}}' -> '$.a.b' as x, '{"a": 1}' ->> 'a' as y, '[4]' -> 0 as z from genre
""",
    Engine.POSTGRESQL: """
select count(*) as n from customer c full join genre g on g.genreid = c.customerid
select distinct on (country) country, customerid from customer order by country, customerid
select count(*) as n from customer where lastname ilike 's%'
select customerid from customer where customerid between symmetric 9 and 2
""",
    Engine.DUCKDB: """
select count(*) as n from customer c full join genre g on g.genreid = c.customerid
select count(*) as n from customer where lastname ilike 's%'
select try_cast(lastname as int) as x from customer
select country from customer qualify row_number() over (partition by country order by customerid) = 1
""",
}


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


def test_what_the_engine_has_not_is_refused_and_not_emulated(walls: Fortress) -> None:
    if walls.engine in {Engine.POSTGRESQL, Engine.DUCKDB}:
        pytest.skip("its own parser reads the text as it was typed")

    def check(sql: str) -> None:
        error = walls.refused(sql)
        assert isinstance(error, ConstructRefused), error

    every([*_lines(_EMULATED), *_lines(_ONE_ENGINE_S[walls.engine])], check)


def test_what_the_engine_has_is_answered(walls: Fortress) -> None:
    every([*_lines(_KEPT), *_lines(_KEPT_BY_ONE[walls.engine])], walls.equals_world)


# Words of the grammar, which stand before a parenthesis as a function does.
_GRAMMAR = frozenset(
    """ALL ARRAY CAST COALESCE CURRENT_TIME CURRENT_TIMESTAMP DATE EXTRACT GREATEST GROUPING GROUPING_ID IF IFNULL LEAST
    NULLIF ROW TRIM TRY TRY_CAST""".split()
)
# What later versions than the oldest one that is served have; nobody can define a function of theirs meanwhile.
_LATER = {
    Engine.SQLITE: frozenset(
        "CONCAT CONCAT_WS JSONB JSON_ERROR_POSITION JSON_PRETTY OCTET_LENGTH STRING_AGG TIMEDIFF".split()
    ),
    Engine.POSTGRESQL: frozenset({"ANY_VALUE", "ERF", "ERFC"}),
}
_OWN = {
    Engine.SQLITE: "select name from pragma_function_list",
    Engine.POSTGRESQL: "select proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace",
    Engine.DUCKDB: "select function_name from duckdb_functions() where internal",
}


def test_every_listed_function_is_one_of_the_engines_own(walls: Fortress) -> None:
    """A stored function or a macro could have any other name."""
    listed = FUNCTIONS[walls.engine]
    if walls.engine is Engine.MARIADB:
        assert [name for name in sorted(listed) if not _is_native(walls, name)] == []
        return
    own = {str(row[0]).upper() for row in walls.raw(_OWN[walls.engine]).rows}
    assert sorted(listed - own - _GRAMMAR - _LATER.get(walls.engine, frozenset())) == []


def _is_native(walls: Fortress, name: str) -> bool:
    """Whether MariaDB finds anything wrong with the call but that there is no such function."""
    for given in ("", "1", "1, 1"):
        try:
            walls.raw(f"select {name}({given})")
        except StockError as error:
            if "1305" in str(error):
                return False
    return True


def test_a_type_that_tells_of_the_server_is_refused(walls: Fortress) -> None:
    if walls.engine is not Engine.POSTGRESQL:
        pytest.skip("PostgreSQL alone has them")
    told = "xid xid8 cid tid pg_snapshot txid_snapshot pg_lsn aclitem oid refcursor oidvector int2vector"
    looked_up = "class collation config dictionary namespace oper operator proc procedure role type".split()
    names = [*told.split(), *(f"reg{name}" for name in looked_up)]
    written = [form for name in names for form in (name, f"_{name}", f"{name}[]", f'"{name}"', f"pg_catalog.{name}")]

    def check(kind: str) -> None:
        for sql in (f"select cast('3' as {kind}) as x from genre", f"select '3'::{kind} as x from genre"):
            walls.refused(sql)

    every(written, check)
    walls.refused("select age(cast('3' as xid)) as x from genre")
    walls.refused("select * from jsonb_to_record('{}') as t(a regclass)")
    walls.refused("values (pg_typeof(1)), ('16709')")

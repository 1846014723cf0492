"""Can a condition, an order, a join or an error tell something about a value or a row that is hidden?"""

from __future__ import annotations

import pytest
from tests.adversary.worlds import Answered, Fortress, StockError, every, normal

from gatebook_hub.errors import GatebookError, StatementFailed
from gatebook_hub.model import Engine

pytestmark = pytest.mark.adversary

QUESTIONS = [
    "select count(*) from customer where email = 'leonekohler@surfeu.de'",
    "select count(*) from customer where email like 'leone%'",
    "select count(*) from employee where phone like '+1%'",
    "select count(*) from customer where lastname = 'Gonçalves'",
    "select count(*) from customer where country = 'Brazil'",
    "select customerid from customer order by email limit 3",
    "select customerid from customer order by phone desc limit 3",
    "select count(*) from customer group by email",
    "select substr(email, 2, 1), count(*) from customer group by substr(email, 2, 1)",
    "select count(*) from customer c join employee e on c.email > e.email",
    "select count(*) from customer c join (select 'leonekohler@surfeu.de' as email) p on p.email = c.email",
    "select count(*) from customer natural join (select 'leonekohler@surfeu.de' as email) p",
    "select count(*) from customer c where length(email) = 21",
    "select max(length(email)), min(length(phone)) from employee",
    "select max(customerid), min(customerid), count(*) from customer",
    "select max(invoiceid), sum(total) from invoice",
    "select i.invoiceid from invoice i where not exists (select 1 from customer c where c.customerid = i.customerid)",
    "select count(*) from invoice where customerid = 1",
    "select count(*) from invoice i left join customer c on c.customerid = i.customerid where c.customerid is null",
    "select count(*) from support_ticket where body like '%call me at%'",
    "select e.employeeid, (select count(*) from customer c where c.supportrepid = e.employeeid) as n from employee e",
    "select count(*) from track where composer like '%Hetfield%'",
    "select a.title from album a where a.albumid not in (select albumid from track) order by 1",
    "select rank() over (order by email) as r, customerid from customer",
    "select case when email > 'm' then 1 else 0 end as half, count(*) from customer group by 1",
    "select count(*) from customer where (email, phone) = ('leonekohler@surfeu.de', '+49 0711 2842222')",
    "select count(*) from customer where email between 'l' and 'm'",
    "select count(*) from customer where email in ('leonekohler@surfeu.de', 'luisg@embraer.com.br')",
    "select customerid from customer where fax is not null",
    "select customerid from invoice order by (select email from customer c where c.customerid = invoice.customerid)",
]


def test_a_question_about_hidden_values_gets_the_policy_worlds_answer(walls: Fortress) -> None:
    every(QUESTIONS, walls.assault)


# Each raises (or would) if the database evaluates it on a row that the row scope hides. `{e}` stands for something
# that raises on this engine, `{c}` for a condition on a hidden row.
_RAISES = {
    Engine.SQLITE: ["abs(-9223372036854775807 - {n})"],
    Engine.POSTGRESQL: ["1 / (1 - {n})", "cast(substr(lastname, 1, 2) as int) * {n}", "sqrt(0.0 - {n})", "ln(1 - {n})"],
    Engine.MARIADB: ["exp(1000 * {n})", "pow(10, 1000 * {n})", "(~0) + {n} * 1.0e0"],
    Engine.DUCKDB: [
        "cast(substr(lastname, 1, 2) as int) * {n}",
        "sqrt(0.0 - {n})",
        "ln(1 - {n})",
        "2147483647 + cast({n} as int)",
    ],
}
_HIDDEN = "case when lastname = 'Gonçalves' then 1 else 0 end"


def test_an_error_tells_nothing_of_a_hidden_row(walls: Fortress) -> None:
    """The statement ends in an error where the policy world ends in one, hidden rows or not."""
    for template in _RAISES[walls.engine]:
        expression = template.format(n=_HIDDEN)
        for sql in (
            f"select count(*) from customer where {expression} is not null",
            f"select count(*) from customer where {expression} is not null and lastname = 'Gonçalves'",
            f"select count(*) from customer where lastname = 'Gonçalves' and {expression} > 0",
            f"select count(*) from customer c join genre g on {expression} > g.genreid",
            f"select {expression} as e from customer",
        ):
            answered = walls.assault(sql)
            if isinstance(answered, StatementFailed):
                with pytest.raises(StockError):
                    walls.world(sql)


@pytest.mark.postgres
def test_errors_over_hidden_rows_on_postgresql(walls: Fortress) -> None:
    if walls.engine is not Engine.POSTGRESQL:
        pytest.skip("planners of the other engines do not raise here")
    probes = [
        "select count(*) from {t} where 1 / ({k} - {h}) < 5",
        "select count(*) from {t} where cast(case when {k} = {h} then 'x' else '1' end as int) = 1",
        "select count(*) from {t} where sqrt({k} - {h} - 0.5) > -1 and {k} = {h}",
        "select count(*) from {t} where (select g.genreid from genre g where {t}.{k} = {h}) is null",
        "select count(*) from {t} where (select g.genreid from genre g where {t}.{k} = {h} limit 2) = 1 or {k} > 0",
        "select count(*) from {t} join genre on 1 / ({k} - {h}) < 5",
        "select count(*) from genre left join {t} on 1 / ({k} - {h}) < 5",
        "select 1 / ({k} - {h}) from {t}",
        "select count(*) filter (where 1 / ({k} - {h}) < 5) from {t}",
        "select count(*) from {t} group by 1 / ({k} - {h})",
        "select {k} from {t} order by 1 / ({k} - {h})",
        "select count(*) from {t} where {k} in (select 1 / (x.{k} - {h}) from {t} x)",
        "select max(1 / ({k} - {h})) over () from {t}",
        "select count(*) from (select * from {t} where {k} > 0) s where 1 / (s.{k} - {h}) < 5",
        "with s as (select * from {t}) select count(*) from s where 1 / (s.{k} - {h}) < 5",
        "select count(*) from {t} where {k} = {h} and extract(year from cast('x' || {k} as date)) > 1",
    ]
    for table, key, hidden in (
        ("customer", "customerid", 1),
        ("invoice", "invoiceid", 2),
        ("support_ticket", "ticketid", 1),
    ):
        assert walls.world(f"select count(*) from {table} where {key} = {hidden}").rows == [(0,)]
        assert walls.raw(f"select count(*) from {table} where {key} = {hidden}").rows == [(1,)]
        for probe in probes:
            sql = probe.format(t=table, k=key, h=hidden)
            try:
                expected = normal(walls.world(sql).rows)
            except StockError:
                walls.refused(sql)
                continue
            assert normal(walls.read(sql).rows) == expected, sql


@pytest.mark.postgres
def test_a_pattern_that_ends_in_a_backslash_tells_nothing(walls: Fortress) -> None:
    """PostgreSQL raises for such a pattern only where the text matched up to the backslash."""
    if walls.engine is not Engine.POSTGRESQL:
        pytest.skip("the other engines take such a pattern")
    sql = "select count(*) from customer where lastname like 'Gon\\'"
    with pytest.raises(StockError, match="pattern"):
        walls.raw(sql)
    assert walls.read(sql).rows == [(0,)]
    assert walls.read("select count(*) from customer where lastname like :p", p="Gon\\").rows == [(0,)]
    assert walls.read("select count(*) from customer where 'Gon' like lastname").rows == [(0,)]


def test_a_query_of_two_rows_as_a_value_tells_nothing(walls: Fortress) -> None:
    sql = "select count(*) from invoice i where (select g.name from genre g where i.invoiceid = 2 and g.genreid < 3) is null"
    assert walls.read(sql).rows == walls.world(sql).rows


def test_errors_name_no_values(walls: Fortress) -> None:
    """Errors over visible rows are errors, in our words."""
    statements = [
        "select cast(lastname as int) from customer",
        "select 1 / (customerid - 2) from customer",
        "select cast(email as date) from customer",
        "select exp(10000) from customer",
        "select abs(-9223372036854775807 - 1) from customer",
        "select to_date(lastname, 'YYYY') from customer",
        "select extract(year from cast(lastname as date)) from customer",
        "select (select lastname from customer) from genre",
        "select lastname from customer union select customerid from customer",
        "select nosuch from customer",
        "select lastname from customer where",
        "select lastname from nosuch",
        "select lastname, from customer 'leonekohler'",
        "select sum(lastname) from customer",
        "select date_trunc(lastname, hiredate) from employee",
    ]
    raised = 0
    for sql in statements:
        answered = walls.assault(sql)
        if isinstance(answered, GatebookError):
            raised += 1
            for word in ("gb_", "Schneider", "country in", "Austria", "SELECT", "LINE 1"):
                assert word not in str(answered), (sql, str(answered))
    assert raised >= 5


def test_an_error_in_the_middle_is_told_in_our_words(walls: Fortress) -> None:
    sql = "select 100 / (trackid - 3000), cast(name as int) from track"
    answered = walls.assault(sql)
    if isinstance(answered, Answered):
        assert walls.engine is not Engine.POSTGRESQL
    else:
        assert isinstance(answered, StatementFailed)


def test_the_book_holds_no_canary_in_clear(walls: Fortress) -> None:
    """Who asks about a protected value leaves a keyed digest, whether answered or refused."""
    start = walls.cases.gate.book.size()
    with pytest.raises(GatebookError):
        walls.ask("select lastname from nosuch where email = 'luisg@embraer.com.br'")
    with pytest.raises(GatebookError):
        walls.ask("select ' luisg@embraer.com.br")
    walls.ask("select lastname from customer where email = 'luisg@embraer.com.br'")
    walls.ask(
        "select lastname from customer where email = :mail or phone = :phone", mail="luisg@embraer.com.br", phone="x"
    )
    for entry in written_since(walls, start):
        assert b"luisg" not in entry, entry


def test_a_value_hides_from_the_book_behind_no_other_name(walls: Fortress) -> None:
    """An alias, an order or a group around the value does not make it open."""
    for sql in (
        "select city from (select email as city from customer) c where city = 'luisg@embraer.com.br'",
        "with c(city) as (select email from customer) select city from c where city = 'luisg@embraer.com.br'",
        "select lastname from customer order by replace(email, 'luisg@embraer.com.br', '')",
        "select count(*) from customer group by replace(email, 'luisg@embraer.com.br', '')",
    ):
        start = walls.cases.gate.book.size()
        walls.assault(sql)
        for entry in written_since(walls, start):
            assert b"luisg" not in entry, (sql, entry)


def written_since(walls: Fortress, start: int) -> list[bytes]:
    """The entries of the book from an index on; other tests may compare such values with unprotected columns."""
    return [entry for index, (entry, _) in enumerate(walls.cases.gate.book.entries()) if index >= start]

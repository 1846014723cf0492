"""Can a masked or refused value be reached under another name, through another query, or as part of a row?"""

from __future__ import annotations

import pytest
from tests.adversary.worlds import Answered, Fortress, every

from gatebook_hub.errors import GatebookError

pytestmark = pytest.mark.adversary

READS = [
    # another name
    "select email as city from customer",
    "select c.email as e, c.phone as p, c.fax as f from customer as c",
    "select t.e from (select email as e from customer) t",
    "select t.x from (select t.e as x from (select email as e from customer) t) t",
    "with t as (select email from customer) select email from t",
    "with t (a) as (select email from customer) select a from t",
    "with a as (select email from customer), b as (select email as x from a) select x from b",
    "select email || '' as e from employee",
    "select upper(email), substr(email, 1, 20), replace(email, '@', '#') from customer",
    "select lower(phone), trim(fax) from employee",
    "select min(email), max(email), count(distinct email) from customer",
    "select max(phone) over (partition by country) as p from customer",
    "select first_value(email) over (order by customerid) as e from customer",
    "select lag(email) over (order by customerid) as e from customer",
    "select case when email like '%@%' then email else phone end as e from customer",
    "select coalesce(fax, phone, email) as e from customer",
    "select nullif(email, 'x') as e from customer",
    "select distinct email from employee order by email",
    "select email from customer group by email having count(*) = 1",
    # the whole row
    "select * from customer",
    "select c.* from customer c",
    "select * from employee",
    "select e.* from employee e where e.employeeid = 1",
    "select * from (select * from employee) e",
    "with e as (select * from employee) select * from e",
    "select * from customer c, employee e where c.supportrepid = e.employeeid",
    # natural, using
    "select * from customer natural join (select email from employee) e",
    "select count(*) from customer join employee using (email)",
    "select count(*) from customer c join employee e using (lastname, firstname)",
    "select lastname from employee natural join (select '1962-02-18' as hiredate) x",
    "select count(*) from employee a natural join employee b",
    # set operations
    "select email from customer union select email from employee",
    "select email from customer union all select phone from employee",
    "select lastname from customer intersect select lastname from employee",
    "select email from customer except select lastname from customer",
    "select 'x' as a union select email from customer",
    "(select email from customer) union (select fax from customer)",
    "select * from (select email from customer union select phone from employee) u",
    # recursion
    "with recursive r(n, e) as (select 1, email from customer where customerid = 2 union all "
    "select n + 1, e from r where n < 5) select n, e from r",
    "with recursive boss(id, name, mail) as (select employeeid, lastname, email from employee where reportsto is null "
    "union all select e.employeeid, e.lastname, e.email from employee e join boss b on e.reportsto = b.id) "
    "select * from boss",
    # a common table expression with the name of a table
    "with employee as (select email as birthdate from customer) select birthdate from employee",
    "with customer as (select * from employee) select * from customer",
    "with x as (with customer as (select 1 as email) select email from customer) select email from x",
    "with artist as (select email as name from customer) select a.name from artist a join (select 1 as one) o on 1 = 1",
    "select * from (with genre as (select email as name from customer) select name from genre) g",
    # where it may stand before the one that it reads
    "with recursive a as (select name from genre), genre(name) as (select 'x') select * from a",
    "with a as (select name from genre), genre(name) as (select 'x') select * from a",
    "with recursive a as (select * from customer), customer(email) as (select phone from employee) select * from a",
    "select name from genre where name in (with genre as (select email as name from customer) select name from genre)",
    # correlated queries
    "select (select c.email from customer c where c.customerid = i.customerid) as e from invoice i",
    "select (select max(email) from employee) as e from artist limit 3",
    "select lastname from customer c where exists (select 1 from employee e where e.email = c.email)",
    "select lastname, (select count(*) from invoice i where i.customerid = c.customerid and c.email like 'l%') as n "
    "from customer c",
    "select lastname from customer where email = (select max(email) from customer)",
    "select lastname from employee e where (select count(*) from customer c where c.supportrepid = e.employeeid) > 1",
    "select a.name from artist a where 'leonekohler@surfeu.de' in (select email from customer)",
]


def test_no_lineage_leads_to_a_raw_value(walls: Fortress) -> None:
    every(READS, walls.assault)


def test_most_of_these_are_answered(walls: Fortress) -> None:
    """A gate that refuses everything would pass the test above."""
    answered = [sql for sql in READS if isinstance(walls.assault(sql), Answered)]
    assert len(answered) > len(READS) * 0.8


REFUSED = [
    "select birthdate from employee",
    "select e.birthdate as hiredate from employee e",
    "select count(birthdate) from employee",
    "select lastname from employee where birthdate < '1970-01-01'",
    "select lastname from employee order by birthdate",
    "select count(*) from employee group by birthdate",
    "select count(*) from employee having min(birthdate) > '1'",
    "select a.lastname from employee a join employee b on a.birthdate = b.birthdate",
    "select count(*) from employee a join employee b using (birthdate)",
    "select (select birthdate from employee limit 1) as b from artist",
    "select lastname from customer c where exists (select 1 from employee e where e.birthdate is null)",
    "with t as (select birthdate from employee) select * from t",
    "select t.birthdate from (select * from employee) t",
    "select lag(hiredate) over (order by birthdate) from employee",
    "select reason from refund",
    "select createdby as amount from refund",
    "select amount from refund order by createdat",
    "select playlistid from playlist",
    "select * from invoiceline",
    "select * from gatebook_ledger",
]


def test_a_refused_column_is_refused_wherever_it_stands(walls: Fortress) -> None:
    every(REFUSED, walls.refused)


def test_the_refusal_names_the_rule_and_what_to_ask_for(walls: Fortress) -> None:
    error = walls.refused("select birthdate from employee")
    assert (error.rule, error.code) == ("no-birthdates", "GB-301")
    assert "people" in str(error.ask)
    assert error.reference is not None


ROWS = [
    "select c from customer c",
    "select customer from customer",
    "select row_to_json(c) from customer c",
    "select to_json(customer) from customer",
    "select cast(c as text) from customer c",
    "select c::text from customer c",
    "select (c).email from customer c",
    "select (c.*)::text from customer c",
    "select count(c) from customer c",
    "select count(c.*) from customer c",
    "select max(c) from customer c",
    "select c.text from customer c",
    "select c.name from customer c",
    "select string_agg(c, ',') from customer c",
    "select * from customer c where c is not null",
    "select c = c from customer c",
    "select c.ctid, c.tableoid, c.xmin from customer c",
    "select rowid from customer",
    "select oid, _rowid_ from customer",
    "select (select c) from customer c",
    "select row(c.*) from customer c",
    "select email(c) from customer c",
    "select array_agg(c order by c.customerid) from customer c",
    "select * from customer as c(a, b, d, e, f, g, h, i, j, k, l, m, n)",
]


def test_a_whole_row_is_no_value(walls: Fortress) -> None:
    every(ROWS, walls.assault)


def test_a_label_never_shows_the_rewritten_text(walls: Fortress) -> None:
    statements = [
        "select (select count(*) from customer)",
        "with t as (select 1 as a) select (select count(*) from customer) from t",
        "with t as (select 1 as a) select a + 1, (select max(email) from customer) from t",
        "select (select count(*) from customer) union select 2",
        "select * from (select (select count(*) from invoice), (select count(*) from customer)) t",
        "select * from (select count(*), (select max(customerid) from invoice) from customer) t",
        "select (select count(*) from customer), count(*) from invoice group by billingcountry",
        "select email || '', -customerid, customerid in (select customerid from invoice) from customer",
    ]
    for sql in statements:
        try:
            names = " ".join(walls.read(sql).names)
        except GatebookError:
            continue
        for word in ("gb_", "Austria", "***", "LIMIT -1"):
            assert word not in names, (sql, names)


def test_labels_are_those_of_the_stock_database(walls: Fortress) -> None:
    for sql in ("select count(*) from artist", "select max(name), 1 from genre", "select upper(name) from genre"):
        assert walls.read(sql).names == walls.world(sql).names


def test_windows_over_the_optional_side_of_an_outer_join_are_right(walls: Fortress) -> None:
    """MariaDB counts what is not there, once a query in a from clause was merged into the join."""
    walls.equals_world(
        "select distinct count(t2.amount) over (partition by t2.refundid) as n, t2.invoiceid as i from genre t1 "
        "inner join refund t2 on t1.genreid = t2.invoiceid right join genre_sizes t3 on t1.genreid = t3.genreid"
    )

"""Do gate and policy world agree on ordinary statements, and are the canaries real?"""

from __future__ import annotations

from tests.adversary.worlds import Fortress, every

BENIGN = [
    "select * from customer",
    "SELECT FirstName, LastName FROM customer ORDER BY CustomerId",
    "select * from employee",
    "select c.*, e.lastname as rep from customer c left join employee e on e.employeeid = c.supportrepid",
    "select country, count(*) as n from customer group by country having count(*) > 1 order by n desc, country",
    "select * from invoice where total > 5 order by invoiceid limit 7",
    "select billingcity, sum(total) as s from invoice group by billingcity order by 2 desc, 1",
    "select count(*) from invoice i join customer c using (customerid)",
    "select a.title, t.name from album a join track t on t.albumid = a.albumid where t.composer is null limit 2000",
    "select distinct g.name from genre g where exists (select 1 from track t where t.genreid = g.genreid)",
    "with b as (select customerid, sum(total) as s from invoice group by 1) select s from b natural join customer",
    "select lastname, row_number() over (order by customerid) as n from customer",
    "select upper(lastname), lower(email), length(phone) from customer",
    "select coalesce(fax, 'none'), nullif(country, 'Germany') from customer",
    "select case when total > 3 then 'high' else 'low' end as size, count(*) from invoice group by 1",
    "select count(distinct subject) from support_ticket",
    "select refundid, amount from refund order by refundid",
    "select * from refund",
    "select (select max(total) from invoice i where i.customerid = c.customerid) as m, c.lastname from customer c",
    "select lastname from customer union select lastname from employee",
    "select lastname from customer where customerid in (select customerid from invoice where total > 10)",
    "select 'it''s' as a, 'back\\\\slash' as b",
    "select 1 + 1 as two",
    "with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) select count(*) from r",
    "with x as (select name from genre union select name from artist) select count(*) from x",
    "select count(*) from (select name from genre union select name from artist) x",
    "select * from track where unitprice between 1 and 2 and name like 'The%'",
    "select e.lastname, m.lastname as manager from employee e, employee m where e.reportsto = m.employeeid",
]


def test_an_ordinary_statement_is_answered_as_the_policy_world_answers(walls: Fortress) -> None:
    every(BENIGN, walls.equals_world)


def test_the_canaries_are_there_and_hidden(walls: Fortress) -> None:
    assert {"luisg@embraer.com.br", "+55 (12) 3923-5555", "1962-02-18", "andrew@chinookcorp.com"} <= walls.canaries
    assert "leonekohler@surfeu.de" in walls.canaries
    assert len(walls.canaries) > 200
    raw = " ".join(str(value) for row in walls.raw("select * from customer").rows for value in row)
    assert "luisg@embraer.com.br" in raw

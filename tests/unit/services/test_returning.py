"""What does a write with `returning` tell, to whom, and for how long?"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.services.shop import REVIEWER, Shop, ann

from gatebook_hub.changes import ChangeRequest, Returned, State, Verdict
from gatebook_hub.errors import AccessRefused, LimitExceeded, WriteRefused
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.queries import Question

GRANT = """
grants:
  - id: team
    to: group:team
    on: shop.customer
    allow: [select, insert, update, delete]
  - id: reviewers
    to: group:reviewers
    on: shop.customer
    allow: [select]
"""
MASKED = """
protections:
  - {id: mask-email, on: shop.customer.email, mask: email}
"""


def shop_of(folder: Path, rules: str = GRANT) -> Shop:
    shop = Shop(folder)
    shop.write(rules)
    return shop


def write(cases: UseCases, sql: str, **parameters: object) -> ChangeRequest:
    done = cases.queries.ask(ann("team"), Question(source="shop", sql=sql, parameters=parameters))
    assert isinstance(done, ChangeRequest)
    assert done.returned is None
    approved = cases.changes.review(REVIEWER, done.id, verdict=Verdict.APPROVE, reason="", digest=done.digest)
    assert approved.state is State.EXECUTED
    assert cases.changes.returned_to(REVIEWER.principal, approved) is None
    return approved


def told(cases: UseCases, sql: str, **parameters: object) -> Returned:
    returned = cases.changes.returned_to(ann("team").principal, write(cases, sql, **parameters))
    assert returned is not None
    return returned


def test_each_kind_of_write_tells_of_its_rows(tmp_path: Path) -> None:
    with shop_of(tmp_path).open() as cases:
        added = told(cases, "insert into customer (name, email) values ('Dov', 'd@x'), ('Eli', 'e@x') returning id, *")
        assert added.columns == ("id", "id", "name", "email", "country")
        assert added.rows == ((4, 4, "Dov", "d@x", None), (5, 5, "Eli", "e@x", None))
        changed = told(cases, "update customer set name = :n where id < 3 returning upper(name) as n", n="x")
        assert (changed.columns, changed.rows) == (("n",), (("X",), ("X",)))
        both = told(
            cases,
            "insert into customer as c (id, name) values (5, 'Eli'), (9, 'Fay') "
            "on conflict (id) do update set name = excluded.name returning c.id, c.name",
        )
        assert set(both.rows) == {(5, "Eli"), (9, "Fay")}  # also the one that has stayed the same
        gone = told(cases, "delete from customer where id > 3 returning id, name")
        assert set(gone.rows) == {(4, "Dov"), (5, "Eli"), (9, "Fay")}


def test_what_was_returned_is_kept_as_it_was_seen_and_shown_to_the_requester_alone(tmp_path: Path) -> None:
    shop = shop_of(tmp_path, GRANT + MASKED)
    with shop.open() as cases:
        done = write(cases, "update customer set name = 'x' where id = 1 returning id, email")
        kept = cases.gate.changes.get(done.id)
        returned = cases.changes.returned_to(ann("team").principal, kept)
        assert returned is not None
        assert returned.rows == ((1, "a***@example.com"),)
        assert cases.changes.returned_to(ann("readers").principal, kept) is None  # no longer in the team
    shop.write(GRANT + MASKED.replace("mask: email", "mask: redact"))
    with shop.open() as cases:
        assert cases.changes.returned_to(ann("team").principal, kept) is None
    shop.write(GRANT + MASKED + "  - {id: mask-id, on: shop.customer.id, mask: bucket(10)}\n")
    with shop.open() as cases:
        assert cases.changes.returned_to(ann("team").principal, kept) is None


def test_a_masked_key_finds_no_row_to_return(tmp_path: Path) -> None:
    rules = GRANT + "protections:\n  - {id: coarse, on: shop.customer.id, mask: bucket(10)}\n"
    with shop_of(tmp_path, rules).open() as cases, pytest.raises(WriteRefused, match="masked"):
        write(cases, "insert into customer (name) values ('x') returning name")


def test_who_may_insert_and_not_read_is_told_nothing(tmp_path: Path) -> None:
    rules = GRANT.replace("select, insert, update, delete", "insert")
    with shop_of(tmp_path, rules).open() as cases:
        write(cases, "insert into customer (name) values ('x')")
        with pytest.raises(AccessRefused):
            write(cases, "insert into customer (name) values ('x') returning id")


def test_what_is_returned_is_bounded(tmp_path: Path) -> None:
    # 3 rows of 4,000 values of 1,000 characters each
    wide = ", ".join(f"printf('%999s', 'x') as c{index}" for index in range(1_900))
    with shop_of(tmp_path).open() as cases:
        for index in range(3):
            write(cases, f"insert into customer (name) values ('y{index}')")
        with pytest.raises(LimitExceeded, match="return less"):
            write(cases, f"update customer set country = 'Z' returning {wide}")

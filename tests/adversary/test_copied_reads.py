"""Attacks on large reads of PostgreSQL, which are copied, and on what is told of its tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adversary.stands import stand

from gatebook_hub.errors import StatementFailed
from gatebook_hub.model import Engine
from gatebook_hub.services.statements import own_values
from gatebook_hub.sources.arrow_link import ArrowLink
from gatebook_hub.sql.masks import HASH_INNER

pytestmark = [pytest.mark.adversary, pytest.mark.postgres]


def test_the_key_of_hashes_is_in_no_text(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    old = ArrowLink.copy
    monkeypatch.setattr(ArrowLink, "copy", lambda self, sql: (sent.append(sql), old(self, sql))[1])
    setup = [
        "create table person (id int primary key, mail text)",
        "insert into person select i, 'm' || i from generate_series(1, 2000) i",
    ]
    rules = """
grants:
  - {id: a, to: "group:people", on: shop.person, allow: [select]}
protections:
  - {id: m, on: shop.person.mail, mask: hash}
"""
    with stand(request, Engine.POSTGRESQL, tmp_path, setup, rules, sandbox=False) as shop:
        key = own_values(shop.cases.queries._gate, "shop", shop.call.principal)[HASH_INNER]
        for _ in range(2):
            assert len(shop.ask("select id, mail from person")) == 2000  # type: ignore[arg-type]
        assert not any(key.hex() in text for text in sent)


def test_copied_numbers_are_right_or_an_error(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    setup = [
        "create table m (id integer primary key, x numeric(30,10), y numeric(30,10))",
        "insert into m select g, 1.5, 2 from generate_series(1, 1999) g",
        "insert into m values (2000, 12345678901.5, 12345678901.25)",
    ]
    rules = 'grants:\n  - {id: m, to: "group:people", on: shop.m, allow: [select]}\n'
    with stand(request, Engine.POSTGRESQL, tmp_path, setup, rules, sandbox=False) as made:
        sql = "select id, x * y as p from m where id <= :k"
        assert len(made.ask(sql, k=1999)) == 1999
        with pytest.raises(StatementFailed):  # as row by row
            made.ask(sql, k=2000)


def test_a_key_does_not_tell_what_it_includes(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    setup = ["create table p (id integer not null, hidden varchar(9), primary key (id) include (hidden))"]
    rules = 'grants:\n  - {id: p, to: "group:people", on: shop.p, allow: [select], columns: [id]}\n'
    with stand(request, Engine.POSTGRESQL, tmp_path, setup, rules, sandbox=False) as made:
        _, details = made.cases.details.of_source(made.call, "shop")
        assert "hidden" not in str(details.tables)

"""Does anything of hidden rows or of the gate's own values show through DuckDB's habits: casts row by row, names without case?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest
from tests.adversary.worlds import ANALYST, Answered, ask

from gatebook_hub.errors import ConstructRefused, ParameterMismatch
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.gate import Call
from gatebook_hub.services.opening import open_gate, start
from gatebook_hub.settings import Settings

pytestmark = pytest.mark.adversary

_SOURCE = "source: chinook\ntitle: T\nengine: duckdb\nurl: duckdb:///{path}\ndefault_quorum: [{{groups: [reviewers]}}]\nlimits: {{rows: 1000, time_s: 8}}\n"
_RULES = """
grants:
  - {id: open, to: group:analysts, on: chinook.pair, allow: [select]}
  - id: own
    to: group:analysts
    on: chinook.account
    allow: [select]
    where: owner in (select who from shown)
  - {id: mine, to: group:analysts, on: chinook.mine, allow: [select], where: "owner = :principal"}
protections:
  - {id: hashed, on: chinook.mine.iban, mask: hash}
"""
_TABLES = """
create table shown (who varchar);
create table account (id integer primary key, owner varchar, pin integer, big bigint, word varchar, flag varchar);
create table pair (id integer primary key, name varchar);
create table mine (id integer primary key, owner varchar, iban varchar);
insert into shown values ('mallory');
insert into account values (1, 'mallory', 1, 1, '1', 'true'), (2, 'victim', 4711, 5000000000000000000, 'zz', 'zz');
insert into account select 10 + i, 'mallory', 1, 1, '1', 'true' from range(50) t(i);
insert into account select 100 + i, 'victim', 4711, 5000000000000000000, 'zz', 'zz' from range(5000) t(i);
insert into pair values (1, '1'), (2, '2');
insert into mine values (1, 'mallory', 'DE1'), (2, 'victim', 'DE2');
"""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A gate in front of a DuckDB file."""

    cases: UseCases

    def read(self, text: str, **parameters: Any) -> Answered:
        """Ask as the analyst."""
        answered = ask(self.cases, Call(principal=ANALYST), text, parameters)
        assert isinstance(answered, Answered)
        return answered


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    folder = tmp_path_factory.mktemp("shelf")
    path = folder / "data" / "a.duckdb"
    path.parent.mkdir()
    with duckdb.connect(str(path)) as connection:
        connection.execute(_TABLES)
    (folder / "policies" / "sources").mkdir(parents=True)
    (folder / "policies" / "sources" / "chinook.yaml").write_text(_SOURCE.format(path=path))
    (folder / "policies" / "rules.yaml").write_text(_RULES)
    settings = Settings(
        state=folder / "state", policies=folder / "policies", hub_host="localhost", gateway_host="127.0.0.1"
    )
    with open_gate(settings) as gate:
        gate.in_force.sources.get("chinook").prepare()
        yield Shelf(cases=start(gate))


_TINY = "0." + "0" * 36 + "1"


@pytest.mark.parametrize(
    "text",
    [
        f"select count(*) from account where pin > {_TINY}",
        f"select count(*) from account where pin in (7, {_TINY})",
        f"select count(*) from account where {_TINY} between 0 and pin",
        f"select count(*) from account where big <> {_TINY[:20]}{_TINY[-5:]}",
        "select count(*) from account where flag",
        "select count(*) from account where not flag",
        "select count(*) from account where flag is true",
        "select count(*) from account where (flag) and id > 0",
        "select count(*) from account where id = 1 or flag",
        "select count(*) from account a join pair p on a.flag",
        "select count(*) from account join (select id as word from pair) p using (word)",
        "select count(*) from account natural join (select id as word from pair) p",
        f"select count(*) from (select pin from account union all select {_TINY}) u",
        f"select count(*) from account where coalesce(pin, {_TINY}) is null",
        "select count(*) from account group by owner having max(flag)",
    ],
)
def test_a_value_of_a_hidden_row_raises_no_error(shelf: Shelf, text: str) -> None:
    shelf.read(text)


@pytest.mark.parametrize("name", ["GB_PRINCIPAL", "Gb_principal", "gB_pRiNcIpAl", "GB_mask_inner", "GB_MASK_OUTER"])
def test_a_parameter_of_the_gate_is_not_named_in_another_case(shelf: Shelf, name: str) -> None:
    with pytest.raises(ParameterMismatch):
        shelf.read(f"select id, iban, :{name} as x from mine", **{name: "victim"})


def test_two_parameters_do_not_differ_by_their_case_alone(shelf: Shelf) -> None:
    with pytest.raises(ConstructRefused):
        shelf.read("select name, :a from pair where id = :A", a=1, A=2)

"""Which statement takes one written row back? Text that anybody could have sent, and that is decided like theirs."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from gatebook_hub.model import Engine, Table
from gatebook_hub.sql.dialects import dialect_of
from gatebook_hub.sql.parsing import StatementKind


def inverse_text(kind: StatementKind, table: Table, columns: Sequence[str], engine: Engine) -> str:
    """The insert, update or delete of one row by its key, `:k0` and so on; `:v0` and so on are values of `columns`."""

    def quoted(name: str) -> str:
        return exp.to_identifier(name, quoted=True).sql(dialect=dialect_of(engine))

    target = quoted(table.name)
    where = " AND ".join(f"{quoted(part)} = :k{index}" for index, part in enumerate(table.key))
    match kind:
        case StatementKind.DELETE:
            return f"DELETE FROM {target} WHERE {where}"  # noqa: S608 - quoted names and parameters alone
        case StatementKind.UPDATE:
            values = ", ".join(f"{quoted(name)} = :v{index}" for index, name in enumerate(columns))
            return f"UPDATE {target} SET {values} WHERE {where}"  # noqa: S608 - as above
        case _:
            names = ", ".join(map(quoted, columns))
            values = ", ".join(f":v{index}" for index in range(len(columns)))
            return f"INSERT INTO {target} ({names}) VALUES ({values})"  # noqa: S608 - as above

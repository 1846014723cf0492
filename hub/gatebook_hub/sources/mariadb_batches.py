"""How does a read of MariaDB become batches? Many rows by columns, a few by rows, which is soonest for each.

Both read the same packets of the same statement, so nothing has to be known before: whether there are many rows shows
as they come. A statement with a column whose type the server does not tell (a geometry, a bare NULL) is
read row by row, for its first values tell the type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pymysql.cursors import SSCursor
from pymysql.protocol import MysqlPacket

from gatebook_hub.sources.arrow import batch_of, schema_of
from gatebook_hub.sources.mariadb_columns import columns_of
from gatebook_hub.sources.mariadb_packets import PacketReader
from gatebook_hub.sources.rows import RowBatches, handed_over
from gatebook_hub.sources.stream import Batches, Driven

_FEW_ROWS = 80  # of these, a column costs more than its values


def batches_of(driven: Driven) -> Batches:
    """Run the statement; raises what the driver raises."""
    cursor = driven.execute()
    types = handed_over(lambda: driven.declared(cursor))
    return RowBatches(cursor, driven) if None in types else PacketBatches(cursor, types)


class PacketBatches:
    """The rows of a cursor whose columns have types that the server tells."""

    def __init__(self, cursor: SSCursor, types: Sequence[pa.DataType]) -> None:
        self._reader = PacketReader(cursor)
        self._result: Any = cursor._result  # type: ignore[attr-defined]  # noqa: SLF001 - the driver has no public way
        names = [str(item[0]) for item in cursor.description]
        self.schema = schema_of(names, types, [])

    def next(self) -> pa.RecordBatch | None:
        """Read a batch; raises StatementFailed where values do not fit the type of their column."""
        packets = self._reader.next()
        if packets is None:
            return None
        columns = columns_of(packets, self.schema.types) if len(packets.starts) > _FEW_ROWS else None
        if columns is not None:
            return pa.RecordBatch.from_arrays(columns, schema=self.schema)
        rows = [self._values(row) for row in packets.rows()]
        return handed_over(lambda: batch_of(self.schema, rows))

    def _values(self, row: bytes) -> tuple[Any, ...]:
        """As the driver reads them."""
        found: tuple[Any, ...] = self._result._read_row_from_packet(MysqlPacket(row, None))  # noqa: SLF001 - as above
        return found

"""Which pandas dtype does each column get?

| Arrow | pandas | missing |
|---|---|---|
| integers | `Int8` … `UInt64` | `<NA>`; integers with NULLs stay integers |
| boolean | `boolean` | `<NA>` |
| decimals | `decimal128(p, s)[pyarrow]` | `<NA>`; exact, no float in between |
| dates, times of day | `date32[pyarrow]`, `time64[pyarrow]` | `<NA>` |
| floats | `float64` | `NaN`, also for NULL |
| text | `str` | `NaN` |
| timestamps, durations | `datetime64`, `timedelta64`, in the source's own resolution and zone | `NaT` |
| the rest | `object` | `None`; integers inside of lists with NULLs stay integers |

`Connection.arrow` keeps what this loses: NULL beside NaN in a float column. So do Arrow's dtypes (`dtypes="arrow"`):
`pd.ArrowDtype` for each column, and nothing is converted.
"""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from gatebook.model import Outcome
from gatebook.rows import ARROW_DTYPES, NULLABLE

_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}


def frame_of(table: pa.Table, dtypes: str = NULLABLE) -> pd.DataFrame:
    """A table as a DataFrame; two columns may have the same name. Arrow's dtypes hold the table's own buffers."""
    # pandas looks dtypes up by column name, so equal names of different types need names of their own on the way.
    numbered = table.rename_columns([str(index) for index in range(table.num_columns)])
    frame: pd.DataFrame = numbered.to_pandas(
        types_mapper=pd.ArrowDtype if dtypes == ARROW_DTYPES else dtype_of,
        split_blocks=True,
        ignore_metadata=True,
        integer_object_nulls=True,  # inside of lists, where floats would stand for integers beside a NULL
    )
    frame.columns = pd.Index(table.schema.names, dtype="str")
    return frame


def ends_of(table: pa.Table) -> pd.DataFrame:
    """As many of the first and the last rows as pandas would show, numbered as they are in the table."""
    most = pd.get_option("display.max_rows") or table.num_rows
    half = most // 2 + 1
    if table.num_rows <= 2 * half:
        return frame_of(table)
    tail = table.num_rows - half
    frame = frame_of(pa.concat_tables([table.slice(0, half), table.slice(tail)]))
    frame.index = pd.Index([*range(half), *range(tail, table.num_rows)])
    return frame


def dtype_of(kind: pa.DataType) -> pd.api.extensions.ExtensionDtype | None:
    """The pandas dtype of an Arrow type; None leaves it to pandas."""
    if pa.types.is_decimal(kind) or pa.types.is_date(kind) or pa.types.is_time(kind):
        return pd.ArrowDtype(kind)
    return _NULLABLE.get(kind)


def mark(frame: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """The frame with its outcome in `attrs["gatebook"]`, as plain values: attrs are copied, compared and saved."""
    frame.attrs["gatebook"] = outcome.to_json()
    return frame

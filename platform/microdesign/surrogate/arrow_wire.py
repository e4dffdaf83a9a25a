"""Arrays as bytes: an Arrow IPC stream of one record batch of one row, in which every column holds one whole array.

A column is a list of numbers in C order, and its field's metadata `shape` is the array's shape as JSON. So arrays of
different lengths travel together, any Arrow reader can look at them, and reading runs no code of the sender.
"""

import json
import math
import struct
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from microdesign.core.errors import InputError
from microdesign.surrogate.arrow_messages import refuse_packed

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
DIGEST_HEADER = "X-Model-Digest"
"""Header of every answer with the digest of the model that it is of: an application may be deployed anew meanwhile."""
_MOST_COLUMNS, _LONGEST_SHAPE = 256, 200
TOKEN_VARIABLE = "MICRODESIGN_SERVE_TOKEN"
"""Environment variable with the bearer token of the Serve application, for the application and for campaigns."""


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Writes named numeric or boolean arrays of any shapes, 0-dimensional ones included."""
    fields, columns = [], []
    for name, array in arrays.items():
        values = pa.array(np.ascontiguousarray(array).reshape(-1))
        columns.append(pa.ListArray.from_arrays(np.array([0, len(values)], np.int32), values))
        fields.append(pa.field(name, columns[-1].type, metadata={"shape": json.dumps(np.shape(array))}))
    schema = pa.schema(fields)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return sink.getvalue().to_pybytes()


def unpack(data: bytes) -> dict[str, np.ndarray]:
    """Reads what `pack` wrote; the arrays own their memory.

    Raises:
        InputError: The bytes are no such stream.
    """
    try:
        refuse_packed(data)
        with pa.ipc.open_stream(data) as reader:
            batch = reader.read_next_batch()
        # The bytes may come from anyone: offsets that point outside the buffers must not be followed.
        batch.validate(full=True)
        named = list(zip(batch.schema, batch.columns, strict=True))
    except (pa.ArrowException, StopIteration, OSError, UnicodeDecodeError, ValueError, struct.error) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"The body is no readable Arrow stream ({_first_line(error)}).") from None
    if batch.num_rows != 1:
        raise InputError(f"The Arrow stream has {batch.num_rows} rows; expected one row with an array in every column.")
    if len(named) > _MOST_COLUMNS:
        raise InputError(f"The Arrow stream has {len(named)} columns; expected at most {_MOST_COLUMNS}.")
    # Columns may share bytes, so that a short body states any number of values.
    stated = sum(column.nbytes for column in batch.columns)
    if stated > len(data):
        raise InputError(f"The Arrow stream of {len(data)} bytes states {stated} bytes of values.")
    return {field.name: _array(field, column) for field, column in named}


def _array(field: pa.Field, column: pa.Array) -> np.ndarray:
    kind = field.type
    if not pa.types.is_list(kind) or not _is_number(kind.value_type):
        raise InputError(f"Column {field.name!r} of the Arrow stream is {kind}; expected a list of numbers.")
    values = column[0].values
    if values is None or values.null_count:
        raise InputError(f"Column {field.name!r} of the Arrow stream has missing values.")
    return np.array(values.to_numpy(zero_copy_only=False)).reshape(_shape(field, len(values)))


def _shape(field: pa.Field, size: int) -> tuple[int, ...]:
    text = (field.metadata or {}).get(b"shape", b"").decode(errors="replace")
    try:
        found = json.loads(text) if len(text) <= _LONGEST_SHAPE else None
    except (ValueError, RecursionError):
        found = None
    shape = found if isinstance(found, list) else []
    lengths = (
        shape is found and len(shape) <= 8 and all(type(length) is int and 0 <= length < 2**31 for length in shape)
    )
    if not lengths or math.prod(shape) != size:
        raise InputError(
            f"Column {field.name!r} of the Arrow stream has {size} values and the shape {text[:40]!r}; "
            "expected a JSON list of lengths that multiply to as many."
        )
    return tuple(shape)


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].removesuffix(".")

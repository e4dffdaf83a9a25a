"""A body of a few kilobytes makes no gigabytes: refused by a sentence before it is unpacked."""

import json
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest

from microdesign.core.errors import InputError
from microdesign.surrogate.arrow_wire import pack, unpack
from tests.cases import case


def compressed(codec: str) -> bytes:
    values = pa.array([np.zeros(2**24, np.uint8)])
    schema = pa.schema([pa.field("labels", values.type, metadata={"shape": json.dumps([2**24])})])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([values], schema=schema))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def with_shape(text: str) -> bytes:
    values = pa.array([np.zeros(4, np.uint8)])
    schema = pa.schema([pa.field("labels", values.type, metadata={"shape": text})])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([values], schema=schema))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def dictionary() -> bytes:
    values = pa.array(["a" * 1000]).dictionary_encode()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, pa.schema([("labels", values.type)])) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays([values], names=["labels"]))
    data: bytes = sink.getvalue().to_pybytes()
    return data


def test_what_would_unpack_to_more_is_refused_unread() -> None:
    for codec in ("zstd", "lz4"):
        body = compressed(codec)
        assert len(body) < 2**18
        tracemalloc.start()
        before = pa.total_allocated_bytes()
        with case(codec=codec), pytest.raises(InputError, match="is compressed; send it without compression"):
            unpack(body)
        assert tracemalloc.get_traced_memory()[1] < 2**20
        assert pa.total_allocated_bytes() - before < 2**20
        tracemalloc.stop()
    with pytest.raises(InputError, match="other messages than arrays"):
        unpack(dictionary())


def test_shapes_of_strangers() -> None:
    for text in (
        "[" * 100_000,
        f"[{2**80}]",
        f"[0, {2**80}]",
        "[-2, -2]",
        "[2, 2.0]",
        "4",
        "[true, 4]",
        "[" + "1," * 99,
    ):
        with (
            case(text=text),
            pytest.raises(InputError, match="expected a JSON list of lengths that multiply to as many"),
        ):
            unpack(with_shape(text))
    assert unpack(with_shape("[2, 2]"))["labels"].shape == (2, 2)


def test_columns_without_end() -> None:
    body = pack({f"c{number:03}": np.zeros(2, np.uint8) for number in range(300)})
    with pytest.raises(InputError, match="has 300 columns; expected at most 256"):
        unpack(body)

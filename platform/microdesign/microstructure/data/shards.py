"""One Parquet shard: encoding to and from `Microstructures`, and the record in its metadata."""

import json
import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import PositiveInt

from microdesign.core.budget import refuse_large, refuse_special
from microdesign.core.config import Config, validate_config
from microdesign.core.errors import InputError
from microdesign.core.files import digest, replacing
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.places import Place

RESERVED_COLUMNS = ("class", "generation", "image", "place")
_KEY = b"microdesign"
_PLACE = pa.struct(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("corner", pa.list_(pa.int64()), nullable=False),
        pa.field("extent", pa.list_(pa.int64()), nullable=False),
        pa.field("split", pa.string(), nullable=False),
    ]
)


class ShardRecord(Config):
    """The description of a shard in its Parquet metadata, enough to resume without reading the images."""

    shape: tuple[PositiveInt, ...]
    """Number of pixels along each spatial axis."""
    n_phases: int
    """Number of phases."""
    periodic: bool
    """Whether the images are periodic."""
    pixel_size: float
    """Edge length of a pixel along x."""
    aspect: tuple[float, ...] = ()
    """Edge lengths along each axis over that along x; empty for squares and cubes."""
    length_unit: str = ""
    """Unit of the pixel size; empty where it is not known."""
    rows: PositiveInt
    """Number of samples."""
    classes: dict[str, int]
    """Number of samples of each class."""
    properties: dict[str, str]
    """Unit of each property column."""
    settings_digest: str
    """Digest of the settings that the shard was made with."""
    digest: str
    """Digest of the content."""


def write_shard_file(path: Path, batch: Microstructures, units: Mapping[str, str], settings_digest: str) -> ShardRecord:
    """Writes the batch as one Parquet file, complete or absent, and returns its record.

    Columns: `class`, `generation`, `image` (fixed-size binary: bits in C order for two phases, else one byte a pixel),
    one float64 column per property with its unit in the field's metadata, and, where samples are windows of larger
    images, `place`.

    Raises:
        InputError: The batch is empty or a property bears the name of a fixed column.
        StorageError: The file cannot be written.
    """
    if len(batch) == 0:
        raise InputError(f"{path}: got no samples; expected at least one per shard.")
    clash = sorted(set(batch.properties) & set(RESERVED_COLUMNS))
    if clash:
        raise InputError(f"property '{clash[0]}' bears the name of a fixed column; expected another name.")
    packed = pack(batch.labels, batch.n_phases)
    record = ShardRecord(
        shape=batch.shape,
        n_phases=batch.n_phases,
        periodic=batch.periodic,
        **batch.physical,
        rows=len(batch),
        classes=dict(Counter(batch.classes)),
        properties={name: units.get(name, "") for name in batch.properties},
        settings_digest=settings_digest,
        digest=content_digest(batch, packed),
    )
    fields = [
        pa.field("class", pa.string(), nullable=False),
        pa.field("generation", pa.string(), nullable=False),
        pa.field("image", pa.binary(packed.shape[1]), nullable=False),
    ]
    fields += [
        pa.field(name, pa.float64(), nullable=False, metadata={"unit": unit})
        for name, unit in record.properties.items()
    ]
    columns = [
        pa.array(batch.classes, pa.string()),
        pa.array(batch.generation, pa.string()),
        pa.FixedSizeBinaryArray.from_buffers(pa.binary(packed.shape[1]), len(batch), [None, pa.py_buffer(packed)]),
        *(pa.array(values, pa.float64(), from_pandas=False) for values in batch.properties.values()),
    ]
    if any(batch.places):
        fields.append(pa.field("place", _PLACE))
        columns.append(pa.array([None if place is None else place.record() for place in batch.places], _PLACE))
    table = pa.table(columns, schema=pa.schema(fields, metadata={_KEY: record.model_dump_json()}))
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return record


def read_shard_record(path: Path) -> ShardRecord:
    """Reads a shard's record from its metadata.

    Raises:
        InputError: The file is missing, no complete Parquet file, or not a shard of a data set.
    """
    refuse_special(path, "a shard of a data set")
    try:
        file = pq.read_metadata(path)
        metadata = file.metadata or {}
        # Arrow has its own metadata in the schema, which is not always that of the file.
        metadata = metadata if _KEY in metadata else pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())}).") from None
    if _KEY not in metadata:
        raise InputError(f"{path}: is a Parquet file but not a shard of a microdesign data set.")
    try:
        values = json.loads(metadata[_KEY])
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: its record is damaged ({' '.join(str(error).split())}).") from None
    record = validate_config(ShardRecord, values, source=str(path))
    if file.num_rows != record.rows:
        raise InputError(f"{path}: is damaged: it holds {file.num_rows} samples and states {record.rows}.")
    return record


def read_shard_file(path: Path, expected_digest: str | None = None) -> Microstructures:
    """Reads all of a shard; with `expected_digest` it is checked to hold what was written.

    Raises:
        InputError: The file is missing, damaged, or its content does not match the digest.
    """
    record = read_shard_record(path)
    refuse_large(record.rows * math.prod(record.shape), str(path), "a shard")
    try:
        table = pq.read_table(path, partitioning=None)
        image = table.column("image").combine_chunks()
        if isinstance(image, pa.ChunkedArray):
            image = image.chunk(0)
        width = image.type.byte_width
        raw = np.frombuffer(image.buffers()[1], dtype=np.uint8, count=len(image) * width, offset=image.offset * width)
        packed = raw.reshape(len(image), width)
        batch = Microstructures(
            labels=unpack(packed, record.shape, record.n_phases),
            n_phases=record.n_phases,
            classes=tuple(table.column("class").to_pylist()),
            generation=tuple(table.column("generation").to_pylist()),
            properties={name: table.column(name).to_numpy() for name in record.properties},
            places=_places(table.column("place").to_pylist()) if "place" in table.column_names else (),
            periodic=record.periodic,
            pixel_size=record.pixel_size,
            aspect=record.aspect,
            length_unit=record.length_unit,
        )
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, pa.ArrowException) as error:
        raise InputError(f"{path}: is damaged ({' '.join(str(error).split())}).") from None
    if expected_digest is not None and content_digest(batch, packed) != expected_digest:
        raise InputError(f"{path}: its content does not match the digest in the manifest; the file was changed.")
    return batch


def read_column(path: Path, name: str) -> list[Any]:
    """Reads one column of a shard, without the images.

    Raises:
        InputError: The file is missing or damaged, or has no such column.
    """
    try:
        return pq.read_table(path, columns=[name], partitioning=None).column(name).to_pylist()
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise InputError(f"{path}: column '{name}' cannot be read ({' '.join(str(error).split())}).") from None


def read_places(path: Path) -> tuple[Place | None, ...]:
    """Reads the places of a shard's samples, without the images; None for those that are no windows.

    Raises:
        InputError: The file is missing or damaged.
    """
    record = read_shard_record(path)
    stored = "place" in pq.read_schema(path).names
    return _places(read_column(path, "place")) if stored else (None,) * record.rows


def pack(labels: NDArray[np.uint8], n_phases: int) -> NDArray[np.uint8]:
    """Packs labels `(n, *shape)` into rows of bytes `(n, width)`: one bit a pixel up to two phases, else one byte."""
    # Not -1: of no images NumPy cannot tell the width.
    flat = np.ascontiguousarray(labels).reshape(len(labels), math.prod(labels.shape[1:]))
    return np.packbits(flat, axis=1) if n_phases <= 2 else flat


def unpack(packed: NDArray[np.uint8], shape: tuple[int, ...], n_phases: int) -> NDArray[np.uint8]:
    """Inverse of `pack`: rows of bytes `(n, width)` to labels `(n, *shape)`."""
    pixels = int(np.prod(shape))
    flat = np.unpackbits(packed, axis=1, count=pixels) if n_phases <= 2 else packed
    return flat.reshape(len(packed), *shape)


def content_digest(batch: Microstructures, packed: NDArray[np.uint8]) -> str:
    """Returns the digest of a batch, independent of the file format's version and of compression."""
    head = [batch.shape, batch.n_phases, batch.periodic, batch.pixel_size, batch.classes, batch.generation]
    # Only what is known, so that the digest of other shards is what it was before these fields.
    head += [[batch.aspect, batch.length_unit]] if batch.aspect or batch.length_unit else []
    parts: list[bytes | str] = [json.dumps(head), packed.tobytes()]
    if any(batch.places):
        parts.append(json.dumps([None if place is None else place.record() for place in batch.places]))
    for name in sorted(batch.properties):
        parts += [name, batch.properties[name].astype("<f8").tobytes()]
    return digest(*parts)


def _places(records: list[Any]) -> tuple[Place | None, ...]:
    return tuple(None if record is None else Place.from_record(record) for record in records)

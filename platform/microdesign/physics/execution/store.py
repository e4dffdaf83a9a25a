"""A store of results: an image is solved once under the same materials and evaluator, whoever asks again.

A folder of Parquet parts, `part-ROWS-ID.parquet`, each sorted by key and written whole under another name, then
renamed. Processes on any node that sees the folder add and look up at the same time: a part is never changed, and the
same key always has the same result. Small parts are merged as they become many; a reader that finds a part gone reads
the folder again. Memory: 32 bytes a result, plus a few parts; values are read when asked for. Failures are not kept.
"""

import os
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import digest, replacing
from microdesign.physics.evaluators.protocol import Evaluator, Values, evaluate_each, merge_values
from microdesign.physics.materials import Materials

_KEY_BYTES = 32
_FULL = 1 << 17
"""Rows from which a part is not merged any more."""
_MANY = 32
"""Small parts from which they are merged."""
_CACHED = 16
"""Parts whose values stay in memory."""
STORE_SECONDS = 10.0
"""Age of results at which they are written to the store; each write makes a file."""


def evaluation_key(labels: np.ndarray, materials_digest: str, fingerprint: str) -> str:
    """The key of an image uint8 `(*shape)` under materials and an evaluator, 64 hexadecimal digits."""
    labels = np.ascontiguousarray(labels, np.uint8)
    return digest(str(labels.shape), labels.tobytes(), materials_digest, fingerprint)


def evaluation_keys(images: np.ndarray, materials: Materials, evaluator: Evaluator) -> list[str]:
    """The key of each image of uint8 `(n, *shape)`."""
    materials_digest, fingerprint = materials.digest, evaluator.fingerprint
    return [evaluation_key(labels, materials_digest, fingerprint) for labels in images]


class ResultStore:
    """Results by key, on disk. It pickles as its folder: any process can open the same one.

    Example:
        >>> store = ResultStore("results")
        >>> values = evaluate_stored(FFTEvaluator(), images, materials, store)

    Args:
        folder: The folder, made by the first result.

    Raises:
        InputError: The folder is a file.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder}: is a file; expected a folder for the results of physics.")
        self._keys: dict[str, np.ndarray] = {}
        self._values: OrderedDict[str, dict[str, tuple[np.ndarray, np.ndarray]]] = OrderedDict()

    def __reduce__(self) -> tuple[type["ResultStore"], tuple[Path]]:
        return ResultStore, (self.folder,)

    def __len__(self) -> int:
        """Number of results on disk; one that two processes added at the same moment may count twice."""
        return sum(_rows(name) for name in self._names())

    def find(self, keys: Sequence[str]) -> tuple[np.ndarray, Values]:
        """Looks keys up.

        Args:
            keys: n keys, as `evaluation_key` makes them.

        Returns:
            Which keys are known, bool `(n,)`, and the values of those in their order, each `(known,)`.

        Raises:
            InputError: A part is damaged.
        """
        wanted = _as_array(keys)
        while True:
            try:
                where = self._locate(wanted)
                found = np.flatnonzero(np.array([name is not None for name, _ in where], dtype=bool))
                values: Values = {}
                for name in {where[i][0] for i in found}:
                    rows = [(n, where[i][1]) for n, i in enumerate(found) if where[i][0] == name]
                    into, out_of = np.array(rows).T
                    for column, (array, given) in self._read_values(str(name)).items():
                        if given[out_of].any():
                            values.setdefault(column, np.full(len(found), np.nan))[into] = array[out_of]
                break
            except FileNotFoundError:
                # Another process has merged the part into a larger one since the folder was listed.
                continue
        known = np.zeros(len(wanted), dtype=bool)
        known[found] = True
        return known, values

    def add(self, keys: Sequence[str], values: Values) -> None:
        """Adds results; on disk when this returns. Failures and results that are there already are left out.

        Args:
            keys: n keys.
            values: What `evaluate_each` returned for them, each `(n,)`.

        Raises:
            StorageError: The folder cannot be written; then nothing is added.
        """
        solved = np.array([not message for message in values["error"]], dtype=bool)
        wanted = _as_array(keys)
        new = [i for i, (name, _) in enumerate(self._locate(wanted)) if name is None and solved[i]]
        if not new:
            return
        _, first = np.unique(wanted[new], return_index=True)
        rows = np.array(new)[first]
        self._write(wanted[rows], {name: array[rows] for name, array in values.items() if name != "error"})
        self._merge_small()

    def _locate(self, wanted: np.ndarray) -> list[tuple[str | None, int]]:
        """Part and row of each key; a part None says that the key is unknown."""
        where: list[tuple[str | None, int]] = [(None, -1)] * len(wanted)
        names = self._names()
        for name in set(self._keys) - set(names):
            del self._keys[name]
            self._values.pop(name, None)
        left = np.arange(len(wanted))
        for name in names:
            if not len(left):
                break
            keys = self._keys.get(name)
            if keys is None:
                try:
                    keys = self._keys[name] = _key_array(self._table(name, ["key"]))
                except FileNotFoundError:
                    return self._locate(wanted)
            rows = np.minimum(np.searchsorted(keys, wanted[left]), len(keys) - 1)
            hit = keys[rows] == wanted[left]
            for i, row in zip(left[hit], rows[hit], strict=True):
                where[i] = name, int(row)
            left = left[~hit]
        return where

    def _names(self) -> list[str]:
        try:
            with os.scandir(self.folder) as entries:
                return sorted(e.name for e in entries if e.name.startswith("part-") and e.name.endswith(".parquet"))
        except FileNotFoundError:
            return []

    def _table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        path = self.folder / name
        try:
            return pq.read_table(path, columns=columns, partitioning=None)
        except FileNotFoundError:
            raise
        except (OSError, KeyError, pa.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: is damaged ({reason}); delete it, its results are computed again.") from None

    def _read_values(self, name: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """The columns of a part, and where each has a value: one that is not defined is NaN, one not asked for null."""
        values = self._values.pop(name, None)
        if values is None:
            table = self._table(name)
            columns = {column: table.column(column) for column in table.column_names if column != "key"}
            values = {column: (array.to_numpy(), array.is_valid().to_numpy()) for column, array in columns.items()}
        self._values[name] = values
        while len(self._values) > _CACHED:
            self._values.popitem(last=False)
        return values

    def _write(self, keys: np.ndarray, values: Mapping[str, np.ndarray | pa.ChunkedArray]) -> None:
        """Writes a part; `keys` ascend."""
        name = f"part-{len(keys):08d}-{uuid.uuid4().hex[:12]}.parquet"
        buffer = pa.py_buffer(np.ascontiguousarray(keys))
        columns = {"key": pa.FixedSizeBinaryArray.from_buffers(pa.binary(_KEY_BYTES), len(keys), [None, buffer])}
        columns |= {
            column: pa.array(np.asarray(array, np.float64)) if isinstance(array, np.ndarray) else array
            for column, array in values.items()
        }
        with replacing(self.folder / name) as temporary:
            pq.write_table(pa.table(columns), temporary, use_dictionary=False)
        self._keys[name] = keys

    def _merge_small(self) -> None:
        small = [name for name in self._names() if _rows(name) < _FULL]
        if len(small) < _MANY:
            return
        try:
            tables = [self._table(name) for name in small]
        except FileNotFoundError:
            return  # Another process merges them.
        table = pa.concat_tables(tables, promote_options="default")
        keys, first = np.unique(_key_array(table), return_index=True)
        table = table.take(first)
        self._write(keys, {n: table.column(n) for n in table.column_names if n != "key"})
        for name in small:
            try:
                (self.folder / name).unlink(missing_ok=True)
            except OSError as error:
                raise StorageError(f"{self.folder / name}: cannot be deleted ({error.strerror or error}).") from None


class StoreWriter:
    """Gathers the results of batches and adds them to a store every `STORE_SECONDS`; call `flush` at the end."""

    def __init__(self, store: ResultStore) -> None:
        self.store = store
        self._keys: list[str] = []
        self._parts: list[tuple[np.ndarray, Values]] = []
        self._written = time.monotonic()

    def add(self, keys: Sequence[str], values: Values) -> None:
        """Takes results as `ResultStore.add`; those that are gathered are written if it is time."""
        self._parts.append((np.arange(len(self._keys), len(self._keys) + len(keys)), values))
        self._keys += keys
        if time.monotonic() - self._written > STORE_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Writes what is gathered."""
        if self._keys:
            self.store.add(self._keys, merge_values(self._parts, len(self._keys)))
        self._keys, self._parts, self._written = [], [], time.monotonic()


def evaluate_stored(
    evaluator: Evaluator,
    images: np.ndarray,
    materials: Materials,
    store: ResultStore,
    evaluate: Callable[[Evaluator, np.ndarray, Materials], Values] = evaluate_each,
    *,
    add: bool = True,
) -> Values:
    """Evaluates images that the store does not know, each once, and takes the others from it.

    Args:
        evaluator: The physics.
        images: Phase labels, uint8 `(n, *shape)`.
        materials: The phases.
        store: The store.
        evaluate: How to run the evaluator.
        add: Whether new results go to the store.

    Returns:
        The values and `error`, as `evaluate_each` returns them, each `(n,)`.

    Raises:
        StorageError: New results cannot be written.
    """
    keys = evaluation_keys(images, materials, evaluator)
    unique, first, inverse = np.unique(np.array(keys, dtype=str), return_index=True, return_inverse=True)
    known, values = store.find(unique.tolist())
    parts = [(np.flatnonzero(known), values)]
    new = np.flatnonzero(~known)
    if len(new):
        found = evaluate(evaluator, images[first[new]], materials)
        if add:
            store.add(unique[new].tolist(), found)
        parts.append((new, found))
    return {name: array[inverse] for name, array in merge_values(parts, len(unique)).items()}


def _as_array(keys: Sequence[str]) -> np.ndarray:
    return np.frombuffer(bytes.fromhex("".join(keys)), dtype=f"S{_KEY_BYTES}")


def _key_array(table: pa.Table) -> np.ndarray:
    column = table.column("key").combine_chunks()
    chunk = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
    raw = np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * _KEY_BYTES, chunk.offset * _KEY_BYTES)
    return raw.view(f"S{_KEY_BYTES}").copy()


def _rows(name: str) -> int:
    return int(name.split("-")[1])

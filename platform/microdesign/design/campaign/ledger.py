"""The ledger of a campaign: every change of a trial, on disk before anything else happens.

A folder on any pyarrow filesystem: `campaign.json` and `evaluations/part-*.parquet`, each part written whole under
another name and then renamed. A part holds trials as they are after a change; the last one counts. A trial is keyed by
the digest of (image, materials, evaluator fingerprint): it is never evaluated twice and, once reported, never lost.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import make_folder, sync
from microdesign.design.campaign.trials import Trial, Trials, TrialState

_MANY = 128
"""Parts from which they are merged when a ledger is opened."""


class Ledger(Trials):
    """The trials of a campaign, in memory and on disk.

    Args:
        folder: A path, or a URI that pyarrow knows (`s3://...`, `gs://...`, `hdfs://...`).
        identity: What the campaign's evaluations depend on; a folder of another campaign is refused.

    Raises:
        InputError: The folder belongs to a campaign with another identity, or its record is damaged.
        StorageError: The folder cannot be written.
    """

    def __init__(self, folder: str, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self._fs, self._path = _filesystem(folder)
        self._folder = f"{self._path}/evaluations"
        self._make_folder()
        self._check_identity(json.loads(json.dumps(identity)))
        names = _parts(self._fs, self._folder)
        super().__init__(_read(self._fs, names))
        self._next_part = 1 + int(names[-1].rsplit("/", 1)[-1].split("-")[1]) if names else 0
        if len(names) >= _MANY:
            self._write(self.trials)
            for name in names:
                self._fs.delete_file(name)

    def record(self, trials: Sequence[Trial]) -> None:
        """Records new or changed trials; on disk when this returns."""
        if not trials:
            return
        self._write(trials)
        self._note(trials)

    def _write(self, trials: Sequence[Trial]) -> str:
        name = f"part-{self._next_part:06d}-{uuid.uuid4().hex[:8]}.parquet"
        try:
            pq.write_table(_to_table(trials), f"{self._folder}/.{name}", filesystem=self._fs)
            _move(self._fs, f"{self._folder}/.{name}", f"{self._folder}/{name}")
        except OSError as error:
            raise StorageError(f"{self.folder}: an evaluation cannot be recorded ({error}).") from None
        self._next_part += 1
        return name

    def _make_folder(self) -> None:
        try:
            if isinstance(self._fs, pafs.LocalFileSystem):
                make_folder(self._folder)
            else:
                self._fs.create_dir(self._folder, recursive=True)
        except OSError as error:
            raise StorageError(f"{self.folder}: cannot be made ({error}).") from None

    def _check_identity(self, identity: dict[str, Any]) -> None:
        path = f"{self._path}/campaign.json"
        if self._fs.get_file_info(path).type == pafs.FileType.File:
            with self._fs.open_input_stream(path) as stream:
                try:
                    known = json.loads(stream.read())
                except ValueError:
                    known = None
            if not isinstance(known, dict):
                raise InputError(f"{path}: is damaged; expected the JSON record of a campaign.")
            for name in identity:
                if known.get(name) != identity[name]:
                    raise InputError(
                        f"{self.folder}: holds a campaign with another {name}; choose another folder, or delete it."
                    )
            return
        try:
            with self._fs.open_output_stream(f"{path}.new") as stream:
                stream.write(json.dumps(identity, indent=2).encode())
            _move(self._fs, f"{path}.new", path)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written ({error}).") from None


def read_trials(folder: str) -> tuple[Trials, dict[str, Any]]:
    """Reads a campaign's trials and its identity, as they are now; another process may be writing the ledger.

    Raises:
        InputError: The folder holds no ledger, or a damaged one.
    """
    fs, path = _filesystem(folder)
    try:
        with fs.open_input_stream(f"{path}/campaign.json") as stream:
            identity = json.loads(stream.read())
        try:
            return Trials(_read(fs, _parts(fs, f"{path}/evaluations"))), dict(identity)
        except FileNotFoundError:  # its driver has just merged the parts
            return Trials(_read(fs, _parts(fs, f"{path}/evaluations"))), dict(identity)
    except FileNotFoundError:
        raise InputError(f"{folder}: holds no campaign; expected a folder that `design` has begun.") from None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{folder}: holds a damaged ledger ({error}).") from None


def _move(fs: pafs.FileSystem, temporary: str, path: str) -> None:
    """Renames a file that is complete; on a local disk both its content and its name outlast a power cut then."""
    if not isinstance(fs, pafs.LocalFileSystem):
        fs.move(temporary, path)
        return
    sync(temporary)
    fs.move(temporary, path)
    sync(Path(path).parent)


def _parts(fs: pafs.FileSystem, folder: str) -> list[str]:
    files = fs.get_file_info(pafs.FileSelector(folder))
    return sorted(file.path for file in files if file.base_name.startswith("part-"))


def _read(fs: pafs.FileSystem, names: Sequence[str]) -> list[Trial]:
    trials: list[Trial] = []
    for name in names:
        try:
            trials += _from_table(pq.read_table(name, filesystem=fs))
        except FileNotFoundError:
            raise
        except (pa.ArrowException, KeyError, ValueError, OSError) as error:
            raise InputError(f"{name}: is damaged ({error}); expected a part of a campaign's ledger.") from None
    return trials


def _filesystem(folder: str) -> tuple[pafs.FileSystem, str]:
    try:
        if "://" in folder:
            return pafs.FileSystem.from_uri(folder)
        local = pafs.LocalFileSystem()
        return local, local.normalize_path(folder.rstrip("/"))
    except (pa.ArrowInvalid, ValueError) as error:
        raise InputError(f"{folder}: is no folder that can be reached ({error}).") from None


_VALUES = pa.map_(pa.string(), pa.float64())
_SCHEMA = pa.schema(
    {
        "number": pa.int32(),
        "key": pa.string(),
        "shape": pa.list_(pa.int32()),
        "image": pa.binary(),
        "z": pa.list_(pa.float64()),
        "component": pa.int32(),
        "round": pa.int32(),
        "stage": pa.string(),
        "parent": pa.string(),
        "model": pa.string(),
        "predicted": _VALUES,
        "state": pa.string(),
        "verified": _VALUES,
        "second": _VALUES,
        "fine": _VALUES,
        "fine_second": _VALUES,
        "error": pa.string(),
        "order": pa.int32(),
        "attempts": pa.int32(),
        "worker": pa.string(),
        "timings": _VALUES,
    }
)
_MAPS = ("predicted", "verified", "second", "fine", "fine_second", "timings")


def _to_table(trials: Sequence[Trial]) -> pa.Table:
    rows = []
    for trial in trials:
        row = dict(vars(trial))
        labels = np.ascontiguousarray(row.pop("labels"), np.uint8)
        maps = {name: [(key, float(value)) for key, value in row[name].items()] for name in _MAPS}
        image = {"shape": list(labels.shape), "image": labels.tobytes()}
        rows.append({**row, **image, **maps, "z": np.asarray(trial.z, float).tolist(), "state": trial.state.value})
    return pa.Table.from_pylist(rows, schema=_SCHEMA)


def _from_table(table: pa.Table) -> list[Trial]:
    trials = []
    for row in table.to_pylist():
        labels = np.frombuffer(row.pop("image"), np.uint8).reshape(row.pop("shape"))
        maps = {name: dict(row[name]) for name in _MAPS}
        trials.append(
            Trial(**{**row, **maps, "labels": labels, "z": np.array(row["z"]), "state": TrialState(row["state"])})
        )
    return trials

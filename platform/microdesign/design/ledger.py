"""The ledger of a campaign: every physics evaluation, on disk the moment it is reported.

A folder on any pyarrow filesystem: `campaign.json` and `evaluations/part-*.parquet`, each part written whole under
another name and then renamed. An evaluation is keyed by the digest of (image, materials, evaluator fingerprint): it is
never computed twice and, once reported, never lost.

Shapes: n evaluations, D latent, P properties, X Y image.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from microdesign.errors import InputError, StorageError


@dataclass(frozen=True)
class Evaluation:
    """One design with what physics says of it.

    Attributes:
        key: Digest of (image, materials, evaluator fingerprint).
        labels: The image, uint8 `(X, Y)`.
        z: Its latent `(D,)`.
        component: Prior component that it stems from.
        round: 0 for first draws, then the refinement round.
        parent: Key of the evaluation that it was derived from; empty for first draws.
        predicted: Property name to the regressor's mean.
        verified: Property name to the physics value; empty when `error` is set.
        seconds: Wall time from the start of its round to its report.
        error: Why physics could not answer; empty when it did.
    """

    key: str
    labels: np.ndarray
    z: np.ndarray
    component: int
    round: int
    parent: str
    predicted: Mapping[str, float]
    verified: Mapping[str, float]
    seconds: float
    error: str


class Ledger:
    """The evaluations of a campaign, in memory and on disk.

    Args:
        folder: A path, or a URI that pyarrow knows (`s3://...`, `gs://...`, `hdfs://...`).
        identity: What the campaign's evaluations and answers depend on; a folder of another campaign is refused.

    Raises:
        InputError: The folder belongs to a campaign with another identity, or its record is damaged.
        StorageError: The folder cannot be written.
    """

    def __init__(self, folder: str, identity: Mapping[str, Any]) -> None:
        self.folder = folder
        self._fs, self._path = _filesystem(folder)
        self._parts = f"{self._path}/evaluations"
        self._make_folder()
        self._check_identity(json.loads(json.dumps(identity)))
        self.evaluations: list[Evaluation] = self._read()
        self._keys = {evaluation.key for evaluation in self.evaluations}

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def __len__(self) -> int:
        return len(self.evaluations)

    @property
    def rounds(self) -> int:
        """The number of the next round: one more than the last that is on record."""
        return 1 + max((evaluation.round for evaluation in self.evaluations), default=-1)

    def append(self, evaluations: Sequence[Evaluation]) -> None:
        """Records evaluations; on disk when this returns. Keys that are on record already are left out."""
        fresh = [evaluation for evaluation in evaluations if evaluation.key not in self._keys]
        if not fresh:
            return
        # The time-ordered name keeps the order of reports across resumes.
        name = f"part-{len(self.evaluations):06d}-{uuid.uuid4().hex[:8]}.parquet"
        try:
            pq.write_table(_to_table(fresh), f"{self._parts}/.{name}", filesystem=self._fs)
            self._fs.move(f"{self._parts}/.{name}", f"{self._parts}/{name}")
        except OSError as error:
            raise StorageError(f"{self.folder}: an evaluation cannot be recorded ({error}).") from None
        self.evaluations += fresh
        self._keys |= {evaluation.key for evaluation in fresh}

    def _make_folder(self) -> None:
        try:
            self._fs.create_dir(self._parts, recursive=True)
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
            self._fs.move(f"{path}.new", path)
        except OSError as error:
            raise StorageError(f"{path}: cannot be written ({error}).") from None

    def _read(self) -> list[Evaluation]:
        files = self._fs.get_file_info(pafs.FileSelector(self._parts))
        names = sorted(file.path for file in files if file.base_name.startswith("part-"))
        evaluations: list[Evaluation] = []
        for name in names:
            try:
                evaluations += _from_table(pq.read_table(name, filesystem=self._fs))
            except (pa.ArrowException, KeyError, OSError) as error:
                raise InputError(f"{name}: is damaged ({error}); expected a part of a campaign's ledger.") from None
        return list({evaluation.key: evaluation for evaluation in evaluations}.values())


def _filesystem(folder: str) -> tuple[pafs.FileSystem, str]:
    try:
        if "://" in folder:
            return pafs.FileSystem.from_uri(folder)
        local = pafs.LocalFileSystem()
        return local, local.normalize_path(folder.rstrip("/"))
    except (pa.ArrowInvalid, ValueError) as error:
        raise InputError(f"{folder}: is no folder that can be reached ({error}).") from None


def _to_table(evaluations: Sequence[Evaluation]) -> pa.Table:
    rows = [
        {
            "key": e.key,
            "shape": list(e.labels.shape),
            "image": np.ascontiguousarray(e.labels, np.uint8).tobytes(),
            "z": np.asarray(e.z, float).tolist(),
            "component": int(e.component),
            "round": int(e.round),
            "parent": e.parent,
            "predicted": [(name, float(value)) for name, value in e.predicted.items()],
            "verified": [(name, float(value)) for name, value in e.verified.items()],
            "seconds": float(e.seconds),
            "error": e.error,
        }
        for e in evaluations
    ]
    values = pa.map_(pa.string(), pa.float64())
    schema = pa.schema(
        {
            "key": pa.string(),
            "shape": pa.list_(pa.int32()),
            "image": pa.binary(),
            "z": pa.list_(pa.float64()),
            "component": pa.int32(),
            "round": pa.int32(),
            "parent": pa.string(),
            "predicted": values,
            "verified": values,
            "seconds": pa.float64(),
            "error": pa.string(),
        }
    )
    return pa.Table.from_pylist(rows, schema=schema)


def _from_table(table: pa.Table) -> list[Evaluation]:
    return [
        Evaluation(
            key=row["key"],
            labels=np.frombuffer(row["image"], np.uint8).reshape(row["shape"]),
            z=np.array(row["z"]),
            component=row["component"],
            round=row["round"],
            parent=row["parent"],
            predicted=dict(row["predicted"]),
            verified=dict(row["verified"]),
            seconds=row["seconds"],
            error=row["error"],
        )
        for row in table.to_pylist()
    ]

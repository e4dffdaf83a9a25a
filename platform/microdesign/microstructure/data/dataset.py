"""The working form of a data set: a folder of Parquet shards and, written last, `dataset.json`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import digest_json, write_json
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.manifest import (
    MANIFEST_FILE,
    SPLITS,
    DatasetManifest,
    Shard,
    SplitConfig,
    SplitName,
    read_manifest,
    split_indices,
)
from microdesign.microstructure.data.places import Place
from microdesign.microstructure.data.shards import (
    ShardRecord,
    read_column,
    read_places,
    read_shard_file,
    read_shard_record,
    write_shard_file,
)


class Dataset:
    """A finished data set on disk; images are read shard by shard, when asked for.

    Example:
        >>> from microdesign.microstructure.generators.registry import generate
        >>> writer = DatasetWriter("fields", settings={})
        >>> writer.write_shard("first", generate("GRF", 10, (16, 16)))
        >>> len(writer.finish())
        10
        >>> Dataset.open("fields").load("train").shape
        (16, 16)

    Attributes:
        folder: The folder.
        manifest: The content of `dataset.json`.
    """

    def __init__(self, folder: Path, manifest: DatasetManifest) -> None:
        self.folder = folder
        self.manifest = manifest

    @classmethod
    def open(cls, folder: str | Path) -> "Dataset":
        """Opens a folder; the content of a shard is checked against its digest when the shard is read.

        Raises:
            InputError: The manifest is missing or invalid, a shard is missing, or there is one that it does not list.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        listed = {shard.file for shard in manifest.shards}
        present = {path.name for path in folder.glob("*.parquet")}
        for file in sorted(listed - present):
            raise InputError(f"{folder}: shard {file} is missing, yet {MANIFEST_FILE} lists it; restore or remake it.")
        for file in sorted(present - listed):
            raise InputError(f"{folder}: {file} is not listed in {MANIFEST_FILE}; remove it or finish the data set.")
        return cls(folder, manifest)

    def __len__(self) -> int:
        return len(self.manifest)

    def read_shard(self, number: int) -> Microstructures:
        """Reads all of shard `number` and checks it.

        Raises:
            InputError: The file is damaged or does not match its digest or the manifest.
        """
        shard = self.manifest.shards[number]
        batch = read_shard_file(self.folder / shard.file, expected_digest=shard.digest)
        if set(batch.properties) != set(self.manifest.properties):
            raise InputError(f"{self.folder / shard.file}: its properties differ from those in {MANIFEST_FILE}.")
        return batch

    def chunks(self) -> Iterator[Microstructures]:
        """Yields the shards in order, one at a time."""
        for number in range(len(self.manifest.shards)):
            yield self.read_shard(number)

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Class of each sample, without reading the images."""
        return tuple(name for shard in self.manifest.shards for name in read_column(self.folder / shard.file, "class"))

    @cached_property
    def places(self) -> tuple[Place | None, ...]:
        """Place of each sample in the image that it is a window of, None for others; without reading the images."""
        return tuple(place for shard in self.manifest.shards for place in read_places(self.folder / shard.file))

    def property_columns(self) -> dict[str, NDArray[np.float64]]:
        """Returns the properties of all samples, name to values `(n,)`, without reading the images.

        Raises:
            InputError: A shard is damaged.
        """
        paths = [self.folder / shard.file for shard in self.manifest.shards]
        return {
            name: np.array([value for path in paths for value in read_column(path, name)], dtype=float)
            for name in self.manifest.properties
        }

    def split(self) -> dict[SplitName, NDArray[np.int64]]:
        """Returns the sorted sample indices of each split.

        Windows that were assigned to a part by their region stay in it; all other samples are divided by the seed and
        the shares in the manifest.
        """
        assigned = np.array(["" if place is None else place.split for place in self.places])
        free = np.flatnonzero(assigned == "")
        classes = [self.classes[i] for i in free]
        drawn = split_indices(classes, self.manifest.split.fractions, self.manifest.split.seed)
        return {name: np.sort(np.append(np.flatnonzero(assigned == name), free[drawn[name]])) for name in SPLITS}

    def load(self, split: SplitName | None = None, most: int | None = None) -> Microstructures:
        """Loads the samples of a split, or all, in order; memory: the labels once, plus one shard.

        Args:
            split: Which; None takes all.
            most: Samples at most, a seeded choice of them; None takes every one.

        Raises:
            InputError: The split is unknown or empty, or a shard is damaged.
        """
        if split is not None and split not in SPLITS:
            raise InputError(f"split '{split}' is unknown; expected one of: {', '.join(SPLITS)}.")
        wanted = np.arange(len(self)) if split is None else self.split()[split]
        if not len(wanted):
            raise InputError(
                f"{self.folder}: the split '{split}' holds no samples; use a larger share or more samples."
            )
        if most is not None:
            wanted = np.sort(np.random.default_rng(0).permutation(wanted)[:most])
        labels = np.empty((len(wanted), *self.manifest.shape), dtype=np.uint8)
        properties = {name: np.empty(len(wanted)) for name in self.manifest.properties}
        classes: list[str] = []
        generation: list[str] = []
        places: list[Place | None] = []
        start = filled = 0
        for batch in self.chunks():
            inside = wanted[(wanted >= start) & (wanted < start + len(batch))] - start
            stop = filled + len(inside)
            np.take(batch.labels, inside, axis=0, out=labels[filled:stop])
            for name, values in properties.items():
                values[filled:stop] = batch.properties[name][inside]
            classes += [batch.classes[i] for i in inside]
            generation += [batch.generation[i] for i in inside]
            places += [batch.places[i] for i in inside]
            start += len(batch)
            filled = stop
        return Microstructures(
            labels=labels,
            n_phases=self.manifest.n_phases,
            classes=tuple(classes),
            generation=tuple(generation),
            properties=properties,
            places=tuple(places),
            periodic=self.manifest.periodic,
            **self.manifest.physical,
        )


class DatasetWriter:
    """Writes a data set shard by shard; killed at any moment, the next run goes on at the first missing shard.

    Shards may be written by several processes, each with its own writer of the same settings; one of them finishes.

    Args:
        folder: The folder, made when missing.
        settings: Everything that the content depends on, JSON values. Shards made with other settings are not reused.
        units: Unit of each property.
        materials: Phase properties behind the property columns.
        seed: Seed of the generators.
        split: Seed and shares of the split.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        settings: Mapping[str, Any],
        units: Mapping[str, str] | None = None,
        materials: Mapping[str, Any] | None = None,
        seed: int | None = None,
        split: SplitConfig | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.settings = dict(settings)
        self.units = dict(units or {})
        self.materials = None if materials is None else dict(materials)
        self.seed = seed
        self.split = split or SplitConfig()
        self._settings_digest = digest_json([self.settings, self.units, self.materials, seed])
        self._records: dict[str, ShardRecord] = {}

    def has_shard(self, name: str) -> bool:
        """Tells whether a complete shard of this name, made with these settings, is there already."""
        try:
            record = read_shard_record(self._path(name))
        except InputError:
            return False
        if record.settings_digest != self._settings_digest:
            return False
        self._records[name] = record
        return True

    def write_shard(self, name: str, batch: Microstructures) -> None:
        """Writes a shard, complete or absent, over an older one of the same name.

        Raises:
            InputError: The batch is empty, or its shape, phases or properties differ from the shards before it.
            StorageError: The file cannot be written.
        """
        # A manifest must never describe shards that are being replaced.
        try:
            (self.folder / MANIFEST_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{self.folder}: cannot be written ({error.strerror or error}).") from None
        record = write_shard_file(self._path(name), batch, self.units, self._settings_digest)
        self._records[name] = record

    def finish(self, names: Sequence[str] | None = None) -> Dataset:
        """Writes the manifest, removes shards left over from older settings, and opens the data set.

        Args:
            names: The shards in order; None takes those written or found by this writer, sorted by name.

        Raises:
            StorageError: A shard is missing, there is none, or they do not agree.
        """
        names = sorted(self._records) if names is None else list(names)
        for name in names:
            if name not in self._records and not self.has_shard(name):
                raise StorageError(f"{self._path(name)}: is missing or made with other settings; write it first.")
        records = [self._records[name] for name in names]
        if not records:
            raise StorageError(f"{self.folder}: no shard was written; expected at least one.")
        common = {"shape", "n_phases", "periodic", "pixel_size", "aspect", "length_unit", "properties"}
        first = records[0].model_dump(include=common)
        classes: Counter[str] = Counter()
        for name, record in zip(names, records, strict=True):
            if record.model_dump(include=common) != first:
                raise StorageError(
                    f"{self._path(name)}: differs from {names[0]} in shape, phases, pixel size or properties."
                )
            classes.update(record.classes)
        manifest = DatasetManifest(
            **first,
            classes=dict(classes),
            materials=self.materials,
            shards=tuple(
                Shard(file=f"{name}.parquet", rows=record.rows, digest=record.digest)
                for name, record in zip(names, records, strict=True)
            ),
            seed=self.seed,
            settings=self.settings,
            split=self.split,
        )
        manifest = manifest.model_copy(update={"digest": manifest.content_digest()})
        self._remove_leftovers(set(names))
        write_json(self.folder / MANIFEST_FILE, manifest.model_dump(mode="json"))
        return Dataset.open(self.folder)

    def _remove_leftovers(self, keep: set[str]) -> None:
        for path in self.folder.glob("*.parquet"):
            if path.stem in keep:
                continue
            try:
                read_shard_record(path)
            except InputError:
                # Not ours to delete; opening the data set will name it.
                continue
            path.unlink()

    def _path(self, name: str) -> Path:
        if not name or "/" in name or name.startswith("."):
            raise InputError(f"shard name '{name}' is not valid; expected a plain file name without a suffix.")
        return self.folder / f"{name}.parquet"

"""Data set folders of Parquet shards, read and written like any other format."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.data.label_arrays import CHUNK_BYTES
from microdesign.microstructure.data.manifest import MANIFEST_FILE, SplitConfig
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import FIELDS, Reader, Writer
from microdesign.microstructure.io.summary import summarise


class DatasetFolderReader(Reader):
    """Reads folders of Parquet shards with a manifest."""

    name = f"a data set folder with {MANIFEST_FILE}"

    def accepts(self, path: Path) -> bool:
        """Accepts any folder; one without a manifest is refused when it is opened."""
        return path.is_dir()

    def read(
        self, path: Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
    ) -> Iterator[Microstructures]:
        """Yields the samples shard by shard.

        Raises:
            InputError: The manifest or a shard is missing, damaged or changed.
        """
        for batch in Dataset.open(path).chunks():
            length = chunk or len(batch)
            for start in range(0, len(batch), length):
                yield batch.select(slice(start, start + length))

    def describe(self, path: Path, options: ReadOptions = NO_OPTIONS) -> dict[str, Any]:
        """Summarises the manifest, volume fractions and properties; `parts` counts the samples of the split."""
        dataset = Dataset.open(path)
        manifest = dataset.manifest
        shown = manifest.model_dump(mode="json", include={"materials", "seed", "split", "settings", "digest"})
        counts = {"shards": len(manifest.shards), "parts": {name: len(part) for name, part in dataset.split().items()}}
        return summarise(dataset.chunks(), units=manifest.properties) | counts | shown


class DatasetFolderWriter(Writer):
    """Writes a folder of Parquet shards.

    Args:
        settings: Everything that the content depends on; None for a conversion.
        split: Seed and shares of the split.
        shard_bytes: Labels of a shard.
    """

    suffixes = ()
    stores = FIELDS

    def __init__(
        self,
        settings: Mapping[str, Any] | None = None,
        split: SplitConfig | None = None,
        shard_bytes: int = CHUNK_BYTES,
    ) -> None:
        self.settings = {"made_by": "convert"} if settings is None else settings
        self.split, self.shard_bytes = split, shard_bytes

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes shards of about `shard_bytes` of labels, then the manifest.

        Raises:
            StorageError: A file cannot be written; without a manifest the folder is incomplete.
        """
        writer = DatasetWriter(path, settings=self.settings, split=self.split)
        names = []
        for number, shard in enumerate(_shards(images, self.shard_bytes)):
            names.append(f"shard-{number:05d}")
            writer.write_shard(names[-1], shard)
        writer.finish(names)
        return path


def _shards(images: Iterable[Microstructures], most: int) -> Iterator[Microstructures]:
    collected: list[Microstructures] = []
    size = 0
    for batch in images:
        collected.append(batch)
        size += batch.labels.nbytes
        if size >= most:
            yield Microstructures.concatenate(collected)
            collected, size = [], 0
    if collected:
        yield Microstructures.concatenate(collected)

"""Reading images from any known file or folder, in chunks, by one function."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from microdesign.errors import InputError
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.dataset import Dataset
from microdesign.microstructure.manifest import MANIFEST_FILE
from microdesign.microstructure.micro2d import read_micro2d
from microdesign.microstructure.npy import iterate_npy
from microdesign.microstructure.summary import hdf5_tree, summarise


class Reader(Protocol):
    """How to read one kind of file or folder; add an instance to `READERS` to make it known everywhere."""

    name: str
    """What the format is called in messages."""

    def accepts(self, path: Path) -> bool:
        """Tells by the name, or for a folder by what lies in it, whether this reader is the one for the path."""
        ...

    def read(self, path: Path, chunk: int | None) -> Iterator[Microstructures]:
        """Yields the images, at most `chunk` at a time; None leaves the number to the reader.

        Raises:
            InputError: The file is damaged or holds no images.
        """
        ...

    def describe(self, path: Path) -> dict[str, Any]:
        """Returns what the file holds as JSON values, without loading it whole."""
        ...


class NpyReader:
    """NumPy arrays of one image or a stack."""

    name = ".npy"

    def accepts(self, path: Path) -> bool:
        """Accepts the suffix `.npy`."""
        return path.suffix.lower() == ".npy"

    def read(self, path: Path, chunk: int | None) -> Iterator[Microstructures]:
        """Yields the images in order."""
        return iterate_npy(path, chunk)

    def describe(self, path: Path) -> dict[str, Any]:
        """Summarises shape, phases and volume fractions."""
        return summarise(iterate_npy(path))


class Micro2DReader:
    """HDF5 files in MICRO2D's layout."""

    name = ".h5, .hdf5 (MICRO2D)"

    def accepts(self, path: Path) -> bool:
        """Accepts the suffixes `.h5` and `.hdf5`."""
        return path.suffix.lower() in (".h5", ".hdf5")

    def read(self, path: Path, chunk: int | None) -> Iterator[Microstructures]:
        """Yields the images class by class with the properties of all pairs of materials."""
        return read_micro2d(path, chunk=chunk)

    def describe(self, path: Path) -> dict[str, Any]:
        """Returns the tree of any HDF5 file: shapes, types, attributes."""
        return hdf5_tree(path)


class DatasetReader:
    """Folders of Parquet shards with a manifest."""

    name = f"a data set folder with {MANIFEST_FILE}"

    def accepts(self, path: Path) -> bool:
        """Accepts any folder; one without a manifest is refused when it is opened."""
        return path.is_dir()

    def read(self, path: Path, chunk: int | None) -> Iterator[Microstructures]:
        """Yields the samples shard by shard."""
        for batch in Dataset.open(path).chunks():
            length = chunk or len(batch)
            for start in range(0, len(batch), length):
                yield batch.select(slice(start, start + length))

    def describe(self, path: Path) -> dict[str, Any]:
        """Summarises the manifest, volume fractions and properties."""
        dataset = Dataset.open(path)
        manifest = dataset.manifest
        kept = manifest.model_dump(mode="json", include={"materials", "seed", "split", "settings", "digest"})
        return summarise(dataset.chunks(), units=manifest.properties) | {"shards": len(manifest.shards)} | kept


READERS: list[Reader] = [NpyReader(), Micro2DReader(), DatasetReader()]
"""The known readers; the first that accepts a path reads it."""


def read_images(path: str | Path, chunk: int | None = None) -> Iterator[Microstructures]:
    """Returns an iterator over the images of a file or folder, at most `chunk` at a time.

    Raises:
        InputError: The path does not exist or is of no known kind (at once); the content is not valid (while reading).
    """
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk = {chunk} is too small; expected at least 1.")
    return find_reader(path).read(Path(path), chunk)


def describe(path: str | Path) -> dict[str, Any]:
    """Returns what a file or folder holds, as JSON values with `path` and `format` first; see `format_tree` for text.

    Raises:
        InputError: The path does not exist, is of no known kind, or its content is not valid.
    """
    reader = find_reader(path)
    return {"path": str(path), "format": reader.name, **reader.describe(Path(path))}


def find_reader(path: str | Path) -> Reader:
    """Returns the reader for a path.

    Raises:
        InputError: The path does not exist or is of no known kind.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: does not exist; expected a file or folder of images.")
    for reader in READERS:
        if reader.accepts(path):
            return reader
    known = "; ".join(reader.name for reader in READERS)
    raise InputError(f"{path}: the suffix '{path.suffix}' is not known; expected one of: {known}.")

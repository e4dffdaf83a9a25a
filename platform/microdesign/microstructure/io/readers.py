"""Reading images from any known file or folder, in chunks, by one function."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import h5py

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.label_arrays import refuse_pickle
from microdesign.microstructure.data.manifest import MANIFEST_FILE
from microdesign.microstructure.io.hdf5.layouts import find_layout, read_hdf5
from microdesign.microstructure.io.npy import iterate_npy
from microdesign.microstructure.io.npz import list_npz, read_npz
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.pictures import holds_pictures, read_pictures
from microdesign.microstructure.io.summary import hdf5_tree, summarise
from microdesign.microstructure.io.tiff import read_tiff
from microdesign.microstructure.io.vti import read_vti


class Reader(Protocol):
    """How to read one kind of file or folder; add an instance to `READERS` to make it known everywhere."""

    name: str
    """What the format is called in messages."""
    takes: tuple[str, ...]
    """The fields of `ReadOptions` that mean something for the format; others are refused before `read` is called."""

    def accepts(self, path: Path) -> bool:
        """Tells by the name, or by what lies in it, whether this reader is the one for the path."""
        ...

    def read(self, path: Path, chunk: int | None, options: ReadOptions) -> Iterator[Microstructures]:
        """Yields the images, at most `chunk` at a time; None leaves the number to the reader.

        Raises:
            InputError: The file is damaged or holds no images.
        """
        ...

    def describe(self, path: Path) -> dict[str, Any]:
        """Returns what the file holds as JSON values, without loading it whole."""
        ...


class NpyReader:
    """NumPy arrays of one image, a stack, or volumes."""

    name = ".npy"
    takes: tuple[str, ...] = ("dimension", "n_phases", "values")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffix `.npy`."""
        return path.suffix.lower() == ".npy"

    def read(self, path: Path, chunk: int | None, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
        """Yields the images in order."""
        return iterate_npy(path, chunk, options)

    def describe(self, path: Path) -> dict[str, Any]:
        """Summarises shape, phases and volume fractions."""
        return summarise(iterate_npy(path))


class NpzReader:
    """NumPy archives with one array of images."""

    name = ".npz"
    takes: tuple[str, ...] = ("array", "dimension", "n_phases", "values")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffix `.npz`."""
        return path.suffix.lower() == ".npz"

    def read(self, path: Path, chunk: int | None, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
        """Yields the images of the array in order, with the properties beside it."""
        return read_npz(path, chunk, options)

    def describe(self, path: Path) -> dict[str, Any]:
        """Lists the arrays and summarises the images, where it is clear which array they are."""
        arrays = {
            name: {"shape": list(shape), "dtype": str(dtype)} for name, (shape, _, dtype) in list_npz(path).items()
        }
        try:
            return {"arrays": arrays} | summarise(read_npz(path))
        except InputError as error:
            return {"arrays": arrays, "images": str(error)}


class TiffReader:
    """TIFF files of one or many pages."""

    name = ".tif, .tiff"
    takes: tuple[str, ...] = ("dimension", "n_phases", "values")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffixes `.tif` and `.tiff`."""
        return path.suffix.lower() in (".tif", ".tiff")

    def read(self, path: Path, chunk: int | None, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
        """Yields the pages as images, or as volumes."""
        return read_tiff(path, chunk, options)

    def describe(self, path: Path) -> dict[str, Any]:
        """Summarises shape, phases and volume fractions."""
        return summarise(read_tiff(path))


class VtiReader:
    """VTK image data: a file, or a folder of them."""

    name = ".vti, or a folder of them"
    takes: tuple[str, ...] = ("array", "n_phases", "values")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffix `.vti`, and folders with such files."""
        return any(path.glob("*.vti")) if path.is_dir() else path.suffix.lower() == ".vti"

    def read(self, path: Path, chunk: int | None, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
        """Yields the images with their properties."""
        return read_vti(path, chunk, options)

    def describe(self, path: Path) -> dict[str, Any]:
        """Summarises shape, phases and volume fractions."""
        return summarise(read_vti(path))


class Hdf5Reader:
    """HDF5 files of any known layout, told apart by content."""

    name = ".h5, .hdf5, .dream3d (MICRO2D, DREAM.3D, one data set per sample, flat rows)"
    takes: tuple[str, ...] = ("array", "shape", "dimension", "n_phases", "values")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffixes `.h5`, `.hdf5` and `.dream3d`, and any file that is HDF5 by its content."""
        return path.is_file() and (path.suffix.lower() in (".h5", ".hdf5", ".dream3d") or bool(h5py.is_hdf5(path)))

    def read(self, path: Path, chunk: int | None, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
        """Yields the images with their classes and properties."""
        return read_hdf5(path, chunk, options)

    def describe(self, path: Path) -> dict[str, Any]:
        """Returns the tree of any HDF5 file (shapes, types, attributes) and which layout it has."""
        tree = hdf5_tree(path)
        try:
            layout = find_layout(path).kind
        except InputError as error:
            layout = str(error)
        return {"layout": layout} | tree


class PictureReader:
    """PNG pictures, and folders of PNG or TIFF pictures."""

    name = ".png, or a folder of .png or .tif pictures"
    takes: tuple[str, ...] = ("dimension", "n_phases", "values")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffix `.png`, and folders with pictures, or with folders of pictures, that are no data set."""
        if not path.is_dir():
            return path.suffix.lower() == ".png"
        return not (path / MANIFEST_FILE).is_file() and holds_pictures(path)

    def read(self, path: Path, chunk: int | None, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
        """Yields the pictures in natural order of their names."""
        return read_pictures(path, chunk, options)

    def describe(self, path: Path) -> dict[str, Any]:
        """Summarises shape, phases and volume fractions."""
        return summarise(read_pictures(path))


class DatasetReader:
    """Folders of Parquet shards with a manifest."""

    name = f"a data set folder with {MANIFEST_FILE}"
    takes: tuple[str, ...] = ()

    def accepts(self, path: Path) -> bool:
        """Accepts any folder; one without a manifest is refused when it is opened."""
        return path.is_dir()

    def read(self, path: Path, chunk: int | None, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
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


READERS: list[Reader] = [
    NpyReader(),
    NpzReader(),
    TiffReader(),
    VtiReader(),
    Hdf5Reader(),
    PictureReader(),
    DatasetReader(),
]
"""The known readers; the first that accepts a path reads it."""


def read_images(
    path: str | Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
) -> Iterator[Microstructures]:
    """Returns an iterator over the images of a file or folder, at most `chunk` at a time.

    Args:
        path: The file or folder.
        chunk: Largest number of images at once; None leaves it to the reader, which keeps to some 64 MiB.
        options: What the file does not say itself.

    Raises:
        InputError: The path does not exist or is of no known kind, or an option means nothing for its format (at once);
            the content is not valid (while reading).
    """
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk = {chunk} is too small; expected at least 1.")
    reader = find_reader(path)
    options.refuse_others(reader.takes, Path(path), reader.name)
    return reader.read(Path(path), chunk, options)


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
    if path.is_file():
        refuse_pickle(path, "a file of images")
    known = "; ".join(reader.name for reader in READERS)
    raise InputError(f"{path}: the suffix '{path.suffix}' is not known; expected one of: {known}.")

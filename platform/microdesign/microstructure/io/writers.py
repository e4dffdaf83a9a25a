"""Writing images to any known format, as they come, by one protocol."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import DatasetWriter
from microdesign.microstructure.data.label_arrays import CHUNK_BYTES
from microdesign.microstructure.io.hdf5.micro2d import PROPERTY_DATASETS, write_micro2d
from microdesign.microstructure.io.npy import write_npy_stack
from microdesign.microstructure.io.npz import write_npz
from microdesign.microstructure.io.pictures import write_pictures
from microdesign.microstructure.io.tiff import write_tiff
from microdesign.microstructure.io.vti import write_vti_files


class Writer(Protocol):
    """How to write one format; add an instance to `WRITERS` to make it known everywhere."""

    suffixes: tuple[str, ...]
    """Suffixes that choose the format; empty for folders."""
    keeps: tuple[str, ...]
    """What the format keeps besides the labels, out of `KEEPABLE`."""

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes batches of one shape, one number of phases and the same properties to `path`, which does not exist.

        Returns:
            What was made: `path`, or another file or folder beside it.

        Raises:
            InputError: The format cannot hold the images.
            OSError or StorageError: It cannot be written; what is there then is not whole.
        """
        ...


KEEPABLE = ("n_phases", "classes", "generation", "properties", "periodic", "pixel_size")
"""The fields of `Microstructures` that a format may keep or lose."""


class NpyWriter:
    """One array `(n, *shape)` of uint8."""

    suffixes: tuple[str, ...] = (".npy",)
    keeps: tuple[str, ...] = ()

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes one array."""
        write_npy_stack(path, images)
        return path


class NpzWriter:
    """An archive of `labels`, `n_phases`, `classes` and one array per property."""

    suffixes: tuple[str, ...] = (".npz",)
    keeps: tuple[str, ...] = ("n_phases", "classes", "properties")

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes one archive."""
        write_npz(path, images)
        return path


class TiffWriter:
    """A TIFF stack: a page per image, or per z of each volume."""

    suffixes: tuple[str, ...] = (".tif", ".tiff")
    keeps: tuple[str, ...] = ("n_phases", "periodic", "pixel_size")

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes one file."""
        write_tiff(path, images)
        return path


class PictureWriter:
    """A folder of PNG pictures and `images.json`."""

    suffixes: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ("n_phases", "classes", "properties", "periodic", "pixel_size")

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes a picture per image, or a folder of pictures per volume."""
        write_pictures(path, images)
        return path


class VtiWriter:
    """A `.vti` file for one sample, a folder of them for several."""

    suffixes: tuple[str, ...] = (".vti",)
    keeps: tuple[str, ...] = ("n_phases", "properties", "pixel_size")

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes a file, or a folder named like it without the suffix."""
        return write_vti_files(path, images)


class Micro2DWriter:
    """HDF5 in MICRO2D's layout: a group per class, the seven properties of the plane."""

    suffixes: tuple[str, ...] = (".h5", ".hdf5")
    keeps: tuple[str, ...] = ("n_phases", "classes", "generation", "properties")

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes one file, the images grouped by class."""
        write_micro2d(path, images)
        return path


class DatasetFolderWriter:
    """A folder of Parquet shards."""

    suffixes: tuple[str, ...] = ()
    keeps: tuple[str, ...] = KEEPABLE

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes shards of some 64 MiB of labels, then the manifest."""
        writer = DatasetWriter(path, settings={"made_by": "convert"})
        names = []
        for number, shard in enumerate(_shards(images)):
            names.append(f"shard-{number:05d}")
            writer.write_shard(names[-1], shard)
        writer.finish(names)
        return path


WRITERS: dict[str, Writer] = {
    "npy": NpyWriter(),
    "npz": NpzWriter(),
    "tiff": TiffWriter(),
    "png": PictureWriter(),
    "vti": VtiWriter(),
    "micro2d": Micro2DWriter(),
    "dataset": DatasetFolderWriter(),
}
"""The known formats by name."""


def find_format(path: str | Path, name: str | None = None) -> str:
    """Returns the name of the format to write: `name`, else by the suffix; without a suffix a data set folder.

    Raises:
        InputError: The name or the suffix is not known, or they contradict each other.
    """
    path = Path(path)
    if name is not None and name not in WRITERS:
        raise InputError(f"format '{name}' is unknown; expected one of: {', '.join(WRITERS)}.")
    suffix = path.suffix.lower()
    if suffix == ".png":
        raise InputError(f"{path}: pictures are written to a folder; leave out the suffix and give the format png.")
    if name is not None and (not WRITERS[name].suffixes or suffix in WRITERS[name].suffixes):
        return name
    if name == "vti" and not suffix:
        return name
    if name is not None:
        expected = " or ".join(WRITERS[name].suffixes)
        raise InputError(f"{path}: the suffix '{suffix}' does not fit the format '{name}'; expected {expected}.")
    if not suffix:
        return "dataset"
    for known, writer in WRITERS.items():
        if suffix in writer.suffixes:
            return known
    suffixes = ", ".join(suffix for writer in WRITERS.values() for suffix in writer.suffixes)
    raise InputError(f"{path}: the suffix '{path.suffix}' is not known; expected {suffixes}, or none for a folder.")


def lost_fields(name: str, batch: Microstructures) -> set[str]:
    """Returns what a batch says that the format cannot keep: names of fields, and properties as `properties.NAME`.

    The number of phases is not looked at: whether it is lost, all images of a source tell together.
    """
    said = {
        "classes": any(batch.classes),
        "generation": any(batch.generation),
        "periodic": not batch.periodic,
        "pixel_size": batch.pixel_size != 1,
    }
    keeps: tuple[str, ...] = WRITERS[name].keeps
    lost = {field for field, is_said in said.items() if is_said and field not in keeps}
    seven = {key for names in PROPERTY_DATASETS.values() for key in names}
    for key in batch.properties:
        if "properties" not in keeps or (name == "micro2d" and key.split(".")[0] not in seven):
            lost.add(f"properties.{key}")
    return lost


def _shards(images: Iterable[Microstructures]) -> Iterator[Microstructures]:
    held: list[Microstructures] = []
    size = 0
    for batch in images:
        held.append(batch)
        size += batch.labels.nbytes
        if size >= CHUNK_BYTES:
            yield Microstructures.concatenate(held)
            held, size = [], 0
    if held:
        yield Microstructures.concatenate(held)

"""The writers by name, and writing images to any format by one of them."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from microdesign.core.errors import InputError
from microdesign.core.references import load_named
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.protocol import Writer
from microdesign.microstructure.io.staging import write_staged

_FORMATS = "microdesign.microstructure.io.formats"
WRITERS: dict[str, str] = {
    "npy": f"{_FORMATS}.npy:NpyWriter",
    "npz": f"{_FORMATS}.npz:NpzWriter",
    "tiff": f"{_FORMATS}.tiff:TiffWriter",
    "png": f"{_FORMATS}.pictures:PictureWriter",
    "vti": f"{_FORMATS}.vti:VtiWriter",
    "micro2d": f"{_FORMATS}.hdf5.micro2d:Micro2DWriter",
    "dataset": f"{_FORMATS}.dataset_folder:DatasetFolderWriter",
}
"""The known writers, `MODULE:CLASS` by name of the format."""


def write(path: str | Path, images: Microstructures | Iterable[Microstructures], format: str | None = None) -> Path:
    """Writes images to a file, or without a suffix to a data set folder; the result is complete or absent.

    What is there already is never replaced: the same content counts as done, other content is refused. What the format
    does not store (see `Writer.stores`) is lost, such as properties in `.npy`.

    Example:
        >>> from microdesign.microstructure.generators.registry import generate
        >>> write("fields.npz", generate("GRF", 3)).name
        'fields.npz'

    Args:
        path: The file (`.npy`, `.npz`, `.tif`, `.vti`, `.h5` in MICRO2D's layout), or a folder.
        images: Microstructures, or batches of them of one shape, written as they come.
        format: A name in `WRITERS`, or `MODULE:CLASS` of a writer of your own; None goes by the suffix.

    Returns:
        What was made: `path`, but a folder of that name without the suffix for several `.vti` files.

    Raises:
        InputError: The format is not known or cannot hold the images, or other content is there.
        StorageError: It cannot be written.
    """
    _, writer = find_writer(path, format)
    batches = [images] if isinstance(images, Microstructures) else images
    return write_staged(writer, Path(path), batches)[0]


def find_writer(path: str | Path, name: str | None = None) -> tuple[str, Writer]:
    """Returns the writer for a path and its name: the named one, else by the suffix, without one a data set folder.

    Args:
        path: The file or folder to make.
        name: A name in `WRITERS`, or `MODULE:CLASS` of a writer of your own.

    Raises:
        InputError: The name or the suffix is not known, they contradict each other, or the writer cannot be loaded.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if name is None:
        name = _by_suffix(path, suffix)
    writer = load_writer(name)
    if suffix == ".png" and name == "png":
        raise InputError(f"{path}: pictures are written to a folder; leave out the suffix and give the format png.")
    if writer.suffixes and suffix not in writer.suffixes and not (name == "vti" and not suffix):
        expected = " or ".join(writer.suffixes)
        raise InputError(f"{path}: the suffix '{suffix}' does not fit the format '{name}'; expected {expected}.")
    return name, writer


def load_writer(name: str) -> Writer:
    """Returns a writer by its name in `WRITERS`, or by `MODULE:CLASS`.

    Raises:
        InputError: The name is unknown, or the class cannot be loaded or is no writer.
    """
    expected = f"one of: {', '.join(WRITERS)}, or MODULE:CLASS of a Writer"
    if name not in WRITERS and ":" not in name:
        raise InputError(f"format '{name}' is unknown; expected {expected}.")
    return _made(WRITERS.get(name, name), expected)


def _by_suffix(path: Path, suffix: str) -> str:
    if not suffix:
        return "dataset"
    if suffix == ".png":
        return "png"
    for name in WRITERS:
        if suffix in load_writer(name).suffixes:
            return name
    suffixes = ", ".join(suffix for name in WRITERS for suffix in load_writer(name).suffixes)
    raise InputError(f"{path}: the suffix '{path.suffix}' is not known; expected {suffixes}, or none for a folder.")


@cache
def _made(reference: str, expected: str) -> Writer:
    writer = load_named(reference, f"writer '{reference}'", expected)
    made: Writer = writer() if isinstance(writer, type) else writer
    missing = [part for part in ("suffixes", "stores", "write", "left_out") if not hasattr(made, part)]
    if missing:
        raise InputError(f"writer '{reference}' has no '{missing[0]}'; expected the attributes of Writer.")
    return made

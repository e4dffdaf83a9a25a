"""The readers by name, and reading images from any file or folder by one of them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from microdesign.core.budget import BUDGET_VARIABLE, read_budget, refuse_inflated, refuse_large, refuse_special
from microdesign.core.errors import InputError, MicrodesignError
from microdesign.core.references import load_named
from microdesign.core.units import read_pixel_size
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import refuse_unsafe
from microdesign.microstructure.data.sections import Section, cut_sections
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader

PartT = TypeVar("PartT")
_FORMATS = "microdesign.microstructure.io.formats"
READERS: dict[str, str] = {
    "npy": f"{_FORMATS}.npy:NpyReader",
    "npz": f"{_FORMATS}.npz:NpzReader",
    "tiff": f"{_FORMATS}.tiff:TiffReader",
    "vti": f"{_FORMATS}.vti:VtiReader",
    "ebsd": f"{_FORMATS}.ebsd.reader:EbsdReader",
    "hdf5": f"{_FORMATS}.hdf5.reader:Hdf5Reader",
    "pictures": f"{_FORMATS}.pictures:PictureReader",
    "dataset": f"{_FORMATS}.dataset_folder:DatasetFolderReader",
}
"""The known readers, `MODULE:CLASS` by name; the first that accepts a path reads it. Imported in turn, when asked."""


def read(
    path: str | Path,
    *,
    n_phases: int | None = None,
    dims: int | None = None,
    array: str | None = None,
    shape: tuple[int, ...] | None = None,
    values: tuple[float, ...] | None = None,
    pixel_size: str | None = None,
    threshold: str | None = None,
    periodic: bool | None = None,
    section: str | None = None,
    reader: str | None = None,
) -> Microstructures:
    """Returns all images of a file or folder of any known format; axis 0 of an image is x.

    Example:
        >>> import numpy as np
        >>> np.save("stripes.npy", np.arange(32).reshape(4, 8) % 2)
        >>> read("stripes.npy")
        Microstructures(1 image of 4 x 8 pixels, 2 phases, volume fractions 0.5 and 0.5)

    Args:
        path: A `.npy`, `.npz`, TIFF, PNG, `.vti`, HDF5 or EBSD file, a folder of pictures or of `.vti` files, or a data
            set.
        n_phases: Number of phases; None takes what the file states, else the largest label plus one.
        dims: 3 where three axes, or the pages of a TIFF file, are one volume and not a stack of images.
        array: Which array holds the images, where a file holds several.
        shape: Pixels along x, y (and z) of images that are stored as flat rows.
        values: The number that stands for each phase, in the order of the labels, such as `(0, 255)`.
        pixel_size: Edge of a pixel with its unit, `0.5um`, in the place of what the file states; or its edges.
        threshold: How grey levels become phases, dark ones first: `otsu`, `multi-otsu:3`, a grey level such as `128`,
            or several such as `80,160`.
        periodic: Whether the images tile space without a seam; None takes what the file states.
        section: Sections of a volume, across one axis: `z=100` is one, `x=50,100` are two, voxels from 0.
        reader: A name in `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the path.

    Raises:
        InputError: The path does not exist, is of no known format or damaged, holds other numbers than phase labels,
            or images of several shapes; or an option has no meaning for its format.
    """
    options = ReadOptions(
        n_phases=n_phases,
        dims=dims,
        array=array,
        shape=shape,
        values=values,
        pixel_size=pixel_size,
        threshold=threshold,
        periodic=periodic,
        section=section,
    )
    batches, size = [], 0
    for batch in read_images(path, options=options, reader=reader):
        batches.append(batch)
        size += batch.labels.nbytes
        refuse_large(size, str(path), "the whole set of images, which `read_images` reads in parts,")
    try:
        return Microstructures.concatenate(batches)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def read_images(
    path: str | Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS, reader: str | None = None
) -> Iterator[Microstructures]:
    """Returns an iterator over the images of a file or folder, at most `chunk` at a time.

    Args:
        path: The file or folder.
        chunk: Largest number of images at once; None leaves it to the reader, which takes about 64 MiB.
        options: What the file does not state itself.
        reader: A name in `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the path.

    Raises:
        InputError: The path does not exist or is of no known format, or an option has no meaning for its format (at
            once); the content is not valid, or far more than the files could hold (while reading).
    """
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk = {chunk} is too small; expected at least 1.")
    chosen = find_reader(path, reader)
    options.refuse_others(chosen.takes, Path(path), chosen.name)
    if options.section is not None and "dims" in chosen.takes:
        options = replace(options, dims=3)  # sections are of volumes alone
    images = _refusing_damage(path, chosen.read(Path(path), chunk, options))
    if reader is None or reader in READERS:  # what a reader of a user's own reads may lie elsewhere
        images = _refusing_inflated(path, images)
    stated: dict[str, Any] = {} if options.pixel_size is None else read_pixel_size(options.pixel_size)
    stated |= {} if options.periodic is None else {"periodic": options.periodic}
    whole = (replace(batch, **stated) for batch in images) if stated else images
    if options.section is None:
        return whole
    section = Section.parse(options.section)
    return (cut_sections(batch, section, str(path)) for batch in whole)


def describe(path: str | Path, reader: str | None = None, options: ReadOptions = NO_OPTIONS) -> dict[str, Any]:
    """Returns what a file or folder holds, as JSON values with `path` and `format` first; see `format_tree` for text.

    Example:
        >>> import numpy as np
        >>> np.save("board.npy", np.indices((4, 4)).sum(axis=0) % 2)
        >>> describe("board.npy")["volume_fraction"]["1"]["mean"]
        0.5

    Args:
        path: The file or folder.
        reader: A name in `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the path.
        options: What the file does not state itself.

    Raises:
        InputError: The path does not exist, is of no known format, its content is not valid, or may be read in two
            ways; or an option has no meaning for the format.
    """
    chosen = find_reader(path, reader)
    options.refuse_others(chosen.takes, Path(path), chosen.name)
    (described,) = _refusing_damage(path, (each.describe(Path(path), options) for each in [chosen]))
    return {"path": str(path), "format": chosen.name, **described}


def _refusing_damage(path: str | Path, parts: Iterator[PartT]) -> Iterator[PartT]:
    """Passes on what a reader yields; what a library makes of a damaged file beyond the reader's own checks, too.

    The libraries of the formats have dozens of kinds of errors for content that contradicts itself, and get more.
    """
    try:
        yield from parts
    except MicrodesignError:
        raise
    except MemoryError as error:
        raise InputError(f"{path}: takes more memory than there is; {BUDGET_VARIABLE} lowers the limit.") from error
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise InputError(f"{path}: is damaged, or holds what its reader does not know ({said}).") from error


def _refusing_inflated(path: str | Path, images: Iterator[Microstructures]) -> Iterator[Microstructures]:
    size, most = 0, read_budget()
    for batch in images:
        size += batch.labels.nbytes
        if size > most:
            most = refuse_inflated(size, path)
        yield batch


def find_reader(path: str | Path, name: str | None = None) -> Reader:
    """Returns the reader for a path: the named one, else the first that accepts the path.

    Args:
        path: A file or folder that exists.
        name: A name in `READERS`, or `MODULE:CLASS` of a reader of your own.

    Raises:
        InputError: The path does not exist or is of no known format; or the reader is unknown or cannot be loaded.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: does not exist; expected a file or folder of images.")
    refuse_special(path, "a file or folder of images")
    if name is not None:
        return load_reader(name)
    for known in READERS:
        reader = load_reader(known)
        if reader.accepts(path):
            return reader
    if path.is_file():
        refuse_unsafe(path, "a file of images")
    formats = "; ".join(load_reader(known).name for known in READERS)
    raise InputError(f"{path}: the suffix '{path.suffix}' is not known; expected one of: {formats}.")


def load_reader(name: str) -> Reader:
    """Returns a reader by its name in `READERS`, or by `MODULE:CLASS`.

    Raises:
        InputError: The name is unknown, or the class cannot be loaded or is no reader.
    """
    expected = f"one of: {', '.join(READERS)}, or MODULE:CLASS of a Reader"
    if name not in READERS and ":" not in name:
        raise InputError(f"reader '{name}' is unknown; expected {expected}.")
    return _made(READERS.get(name, name), expected)


@cache
def _made(reference: str, expected: str) -> Reader:
    reader = load_named(reference, f"reader '{reference}'", expected)
    made: Reader = reader() if isinstance(reader, type) else reader
    missing = [part for part in ("name", "takes", "accepts", "read", "describe") if not hasattr(made, part)]
    if missing:
        raise InputError(f"reader '{reference}' has no '{missing[0]}'; expected the attributes of Reader.")
    return made

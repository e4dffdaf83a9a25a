"""TIFF stacks: pages of one file, read and written page by page.

A page is stored row by row from the top, its rows along y: pages `(Y, X)` become images `(X, Y)`, the pages of a volume
its z, so `(Z, Y, X)` becomes `(X, Y, Z)`.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from microdesign.core.budget import refuse_large
from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import replacing
from microdesign.core.units import known_length_unit
from microdesign.microstructure.data.container import MAX_PHASES, Microstructures
from microdesign.microstructure.data.label_arrays import chunk_length
from microdesign.microstructure.io.formats.raw import RawImages, batches, gathered
from microdesign.microstructure.io.formats.tiff_pages import TiffPages, page_order
from microdesign.microstructure.io.formats.tiff_scale import read_scale, resolution_tags
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader, Writer

_KEY = "microdesign"


class TiffReader(Reader):
    """Reads the pages of a TIFF file as images `(X, Y)`, or as volumes `(X, Y, Z)`.

    Axes are those that the file names (ImageJ, OME): its z make volumes, one for each of the other pages; of several
    channels the option `array` takes one by its number. Where the file names none, each page is an image, and a volume
    with `dims` 3. Files of `TiffWriter` state it themselves.
    """

    name = ".tif, .tiff"
    takes = ("array", "dims", "n_phases", "values", "threshold")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffixes `.tif` and `.tiff`."""
        return path.suffix.lower() in (".tif", ".tiff")

    def read(
        self, path: Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
    ) -> Iterator[Microstructures]:
        """Yields the images or volumes in the order of their pages.

        Raises:
            InputError: The file is missing, damaged, a pickle, in colours, or its pages differ in size; its axes have
                two readings, and the message names the option that tells; or a value is no label or a grey level.
        """
        with TiffPages(path) as file:
            note = _note(file.description)
            order = _order(file, note, options)
            (height, width), dtype, black = file.size, file.dtype, file.black
            axes = 2 if order.ndim == 1 else 3
            scale = _physical(note, axes) if note else read_scale(file.file, axes)
            refuse_large(order[0].size * width * height * dtype.itemsize, str(path), "an image or a volume")

        def chunks() -> Iterator[NDArray]:
            with TiffPages(path) as file:
                if order.ndim == 1:
                    pages = (file.read(int(number)).T for number in order)
                    yield from gathered(pages, chunk_length(width * height * dtype.itemsize, chunk, str(path)))
                    return
                for numbers in order:
                    # Filled in the pages' own order, then seen with x first.
                    volume = np.empty((len(numbers), height, width), dtype=dtype)
                    for z, number in enumerate(numbers):
                        volume[z] = file.read(int(number))
                    yield volume.T[None]

        raw = RawImages(
            chunks=chunks,
            source=str(path),
            picture=True,
            black=black,
            n_phases=note.get("n_phases"),
            periodic=bool(note.get("periodic", False)),  # another program's file is a scan
            **scale,
        )
        yield from batches(raw, options)


class TiffWriter(Writer):
    """Writes a TIFF stack: one compressed 8-bit page per image, or per z of each volume, with the labels as values.

    The first page's description is a JSON text that states what the pages are: depth, phases, pixel size. The size of a
    pixel with a unit is in the tags of resolution too, for other programs.
    """

    suffixes = (".tif", ".tiff")
    stores = ("n_phases", "periodic", "pixel_size")

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes one file, complete or absent.

        Raises:
            StorageError: The file cannot be written, or would be above 4 GB, which few programs read.
        """
        with replacing(path) as temporary, tifffile.TiffWriter(temporary) as file:
            first = True
            for batch in images:
                three = len(batch.shape) == 3
                note = {
                    "depth": batch.shape[2] if three else 0,
                    "n_phases": batch.n_phases,
                    "periodic": batch.periodic,
                    **batch.physical,
                }
                tags = resolution_tags(batch)
                for image in batch.labels:
                    for page in image.T if three else [image.T]:
                        _write_page(file, page, json.dumps({_KEY: note}) if first else None, tags, path)
                        first = False
        return path


def read_page(path: Path) -> NDArray:
    """Returns the only page of a TIFF file, `(Y, X)`; black and white ones with 0 as black however they are stored.

    Raises:
        InputError: The file is damaged, in colours, or holds several pages; or other numbers than black and white where
            it says that 0 is white.
    """
    with TiffPages(path) as file:
        if len(file) > 1:
            raise InputError(f"{path}: holds {len(file)} pages; expected one picture a file in a folder.")
        page = file.read(0)
        if file.black is None:
            return page
        if not ((page == 0) | (page == file.black)).all():
            raise InputError(f"{path}: says that 0 is white; save it with 0 as black, as labels count up.")
        return (file.black - page.astype(np.int64)).astype(file.dtype)


def _order(file: TiffPages, note: dict[str, Any], options: ReadOptions) -> NDArray[np.int64]:
    depth = int(note.get("depth") or 0)
    if not note or (options.dims is not None and options.dims != (3 if depth else 2)):
        return page_order(file.axes, file.lengths, options.dims, options.array, str(file.path))
    if depth and len(file) % depth:
        raise InputError(
            f"{file.path}: holds {len(file)} pages; expected a multiple of {depth}, the pages of a volume."
        )
    pages = np.arange(len(file))
    return pages.reshape(-1, depth) if depth else pages


def _physical(note: dict[str, Any], axes: int) -> dict[str, Any]:
    return {
        "pixel_size": float(note.get("pixel_size", 1.0)),
        "aspect": tuple(note.get("aspect", ()))[:axes],
        "length_unit": known_length_unit(note.get("length_unit", "")),
    }


def _write_page(
    file: tifffile.TiffWriter, page: NDArray, description: str | None, tags: dict[str, Any], path: str | Path
) -> None:
    try:
        file.write(
            np.ascontiguousarray(page),
            compression="zlib",
            photometric="minisblack",
            metadata=None,
            description=description,
            software=False,
            **tags,
        )
    except (ValueError, struct.error) as error:
        raise StorageError(f"{path}: cannot be written as one TIFF file ({error}); take another format.") from None


def _note(description: str) -> dict[str, Any]:
    """What `TiffWriter` states in the first page's description; empty for files of other programs."""
    try:
        note = json.loads(description)[_KEY]
        phases = int(note["n_phases"])
        return dict(note) if 1 <= phases <= MAX_PHASES else {}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}

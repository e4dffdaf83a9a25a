"""TIFF stacks: pages of one file, read and written page by page.

A page is stored row by row from the top, its rows along y: pages `(Y, X)` become images `(X, Y)`, the pages of a volume
its z, so `(Z, Y, X)` becomes `(X, Y, Z)`.
"""

import json
import math
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from microdesign.core.errors import InputError, StorageError
from microdesign.core.files import replacing
from microdesign.microstructure.data.container import MAX_PHASES, Microstructures
from microdesign.microstructure.data.label_arrays import chunk_length, refuse_pickle
from microdesign.microstructure.io.formats.raw import RawImages, batches, gathered
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader, Writer

_KEY = "microdesign"


class TiffReader(Reader):
    """Reads the pages of a TIFF file as images `(X, Y)`, or as volumes `(X, Y, Z)`.

    The pages are one volume when `dims` is 3, when `TiffWriter` wrote volumes, or when the file itself calls them z
    (ImageJ, OME); else each is a sample.
    """

    name = ".tif, .tiff"
    takes = ("dims", "n_phases", "values")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffixes `.tif` and `.tiff`."""
        return path.suffix.lower() in (".tif", ".tiff")

    def read(
        self, path: Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
    ) -> Iterator[Microstructures]:
        """Yields the images or volumes in the order of their pages.

        Raises:
            InputError: The file is missing, damaged, a pickle, in colours, or its pages differ in size; or a value is
                no label or a grey level.
        """
        with _opened(path) as file:
            count, (height, width), dtype = _check_pages(file, path)
            note = _note(file)
            declared = {"Z": 3}.get(_axis_of_pages(file), 2)
        depth = int(note["depth"]) if note.get("depth") else (count if declared == 3 else 0)
        if options.dims is not None and options.dims != (3 if depth else 2):
            depth = count if options.dims == 3 else 0
        if depth and count % depth:
            raise InputError(f"{path}: holds {count} pages; expected a multiple of {depth}, the pages of a volume.")
        page_bytes = width * height * dtype.itemsize

        def chunks() -> Iterator[NDArray]:
            with _opened(path) as file:
                pages = (page.T for page in _pages(file, count, path))
                if not depth:
                    yield from gathered(pages, chunk_length(page_bytes, chunk))
                    return
                for _ in range(count // depth):
                    # Filled in the pages' own order, then seen with x first.
                    volume = np.empty((depth, height, width), dtype=dtype)
                    for z in range(depth):
                        volume[z] = next(pages).T
                    yield volume.T[None]

        raw = RawImages(
            chunks=chunks,
            source=str(path),
            picture=True,
            n_phases=note.get("n_phases"),
            periodic=bool(note.get("periodic", True)),
            pixel_size=float(note.get("pixel_size", 1.0)),
            aspect=tuple(note.get("aspect", ())),
            length_unit=str(note.get("length_unit", "")),
        )
        yield from batches(raw, options)


class TiffWriter(Writer):
    """Writes a TIFF stack: one compressed 8-bit page per image, or per z of each volume, with the labels as values.

    The first page's description is a JSON text that states what the pages are: depth, phases, pixel size.
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
                for image in batch.labels:
                    for page in image.T if three else [image.T]:
                        _write_page(file, page, json.dumps({_KEY: note}) if first else None, path)
                        first = False
        return path


def read_page(path: Path) -> NDArray:
    """Returns the only page of a TIFF file as it is stored, `(Y, X)`.

    Raises:
        InputError: The file is damaged, in colours, or holds several pages.
    """
    with _opened(path) as file:
        count, _, _ = _check_pages(file, path)
        if count > 1:
            raise InputError(f"{path}: holds {count} pages; expected one picture a file in a folder.")
        return next(_pages(file, 1, path))


def single_channel(array: NDArray, source: str) -> NDArray:
    """Returns `(Y, X)` of a picture; `(Y, X, C)` is taken when its colours are one grey and it is opaque.

    Raises:
        InputError: The picture has colours or transparent parts.
    """
    if array.ndim == 2:
        return array
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise InputError(f"{source}: has shape {array.shape}; expected one picture of rows and columns.")
    colours = array[..., : 1 if array.shape[2] <= 2 else 3]
    opacity = array[..., colours.shape[2] :]
    if (colours != colours[..., :1]).any() or (opacity.size and (opacity != opacity.flat[0]).any()):
        raise InputError(f"{source}: is in colours; expected one number a pixel, the label of its phase.")
    return array[..., 0]


def _write_page(file: tifffile.TiffWriter, page: NDArray, description: str | None, path: str | Path) -> None:
    try:
        file.write(
            np.ascontiguousarray(page),
            compression="zlib",
            photometric="minisblack",
            metadata=None,
            description=description,
            software=False,
        )
    except (ValueError, struct.error) as error:
        raise StorageError(f"{path}: cannot be written as one TIFF file ({error}); take another format.") from None


def _opened(path: str | Path) -> tifffile.TiffFile:
    refuse_pickle(path, "a TIFF file")
    try:
        return tifffile.TiffFile(path)
    except Exception as error:
        raise InputError(f"{path}: is no TIFF file, or truncated ({' '.join(str(error).split())}).") from None


def _check_pages(file: tifffile.TiffFile, path: str | Path) -> tuple[int, tuple[int, int], np.dtype]:
    try:
        shapes = [(page.shape[:2], page.dtype) for page in file.pages]
        count = len(shapes)
        series = file.series[0] if file.series else None
    except Exception as error:
        raise InputError(f"{path}: is damaged or truncated ({' '.join(str(error).split())}).") from None
    if not count or shapes[0][1] is None:
        raise InputError(f"{path}: holds no pages; expected at least one picture.")
    for number, (shape, _) in enumerate(shapes):
        if shape != shapes[0][0]:
            raise InputError(f"{path}: page {number} has {_size(shape)} pixels; expected {_size(shapes[0][0])}.")
    if count == 1 and series is not None and _behind_one_page(series):
        count = int(np.prod(series.shape[:-2]))
    height, width = shapes[0][0]
    return count, (height, width), np.dtype(shapes[0][1])


def _behind_one_page(series: Any) -> bool:
    # ImageJ keeps stacks above 4 GB, and tifffile arrays, behind the directory of their first page.
    return len(series.shape) > 2 and series.axes[-2:] == "YX" and series.dataoffset is not None


def _pages(file: tifffile.TiffFile, count: int, path: str | Path) -> Iterator[NDArray]:
    if count > len(file.pages):
        series = file.series[0]
        dtype, shape = np.dtype(series.dtype), series.shape[-2:]
        for number in range(count):
            place = (series.dataoffset or 0) + number * math.prod(shape) * dtype.itemsize
            page = np.fromfile(path, dtype, math.prod(shape), offset=place)
            if page.size < math.prod(shape):
                raise InputError(f"{path}: page {number} cannot be decoded, the file is truncated.")
            yield page.reshape(shape)
        return
    for number in range(count):
        try:
            page = file.pages[number].asarray()
        except Exception as error:
            page = _by_pillow(path, number, error)
        yield single_channel(page, f"{path}, page {number}")


def _by_pillow(path: str | Path, number: int, why: Exception) -> NDArray:
    # tifffile alone knows no LZW and no fax compression; Pillow does.
    try:
        with Image.open(path) as picture:
            picture.seek(number)
            return np.asarray(picture)
    except Exception:
        raise InputError(
            f"{path}: page {number} cannot be decoded, it is damaged or truncated ({' '.join(str(why).split())})."
        ) from None


def _axis_of_pages(file: tifffile.TiffFile) -> str:
    try:
        axes = [axis for axis in file.series[0].axes if axis not in "YXS"]
    except Exception:
        return ""
    return axes[-1] if axes else ""


def _note(file: tifffile.TiffFile) -> dict[str, Any]:
    try:
        note = json.loads(file.pages.first.description)[_KEY]
        phases = int(note["n_phases"])
        return dict(note) if 1 <= phases <= MAX_PHASES else {}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in reversed(shape))

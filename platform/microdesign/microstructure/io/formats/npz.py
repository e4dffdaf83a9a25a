"""NumPy's `.npz` archives, read and written as streams; nothing is ever unpickled."""

import math
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.budget import refuse_large
from microdesign.core.errors import InputError
from microdesign.core.files import replacing
from microdesign.core.properties import find
from microdesign.core.units import known_length_unit, pixel_fields
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import chunk_length, refuse_unsafe
from microdesign.microstructure.data.places import places_as_texts, places_of_texts
from microdesign.microstructure.io.formats.npy import append_npy, read_header
from microdesign.microstructure.io.formats.raw import RawImages, batches, split_axes
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader, Writer

Headers = dict[str, tuple[tuple[int, ...], bool, np.dtype]]
"""Shape, whether stored by columns, and dtype of each array of an archive."""

_LABELS, _PHASES, _CLASSES, _DIMS = "labels", "n_phases", "classes", "dims"
_PIXEL, _UNIT, _PERIODIC, _PLACES = "pixel_size", "length_unit", "periodic", "places"
_SHAPE = "shape"
_NAMED = (_LABELS, _DIMS, _PHASES, _CLASSES, _PIXEL, _UNIT, _PERIODIC, _PLACES)
_TEXTS = (_CLASSES, _PLACES)


class NpzReader(Reader):
    """Reads an archive: the array that `array` names, or its only integer array.

    Images are `(X, Y)`, `(n, X, Y)` or `(n, X, Y, Z)`, x first; `(X, Y, Z)` with `dims` 3, which the archive may state
    by an integer `dims`. Float arrays of one number a sample are read as properties; an integer `n_phases`, a bool
    `periodic`, texts `classes`, a number or one an axis
    `pixel_size` and a text `length_unit` as what they are called; texts `places` as those of windows, in JSON. Bytes
    of eight pixels each, as `numpy.packbits` makes them along the last axis, are told by integers `shape` beside them,
    of the images before.
    """

    name = ".npz"
    takes = ("array", "dims", "n_phases", "values", "threshold")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffix `.npz`."""
        return path.suffix.lower() == ".npz"

    def read(
        self, path: Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
    ) -> Iterator[Microstructures]:
        """Yields the images of the array in order, with the properties beside it.

        Raises:
            InputError: The file is no archive, damaged, or a pickle; the array is missing, one of several, holds
                pickled objects or is no array of phase labels.
        """
        headers = list_npz(path)
        name = _choose(headers, options.array, path)
        shape, fortran, dtype = headers[name]
        source = f"{path}: '{name}'"
        dims = options.dims or _stated_dims(path, headers)
        whole = _shape_before_packing(path, headers, name)
        n, image = split_axes(whole or shape, dims, source, stack=_counts_samples(headers, shape[:1]))
        stored = (*image[:-1], shape[-1])
        # Stored by columns, an image is spread over the whole archive.
        if fortran:
            refuse_large(math.prod(shape) * dtype.itemsize, source, "an array stored by columns")
        length = n if fortran else chunk_length(math.prod(image) * dtype.itemsize, chunk, source)

        def chunks() -> Iterator[NDArray]:
            with _opened(path) as archive, _member(archive, name, source) as member:
                _header(member, source)
                for start in range(0, n, length):
                    count = min(length, n - start) * math.prod(stored)
                    array = np.frombuffer(_read(member, count * dtype.itemsize, source), dtype)
                    array = (array.reshape(shape, order="F") if fortran else array).reshape(-1, *stored)
                    yield np.unpackbits(array, axis=-1, count=image[-1]) if whole else array

        extras = _small_arrays(path, headers, n)
        raw = RawImages(chunks=chunks, source=source, **extras)
        for batch in batches(raw, options):
            step = chunk_length(0, chunk, source) if chunk else len(batch)
            for start in range(0, len(batch), step):
                yield batch.select(slice(start, start + step))

    def describe(self, path: Path, options: ReadOptions = NO_OPTIONS) -> dict[str, Any]:
        """Lists the arrays and summarises the images, where it is clear which array they are."""
        arrays = {
            name: {"shape": list(shape), "dtype": str(dtype)} for name, (shape, _, dtype) in list_npz(path).items()
        }
        try:
            return {"arrays": arrays} | super().describe(path, options)
        except InputError as error:
            return {"arrays": arrays, "images": str(error)}


class NpzWriter(Writer):
    """Writes `labels` (uint8, `(n, *shape)`), `n_phases`, `classes`, `periodic`, a float64 array `(n,)` per property.

    `dims` states 2 or 3 axes of an image. What is known of the pixels' size goes into `pixel_size`, one number or one
    an axis, and `length_unit`; `places` holds those of windows, a JSON text each.
    """

    suffixes = (".npz",)
    stores = ("n_phases", "classes", "properties", "places", "periodic", "pixel_size")

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes the batches as they come; the file is complete or absent.

        Raises:
            InputError: A property bears the name of one of the other arrays.
            StorageError: The file cannot be written.
        """
        classes: list[str] = []
        places: list[str] = []
        columns: dict[str, list[NDArray[np.float64]]] = {}
        single: dict[str, Any] = {}

        def noted() -> Iterator[Microstructures]:
            nonlocal single
            for batch in images:
                single |= {_DIMS: np.array(len(batch.shape)), _PHASES: np.array(batch.n_phases)}
                single |= {_PERIODIC: np.array(batch.periodic)} | _pixels(batch)
                classes.extend(batch.classes)
                places.extend(places_as_texts(batch.places))
                for name, values in batch.properties.items():
                    if name in _NAMED or "/" in name:
                        raise InputError(f"property '{name}' cannot be an array's name in .npz; rename it.")
                    columns.setdefault(name, []).append(values)
                yield batch

        with replacing(path) as temporary, tempfile.TemporaryDirectory(dir=temporary.parent, prefix=".npz.") as folder:
            # The header of an array states its length, which a stream tells only at its end.
            labels = Path(folder) / "labels.npy"
            with labels.open("wb") as file:
                append_npy(file, noted())
            small = dict(single)
            small |= {name: np.array(texts) for name, texts in ((_CLASSES, classes), (_PLACES, places)) if any(texts)}
            small |= {name: np.concatenate(parts) for name, parts in columns.items()}
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
                with labels.open("rb") as stored, archive.open(_entry(_LABELS), "w", force_zip64=True) as member:
                    while block := stored.read(2**20):
                        member.write(block)
                for name, array in small.items():
                    with archive.open(_entry(name), "w") as member:
                        np.lib.format.write_array(member, array, allow_pickle=False)
        return path


def list_npz(path: str | Path) -> Headers:
    """Returns shape, whether stored by columns, and dtype of each array, from their headers alone.

    Raises:
        InputError: The file is no archive of arrays, damaged, or a pickle.
    """
    headers = {}
    with _opened(path) as archive:
        for file in archive.namelist():
            if file.endswith(".npy"):
                name = file.removesuffix(".npy")
                source = f"{path}: '{name}'"
                with _member(archive, name, source) as member:
                    headers[name] = _header(member, source)
    if not headers:
        raise InputError(f"{path}: holds no arrays; expected a .npz archive with an array of phase labels.")
    return headers


def _entry(name: str) -> zipfile.ZipInfo:
    # A fixed date: the same images make the same bytes.
    entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _opened(path: str | Path) -> zipfile.ZipFile:
    refuse_unsafe(path, "a .npz archive of integer phase labels")
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise InputError(f"{path}: is no .npz archive, or truncated ({' '.join(str(error).split())}).") from None


@contextmanager
def _member(archive: zipfile.ZipFile, name: str, source: str) -> Iterator[IO[bytes]]:
    with _refusing_damage(source):
        member = archive.open(f"{name}.npy")
    with member:
        yield member


def _header(member: IO[bytes], source: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    with _refusing_damage(source):
        return read_header(member)


def _read(member: IO[bytes], size: int, source: str) -> bytes:
    with _refusing_damage(source):
        data = member.read(size)
    if len(data) < size:
        raise InputError(f"{source} is damaged: it ends before its last image.")
    return data


@contextmanager
def _refusing_damage(source: str) -> Iterator[None]:
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        # zlib, lzma, zipfile, the parser of headers and the file system have their own kinds of error each.
        raise InputError(f"{source} is damaged ({' '.join(str(error).split())}).") from None


def _choose(headers: Headers, wanted: str | None, path: str | Path) -> str:
    held = ", ".join(f"{name} {head[0]} {head[2]}" for name, head in headers.items())
    if wanted is not None:
        if wanted not in headers:
            raise InputError(f"{path}: has no array '{wanted}'; expected one of: {held}.")
        names = [wanted]
    else:
        plausible = {name: head[2].kind for name, head in headers.items() if head[2].hasobject or len(head[0]) >= 2}
        names = [name for name, kind in plausible.items() if kind in "uib"] or list(plausible) or list(headers)
    if len(names) > 1:
        raise InputError(f"{path}: holds several arrays that could be the images; name one by --array out of: {held}.")
    dtype = headers[names[0]][2]
    if dtype.hasobject:
        raise InputError(
            f"{path}: '{names[0]}' holds pickled Python objects, which are never loaded; expected integer phase labels."
        )
    return names[0]


def _pixels(batch: Microstructures) -> dict[str, NDArray]:
    """The arrays that state the size of a pixel, none where it is not known."""
    if batch.pixel_size == 1 and not batch.aspect and not batch.length_unit:
        return {}
    return {_PIXEL: np.array(batch.spacing if batch.aspect else batch.pixel_size), _UNIT: np.array(batch.length_unit)}


def _stated_dims(path: str | Path, headers: Headers) -> int | None:
    """What the archive says of its images: 2 or 3; None where it says nothing."""
    if _DIMS not in headers or headers[_DIMS][0] or headers[_DIMS][2].kind not in "ui":
        return None
    (stated,) = _integers(path, headers, _DIMS)
    if stated not in (2, 3):
        raise InputError(f"{path}: '{_DIMS}' is {stated}; expected 2 or 3, the axes of an image.")
    return stated


def _shape_before_packing(path: str | Path, headers: Headers, name: str) -> tuple[int, ...] | None:
    """The shape of labels of two phases, eight of which are a byte along the last axis; None of labels as they are."""
    packed, _, dtype = headers[name]
    axes, _, kind = headers.get(_SHAPE, ((), False, np.dtype(np.uint8)))
    if dtype != np.uint8 or axes != (len(packed),) or kind.kind not in "ui":
        return None
    shape = tuple(_integers(path, headers, _SHAPE))
    return shape if shape != packed and (*shape[:-1], -(-shape[-1] // 8)) == packed else None


def _integers(path: str | Path, headers: Headers, name: str) -> list[int]:
    shape, _, dtype = headers[name]
    source = f"{path}: '{name}'"
    with _opened(path) as archive, _member(archive, name, source) as member:
        _header(member, source)
        found: list[int] = np.frombuffer(_read(member, math.prod(shape) * dtype.itemsize, source), dtype).tolist()
    return found


def _counts_samples(headers: Headers, first: tuple[int, ...]) -> bool:
    """Whether something beside the images has a value for each entry of their first axis."""
    beside = [(name, head[2].kind) for name, head in headers.items() if head[0] == first]
    return any((kind == "U" and name in _TEXTS) or (kind == "f" and find(name) is not None) for name, kind in beside)


def _small_arrays(path: str | Path, headers: Headers, n: int) -> dict[str, Any]:
    extras: dict[str, Any] = {"properties": {}}
    edges, unit = [1.0], ""
    with _opened(path) as archive:
        for name, (shape, _, dtype) in headers.items():
            pixels = shape if shape in ((2,), (3,)) else ()
            fixed = {_PHASES: ((), "ui"), _UNIT: ((), "U"), _PERIODIC: ((), "b"), _PIXEL: (pixels, "f")}
            wanted = (name in fixed and shape == fixed[name][0] and dtype.kind in fixed[name][1]) or (
                shape == (n,) and (dtype.kind == "f" or (name in _TEXTS and dtype.kind == "U"))
            )
            if not wanted:
                continue
            source, size = f"{path}: '{name}'", math.prod(shape) * dtype.itemsize
            refuse_large(size, source, "an array beside the images")
            with _member(archive, name, source) as member:
                _header(member, source)
                data = _read(member, size, source)
            array = np.frombuffer(data, dtype)
            if name == _PHASES:
                extras["n_phases"] = int(array[0])
            elif name == _PERIODIC:
                extras["periodic"] = bool(array[0])
            elif name == _PIXEL:
                edges = array.tolist()
            elif name == _UNIT:
                unit = known_length_unit(str(array[0]))
            elif name == _CLASSES:
                extras["classes"] = tuple(array.tolist())
            elif name == _PLACES:
                extras["places"] = places_of_texts(array.tolist(), f"{path}: '{name}'")
            else:
                extras["properties"][name] = array.astype(np.float64)
    return extras | pixel_fields(edges, unit)

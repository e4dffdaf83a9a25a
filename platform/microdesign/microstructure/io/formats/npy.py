"""Images in NumPy's `.npy` files, memory-mapped; nothing is ever unpickled."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.core.files import replacing
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import chunk_length, refuse_unsafe
from microdesign.microstructure.io.formats.raw import RawImages, batches, split_axes
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader, Writer

_MAGIC = b"\x93NUMPY"
_LONGEST_HEADER = 2**16


class NpyReader(Reader):
    """Reads arrays of bool, integer or integral floating-point labels: `(X, Y)`, `(n, X, Y)` or `(n, X, Y, Z)`.

    Axis 0 of an image is x. `dims` 3 makes `(X, Y, Z)` one volume; without `n_phases` it is the largest label plus one.
    """

    name = ".npy"
    takes = ("dims", "n_phases", "values", "threshold")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffix `.npy`."""
        return path.suffix.lower() == ".npy"

    def read(
        self, path: Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
    ) -> Iterator[Microstructures]:
        """Yields the images in order.

        Raises:
            InputError: The file is missing, no `.npy` file, truncated, a pickle, of another shape, or a value is no
                label or lies outside the phases.
        """
        images = open_npy(path, options.dims)
        length = chunk_length(images[0].nbytes, chunk, str(path))

        def chunks() -> Iterator[NDArray]:
            if len(images) == 1 or not isinstance(images, np.memmap) or not images.flags.c_contiguous:
                yield from (images[start : start + length] for start in range(0, len(images), length))
                return
            # Read, not mapped: mapped pages count as this process's memory, the whole file in the end.
            for start in range(0, len(images), length):
                part = images[start : start + length]
                place = images.offset + start * images[0].nbytes
                yield np.fromfile(path, part.dtype, part.size, offset=place).reshape(part.shape)

        yield from batches(RawImages(chunks=chunks, source=str(path)), options)


class NpyWriter(Writer):
    """Writes one array `(n, *shape)` of uint8."""

    suffixes = (".npy",)
    stores = ()

    def write(self, path: Path, images: Iterable[Microstructures]) -> Path:
        """Writes the batches as they come; the file is complete or absent.

        Raises:
            StorageError: The file cannot be written.
        """
        with replacing(path) as temporary, temporary.open("wb") as file:
            append_npy(file, images)
        return path


def read_npy(path: str | Path, n_phases: int | None = None, dims: int | None = None) -> Microstructures:
    """Returns all images of a `.npy` file, see `NpyReader`."""
    options = ReadOptions(n_phases=n_phases, dims=dims)
    return Microstructures.concatenate(list(NpyReader().read(Path(path), options=options)))


def open_npy(path: str | Path, dims: int | None = None) -> NDArray:
    """Maps the file as a stack `(n, X, Y)` or `(n, X, Y, Z)` without reading the images.

    Raises:
        InputError: The file is missing, no `.npy` file, truncated, a pickle, or of another shape.
    """
    refuse_unsafe(path, "a .npy file of integer phase labels")
    try:
        with Path(path).open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise InputError(f"{path}: is no NumPy array file; expected a .npy file of integer phase labels.")
            file.seek(0)
            shape, _, dtype = read_header(file)
            place, size = file.tell(), math.prod(shape) * dtype.itemsize
        if not dtype.hasobject and Path(path).stat().st_size < place + size:
            raise InputError(f"{path}: is damaged or truncated: it states {shape} values of {dtype} and holds fewer.")
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); expected a .npy file.") from None
    except InputError:
        raise
    except (ValueError, TypeError, OverflowError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        if "object" in str(error).lower():
            raise InputError(
                f"{path}: holds pickled Python objects, which are never loaded; expected integer phase labels."
            ) from None
        raise InputError(f"{path}: is damaged or truncated ({' '.join(str(error).split())}).") from None
    n, shape = split_axes(array.shape, dims, str(path))
    return array.reshape(n, *shape)


def read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Returns shape, whether stored by columns, and dtype of a `.npy` stream, which then stands at its numbers.

    Raises:
        ValueError: The header is damaged, or longer than any that NumPy writes; other errors of NumPy's parser pass.
    """
    bounded: Any = _Bounded(file)
    version = np.lib.format.read_magic(bounded)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(bounded)
    if any(not isinstance(length, int) or length < 0 for length in shape):
        raise ValueError(f"the shape {shape} is not valid")
    return shape, fortran, dtype


class _Bounded:
    """A stream that reads no more at once than a header may be long: its stated length may be 4 GiB of zeros."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        if size > _LONGEST_HEADER:
            raise ValueError(f"its header states {size} bytes; expected at most {_LONGEST_HEADER}")
        return self._file.read(size)


def write_npy(path: str | Path, batch: Microstructures) -> None:
    """Writes the labels as uint8, one two-dimensional sample as `(X, Y)`, else `(n, *shape)`; complete or absent.

    Raises:
        StorageError: The file cannot be written.
    """
    # (X, Y, Z) would read back as a stack of images.
    labels = batch.labels[0] if len(batch) == 1 and len(batch.shape) == 2 else batch.labels
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.ascontiguousarray(labels), allow_pickle=False)


def append_npy(file: IO[bytes], images: Iterable[Microstructures]) -> None:
    """Writes a `.npy` array `(n, *shape)` of uint8 to an empty open file; its header is set when n is known."""
    shape: tuple[int, ...] = ()
    n = 0
    for batch in images:
        if not n:
            shape = batch.shape
            _write_header(file, n, shape)
        n += len(batch)
        file.write(np.ascontiguousarray(batch.labels).data)
    file.seek(0)
    # NumPy pads the header for a first axis that grows: it has the same length for any n.
    _write_header(file, n, shape)


def _write_header(file: IO[bytes], n: int, shape: tuple[int, ...]) -> None:
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": (n, *shape)})

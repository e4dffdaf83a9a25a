"""Images in NumPy's `.npy` files, memory-mapped; nothing is ever unpickled."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.errors import InputError
from microdesign.files import replacing
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.label_arrays import as_labels, chunk_length

_MAGIC = b"\x93NUMPY"


def read_npy(path: str | Path, n_phases: int | None = None) -> Microstructures:
    """Reads one image `(X, Y)` or a stack `(n, X, Y)`; see `iterate_npy`."""
    return Microstructures.concatenate(list(iterate_npy(path, n_phases=n_phases)))


def iterate_npy(path: str | Path, chunk: int | None = None, n_phases: int | None = None) -> Iterator[Microstructures]:
    """Yields the images of a `.npy` file, `chunk` at a time.

    Args:
        path: A file of bool, integer or integral floating-point labels, `(X, Y)` or `(n, X, Y)`; axis 0 of an image
            is x.
        chunk: Largest number of images at once; None takes what fits into 64 MiB.
        n_phases: Number of phases; None takes the largest label of the file plus one.

    Raises:
        InputError: The file is missing, no `.npy` file, truncated, a pickle, not two-dimensional images, or a value is
            no label or lies outside the phases.
    """
    images = open_npy(path)
    length = chunk_length(images[0].nbytes, chunk)
    parts = range(0, len(images), length)
    if n_phases is None:
        n_phases = 1 + max(int(as_labels(images[i : i + length], str(path)).max()) for i in parts)
    for i in parts:
        labels = as_labels(images[i : i + length], str(path))
        try:
            # A copy, so that the batch does not hang on the mapped file.
            yield Microstructures(labels=np.array(labels), n_phases=n_phases)
        except InputError as error:
            raise InputError(f"{path}: from image {i} on, {error}") from None


def open_npy(path: str | Path) -> NDArray:
    """Maps the file as a stack `(n, X, Y)` without reading the images.

    Raises:
        InputError: The file is missing, no `.npy` file, truncated, a pickle, or not two-dimensional images.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(len(_MAGIC))
        if start != _MAGIC:
            kind = "a pickle, which is never loaded" if start[:1] == b"\x80" else "no NumPy array file"
            raise InputError(f"{path}: is {kind}; expected a .npy file of integer phase labels.")
        array = np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); expected a .npy file.") from None
    except ValueError as error:
        if "object" in str(error).lower():
            raise InputError(
                f"{path}: holds pickled Python objects, which are never loaded; expected integer phase labels."
            ) from None
        raise InputError(f"{path}: is damaged or truncated ({' '.join(str(error).split())}).") from None
    if array.ndim not in (2, 3):
        raise InputError(f"{path}: has shape {array.shape}; expected one image (X, Y) or a stack (n, X, Y).")
    if array.size == 0:
        raise InputError(f"{path}: has shape {array.shape}, without pixels; expected at least one image.")
    return array[None] if array.ndim == 2 else array


def write_npy(path: str | Path, batch: Microstructures) -> None:
    """Writes the labels as uint8, one sample as `(X, Y)`, several as `(n, X, Y)`, whole or not at all.

    Raises:
        StorageError: The file cannot be written.
    """
    labels = batch.labels[0] if len(batch) == 1 else batch.labels
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, np.ascontiguousarray(labels), allow_pickle=False)

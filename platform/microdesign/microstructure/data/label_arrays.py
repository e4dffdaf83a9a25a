"""Phase labels from the number type of any file."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.core.budget import read_budget, refuse_large, refuse_special
from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import MAX_PHASES

# What a reader takes of a file's raw numbers at once; int64 copies of uint8 images take eight times their size.
CHUNK_BYTES = 64 * 2**20
_PART_BYTES = 4 * 2**20


def as_labels(array: NDArray, source: str) -> NDArray[np.uint8]:
    """Converts bool, integer, or integral floating-point labels to uint8.

    Args:
        array: Labels of any shape.
        source: What the message names: a file, or a file and a data set in it.

    Raises:
        InputError: A value is NaN, not integral, negative or above 255, or the type is not numeric.
    """
    if array.dtype == np.uint8:
        return np.asarray(array)
    if array.dtype.kind == "b":
        return np.asarray(array).astype(np.uint8)
    if array.dtype.kind not in "uif":
        raise InputError(f"{source}: has dtype {array.dtype}; expected integer phase labels.")
    labels = np.empty(array.shape, dtype=np.uint8)
    _convert(np.asarray(array), labels, source, ())
    return labels


def chunk_length(bytes_per_image: int, chunk: int | None, source: str) -> int:
    """Returns how many images to read at once: `chunk`, but never more than fit into `CHUNK_BYTES` and the budget.

    Args:
        bytes_per_image: As the file states it, before anything is read.
        chunk: How many are asked for; None leaves it to the size.
        source: What a message names.

    Raises:
        InputError: `chunk` is below one, or a single image is above the budget of `core.budget`.
    """
    refuse_large(bytes_per_image, source)
    if chunk is not None and chunk < 1:
        raise InputError(f"chunk = {chunk} is too small; expected at least 1.")
    fitting = max(1, min(CHUNK_BYTES, read_budget()) // max(bytes_per_image, 1))
    return fitting if chunk is None else min(chunk, fitting)


def refuse_unsafe(path: str | Path, expected: str) -> None:
    """Refuses a device or a pipe, and a file that is a pickle by its first bytes; what is missing is its reader's.

    Raises:
        InputError: The path is one of these.
    """
    refuse_special(path, expected)
    try:
        with Path(path).open("rb") as file:
            start = file.read(2)
    except OSError:
        return
    if start[:1] == b"\x80" and start[1:2] <= b"\x05":
        raise InputError(f"{path}: is a pickle, which is never loaded; expected {expected}.")


def _convert(array: NDArray, labels: NDArray[np.uint8], source: str, place: tuple[int, ...]) -> None:
    """Converts part by part: the checks take several times the memory of what they look at."""
    if array.nbytes > _PART_BYTES and array.ndim > 1:
        for i in range(len(array)):
            _convert(array[i], labels[i], source, (*place, i))
        return
    if array.dtype.kind == "f":
        _refuse(np.isnan(array), array, source, place, "expected phase labels, not missing values")
        _refuse(
            array != np.rint(array),
            array,
            source,
            place,
            "expected integer phase labels; threshold a grey image first (--threshold otsu)",
        )
    _refuse(
        (array < 0) | (array >= MAX_PHASES),
        array,
        source,
        place,
        f"expected phase labels 0 to {MAX_PHASES - 1}; threshold a grey image first (--threshold otsu)",
    )
    labels[...] = array


def _refuse(bad: NDArray[np.bool_], array: NDArray, source: str, place: tuple[int, ...], expected: str) -> None:
    if bad.any():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmax(bad)), bad.shape))
        raise InputError(f"{source}: holds {array[index]} at index {[*place, *index]}; {expected}.")

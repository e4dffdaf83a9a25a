"""HDF5 files of any known layout, told apart by what they hold.

- MICRO2D: a group per class with the images under the class's own name.
- DREAM.3D: `DataContainers`.
- one data set per sample, its labels in the data set's attributes (MicroGen3D), in groups by class or not;
- one data set of flat rows `(n, pixels)`, or of images `(n, X, Y)` or `(n, X, Y, Z)`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.hdf5.dream3d import is_dream3d
from microdesign.microstructure.io.formats.hdf5.micro2d import PROPERTY_DATASETS, open_hdf5
from microdesign.microstructure.io.formats.natural_order import natural
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions

MICRO2D, DREAM3D, SAMPLES, ROWS, STACK = (
    "MICRO2D",
    "DREAM.3D",
    "one data set per sample",
    "flat rows of pixels",
    "one array of images",
)


@dataclass(frozen=True)
class Layout:
    """How a file holds its images.

    Attributes:
        kind: One of the names above.
        arrays: The data sets of the images, in order; empty for MICRO2D and DREAM.3D.
    """

    kind: str
    arrays: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArrayInfo:
    """A numeric data set of a file: its path, shape, dtype kind, and whether its attributes hold numbers."""

    name: str
    shape: tuple[int, ...]
    kind: str
    labelled: bool


def find_layout(path: str | Path, options: ReadOptions = NO_OPTIONS) -> Layout:
    """Returns how a file holds its images, by its content.

    Raises:
        InputError: The file is damaged, a pickle, or holds no images or more than one kind of them.
    """
    with open_hdf5(path) as file:
        if is_dream3d(file):
            return Layout(DREAM3D)
        if options.array is not None:
            item = file.get(options.array)
            if not isinstance(item, h5py.Dataset):
                held = ", ".join(array.name for array in arrays_of(file)) or "none"
                raise InputError(f"{path}: has no data set '{options.array}'; expected one of: {held[:500]}.")
            return Layout(ROWS if item.ndim == 2 else STACK, (options.array,))
        if any(_is_class(file.get(name), name) for name in file):
            return Layout(MICRO2D)
        return _by_arrays(arrays_of(file), file, path, options)


def _by_arrays(arrays: list[ArrayInfo], file: Any, path: str | Path, options: ReadOptions) -> Layout:
    images = [a for a in arrays if len(a.shape) >= 2] or [a for a in arrays if a.labelled or options.shape]
    if not images:
        empty = [name for name in file if isinstance(file.get(name), h5py.Group) and not len(file[name])]
        found = f"the group '{empty[0]}' is empty" if empty else f"it holds {len(arrays)} arrays, none of images"
        raise InputError(
            f"{path}: has no images: {found}; expected MICRO2D's layout, DREAM.3D's, one data set per sample, or one "
            f"array of images or flat rows."
        )
    labelled = [array for array in images if array.labelled]
    if labelled:
        return _samples(labelled)
    same = len({array.shape for array in images}) == 1 and len(images) > 1
    sides = images[0].shape
    if same and (len(set(sides)) == 1 or len(sides) == options.dims or len(sides) == 1):
        return _samples(images)
    if len(images) > 1:
        images = [array for array in images if array.kind in "uib"] or images
    if len(images) > 1:
        held = ", ".join(f"{array.name} {array.shape}" for array in images)
        raise InputError(f"{path}: holds several arrays that could be the images; name one by --array out of: {held}.")
    return Layout(ROWS if len(images[0].shape) == 2 else STACK, (images[0].name,))


def _samples(arrays: list[ArrayInfo]) -> Layout:
    return Layout(SAMPLES, tuple(sorted((array.name for array in arrays), key=lambda name: natural(Path(name)))))


def arrays_of(file: Any) -> list[ArrayInfo]:
    """Returns the numeric data sets of an open file."""
    found: list[ArrayInfo] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "buif":
            found.append(ArrayInfo(name, item.shape, item.dtype.kind, bool(attributes_of(item)[0])))

    file.visititems(visit)
    return found


def attributes_of(item: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Returns the attributes of one number and those of text, by name; `n_phases` is left out."""
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in item.attrs.items():
        array = np.asarray(value)
        if name == "n_phases":
            continue
        if array.size == 1 and array.dtype.kind in "buif":
            numbers[name] = float(array.reshape(-1)[0])
        elif isinstance(value, str | bytes):
            texts[name] = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
    return numbers, texts


def _is_class(group: Any, name: str) -> bool:
    return isinstance(group, h5py.Group) and (name in group or any(key in group for key in PROPERTY_DATASETS))

"""HDF5 files of any known layout, told apart by what they hold.

- MICRO2D: a group per class with the images under the class's own name.
- DREAM.3D: `DataContainers`; DREAM3D-NX: `DataStructure`.
- one data set per sample, its labels in the data set's attributes (MicroGen3D), in groups by class or not;
- one image `(X, Y)`, flat rows `(n, pixels)`, or images `(n, X, Y)` or `(n, X, Y, Z)` in one data set.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from microdesign.core.errors import InputError
from microdesign.microstructure.io.formats.hdf5.attributes import attributes_of, is_dimension_scale
from microdesign.microstructure.io.formats.hdf5.dream3d import is_dream3d
from microdesign.microstructure.io.formats.hdf5.dream3d_nx import is_dream3d_nx
from microdesign.microstructure.io.formats.hdf5.micro2d import PROPERTY_DATASETS
from microdesign.microstructure.io.formats.hdf5.opened import open_hdf5
from microdesign.microstructure.io.formats.natural_order import natural
from microdesign.microstructure.io.options import NO_OPTIONS, ImagesOrVolumesError, ReadOptions

MICRO2D, DREAM3D, DREAM3D_NX, SAMPLES, IMAGE, ROWS, STACK = (
    "MICRO2D",
    "DREAM.3D",
    "DREAM3D-NX",
    "one data set per sample",
    "one image",
    "flat rows of pixels",
    "one array of images",
)

_LEAST_SIDE = 4
"""Pixels along an axis of images that somebody may have stored as flat rows."""


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
    """A numeric data set of a file: its path, shape, dtype kind, and whether its attributes hold numbers about it."""

    name: str
    shape: tuple[int, ...]
    kind: str
    labelled: bool


def find_layout(path: str | Path, options: ReadOptions = NO_OPTIONS) -> Layout:
    """Returns how a file holds its images, by its content.

    Raises:
        InputError: The file is damaged, a pickle, or holds no images or more than one kind of them; or its array has
            two readings, and the message names the option that tells.
    """
    with open_hdf5(path) as file:
        if is_dream3d(file):
            return Layout(DREAM3D)
        if is_dream3d_nx(file):
            return Layout(DREAM3D_NX)
        if options.array is None and any(_is_class(file.get(name), name) for name in file):
            return Layout(MICRO2D)
        arrays = arrays_of(file)
        if options.array is None:
            return _by_arrays(arrays, file, path, options)
        chosen = [array for array in arrays if array.name == options.array.strip("/")]
        if not chosen:
            held = ", ".join(array.name for array in arrays) or "none"
            raise InputError(f"{path}: has no data set '{options.array}'; expected one of: {held[:500]}.")
        return _single(chosen[0], arrays, path, options)


def flat_sides(pixels: int, dims: int | None = None) -> list[tuple[int, ...]]:
    """Returns the square and the cube of so many pixels, `(X, X)` and `(X, X, X)`, as far as there are such.

    Example:
        >>> flat_sides(64), flat_sides(125), flat_sides(60)
        ([(8, 8), (4, 4, 4)], [(5, 5, 5)], [])
    """
    sides = [(round(pixels ** (1 / dimension)),) * dimension for dimension in ((2, 3) if dims is None else (dims,))]
    return [side for side in sides if side[0] > 1 and side[0] ** len(side) == pixels]


def arrays_of(file: Any) -> list[ArrayInfo]:
    """Returns the numeric data sets of an open file, without those that hold the coordinates of an axis."""
    found: list[ArrayInfo] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "buif" and not is_dimension_scale(item):
            found.append(ArrayInfo(name, item.shape, item.dtype.kind, bool(attributes_of(item)[0])))

    file.visititems(visit)
    return found


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
    if len(labelled) > 1 or (labelled and len(labelled[0].shape) == 1):
        return _samples(labelled)
    same = len({array.shape for array in images}) == 1 and len(images) > 1
    sides = images[0].shape
    if same and options.dims in (None, len(sides)) and (len(set(sides)) == 1 or len(sides) in (1, options.dims)):
        return _samples(images)
    if len(images) > 1:
        images = [array for array in images if array.kind in "uib"] or images
    if len(images) > 1:
        held = ", ".join(f"{array.name} {array.shape}" for array in images)
        raise InputError(f"{path}: holds several arrays that could be the images; name one by --array out of: {held}.")
    return _single(images[0], arrays, path, options)


def _samples(arrays: list[ArrayInfo]) -> Layout:
    return Layout(SAMPLES, tuple(sorted((array.name for array in arrays), key=lambda name: natural(Path(name)))))


def _single(array: ArrayInfo, arrays: list[ArrayInfo], path: str | Path, options: ReadOptions) -> Layout:
    """What one array is: images, or, of two axes, one image or flat rows."""
    if len(array.shape) == 1:
        return _samples([array])
    if len(array.shape) == 2:
        return Layout(_of_two_axes(array, arrays, path, options), (array.name,))
    several = len(array.shape) == 3 and min(array.shape) > 1
    if several and array.labelled and options.dims is None and options.shape is None:
        raise ImagesOrVolumesError(
            f"{path}: '{array.name}' has shape {array.shape} and attributes of numbers: a stack of {array.shape[0]} "
            f"images, or one volume with its properties; say which by --dims 2 or --dims 3."
        )
    return Layout(STACK, (array.name,))


def _of_two_axes(array: ArrayInfo, arrays: list[ArrayInfo], path: str | Path, options: ReadOptions) -> str:
    rows, pixels = array.shape
    if options.shape is not None:
        return IMAGE if options.shape == array.shape else ROWS
    if options.dims == 3 or rows == 1:
        return ROWS
    if rows == 0:
        return IMAGE
    # A number for each row says that the rows are samples; coordinates of both axes say nothing.
    lengths = [other.shape[0] for other in arrays if len(other.shape) == 1]
    numbered = rows in lengths and (rows == pixels or pixels not in lengths)
    sides = [side for side in flat_sides(pixels, options.dims) if side[0] >= _LEAST_SIDE]
    if numbered and rows != pixels:
        return ROWS
    # That flat rows are as many as their pixels would be chance; images are square by habit.
    if not sides or (rows == pixels and not numbered):
        return IMAGE
    flat = ",".join(map(str, sides[0]))
    raise InputError(
        f"{path}: '{array.name}' has shape {array.shape}: one image, or {rows} images in flat rows of {pixels} pixels; "
        f"say which by --shape {rows},{pixels} or --shape {flat}."
    )


def _is_class(group: Any, name: str) -> bool:
    if not isinstance(group, h5py.Group):
        return False
    images = group.get(name)
    stored = isinstance(images, h5py.Dataset) and images.dtype.kind in "buif"
    return stored or any(key in group for key in PROPERTY_DATASETS)

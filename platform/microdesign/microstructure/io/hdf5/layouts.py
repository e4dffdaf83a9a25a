"""HDF5 files of any known layout, told apart by what they hold.

- MICRO2D: a group per class with the images under the class's own name.
- DREAM.3D: `DataContainers`.
- one data set per sample, its labels in the data set's attributes (MicroGen3D), in groups by class or not;
- one data set of flat rows `(n, pixels)`, or of images `(n, X, Y)` or `(n, X, Y, Z)`.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import chunk_length
from microdesign.microstructure.io.hdf5.dream3d import is_dream3d, read_dream3d
from microdesign.microstructure.io.hdf5.micro2d import PROPERTY_DATASETS, open_hdf5, read_micro2d
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.pictures import natural
from microdesign.microstructure.io.raw import RawImages, batches, gathered, split_axes

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
class _Array:
    name: str
    shape: tuple[int, ...]
    kind: str
    labelled: bool


def read_hdf5(
    path: str | Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
) -> Iterator[Microstructures]:
    """Yields the images of an HDF5 file of any known layout, in chunks.

    Flat rows are taken as `(X, Y)` in C order: a square, a cube, or `options.shape`.

    Raises:
        InputError: The file is damaged, a pickle, of no known layout, or its content is not valid; several arrays could
            be the images; or the length of flat rows does not tell the shape.
    """
    layout = find_layout(path, options)
    if layout.kind == MICRO2D:
        options.refuse_others(("n_phases",), Path(path), "a file in MICRO2D's layout")
        yield from read_micro2d(path, chunk=chunk, n_phases=options.n_phases)
    elif layout.kind == DREAM3D:
        options.refuse_others(("array", "n_phases", "values"), Path(path), "a DREAM.3D file")
        yield from read_dream3d(path, options)
    elif layout.kind == SAMPLES:
        yield from _read_samples(path, layout.arrays, chunk, options)
    else:
        yield from _read_stack(path, layout.arrays[0], chunk, options)


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
                held = ", ".join(array.name for array in _arrays(file)) or "none"
                raise InputError(f"{path}: has no data set '{options.array}'; expected one of: {held[:500]}.")
            return Layout(ROWS if item.ndim == 2 else STACK, (options.array,))
        if any(_is_class(file.get(name), name) for name in file):
            return Layout(MICRO2D)
        return _by_arrays(_arrays(file), file, path, options)


def _by_arrays(arrays: list[_Array], file: Any, path: str | Path, options: ReadOptions) -> Layout:
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
    if same and (len(set(sides)) == 1 or len(sides) == options.dimension or len(sides) == 1):
        return _samples(images)
    if len(images) > 1:
        images = [array for array in images if array.kind in "uib"] or images
    if len(images) > 1:
        held = ", ".join(f"{array.name} {array.shape}" for array in images)
        raise InputError(f"{path}: holds several arrays that could be the images; name one by --array out of: {held}.")
    return Layout(ROWS if len(images[0].shape) == 2 else STACK, (images[0].name,))


def _samples(arrays: list[_Array]) -> Layout:
    return Layout(SAMPLES, tuple(sorted((array.name for array in arrays), key=lambda name: natural(Path(name)))))


def _read_samples(
    path: str | Path, names: tuple[str, ...], chunk: int | None, options: ReadOptions
) -> Iterator[Microstructures]:
    with open_hdf5(path) as file:
        shape = _image_shape(_sides(file[names[0]].shape), options, f"{path}: '{names[0]}'")
        numbers: dict[str, NDArray[np.float64]] = {}
        classes, generation = [], []
        for i, name in enumerate(names):
            scalars, texts = _attributes(file[name])
            for key, value in scalars.items():
                numbers.setdefault(key, np.full(len(names), np.nan))[i] = value
            classes.append(texts.pop("class", Path(name).parent.name))
            generation.append(json.dumps(texts, sort_keys=True) if texts else "")
        itemsize = file[names[0]].dtype.itemsize

    def images() -> Iterator[NDArray]:
        with open_hdf5(path) as file:
            for name in names:
                array = _slice(file[name], (), f"{path}: '{name}'")
                if array.size != math.prod(shape) or _sides(array.shape) not in (shape, (array.size,)):
                    raise InputError(f"{path}: '{name}' has shape {array.shape}; expected {shape}, as '{names[0]}'.")
                yield array.reshape(shape)

    length = chunk_length(math.prod(shape) * itemsize, chunk)
    raw = RawImages(
        chunks=lambda: gathered(images(), length),
        source=f"{path}: '{names[0]}' and on" if len(names) > 1 else f"{path}: '{names[0]}'",
        classes=tuple(classes),
        generation=tuple(generation),
        properties=numbers,
    )
    yield from batches(raw, options)


def _read_stack(path: str | Path, name: str, chunk: int | None, options: ReadOptions) -> Iterator[Microstructures]:
    source = f"{path}: '{name}'"
    with open_hdf5(path) as file:
        array = file[name]
        whole = array.shape
        if len(whole) == 2:
            n, shape = whole[0], _image_shape(whole[1:], options, source)
        else:
            n, shape = split_axes(whole, options.dimension, source)
        if options.shape not in (None, shape):
            raise InputError(f"{source} has shape {whole}; expected images of --shape {options.shape}.")
        if n == 0:
            raise InputError(f"{source} has shape {whole}, without images; expected at least one.")
        phases = array.attrs.get("n_phases")
        columns = {
            Path(other.name).name: np.asarray(file[other.name][()], dtype=np.float64)
            for other in _arrays(file)
            if other.shape == (n,) and other.kind == "f"
        }
        length = chunk_length(math.prod(shape) * array.dtype.itemsize, chunk)

    def chunks() -> Iterator[NDArray]:
        with open_hdf5(path) as file:
            for start in range(0, n, length):
                stop = min(start + length, n)
                where = () if whole == shape else slice(start, stop)
                yield _slice(file[name], where, source).reshape(-1, *shape)

    raw = RawImages(chunks=chunks, source=source, n_phases=None if phases is None else int(phases), properties=columns)
    yield from batches(raw, options)


def _image_shape(stored: tuple[int, ...], options: ReadOptions, source: str) -> tuple[int, ...]:
    """Returns the shape of an image that is stored as `stored`, which may be flat."""
    if options.shape is not None:
        if math.prod(options.shape) != math.prod(stored):
            raise InputError(
                f"{source} holds {math.prod(stored)} pixels an image; expected {math.prod(options.shape)}, by --shape "
                f"{','.join(map(str, options.shape))}."
            )
        return options.shape
    if len(stored) > 1:
        if len(stored) not in ({options.dimension} if options.dimension else {2, 3}):
            raise InputError(f"{source} has shape {stored}; expected one image (X, Y) or one volume (X, Y, Z).")
        return stored
    pixels = stored[0]
    fitting = []
    for dimension in (2, 3) if options.dimension is None else (options.dimension,):
        side = round(pixels ** (1 / dimension))
        if side > 1 and side**dimension == pixels:
            fitting.append((side,) * dimension)
    if len(fitting) == 1:
        return fitting[0]
    problem = f"fit {fitting[0]} and {fitting[1]}" if fitting else "are no square and no cube"
    raise InputError(
        f"{source} holds rows of {pixels} pixels, which {problem}; give the shape by --shape X,Y or X,Y,Z."
    )


def _arrays(file: Any) -> list[_Array]:
    found: list[_Array] = []

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "buif":
            found.append(_Array(name, item.shape, item.dtype.kind, bool(_attributes(item)[0])))

    file.visititems(visit)
    return found


def _attributes(item: Any) -> tuple[dict[str, float], dict[str, str]]:
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


def _sides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Drops a channel axis of length one before or behind the axes of a volume."""
    if len(shape) == 4:
        return shape[1:] if shape[0] == 1 else shape[:-1] if shape[-1] == 1 else shape
    return shape


def _slice(array: Any, where: Any, source: str) -> NDArray:
    try:
        return np.asarray(array[where])
    except (OSError, RuntimeError) as error:
        raise InputError(f"{source} is damaged ({' '.join(str(error).split())}).") from None

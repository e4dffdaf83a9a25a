"""Reading HDF5 files of any layout in `layouts`."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import chunk_length
from microdesign.microstructure.io.formats.hdf5.dream3d import read_dream3d
from microdesign.microstructure.io.formats.hdf5.layouts import (
    DREAM3D,
    MICRO2D,
    SAMPLES,
    arrays_of,
    attributes_of,
    find_layout,
)
from microdesign.microstructure.io.formats.hdf5.micro2d import open_hdf5, read_micro2d
from microdesign.microstructure.io.formats.hdf5.tree import hdf5_tree
from microdesign.microstructure.io.formats.raw import RawImages, batches, gathered, split_axes
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader


class Hdf5Reader(Reader):
    """Reads HDF5 files of any known layout, told apart by content.

    Flat rows are taken as `(X, Y)` in C order: a square, a cube, or the option `shape`.
    """

    name = ".h5, .hdf5, .dream3d (MICRO2D, DREAM.3D, one data set per sample, flat rows)"
    takes = ("array", "shape", "dims", "n_phases", "values")

    def accepts(self, path: Path) -> bool:
        """Accepts the suffixes `.h5`, `.hdf5` and `.dream3d`, and any file that is HDF5 by its content."""
        return path.is_file() and (path.suffix.lower() in (".h5", ".hdf5", ".dream3d") or bool(h5py.is_hdf5(path)))

    def read(
        self, path: Path, chunk: int | None = None, options: ReadOptions = NO_OPTIONS
    ) -> Iterator[Microstructures]:
        """Yields the images with their classes and properties.

        Raises:
            InputError: The file is damaged, a pickle, of no known layout, or its content is not valid; several arrays
                could be the images; or the length of flat rows does not tell the shape.
        """
        layout = find_layout(path, options)
        if layout.kind == MICRO2D:
            options.refuse_others(("n_phases",), path, "a file in MICRO2D's layout")
            yield from read_micro2d(path, chunk=chunk, n_phases=options.n_phases)
        elif layout.kind == DREAM3D:
            options.refuse_others(("array", "n_phases", "values"), path, "a DREAM.3D file")
            yield from read_dream3d(path, options)
        elif layout.kind == SAMPLES:
            yield from _read_samples(path, layout.arrays, chunk, options)
        else:
            yield from _read_stack(path, layout.arrays[0], chunk, options)

    def describe(self, path: Path) -> dict[str, Any]:
        """Returns the tree of any HDF5 file (shapes, types, attributes) and which layout it has."""
        tree = hdf5_tree(path)
        try:
            layout = find_layout(path).kind
        except InputError as error:
            layout = str(error)
        return {"layout": layout} | tree


def _read_samples(
    path: str | Path, names: tuple[str, ...], chunk: int | None, options: ReadOptions
) -> Iterator[Microstructures]:
    with open_hdf5(path) as file:
        shape = _image_shape(_sides(file[names[0]].shape), options, f"{path}: '{names[0]}'")
        numbers: dict[str, NDArray[np.float64]] = {}
        classes, generation = [], []
        for i, name in enumerate(names):
            scalars, texts = attributes_of(file[name])
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
        stored = array.shape
        if len(stored) == 2:
            n, shape = stored[0], _image_shape(stored[1:], options, source)
        else:
            n, shape = split_axes(stored, options.dims, source)
        if options.shape not in (None, shape):
            raise InputError(f"{source} has shape {stored}; expected images of --shape {options.shape}.")
        if n == 0:
            raise InputError(f"{source} has shape {stored}, without images; expected at least one.")
        phases = array.attrs.get("n_phases")
        columns = {
            Path(other.name).name: np.asarray(file[other.name][()], dtype=np.float64)
            for other in arrays_of(file)
            if other.shape == (n,) and other.kind == "f"
        }
        length = chunk_length(math.prod(shape) * array.dtype.itemsize, chunk)

    def chunks() -> Iterator[NDArray]:
        with open_hdf5(path) as file:
            for start in range(0, n, length):
                stop = min(start + length, n)
                where = () if stored == shape else slice(start, stop)
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
        if len(stored) not in ({options.dims} if options.dims else {2, 3}):
            raise InputError(f"{source} has shape {stored}; expected one image (X, Y) or one volume (X, Y, Z).")
        return stored
    pixels = stored[0]
    fitting = []
    for dimension in (2, 3) if options.dims is None else (options.dims,):
        side = round(pixels ** (1 / dimension))
        if side > 1 and side**dimension == pixels:
            fitting.append((side,) * dimension)
    if len(fitting) == 1:
        return fitting[0]
    problem = f"fit {fitting[0]} and {fitting[1]}" if fitting else "are no square and no cube"
    raise InputError(
        f"{source} holds rows of {pixels} pixels, which {problem}; give the shape by --shape X,Y or X,Y,Z."
    )


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

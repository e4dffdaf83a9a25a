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
from microdesign.core.properties import find
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import chunk_length
from microdesign.microstructure.io.formats.hdf5.attributes import attributes_of
from microdesign.microstructure.io.formats.hdf5.dream3d import read_dream3d
from microdesign.microstructure.io.formats.hdf5.dream3d_nx import read_dream3d_nx
from microdesign.microstructure.io.formats.hdf5.layouts import (
    DREAM3D,
    DREAM3D_NX,
    MICRO2D,
    ROWS,
    SAMPLES,
    Layout,
    arrays_of,
    find_layout,
    flat_sides,
)
from microdesign.microstructure.io.formats.hdf5.micro2d import read_micro2d
from microdesign.microstructure.io.formats.hdf5.opened import open_hdf5, read_stored, refusing_damage
from microdesign.microstructure.io.formats.hdf5.scale import read_scale
from microdesign.microstructure.io.formats.hdf5.tree import hdf5_tree
from microdesign.microstructure.io.formats.raw import RawImages, batches, gathered, split_axes
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.protocol import Reader


class Hdf5Reader(Reader):
    """Reads HDF5 files of any known layout, told apart by content.

    Flat rows are taken as `(X, Y)` in C order: a square, a cube, or the option `shape`. An array of two axes is one
    image, or flat rows where a number for each row stands beside it; where both fit, the option `shape` has to tell.
    """

    name = ".h5, .hdf5, .dream3d (MICRO2D, DREAM.3D, DREAM3D-NX, one data set per sample, an array, flat rows)"
    takes = ("array", "shape", "dims", "n_phases", "values", "threshold")

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
        with refusing_damage(str(path)):
            yield from self._read(path, chunk, options)

    def _read(self, path: Path, chunk: int | None, options: ReadOptions) -> Iterator[Microstructures]:
        layout = find_layout(path, options)
        if layout.kind == MICRO2D:
            options.refuse_others(("n_phases",), path, "a file in MICRO2D's layout")
            yield from read_micro2d(path, chunk=chunk, n_phases=options.n_phases)
        elif layout.kind == DREAM3D:
            options.refuse_others(("array", "n_phases", "values"), path, "a DREAM.3D file")
            yield from read_dream3d(path, options)
        elif layout.kind == DREAM3D_NX:
            options.refuse_others(("array", "n_phases", "values"), path, "a DREAM3D-NX file")
            yield from read_dream3d_nx(path, options)
        elif layout.kind == SAMPLES:
            yield from _read_samples(path, layout.arrays, chunk, options)
        else:
            yield from _read_stack(path, layout, chunk, options)

    def describe(self, path: Path, options: ReadOptions = NO_OPTIONS) -> dict[str, Any]:
        """Returns the tree of any HDF5 file (shapes, types, attributes) and which layout it has."""
        with refusing_damage(str(path)):
            tree = hdf5_tree(path)
            try:
                layout = find_layout(path, options).kind
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
        scale = read_scale(file[names[0]].attrs, len(shape))

    def images() -> Iterator[NDArray]:
        with open_hdf5(path) as file:
            for name in names:
                array = read_stored(file[name], f"{path}: '{name}'")
                if array.size != math.prod(shape) or _sides(array.shape) not in (shape, (array.size,)):
                    raise InputError(f"{path}: '{name}' has shape {array.shape}; expected {shape}, as '{names[0]}'.")
                yield array.reshape(shape)

    length = chunk_length(math.prod(shape) * itemsize, chunk, f"{path}: '{names[0]}'")
    raw = RawImages(
        chunks=lambda: gathered(images(), length),
        source=f"{path}: '{names[0]}' and on" if len(names) > 1 else f"{path}: '{names[0]}'",
        classes=tuple(classes),
        generation=tuple(generation),
        properties=numbers,
        **scale,
    )
    yield from batches(raw, options)


def _read_stack(path: str | Path, layout: Layout, chunk: int | None, options: ReadOptions) -> Iterator[Microstructures]:
    (name,) = layout.arrays
    source = f"{path}: '{name}'"
    with open_hdf5(path) as file:
        array = file[name]
        stored = array.shape
        stack = any(
            other.shape == stored[:1] and other.kind == "f" and find(Path(other.name).name) is not None
            for other in arrays_of(file)
        )
        n, shape = _axes(stored, layout.kind, options, source, stack)
        if n == 0:
            raise InputError(f"{source} has shape {stored}, without images; expected at least one.")
        phases = array.attrs.get("n_phases")
        columns = {
            Path(other.name).name: read_stored(file[other.name], f"{path}: '{other.name}'").astype(np.float64)
            for other in arrays_of(file)
            if other.shape == (n,) and other.kind == "f"
        }
        if n == 1:
            # Of one image alone only what is known to be a property; where each sample has its data set, any number.
            numbers = attributes_of(array)[0]
            columns |= {key: np.array([value]) for key, value in numbers.items() if find(key) is not None}
        scale = read_scale(array.attrs, len(shape))
        length = chunk_length(math.prod(shape) * array.dtype.itemsize, chunk, source)

    def chunks() -> Iterator[NDArray]:
        with open_hdf5(path) as file:
            for start in range(0, n, length):
                stop = min(start + length, n)
                where = slice(start, stop) if stored[0] == n else ()
                yield read_stored(file[name], source, where).reshape(-1, *shape)

    stated = None if phases is None else int(phases)
    raw = RawImages(chunks=chunks, source=source, n_phases=stated, properties=columns, **scale)
    yield from batches(raw, options)


def _axes(
    stored: tuple[int, ...], kind: str, options: ReadOptions, source: str, stack: bool
) -> tuple[int, tuple[int, ...]]:
    """Returns the number of images in an array and their shape, by `--shape` where it is given."""
    wanted = options.shape
    if wanted is None:
        if kind == ROWS:
            return stored[0], _image_shape(stored[1:], options, source)
        return split_axes(stored, options.dims, source, stack)
    for n, rest in ((1, stored), (stored[0], stored[1:])):
        flat = len(_longer_than_one(rest)) <= 1
        if math.prod(rest) == math.prod(wanted) and (flat or _longer_than_one(rest) == _longer_than_one(wanted)):
            return n, wanted
    raise InputError(
        f"{source} has shape {stored}, {math.prod(stored[1:])} pixels a row; expected one image of --shape "
        f"{','.join(map(str, wanted))}, or rows of {math.prod(wanted)} pixels."
    )


def _longer_than_one(sides: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(side for side in sides if side > 1)


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
    fitting = flat_sides(pixels, options.dims)
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

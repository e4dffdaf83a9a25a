"""The cells of an image geometry as DREAM.3D and DREAM3D-NX store them: arrays `(z, y, x, 1)`, ids from 1."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from microdesign.core.budget import refuse_large
from microdesign.core.errors import InputError
from microdesign.core.units import pixel_fields
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import as_labels
from microdesign.microstructure.io.formats.hdf5.opened import open_hdf5, read_stored
from microdesign.microstructure.io.formats.raw import RawImages, batches
from microdesign.microstructure.io.options import ReadOptions

_PREFERRED = ("Phases", "FeatureIds")


class Grid(NamedTuple):
    """Cells and their edge lengths along x, y and z; the unit of these, empty where it is not known."""

    cells: tuple[int, int, int]
    spacing: tuple[float, float, float]
    unit: str


def read_grid(dimensions: Any, spacing: Any, source: str, names: tuple[str, str], unit: str) -> Grid:
    """Returns the grid of an image geometry.

    Args:
        dimensions: Cells along x, y and z.
        spacing: Edge lengths of a cell along x, y and z.
        source: What the message names.
        names: What the file calls the two.
        unit: Of the edge lengths, empty where the file states none.

    Raises:
        InputError: They are not three positive numbers each.
    """
    try:
        cells = tuple(int(number) for number in dimensions)
        # Stored in single precision: 0.1 is meant, not 0.10000000149.
        edges = tuple(float(f"{number:.7g}") for number in spacing)
    except (TypeError, ValueError) as error:
        raise InputError(f"{source} is not valid ({' '.join(str(error).split())}).") from None
    valid = len(cells) == len(edges) == 3 and min(cells) >= 1 and min(edges) > 0 and math.isfinite(max(edges))
    if not valid:
        raise InputError(
            f"{source} has {names[0]} {cells}, {names[1]} {edges}; expected three positive numbers each, along x, y, z."
        )
    return Grid((cells[0], cells[1], cells[2]), (edges[0], edges[1], edges[2]), unit)


def choose_array(arrays: Mapping[str, Any], wanted: str | None, source: str) -> Any:
    """Returns the data set that `wanted` names (`NAME`, or `.../NAME`), else Phases, FeatureIds, or the only integers.

    Raises:
        InputError: There is no such array, or several could be the labels.
    """
    held = ", ".join(arrays) or "none"
    if wanted is not None:
        name = wanted.split("/")[-1]
        if name not in arrays:
            raise InputError(f"{source} has no cell array '{name}'; expected one of: {held}.")
        return arrays[name]
    for name in _PREFERRED:
        if name in arrays:
            return arrays[name]
    integral = [name for name, item in arrays.items() if item.dtype.kind in "uib"]
    if len(integral) != 1:
        raise InputError(f"{source} holds neither Phases nor FeatureIds; name the array by --array out of: {held}.")
    return arrays[integral[0]]


def read_cells(
    path: str | Path, place: str, shape: tuple[int, ...], grid: Grid, name: str, options: ReadOptions, names: str
) -> Iterator[Microstructures]:
    """Yields the one volume `(X, Y, Z)` of a cell array, or its image `(X, Y)` when there is one layer along z.

    Without any 0 (unknown) the label is the id minus 1.

    Args:
        path: The HDF5 file.
        place: Path of the array in it.
        shape: Its shape as stored.
        grid: Its cells.
        name: Class of the sample.
        options: `n_phases` and `values`.
        names: What the file calls the number of cells.

    Raises:
        InputError: The array does not match the grid, is damaged, or an id is above 255.
    """
    source = f"{path}: '{place.lstrip('/')}'"
    stored = grid.cells[::-1]
    flat = grid.cells[2] == 1
    if shape not in (stored, (*stored, 1)):
        raise InputError(
            f"{source} has shape {shape}; expected {(*stored, 1)} = (z, y, x, 1), by {names} {grid.cells}."
        )

    refuse_large(math.prod(stored), source)

    def chunks() -> Iterator[NDArray]:
        # Layer by layer as 8-bit labels: the stored integers are four times the size.
        layers = np.empty(stored, dtype=np.uint8)
        with open_hdf5(path) as file:
            for z in range(stored[0]):
                layer = read_stored(file[place], source, z).reshape(stored[1:])
                layers[z] = as_labels(layer, f"{source}, layer {z} along z")
        yield (layers[0].T if flat else layers.T)[None]

    edges = grid.spacing[:2] if flat else grid.spacing
    known = pixel_fields(edges, grid.unit) | {"classes": (name,), "periodic": False}
    raw = RawImages(chunks=chunks, source=source, counts_from_one=True, **known)
    yield from batches(raw, options)

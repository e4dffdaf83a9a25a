"""DREAM3D-NX files (simplnx, FileVersion 8): image geometries are groups in `DataStructure`.

A geometry has the attributes `_DIMENSIONS` (cells along x, y, z) and `_SPACING`; its cell arrays `(z, y, x, 1)` lie in
attribute matrices, groups in it (BlueQuartzSoftware/simplnx, `ImageGeomIO.cpp` and `DataStoreIO.hpp`). Later versions
write the unit of length as a number, `Units`.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.units import length_unit
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.hdf5.dream3d_cells import choose_array, read_cells, read_grid
from microdesign.microstructure.io.formats.hdf5.opened import open_hdf5
from microdesign.microstructure.io.formats.hdf5.scale import length_unit_of
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions

ROOT = "DataStructure"
_CELLS, _SPACING = "_DIMENSIONS", "_SPACING"
_UNITS = {
    4: "pm",
    5: "nm",
    6: "um",
    7: "mm",
    8: "cm",
    9: "dm",
    13: "km",
    21: "angstrom",
    22: "thou",
    23: "in",
    24: "ft",
}
"""Units of length by their number (`IGeometry.hpp`, `LengthUnit`). 10, the metre, is not taken: every geometry has it
that was given none."""


def is_dream3d_nx(file: Any) -> bool:
    """Tells whether an open HDF5 file has DREAM3D-NX's layout."""
    return isinstance(file.get(ROOT), h5py.Group)


def read_dream3d_nx(path: str | Path, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
    """Yields the one volume `(X, Y, Z)` of an image geometry, or its image `(X, Y)` when there is one layer along z.

    The array is `options.array` (`NAME`, or `GEOMETRY/NAME` where there are several geometries), else `Phases`, else
    `FeatureIds`. Ids count from 1 and unknown cells are 0: without any 0, the label is the id minus 1.

    Raises:
        InputError: The file is damaged, has no image geometry or several, the array is missing or does not match
            `_DIMENSIONS`, or an id is above 255.
    """
    with open_hdf5(path) as file:
        geometry = _geometry(file[ROOT], options.array, path)
        name, source = geometry.name.split("/")[-1], f"{path}: '{geometry.name.lstrip('/')}'"
        names = (_CELLS, _SPACING)
        unit = _length_unit(geometry.attrs)
        grid = read_grid(geometry.attrs[_CELLS], geometry.attrs.get(_SPACING, ()), source, names, unit)
        array = choose_array(_arrays(geometry), options.array, source)
        place, shape = array.name, array.shape
    yield from read_cells(path, place, shape, grid, name, options, _CELLS)


def _length_unit(attributes: Mapping[str, Any]) -> str:
    number = np.asarray(attributes.get("Units", ()))
    if number.size == 1 and number.dtype.kind in "ui":
        return length_unit(_UNITS.get(int(number.ravel()[0]), ""))
    return length_unit_of(attributes)


def _geometry(group: Any, wanted: str | None, path: str | Path) -> Any:
    found: list[Any] = []

    def visit(_name: str, item: Any) -> None:
        if isinstance(item, h5py.Group) and _CELLS in item.attrs:
            found.append(item)

    group.visititems(visit)
    if not found:
        raise InputError(f"{path}: no group in '{ROOT}' has {_CELLS}; expected one image geometry.")
    names = [item.name.split("/")[-1] for item in found]
    if wanted and "/" in wanted:
        found = [item for item, name in zip(found, names, strict=True) if name == wanted.split("/")[-2]] or found
    if len(found) > 1:
        raise InputError(
            f"{path}: holds several image geometries ({', '.join(names)}); name one by --array NAME/ARRAY."
        )
    return found[0]


def _arrays(geometry: Any) -> dict[str, Any]:
    arrays: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim >= 3:
            arrays.setdefault(name.split("/")[-1], item)

    geometry.visititems(visit)
    return arrays

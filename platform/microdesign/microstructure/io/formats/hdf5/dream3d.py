"""DREAM.3D files (version 6): `DataContainers/*/_SIMPL_GEOMETRY` with `SPACING` and `DIMENSIONS` (x, y, z)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.hdf5.dream3d_cells import choose_array, read_cells, read_grid
from microdesign.microstructure.io.formats.hdf5.opened import open_hdf5, read_stored
from microdesign.microstructure.io.formats.hdf5.scale import length_unit_of
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions

GEOMETRY = "_SIMPL_GEOMETRY"


def is_dream3d(file: Any) -> bool:
    """Tells whether an open HDF5 file has DREAM.3D's layout."""
    return isinstance(file.get("DataContainers"), h5py.Group)


def read_dream3d(path: str | Path, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
    """Yields the one volume `(X, Y, Z)` of a DREAM.3D file, or its image `(X, Y)` when there is one layer along z.

    The container is the one with a SPACING; the array is `options.array` (`NAME`, or `CONTAINER/NAME` where there are
    several), else `Phases`, else `FeatureIds`. DREAM.3D counts ids from 1 and calls unknown cells 0: without any 0, the
    label is the id minus 1.

    Raises:
        InputError: The file is damaged, has no container with a SPACING or several, the array is missing or does not
            match DIMENSIONS, or an id is above 255.
    """
    with open_hdf5(path) as file:
        name, container = _container(file, options.array, path)
        geometry, source = container[GEOMETRY], f"{path}: 'DataContainers/{name}/{GEOMETRY}'"
        if not isinstance(geometry.get("DIMENSIONS"), h5py.Dataset):
            raise InputError(f"{source} has no DIMENSIONS; expected the cells along x, y and z.")
        names = ("DIMENSIONS", "SPACING")
        # The program itself writes no unit; others that use its layout may.
        unit = length_unit_of(geometry.attrs)
        cells, spacing = (read_stored(geometry[key], source) for key in names)
        grid = read_grid(cells, spacing, source, names, unit)
        array = choose_array(_arrays(container), options.array, f"{path}: '{name}'")
        place, shape = array.name, array.shape
    yield from read_cells(path, place, shape, grid, name, options, "DIMENSIONS")


def _container(file: Any, wanted: str | None, path: str | Path) -> tuple[str, Any]:
    group = file["DataContainers"]
    spaced = [name for name in group if isinstance(group.get(f"{name}/{GEOMETRY}/SPACING"), h5py.Dataset)]
    if not spaced:
        raise InputError(
            f"{path}: no container in 'DataContainers' has a {GEOMETRY}/SPACING; expected one with an image geometry."
        )
    chosen = [name for name in spaced if wanted and "/" in wanted and wanted.split("/")[0] == name] or spaced
    if len(chosen) > 1:
        raise InputError(
            f"{path}: holds several containers with a SPACING ({', '.join(chosen)}); "
            f"name one by --array CONTAINER/ARRAY."
        )
    return chosen[0], group[chosen[0]]


def _arrays(container: Any) -> dict[str, Any]:
    arrays: dict[str, Any] = {}
    # CellData comes first when an older file calls its cells otherwise, too.
    for key in sorted(container, key=lambda name: name != "CellData"):
        group = container[key]
        if key != GEOMETRY and isinstance(group, h5py.Group):
            for name, item in group.items():
                if isinstance(item, h5py.Dataset) and item.ndim >= 3:
                    arrays.setdefault(name, item)
    return arrays

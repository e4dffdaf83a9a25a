"""DREAM.3D files: `DataContainers/*/_SIMPL_GEOMETRY` with `SPACING` and `DIMENSIONS` (x, y, z), arrays (z, y, x, 1)."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import as_labels
from microdesign.microstructure.io.formats.hdf5.micro2d import open_hdf5
from microdesign.microstructure.io.formats.raw import RawImages, batches
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions

GEOMETRY = "_SIMPL_GEOMETRY"
_PREFERRED = ("Phases", "FeatureIds")


def is_dream3d(file: Any) -> bool:
    """Tells whether an open HDF5 file has DREAM.3D's layout."""
    return isinstance(file.get("DataContainers"), h5py.Group)


def read_dream3d(path: str | Path, options: ReadOptions = NO_OPTIONS) -> Iterator[Microstructures]:
    """Yields the one volume `(X, Y, Z)` of a DREAM.3D file, or its image `(X, Y)` when there is one layer along z.

    The container is the one with a SPACING; the array is `options.array` (`NAME`, or `CONTAINER/NAME` where there are
    several), else `Phases`, else `FeatureIds`. DREAM.3D counts ids from 1 and calls unknown cells 0: without any 0, the
    label is the id minus 1.

    Raises:
        InputError: The file is damaged, has no container with a SPACING or several, its cells are no cubes, the array
            is missing or does not match DIMENSIONS, or an id is above 255.
    """
    with open_hdf5(path) as file:
        name, container = _container(file, options.array, path)
        cells, spacing = _geometry(container[GEOMETRY], f"{path}: 'DataContainers/{name}/{GEOMETRY}'")
        array = _array(container, name, options.array, path)
        source = f"{path}: '{array.name.lstrip('/')}'"
        if array.shape not in (cells[::-1], (*cells[::-1], 1)):
            raise InputError(
                f"{source} has shape {array.shape}; expected {(*cells[::-1], 1)} = (z, y, x, 1), by DIMENSIONS {cells}."
            )
        place = array.name
    flat = cells[2] == 1

    def chunks() -> Iterator[NDArray]:
        # Layer by layer as 8-bit labels: the stored integers are four times the size.
        layers = np.empty(cells[::-1], dtype=np.uint8)
        with open_hdf5(path) as file:
            for z in range(cells[2]):
                try:
                    layer = np.asarray(file[place][z]).reshape(cells[1], cells[0])
                except (OSError, RuntimeError) as error:
                    raise InputError(f"{source} is damaged ({' '.join(str(error).split())}).") from None
                layers[z] = as_labels(layer, f"{source}, layer {z} along z")
        yield (layers[0].T if flat else layers.T)[None]

    raw = RawImages(chunks=chunks, source=source, counts_from_one=True, classes=(name,), pixel_size=spacing)
    yield from batches(raw, options)


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


def _geometry(geometry: Any, source: str) -> tuple[tuple[int, int, int], float]:
    try:
        cells = tuple(int(number) for number in geometry["DIMENSIONS"][()])
        spacing = [float(number) for number in geometry["SPACING"][()]]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{source} is not valid ({' '.join(str(error).split())}).") from None
    if len(cells) != 3 or len(spacing) != 3 or min(cells) < 1:
        raise InputError(f"{source} has DIMENSIONS {cells}, SPACING {spacing}; expected three positive numbers each.")
    sides = spacing[:2] if cells[2] == 1 else spacing
    if min(sides) <= 0 or not math.isclose(min(sides), max(sides), rel_tol=1e-5):
        raise InputError(f"{source} has SPACING {spacing}; expected cubic cells, the same positive length along all.")
    # Stored in single precision: 0.1 is meant, not 0.10000000149.
    return (cells[0], cells[1], cells[2]), float(f"{spacing[0]:.7g}")


def _array(container: Any, container_name: str, wanted: str | None, path: str | Path) -> Any:
    arrays: dict[str, Any] = {}
    # CellData comes first when an older file calls its cells otherwise, too.
    for key in sorted(container, key=lambda name: name != "CellData"):
        group = container[key]
        if key != GEOMETRY and isinstance(group, h5py.Group):
            for name, item in group.items():
                if isinstance(item, h5py.Dataset) and item.ndim >= 3:
                    arrays.setdefault(name, item)
    if wanted is not None:
        name = wanted.split("/")[-1]
        if name not in arrays:
            held = ", ".join(arrays) or "none"
            raise InputError(f"{path}: '{container_name}' has no cell array '{name}'; expected one of: {held}.")
        return arrays[name]
    for name in _PREFERRED:
        if name in arrays:
            return arrays[name]
    integral = [name for name, item in arrays.items() if item.dtype.kind in "uib"]
    if len(integral) != 1:
        raise InputError(
            f"{path}: '{container_name}' holds neither Phases nor FeatureIds; "
            f"name the array by --array out of: {', '.join(arrays) or 'none'}."
        )
    return arrays[integral[0]]

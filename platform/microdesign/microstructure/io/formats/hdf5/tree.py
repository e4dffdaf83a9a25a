"""The tree of any HDF5 file as JSON values."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from microdesign.microstructure.io.formats.hdf5.opened import open_hdf5, refusing_damage


def hdf5_tree(path: str | Path) -> dict[str, Any]:
    """Returns the tree of an HDF5 file: `attributes` and `tree` with path, shape, dtype and attributes of each object.

    Raises:
        InputError: The file is missing, truncated or no HDF5 file.
    """
    entries: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        entry: dict[str, Any] = {}
        if isinstance(item, h5py.Dataset):
            string = h5py.check_string_dtype(item.dtype) is not None
            entry = {"shape": list(item.shape or ()), "dtype": "string" if string else str(item.dtype)}
        attributes = _attributes(item)
        entries[name] = entry | ({"attributes": attributes} if attributes else {})

    with open_hdf5(path) as file, refusing_damage(str(path)):
        file.visititems(visit)
        return {"attributes": _attributes(file), "tree": entries}


def _attributes(item: Any) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name in item.attrs:
        value = item.attrs[name]
        if isinstance(value, bytes):
            value = value.decode("utf-8", errors="replace")
        elif isinstance(value, np.ndarray | np.generic):
            value = value.tolist()
        values[name] = value if isinstance(value, str | int | float | bool | list) else str(value)
    return values

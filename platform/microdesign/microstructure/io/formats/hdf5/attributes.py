"""Attributes of HDF5 data sets: which are numbers about the sample, and which belong to the file format."""

import re
from typing import Any

import numpy as np

_BOOKKEEPING = re.compile(
    r"""
    _.* | MATLAB_.*                                           # netCDF (_FillValue, _Netcdf4Dimid), MATLAB
    | CLASS | NAME | TITLE | VERSION | FLAVOR                 # PyTables, HDF5's dimension scales
    | DIMENSION_.* | REFERENCE_LIST | PALETTE | IMAGE_.* | DISPLAY_.* | INTERLACE_.*
    | (missing|fill)[ _]?value | valid_(min|max|range) | scale_factor | add_offset | actual_range    # CF conventions
    | .*(pixel|voxel).* | element_size.*                      # sizes of pixels and of arrays
    | (spatial_)?(resolution|spacing|sampling)([ _].*)?
    | [dn][xyz] | (step|spacing|scale|offset|origin)[ _]?[xyz]?
    | [xyz][ _]?(step|spacing|scale|offset|origin|resolution)
    | dpi | ppi | bits | bit_?depth | shape | size | ndims? | rank
    """,
    re.IGNORECASE | re.VERBOSE,
)
_OURS = "n_phases"


def attributes_of(item: Any) -> tuple[dict[str, float], dict[str, str]]:
    """Returns the attributes of one number and those of text, by name.

    Left out are `n_phases` and what is no property of the sample: attributes of netCDF, MATLAB, PyTables and HDF5
    itself (`_FillValue`, `MATLAB_int_decode`, `IMAGE_VERSION`), and sizes of pixels (`pixel_size`, `element_size_um`).
    """
    numbers: dict[str, float] = {}
    texts: dict[str, str] = {}
    for name, value in item.attrs.items():
        array = np.asarray(value)
        if name == _OURS or _BOOKKEEPING.fullmatch(name):
            continue
        if array.size == 1 and array.dtype.kind in "buif":
            numbers[name] = float(array.reshape(-1)[0])
        elif isinstance(value, str | bytes):
            texts[name] = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
    return numbers, texts


def is_dimension_scale(item: Any) -> bool:
    """Tells whether a data set holds the coordinates of an axis (HDF5's dimension scales, netCDF's variables)."""
    return item.attrs.get("CLASS") in (b"DIMENSION_SCALE", "DIMENSION_SCALE")

"""How large a pixel is by the attributes of HDF5 data sets and of DREAM.3D's geometries."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.units import known_length_unit, pixel_fields

_SIZES = re.compile(r"(?:pixel|voxel|element)[ _]?(?:size|edge)s?(?:[ _](?P<unit>[a-zµμ]+))?", re.IGNORECASE)
_UNITS = re.compile(r"(?:length|(?:pixel|voxel|element)(?:[ _]?size)?)?[ _]?units?", re.IGNORECASE)


def read_scale(attributes: Mapping[str, Any], axes: int) -> dict[str, Any]:
    """Returns the fields `pixel_size`, `aspect` and `length_unit` of `Microstructures`; nothing where none is stated.

    Sizes are `pixel_size`, `voxel_size` or `element_size`, one number or one an axis in the order of the array, with
    the unit behind it (`element_size_um`, as ilastik and Fiji write it) or in an attribute of its own (`length_unit`,
    `pixel_size_unit`, `units`). Without a unit nothing is taken: what it is of cannot be known.

    Args:
        attributes: Of the data set with the images.
        axes: 2 for images, 3 for volumes; of more numbers the last ones count, as stacks have theirs first.
    """
    unit = length_unit_of(attributes)
    for name, value in attributes.items():
        match = _SIZES.fullmatch(name)
        edges = np.atleast_1d(np.asarray(value)).ravel() if match else np.zeros(0)
        own = known_length_unit(match["unit"] or "") if match else ""
        if edges.size not in (1, 2, 3) or edges.dtype.kind not in "iuf" or not (own or unit):
            continue
        if edges.size not in (1, *range(axes, 4)):
            continue  # two numbers of a volume: nothing says how far its layers are apart
        try:
            return pixel_fields([float(f"{edge:.7g}") for edge in edges[-axes:]], own or unit)
        except InputError:
            continue  # 0, or not a number: nothing is stated
    return {}


def length_unit_of(attributes: Mapping[str, Any]) -> str:
    """Returns the unit of length that attributes state, such as `units`; empty where none does.

    Example:
        >>> length_unit_of({"units": "micron", "title": "steel"})
        'um'
    """
    for name, value in attributes.items():
        unit = known_length_unit(value) if _UNITS.fullmatch(name) else ""
        if unit:
            return unit
    return ""

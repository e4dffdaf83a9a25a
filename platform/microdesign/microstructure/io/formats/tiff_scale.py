"""How large a pixel of a TIFF file is, by ImageJ's, OME's or the resolution tags; and the tags that say it."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from typing import Any

import tifffile

from microdesign.core.errors import InputError
from microdesign.core.units import convert, known_length_unit, pixel_fields
from microdesign.microstructure.data.container import Microstructures

_PRINT = (72, 75, 96, 100, 120, 150, 180, 200, 240, 300, 400, 600, 1200)
"""Dots an inch that programs write where they know no size: how it would be printed, and nothing of the material."""
_RESOLUTION_UNITS = {2: "in", 3: "cm"}


def read_scale(file: tifffile.TiffFile, axes: int) -> dict[str, Any]:
    """Returns the fields `pixel_size`, `aspect` and `length_unit` of `Microstructures`; nothing where none is stated.

    OME's PhysicalSize comes first, then ImageJ's unit with its resolution and its spacing of slices, then the
    resolution in centimetres or inches; but resolutions of print (72, 300, ... dots an inch) are no size.

    Args:
        file: The open file.
        axes: 2 for images, 3 for volumes.
    """
    for find in (_ome, _imagej, _resolution):
        edges, unit = find(file)
        if len(edges) < 2 or not unit:
            continue
        if axes == 3 and len(edges) == 2:
            continue  # nothing says how far the slices are apart
        try:
            return pixel_fields(edges[:axes], unit)
        except InputError:
            continue  # 0, or not a number: nothing is stated
    return {}


def resolution_tags(batch: Microstructures) -> dict[str, Any]:
    """Returns arguments of `tifffile.TiffWriter.write` that state the pixels' size to other programs."""
    if not batch.length_unit:
        return {}
    x, y = (1 / convert(edge, batch.length_unit, "cm") for edge in batch.spacing[:2])
    return {"resolution": (x, y), "resolutionunit": "CENTIMETER"}


def _ome(file: tifffile.TiffFile) -> tuple[list[float], str]:
    try:
        pixels = ET.fromstring(file.ome_metadata or "<none/>").find(".//{*}Pixels")
    except ET.ParseError:
        return [], ""
    if pixels is None:
        return [], ""
    units = [known_length_unit(pixels.get(f"PhysicalSize{axis}Unit", "um")) for axis in "XYZ"]
    edges = [float(pixels.get(f"PhysicalSize{axis}", 0)) for axis in "XYZ"]
    count = 3 if edges[2] else 2
    if not all(units[:count]):
        return [], ""
    return [convert(edge, own, units[0]) for edge, own in zip(edges[:count], units, strict=False)], units[0]


def _imagej(file: tifffile.TiffFile) -> tuple[list[float], str]:
    note: Mapping[str, Any] = file.imagej_metadata or {}
    unit = known_length_unit(note.get("unit", ""))
    edges = _edges(file)
    if not unit or not edges:
        return [], ""
    spacing = note.get("spacing")
    return [*edges, *([float(spacing)] if isinstance(spacing, int | float) else [])], unit


def _resolution(file: tifffile.TiffFile) -> tuple[list[float], str]:
    tag = file.pages.first.tags.get("ResolutionUnit")
    unit = "" if tag is None else _RESOLUTION_UNITS.get(int(tag.value), "")
    edges = _edges(file)
    if not unit or not edges:
        return [], ""
    dots = 1 / convert(edges[0], unit, "in")
    return ([], "") if any(abs(dots - each) < 0.01 * each for each in _PRINT) else (edges, unit)


def _edges(file: tifffile.TiffFile) -> list[float]:
    """Edges of a pixel along x and y in the unit of the resolution; none where a tag is missing or 0."""
    edges = []
    for name in ("XResolution", "YResolution"):
        tag = file.pages.first.tags.get(name)
        count, length = tag.value if tag is not None and isinstance(tag.value, tuple) else (0, 1)
        if not count or not length:
            return []
        edges.append(float(f"{length / count:.9g}"))
    return edges

"""Quantities with units, read and converted by pint: lengths of pixels and features, moduli, conductivities."""

import math
import re
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from microdesign.core.errors import InputError

if TYPE_CHECKING:
    from pint import Unit, UnitRegistry

_METRES = {"pm": 1e-12, "nm": 1e-9, "um": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0, "km": 1e3}
"""Units of length as they are stored; these need no pint, which takes three quarters of a second to be ready."""
_NO_LENGTHS = ("pixel", "pixels", "px", "voxel", "voxels", "none", "unknown", "unit", "units", "null")
_POWER = re.compile(r"(?<=[a-zA-Z])(\d)\b")
"""The 3 of `kg/m3`, which pint takes for a part of the name."""
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*?)\s*")


def length_unit(text: str) -> str:
    """Returns the short name of a unit of length as it is stored, such as `um` for `micron`, `µm` or `micrometer`.

    Empty where the text says that there is none: nothing, `pixel`, `px`.

    Example:
        >>> [length_unit(text) for text in ("micron", "µm", "Nanometer", "pixel")]
        ['um', 'um', 'nm', '']

    Raises:
        InputError: The text is no unit of length.
    """
    text = text.strip()
    if text in ("", *_METRES):
        return text
    return _length_unit(text)


def known_length_unit(text: Any) -> str:
    """Returns `length_unit` of what a file says, or an empty text where that is no unit of length.

    Example:
        >>> known_length_unit("microns"), known_length_unit("furniture"), known_length_unit(None)
        ('um', '', '')
    """
    if isinstance(text, bytes):
        text = text.decode("utf-8", errors="replace")
    try:
        return length_unit(text) if isinstance(text, str) else ""
    except InputError:
        return ""


def read_length(value: str | float, what: str) -> tuple[float, str]:
    """Returns a length above zero and its unit: `("4 um")` is 4.0 and `um`, a mere number has the empty unit.

    Args:
        value: A number, or a text of a number and a unit of length.
        what: What the error names.

    Raises:
        InputError: It is no length.

    Example:
        >>> read_length("0.5um", "--pixel-size"), read_length(4, "at_least")
        ((0.5, 'um'), (4.0, ''))
    """
    parts = split_quantity(str(value))
    if parts is None or not parts[0] > 0:
        raise InputError(f"{what} {value}: expected a length above 0 such as 0.5um.")
    try:
        return parts[0], length_unit(parts[1])
    except InputError as error:
        raise InputError(f"{what} {value}: {error}") from None


def read_pixel_size(text: str, what: str = "--pixel-size") -> dict[str, Any]:
    """Reads `0.5um` or, of pixels that are no squares, `0.5,0.5,2um`, into fields of `Microstructures`.

    Raises:
        InputError: A part is no length.

    Example:
        >>> read_pixel_size("0.5,0.5,2um")
        {'pixel_size': 0.5, 'aspect': (1.0, 1.0, 4.0), 'length_unit': 'um'}
    """
    *first, last = text.split(",")
    if len(first) > 2:
        raise InputError(f"{what} {text}: expected one length, or two or three with commas between them.")
    number, unit = read_length(last, what)
    edges = []
    for part in first:
        edge, own = read_length(part, what)
        edges.append(edge if not own else convert(edge, own, unit or own))
        unit = unit or own
    return pixel_fields([*edges, number], unit)


def pixel_fields(edges: Sequence[float], unit: str = "") -> dict[str, Any]:
    """Returns the fields `pixel_size`, `aspect` and `length_unit` of `Microstructures` for pixels of these edges.

    Args:
        edges: Edge length along each axis, or one for all.
        unit: Their unit, empty where it is not known.

    Raises:
        InputError: The unit is none of length, or an edge is not above 0.

    Example:
        >>> pixel_fields([0.25, 0.25], "micron")
        {'pixel_size': 0.25, 'aspect': (), 'length_unit': 'um'}
    """
    if not all(0 < edge < math.inf for edge in edges):
        raise InputError(f"pixels of edges {list(edges)} are not valid; expected lengths above 0.")
    first = float(edges[0])
    ratios = tuple(float(f"{edge / first:.9g}") for edge in edges)  # 0.3 / 0.1 is meant to be 3
    even = all(abs(ratio - 1) < 1e-5 for ratio in ratios)
    return {"pixel_size": first, "aspect": () if even else ratios, "length_unit": length_unit(unit)}


def convert(value: float, unit: str, target: str) -> float:
    """Returns a value in another unit.

    Raises:
        InputError: A unit is not known, or the two measure different things.

    Example:
        >>> convert(500, "nm", "um"), convert(2.7, "g/cm3", "kg/m3")
        (0.5, 2700.0)
    """
    if unit == target:
        return value
    start, end = _unit(unit), _unit(target)
    if start.dimensionality != end.dimensionality:
        raise InputError(f"the unit '{unit}' cannot be converted to '{target}'.")
    # Rounded at the twelfth digit, or 500 nm would be 0.5000000000000001 um.
    return float(f"{value * _registry().convert(1.0, start, end):.12g}")


def split_quantity(text: str) -> tuple[float, str] | None:
    """Returns the number and the unit of a text such as `70 GPa`, the unit empty where there is none.

    Example:
        >>> split_quantity("70 GPa"), split_quantity("1e3"), split_quantity("soft")
        ((70.0, 'GPa'), (1000.0, ''), None)
    """
    match = _NUMBER.fullmatch(text)
    return None if match is None else (float(match[1]), match[2])


def read_quantity(text: str, unit: str) -> tuple[float, bool]:
    """Returns the number of a text such as `70 GPa` in `unit`, and whether the text has a unit.

    Args:
        text: A number and a unit, or a number alone, which is taken as it is.
        unit: The unit of the answer.

    Raises:
        InputError: The text is no number with a unit of that kind.

    Example:
        >>> read_quantity("70 GPa", "MPa"), read_quantity("1e3", "GPa")
        ((70000.0, True), (1000.0, False))
    """
    parts = split_quantity(text)
    if parts is None:
        raise InputError(f"'{text}' is no number with a unit; expected such as '1 {unit}'.")
    if not parts[1]:
        return parts[0], False
    try:
        return convert(*parts, unit), True
    except InputError as error:
        raise InputError(f"{str(error).rstrip('.')}; expected such as '1 {unit}'.") from None


def shown_length(value: float, unit: str) -> str:
    """Returns a length for people: `0.5 µm`; in pixels where the unit is not known.

    Example:
        >>> shown_length(12.5, "um"), shown_length(1, ""), shown_length(3, "")
        ('12.5 µm', '1 pixel', '3 pixels')
    """
    if unit:
        return f"{value:.4g} {shown_unit(unit)}"
    return f"{value:.4g} pixel{'' if value == 1 else 's'}"


def shown_unit(unit: str) -> str:
    """Returns a unit of length for people, with the Greek letter."""
    return "µm" if unit == "um" else unit


@cache
def _length_unit(text: str) -> str:
    if text.lower() in _NO_LENGTHS:
        return ""
    # Instruments write the micro sign in two ways, Latin-1 bytes and escapes among them.
    plain = text.replace("\\u00B5", "u").replace("µ", "u").replace("μ", "u")
    try:
        unit = _unit(plain)
    except InputError:
        unit = _unit(plain.lower())  # "Micron", "Nanometer"
    if unit.dimensionality != {"[length]": 1}:
        raise InputError(f"'{text}' is no unit of length; expected such as nm, um or mm.")
    metres = _registry().convert(1.0, unit, "m")
    # By their size, for pint calls a micron "µ".
    same = [name for name, size in _METRES.items() if math.isclose(metres, size, rel_tol=1e-9)]
    return same[0] if same else f"{unit:~C}".replace("µ", "u")


@cache
def _unit(text: str) -> "Unit":
    try:
        return _registry().parse_units(_POWER.sub(r"**\1", text))
    except Exception:
        # pint lets through what its parser and its definitions raise: a handful of classes without a common base.
        raise InputError(f"the unit '{text}' is not known") from None


@cache
def _registry() -> "UnitRegistry":
    import pint

    return pint.UnitRegistry()

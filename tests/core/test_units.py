"""Lengths and quantities with units."""

import pytest

from microdesign.core.errors import InputError
from microdesign.core.units import (
    convert,
    known_length_unit,
    length_unit,
    pixel_fields,
    read_length,
    read_pixel_size,
    read_quantity,
    shown_length,
)


def test_units_of_length_as_instruments_write_them() -> None:
    same = {
        "um": ("um", "µm", "μm", "micron", "microns", "Micron", "micrometer", "micrometre", "\\u00B5m", " um "),
        "nm": ("nm", "nanometer", "Nanometer"),
        "mm": ("mm", "millimeter"),
        "m": ("m", "meter", "metre"),
        "in": ("inch", "in"),
        "Å": ("angstrom", "Å"),
        "": ("", "pixel", "Pixels", "px"),
    }
    for stored, texts in same.items():
        for text in texts:
            assert length_unit(text) == stored, text
        assert length_unit(stored) == stored, "what is stored can be read again"
    for text in ("s", "GPa", "furniture", "um2"):
        with pytest.raises(InputError, match=r"is no unit of length|is not known"):
            length_unit(text)
        assert known_length_unit(text) == ""
    assert known_length_unit(b"\xc2\xb5m") == "um"
    assert known_length_unit(3) == ""


def test_lengths() -> None:
    for text, expected in {
        "0.5um": (0.5, "um"),
        "4 µm": (4.0, "um"),
        "1e3nm": (1000.0, "nm"),
        "3": (3.0, ""),
        "3 px": (3.0, ""),
        ".5mm": (0.5, "mm"),
    }.items():
        assert read_length(text, "x") == expected, text
    assert read_length(4, "x") == (4.0, "")
    for text in ("0um", "-1um", "um", "1,5um", "nan", "4 GPa"):
        with pytest.raises(InputError, match=f"^--pixel-size {text}"):
            read_length(text, "--pixel-size")
    assert [shown_length(*each) for each in ((0.5, "um"), (1, ""), (2, ""))] == ["0.5 µm", "1 pixel", "2 pixels"]


def test_pixel_sizes() -> None:
    square = {"pixel_size": 0.5, "aspect": (), "length_unit": "um"}
    brick = {"pixel_size": 0.5, "aspect": (1.0, 1.0, 4.0), "length_unit": "um"}
    for text, fields in {
        "0.5um": square,
        "0.5,0.5um": square,
        "0.5um,0.5um,2000nm": None,
        "0.5,0.5,2um": brick,
    }.items():
        read = read_pixel_size(text)
        if fields is None:  # in the unit of the last
            assert read == {"pixel_size": 500.0, "aspect": (1.0, 1.0, 4.0), "length_unit": "nm"}
        else:
            assert read == fields, text
    assert pixel_fields([0.1, 0.3], "micron")["aspect"] == (1.0, 3.0)
    assert pixel_fields([1.0, 1.0 + 1e-7])["aspect"] == ()
    for edges in ([0.0], [1.0, -1.0], [float("inf"), 1.0]):
        with pytest.raises(InputError, match="expected lengths above 0"):
            pixel_fields(edges)
    with pytest.raises(InputError, match="expected one length, or two or three"):
        read_pixel_size("1,1,1,1um")


def test_quantities() -> None:
    for text, unit, expected in [
        ("70 GPa", "GPa", (70.0, True)), ("70GPa", "MPa", (70000.0, True)), ("10e6 psi", "GPa", (68.9475729318, True)),
        ("237 W/(m K)", "W/(m K)", (237.0, True)), ("2.37 W/cm/K", "W/(m K)", (237.0, True)),
        ("237 W m^-1 K^-1", "W/(m K)", (237.0, True)), ("70", "GPa", (70.0, False)), ("1e3", "GPa", (1000.0, False)),
    ]:  # fmt: skip
        assert read_quantity(text, unit) == pytest.approx(expected), text
    for text, reason in {
        "70 GPs": "the unit 'GPs' is not known",
        "70 W/mK": "cannot be converted",  # a millikelvin to every reader of units
        "soft": "is no number with a unit",
        "70 m": "the unit 'm' cannot be converted to 'GPa'",
    }.items():
        with pytest.raises(InputError, match=f"{reason}.*expected such as '1 GPa'"):
            read_quantity(text, "GPa")
    assert convert(500, "nm", "um") == 0.5
    assert convert(3, "", "") == 3

"""How large a pixel is by the tags of TIFF files, and by `--pixel-size` in their place."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.readers import read
from microdesign.microstructure.io.writers import write

PAGE = np.eye(8, dtype=np.uint8)


def size_of(path: Path, **settings: Any) -> tuple[tuple[float, ...], str]:
    dims = settings.pop("dims", None)
    data = np.stack([PAGE] * 3) if dims == 3 else PAGE
    tifffile.imwrite(path, data, **settings)
    batch = read(path, dims=dims)
    return batch.spacing, batch.length_unit


def test_what_files_state(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    imagej = {"imagej": True, "resolution": (2, 2)}
    assert size_of(path, **imagej, metadata={"unit": "um"}) == ((0.5, 0.5), "um")
    assert size_of(path, **imagej, metadata={"unit": "micron"}) == ((0.5, 0.5), "um")
    assert size_of(path, **imagej, metadata={"unit": "\\u00B5m"}) == ((0.5, 0.5), "um")
    assert size_of(path, imagej=True, resolution=(2, 4), metadata={"unit": "nm"}) == ((0.5, 0.25), "nm")
    stack = {"dims": 3, **imagej}
    assert size_of(path, **stack, metadata={"unit": "um", "spacing": 2.0, "axes": "ZYX"}) == ((0.5, 0.5, 2.0), "um")
    # Neither a unit nor the distance of slices is made up.
    for metadata in ({}, {"unit": "pixel"}, {"unit": "furlongs of tea"}):
        assert size_of(path, **imagej, metadata=metadata) == ((1.0, 1.0), ""), metadata
    assert size_of(path, **stack, metadata={"unit": "um", "axes": "ZYX"}) == ((1.0, 1.0, 1.0), "")
    ome = {"axes": "YX", "PhysicalSizeX": 250.0, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.25}
    assert size_of(tmp_path / "a.ome.tif", ome=True, metadata=ome) == ((250.0, 250.0), "nm")
    # 20000 pixels a centimetre are half a micron each; 72 or 300 an inch are how a picture would be printed.
    centimetres = size_of(path, resolution=(20000, 20000), resolutionunit="CENTIMETER")
    assert centimetres == ((pytest.approx(0.5e-4), pytest.approx(0.5e-4)), "cm")
    for dots in (72, 96, 300):
        assert size_of(path, resolution=(dots, dots), resolutionunit="INCH") == ((1.0, 1.0), ""), dots
        assert size_of(path, resolution=(dots / 2.54,) * 2, resolutionunit="CENTIMETER") == ((1.0, 1.0), ""), dots


def test_our_files_tell_other_programs(tmp_path: Path) -> None:
    batch = Microstructures(labels=PAGE[None], n_phases=2, pixel_size=0.5, length_unit="um")
    path = write(tmp_path / "a.tif", batch)
    with tifffile.TiffFile(path) as file:
        tags = file.pages.first.tags
        count, length = tags["XResolution"].value
        assert count / length == pytest.approx(20000)
        assert tags["ResolutionUnit"].value == 3
    assert read(path).physical == batch.physical
    # Without a unit there is nothing to say.
    with tifffile.TiffFile(write(tmp_path / "b.tif", Microstructures(labels=PAGE[None], n_phases=2))) as file:
        assert file.pages.first.tags["ResolutionUnit"].value == 1


def test_a_pixel_size_that_the_user_states(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", PAGE)
    assert read(tmp_path / "a.npy", pixel_size="0.5um").physical["length_unit"] == "um"
    path = tmp_path / "a.tif"
    assert size_of(path, imagej=True, resolution=(2, 2), metadata={"unit": "um"}) == ((0.5, 0.5), "um")
    assert read(path, pixel_size="30,60nm").spacing == (30.0, 60.0)
    for text in ("0", "um", "1,2,3,4um"):
        with pytest.raises(InputError, match=f"--pixel-size {text}"):
            read(path, pixel_size=text)
    with pytest.raises(InputError, match="expected 2 ratios above 0"):
        read(path, pixel_size="1,1,2um")

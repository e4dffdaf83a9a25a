"""How large a pixel is by the attributes of HDF5 data sets."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from microdesign.microstructure.io.readers import read

STACK = np.arange(6 * 16 * 16).reshape(6, 16, 16) // 8 % 2


def written(path: Path, array: np.ndarray, attributes: dict) -> Path:
    with h5py.File(path, "w") as file:
        item = file.create_dataset("images", data=array.astype(np.uint8))
        item.attrs.update(attributes)
    return path


def test_what_attributes_state(tmp_path: Path) -> None:
    cases = [
        ({"element_size_um": [2.0, 0.5, 0.5]}, (0.5, 0.5), "um"),
        ({"pixel_size": 0.5, "length_unit": "micron"}, (0.5, 0.5), "um"),
        ({"pixel_size_nm": 30}, (30.0, 30.0), "nm"),
        ({"voxel_size": [0.5, 0.25], "units": "mm"}, (0.5, 0.25), "mm"),
        # Without a unit, with another kind of unit, or with no number nothing is made up.
        ({"pixel_size": 0.5}, (1.0, 1.0), ""),
        ({"pixel_size": 0.5, "units": "GPa"}, (1.0, 1.0), ""),
        ({"pixel_size": "large", "units": "um"}, (1.0, 1.0), ""),
        ({"pixel_size": 0.0, "units": "um"}, (1.0, 1.0), ""),
    ]
    for number, (attributes, spacing, unit) in enumerate(cases):
        batch = read(written(tmp_path / f"{number}.h5", STACK, attributes))
        assert (len(batch), batch.shape, batch.properties) == (6, (16, 16), {}), attributes
        assert (batch.spacing, batch.length_unit) == (spacing, unit), attributes
    volume = written(tmp_path / "volume.h5", STACK, {"element_size_um": np.array([2.0, 0.5, 0.5], np.float32)})
    assert read(volume, dims=3).spacing == (2.0, 0.5, 0.5)
    assert read(volume, dims=3, pixel_size="1um").spacing == pytest.approx((1.0, 1.0, 1.0))

from pathlib import Path

import h5py
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import DatasetWriter
from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.io.readers import describe, read_images
from microdesign.microstructure.io.summary import format_tree


def write_dataset(path: Path, batch: Microstructures) -> None:
    writer = DatasetWriter(path, settings={}, units={"Ex": "GPa"})
    writer.write_shard("a", batch)
    writer.finish()


@pytest.fixture
def batch() -> Microstructures:
    made = generate("GRF", 7, (16, 16))
    return Microstructures(
        labels=made.labels, n_phases=2, classes=made.classes, properties={"Ex": np.array([1.0, 2, 3, 4, 5, 6, np.nan])}
    )


def test_describes_a_data_set(tmp_path: Path, batch: Microstructures) -> None:
    write_dataset(tmp_path / "d", batch)
    description = describe(tmp_path / "d")
    phi = batch.labels.mean(axis=(1, 2))
    assert (description["samples"], description["shape"], description["phases"]) == (7, [16, 16], 2)
    assert description["classes"] == {"GRF": 7}
    assert description["volume_fraction"]["1"]["min"] == pytest.approx(phi.min())
    assert description["volume_fraction"]["0"]["max"] == pytest.approx(1 - phi.min())
    assert description["properties"]["Ex"] == {"min": 1.0, "mean": 3.5, "max": 6.0, "missing": 1, "unit": "GPa"}
    assert description["one_phase_images"] == 0
    assert "    1:\n      min: " in "\n" + format_tree({"x": {"volume_fraction": description["volume_fraction"]}})


def test_describes_any_hdf5_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "any.h5", "w") as f:
        f.attrs["author"] = "someone"
        f["a/b/volume"] = np.zeros((3, 4, 5), np.int16)
        f["a/b/volume"].attrs["SPACING"] = np.array([1.0, 2.0, 3.0])
        f["a/b"].attrs["INSTRUCTIONS"] = "first line\nsecond line"
        f["a/names"] = ["x", "y"]
    description = describe(tmp_path / "any.h5")
    assert description["attributes"] == {"author": "someone"}
    assert description["tree"]["a/b/volume"] == {
        "shape": [3, 4, 5],
        "dtype": "int16",
        "attributes": {"SPACING": [1.0, 2.0, 3.0]},
    }
    assert description["tree"]["a/names"] == {"shape": [2], "dtype": "string"}
    assert "INSTRUCTIONS: first line\n" in format_tree(description)


def test_refuses(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.npy: does not exist; expected a file or folder of images"):
        read_images(tmp_path / "absent.npy")
    (tmp_path / "a.doc").write_text("")
    with pytest.raises(
        InputError, match=r"the suffix '\.doc' is not known; expected one of: \.npy; \.npz; \.tif, \.tiff; \.vti"
    ):
        read_images(tmp_path / "a.doc")
    with pytest.raises(InputError, match=r"holds no dataset\.json"):
        list(read_images(tmp_path))
    np.save(tmp_path / "a.npy", np.eye(4, dtype=np.uint8))
    with pytest.raises(InputError, match="chunk = 0 is too small"):
        read_images(tmp_path / "a.npy", chunk=0)
    (tmp_path / "a.h5").write_text("text")
    with pytest.raises(InputError, match=r"a\.h5: is no HDF5 file, or truncated"):
        describe(tmp_path / "a.h5")

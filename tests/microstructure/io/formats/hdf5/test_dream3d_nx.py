from pathlib import Path

import h5py
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.core.units import length_unit
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.hdf5.dream3d_nx import read_dream3d_nx
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import describe
from microdesign.microstructure.io.readers import read as read_any

PHASES = np.random.default_rng(0).integers(1, 4, (5, 4, 3), dtype=np.int32)
GRAINS = np.arange(60, dtype=np.int32).reshape(5, 4, 3)


def write(path: Path, arrays: dict[str, np.ndarray] | None = None, **changes: object) -> Path:
    """A file as DREAM3D-NX lays it out (simplnx, FileVersion 8), with arrays indexed x, y, z here."""
    with h5py.File(path, "w") as f:
        f.attrs["FileVersion"] = "8.0"
        # A group named like the data set in it, as MICRO2D's classes are.
        f["Pipeline/Pipeline"] = "{}"
        f["Pipeline"].attrs["Current Pipeline"] = 1
        geometry = f.create_group(f"DataStructure/{changes.get('name', 'Image Geometry')}")
        geometry.attrs["ObjectType"] = "ImageGeom"
        geometry.attrs["_DIMENSIONS"] = np.array(changes.get("dimensions", (5, 4, 3)), np.uint64)
        geometry.attrs["_ORIGIN"] = np.zeros(3, np.float32)
        geometry.attrs["_SPACING"] = np.array(changes.get("spacing", (0.1, 0.1, 0.1)), np.float32)
        cells = geometry.create_group("Cell Data")
        cells.attrs["ObjectType"] = "AttributeMatrix"
        for name, array in (arrays or {"FeatureIds": GRAINS, "Phases": PHASES}).items():
            cells[name] = np.ascontiguousarray(array.T[..., None])
            cells[name].attrs.update({"ComponentDimensions": [1], "TupleDimensions": array.shape[::-1]})
        ensembles = geometry.create_group("Cell Ensemble Data")
        ensembles["CrystalStructures"] = np.zeros((2, 1), np.uint32)
    return path


def read(path: Path, **options: object) -> Microstructures:
    return Microstructures.concatenate(list(read_dream3d_nx(path, options=ReadOptions(**options))))


def test_x_comes_first_and_labels_count_from_0(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dream3d")
    batch = read_any(path)
    np.testing.assert_array_equal(batch.labels[0], PHASES - 1)
    assert (batch.n_phases, batch.pixel_size, batch.classes) == (3, 0.1, ("Image Geometry",))
    assert describe(path)["layout"] == "DREAM3D-NX"
    np.testing.assert_array_equal(read_any(path, array="FeatureIds").labels[0], GRAINS)
    with pytest.raises(InputError, match="--shape has no meaning for a DREAM3D-NX file"):
        read_any(path, shape=(5, 4, 3))


def test_the_unit_of_length(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dream3d")
    units = ((6, "um"), (5, "nm"), (7, "mm"), (21, "angstrom"), (10, ""), (100, ""), (101, ""), ("micron", "um"))
    for stated, unit in units:  # 10, the metre, is what stands there where nobody said
        with h5py.File(path, "r+") as f:
            f["DataStructure/Image Geometry"].attrs["Units"] = stated if isinstance(stated, str) else np.uint32(stated)
        batch = read_any(path)
        assert batch.pixel_size == 0.1, stated
        assert batch.length_unit == length_unit(unit), stated


def test_one_layer_is_an_image(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"Phases": PHASES[..., :1]}, dimensions=(5, 4, 1), spacing=(0.5, 0.5, 1.0))
    batch = read_any(path)
    np.testing.assert_array_equal(batch.labels, PHASES[None, ..., 0] - 1)
    assert batch.pixel_size == 0.5


def test_which_geometry_and_array(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as f:
        f.copy("DataStructure/Image Geometry", f["DataStructure"], "Other")
        f["DataStructure/Other/Cell Data/Phases"][0, 0, 0] = 2
    with pytest.raises(
        InputError, match=r"several image geometries \(Image Geometry, Other\); name one by --array NAME/"
    ):
        read(path)
    assert read(path, array="Other/Phases").classes == ("Other",)
    path = write(tmp_path / "b.h5", {"A": PHASES, "B": PHASES})
    with pytest.raises(InputError, match="holds neither Phases nor FeatureIds; name the array by --array out of: A, B"):
        read(path)
    with pytest.raises(InputError, match="has no cell array 'x'; expected one of: A, B"):
        read(path, array="x")


def test_refuses(tmp_path: Path) -> None:
    for changes, message in [
        ({"dimensions": (4, 5, 3)}, r"shape \(3, 4, 5, 1\); expected \(3, 5, 4, 1\) = \(z, y, x, 1\), by _DIMENSIONS"),
        ({"spacing": (1, 1)}, "_SPACING .* expected three positive numbers each"),
        ({"spacing": (0, 1, 1)}, "_SPACING .* expected three positive numbers each"),
        ({"arrays": {"Phases": PHASES * 100}}, "layer 0 along z: holds 300 .*; expected phase labels 0 to 255"),
    ]:
        with pytest.raises(InputError, match=message) as caught:
            read(write(tmp_path / "a.dream3d", **changes))
        assert str(tmp_path / "a.dream3d") in str(caught.value)
    with h5py.File(tmp_path / "b.h5", "w") as f:
        f.create_group("DataStructure/Triangles")
    with pytest.raises(InputError, match="no group in 'DataStructure' has _DIMENSIONS; expected one image geometry"):
        read_any(tmp_path / "b.h5")

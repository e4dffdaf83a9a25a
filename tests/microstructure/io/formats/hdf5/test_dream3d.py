from pathlib import Path

import h5py
import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.formats.hdf5.dream3d import read_dream3d
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import describe, read_images

PHASES = np.random.default_rng(0).integers(1, 4, (5, 4, 3), dtype=np.int32)
GRAINS = np.arange(60, dtype=np.int32).reshape(5, 4, 3)


def write(path: Path, arrays: dict[str, np.ndarray] | None = None, **changes: object) -> Path:
    """A file as DREAM.3D lays it out, with arrays indexed x, y, z here."""
    with h5py.File(path, "w") as f:
        f.attrs["FileVersion"] = np.bytes_("7.0")
        statistics = f.create_group("DataContainers/StatsGenerator/CellEnsembleData")
        statistics["CrystalStructures"] = np.zeros((2, 1), np.uint32)
        volume = f.create_group(f"DataContainers/{changes.get('name', 'SyntheticVolume')}")
        geometry = volume.create_group("_SIMPL_GEOMETRY")
        geometry["DIMENSIONS"] = np.array(changes.get("dimensions", (5, 4, 3)), np.int64)
        geometry["ORIGIN"] = np.zeros(3, np.float32)
        geometry["SPACING"] = np.array(changes.get("spacing", (0.25, 0.25, 0.25)), np.float32)
        cells = volume.create_group(str(changes.get("cells", "CellData")))
        for name, array in (arrays or {"FeatureIds": GRAINS, "Phases": PHASES}).items():
            cells[name] = np.ascontiguousarray(array.T[..., None])
            cells[name].attrs["ComponentDimensions"] = np.array([1])
    return path


def read(path: Path, **options: object) -> Microstructures:
    return Microstructures.concatenate(list(read_dream3d(path, options=ReadOptions(**options))))


def test_arrays_come_out_with_x_first_and_labels_from_0(tmp_path: Path) -> None:
    path = write(tmp_path / "a.dream3d")
    batch = next(read_images(path))
    assert batch.shape == (5, 4, 3)
    np.testing.assert_array_equal(batch.labels[0], PHASES - 1)
    assert (batch.n_phases, batch.pixel_size, batch.classes) == (3, 0.25, ("SyntheticVolume",))
    tree = describe(path)
    assert tree["layout"] == "DREAM.3D"
    assert tree["tree"]["DataContainers/SyntheticVolume/CellData/Phases"]["shape"] == [3, 4, 5, 1]


def test_unknown_cells_keep_the_ids(tmp_path: Path) -> None:
    batch = read(write(tmp_path / "a.h5"), array="FeatureIds")
    np.testing.assert_array_equal(batch.labels[0], GRAINS)
    assert batch.n_phases == 60
    only = write(tmp_path / "b.h5", {"FeatureIds": GRAINS + 1})
    np.testing.assert_array_equal(read(only).labels[0], GRAINS)


def test_one_layer_is_an_image(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"Phases": PHASES[..., :1]}, dimensions=(5, 4, 1), spacing=(0.5, 0.5, 1.0))
    batch = read(path)
    np.testing.assert_array_equal(batch.labels, PHASES[None, ..., 0] - 1)
    assert batch.pixel_size == 0.5


def test_bricks_keep_their_edges(tmp_path: Path) -> None:
    batch = read(write(tmp_path / "a.h5", spacing=(0.5, 0.5, 2)))
    assert batch.spacing == (0.5, 0.5, 2.0)


def test_which_array(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", {"Mask": PHASES % 2, "IPF": PHASES.astype(np.float32)}, cells="Voxel Data")
    np.testing.assert_array_equal(read(path).labels[0], PHASES % 2)
    with pytest.raises(InputError, match="'SyntheticVolume' has no cell array 'x'; expected one of: IPF, Mask"):
        read(path, array="x")
    path = write(tmp_path / "b.h5", {"A": PHASES, "B": PHASES})
    with pytest.raises(InputError, match="holds neither Phases nor FeatureIds; name the array by --array out of: A, B"):
        read(path)


def test_which_container(tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as f:
        f.copy("DataContainers/SyntheticVolume", f["DataContainers"], "Other")
        f["DataContainers/Other/CellData/Phases"][0, 0, 0] = 2
    with pytest.raises(InputError, match=r"several containers with a SPACING \(Other, SyntheticVolume\); name one by"):
        read(path)
    assert read(path, array="Other/Phases").classes == ("Other",)
    with h5py.File(path, "r+") as f:
        for name in ("Other", "SyntheticVolume"):
            del f[f"DataContainers/{name}/_SIMPL_GEOMETRY/SPACING"]
    with pytest.raises(InputError, match="no container in 'DataContainers' has a _SIMPL_GEOMETRY/SPACING"):
        read(path)


def test_refuses(tmp_path: Path) -> None:
    for changes, message in [
        ({"dimensions": (4, 5, 3)}, r"shape \(3, 4, 5, 1\); expected \(3, 5, 4, 1\) = \(z, y, x, 1\), by DIMENSIONS"),
        ({"spacing": (1, 1)}, "expected three positive numbers each"),
        ({"arrays": {"Phases": PHASES * 100}}, "layer 0 along z: holds 300 .*; expected phase labels 0 to 255"),
        ({"arrays": {"Phases": np.stack([PHASES] * 2)}}, r"has shape \(3, 4, 5, 2, 1\); expected"),
    ]:
        path = write(tmp_path / "a.dream3d", **changes)
        with pytest.raises(InputError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)

import json
from pathlib import Path

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.io.convert import convert
from microdesign.physics.materials import Materials
from microdesign.physics.report import homogenize_report, read_labels

MATERIALS = Materials.model_validate(
    {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}], "units": {"E": "MPa"}}
)


def test_images_of_different_sizes_become_json() -> None:
    images = [("a.npy", np.eye(8, dtype=int)), ("b.npy", np.zeros((5, 6), bool))]
    first, second = json.loads(json.dumps(homogenize_report(images, MATERIALS)))
    assert set(first) == {
        "image",
        "volume_fractions",
        "properties",
        "stiffness",
        "conductivity",
        "iterations",
        "error_estimate",
        "units",
    }
    assert list(first["properties"]) == ["Ex", "vxy", "Ey", "vyx", "Gxy", "kx", "ky"]
    assert np.shape(first["stiffness"]) == (3, 3)
    assert first["units"]["E"] == "MPa"
    assert first["volume_fractions"] == [0.875, 0.125]
    assert second["volume_fractions"] == [1, 0]
    assert second["image"] == "b.npy"
    assert second["properties"]["Ex"] == pytest.approx(1)
    assert second["iterations"] == 0


@pytest.mark.parametrize("dims", [2, 3])
def test_images_of_any_format(tmp_path: Path, dims: int) -> None:
    labels = np.random.default_rng(0).integers(0, 2, (3, *(8, 6, 4)[:dims]), dtype=np.uint8)
    np.save(tmp_path / "images.npy", labels)
    np.save(tmp_path / "image.npy", labels[0])
    for name in ("folder", "images.tif", "vti", "images.h5"):
        convert(tmp_path / "images.npy", tmp_path / name, "vti" if name == "vti" else None)
    for name in ("images.npy", "folder", "images.tif", "vti", "images.h5"):
        found = read_labels(tmp_path / name, dims)
        assert [each[0] for each in found] == [f"{tmp_path / name}[{i}]" for i in range(3)]
        np.testing.assert_array_equal([each[1] for each in found], labels)
    ((name, image),) = read_labels(tmp_path / "image.npy", dims)
    assert name == str(tmp_path / "image.npy")
    np.testing.assert_array_equal(image, labels[0])


def test_messages_name_the_image() -> None:
    with pytest.raises(InputError, match=r"b\.npy: image 0 has label 2"):
        homogenize_report([("b.npy", np.full((4, 4), 2))], MATERIALS)
    with pytest.raises(InputError, match=r"c\.npy: has shape \(2, 4, 4\); expected one image"):
        homogenize_report([("c.npy", np.zeros((2, 4, 4), int))], MATERIALS)

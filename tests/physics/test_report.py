import json

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.physics.materials import Materials
from microdesign.physics.report import homogenize_report

MATERIALS = Materials.model_validate(
    {"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}], "units": {"E": "MPa"}}
)


def test_images_of_different_sizes_become_json() -> None:
    images = [("a.npy", np.eye(8, dtype=int)), ("b.npy", np.zeros((5, 6), bool))]
    first, second = json.loads(json.dumps(homogenize_report(images, MATERIALS)))
    assert set(first) == {
        "image",
        "boundary",
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


def test_messages_name_the_image() -> None:
    with pytest.raises(InputError, match=r"b\.npy: image 0 has label 2"):
        homogenize_report([("b.npy", np.full((4, 4), 2))], MATERIALS)
    with pytest.raises(InputError, match=r"c\.npy: has shape \(2, 4, 4\); expected one image"):
        homogenize_report([("c.npy", np.zeros((2, 4, 4), int))], MATERIALS)

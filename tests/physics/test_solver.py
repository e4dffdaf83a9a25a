"""The solver against numbers known in closed form or computed elsewhere."""

import numpy as np
import pytest

from microdesign.physics.materials import Materials
from microdesign.physics.solver import homogenize


def golden_image() -> np.ndarray:
    image = np.zeros((16, 16), np.uint8)
    image[2:9, 3:13] = 1
    image[9:14, 3:7] = 1
    return image


GOLDEN_CONDUCTIVITY = {
    "q1": [[2.065638814, -0.102191144], [-0.102191144, 1.879468203]],
    "rotated": [[2.052910068, -0.102527532], [-0.102527532, 1.871852559]],
}


@pytest.mark.parametrize("discretization", ["q1", "rotated"])
def test_golden_conductivity(discretization: str) -> None:
    materials = Materials(phases=({"E": 1, "nu": 0.3, "k": 1}, {"E": 1, "nu": 0.3, "k": 10}))
    result = homogenize(golden_image(), materials, discretization=discretization, tolerance=1e-11)
    np.testing.assert_allclose(result.conductivity[0], GOLDEN_CONDUCTIVITY[discretization], atol=1e-9)

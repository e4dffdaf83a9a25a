import numpy as np
import pytest

from microdesign.physics.materials import Materials
from microdesign.physics.properties import PROPERTY_NAMES, engineering_constants, property_units
from microdesign.physics.solver import homogenize


def test_isotropic_plane_stress_gives_back_the_phase() -> None:
    E, nu, k = 210.0, 0.3, 45.0
    stiffness = E / (1 - nu**2) * np.array([[1, nu, 0], [nu, 1, 0], [0, 0, (1 - nu) / 2]])
    constants = engineering_constants(stiffness[None], k * np.eye(2)[None])
    assert tuple(constants) == PROPERTY_NAMES
    expected = {"Ex": E, "vxy": nu, "Ey": E, "vyx": nu, "Gxy": E / 2 / (1 + nu), "kx": k, "ky": k}
    for name, value in expected.items():
        np.testing.assert_allclose(constants[name], [value], rtol=1e-14)


def test_definitions_are_those_of_unit_stress_and_flux() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(5, 3, 3)), rng.normal(size=(5, 2, 2))
    C, K = A @ A.transpose(0, 2, 1) + np.eye(3), B @ B.transpose(0, 2, 1) + np.eye(2)
    constants = engineering_constants(C, K)
    strain = np.linalg.solve(C, np.tile([1.0, 0, 0], (5, 1))[..., None])[..., 0]
    np.testing.assert_allclose(constants["Ex"], 1 / strain[:, 0])
    np.testing.assert_allclose(constants["vxy"], -strain[:, 1] / strain[:, 0])
    np.testing.assert_allclose(constants["vxy"] / constants["Ex"], constants["vyx"] / constants["Ey"])
    np.testing.assert_allclose(constants["kx"], np.linalg.det(K) / K[:, 1, 1])
    assert (constants["kx"] < K[:, 0, 0]).all()


def test_golden_constants() -> None:
    image = np.zeros((16, 16), np.uint8)
    image[2:9, 3:13] = 1
    image[9:14, 3:7] = 1
    materials = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 100, "nu": 0.3, "k": 10}]})
    result = homogenize(image, materials, tolerance=1e-11)
    constants = engineering_constants(result.stiffness, result.conductivity)
    golden = {"Ex": 2.489928958, "Ey": 2.165892675, "vxy": 0.204209374, "vyx": 0.177633818, "Gxy": 0.691968090}
    for name, value in golden.items():
        assert constants[name][0] == pytest.approx(value, abs=1e-9), name


def test_units_are_stated_back() -> None:
    materials = Materials.model_validate(
        {"phases": [{"E": 1, "nu": 0.3, "k": 1}], "units": {"E": "GPa", "k": "W/(m K)"}}
    )
    units = property_units(materials)
    assert tuple(units) == PROPERTY_NAMES
    assert (units["Ex"], units["Gxy"], units["vyx"], units["ky"]) == ("GPa", "GPa", "1", "W/(m K)")

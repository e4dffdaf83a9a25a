"""Phases without stiffness or conductivity: the limit of soft phases, closed forms, refusals."""

import itertools

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.physics.bounds.property_bounds import hashin_shtrikman, property_bounds, reuss
from microdesign.physics.bounds.reachability import check_reachable
from microdesign.physics.materials import Materials
from microdesign.physics.properties import engineering_constants, volume_properties
from microdesign.physics.solver.homogenization import homogenize
from microdesign.physics.solver.homogenization_torch import homogenize_batch
from microdesign.physics.tensors import isotropic_stiffness

SCHEMES = ("q1", "rotated", "q1bbar", "fv")


def with_pores(soft: float = 0.0, plane: str = "strain") -> Materials:
    return Materials.model_validate(
        {"plane": plane, "phases": [{"E": 2, "nu": 0.3, "k": 3}, {"E": soft, "nu": 0.3, "k": soft}]}
    )


def pore(dims: int, size: int = 16) -> np.ndarray:
    x = np.arange(size) + 0.5 - size / 2
    grid = np.meshgrid(*[x] * dims, indexing="ij")
    return (sum((g + i) ** 2 for i, g in enumerate(grid)) < (0.3 * size) ** 2).astype(np.uint8)


def test_voids_are_the_limit_of_soft_phases(subtests: pytest.Subtests) -> None:
    for dims, scheme in itertools.product([2, 3], SCHEMES):
        with subtests.test(dims=dims, scheme=scheme):
            image = pore(dims, 16 if dims == 2 else 10)
            settings = {"dims": dims, "discretization": scheme, "tolerance": 1e-7}
            empty = homogenize(image, with_pores(), **settings)
            soft = homogenize(image, with_pores(1e-6), **settings)
            np.testing.assert_allclose(empty.stiffness, soft.stiffness, atol=2e-5)
            np.testing.assert_allclose(empty.conductivity, soft.conductivity, atol=2e-5)
            assert np.linalg.eigvalsh(empty.stiffness[0]).min() > 0.1
            assert empty.iterations[0] < soft.iterations[0] or empty.iterations[0] < 60


def test_error_stays_near_the_tolerance(subtests: pytest.Subtests) -> None:
    for precision, scheme in itertools.product(["float32", "float64"], ["q1", "rotated"]):
        with subtests.test(precision=precision, scheme=scheme):
            image = pore(2, 48)
            coarse = homogenize(image, with_pores(), discretization=scheme, precision=precision)
            fine = homogenize(image, with_pores(), discretization=scheme, tolerance=1e-10)
            for name in ("stiffness", "conductivity"):
                ratio = np.diag(getattr(coarse, name)[0]) / np.diag(getattr(fine, name)[0])
                assert np.abs(ratio - 1).max() < 2e-4
            assert coarse.iterations[0] <= 40


def test_plates_with_gaps_between_them(subtests: pytest.Subtests) -> None:
    """Along the plates f (C22 - C12^2 / C11) and f k, across them nothing."""
    for dims, scheme in itertools.product([2, 3], SCHEMES):
        with subtests.test(dims=dims, scheme=scheme):
            image = np.zeros((12, *[4] * (dims - 1)), np.uint8)
            image[5:9] = 1
            result = homogenize(image, with_pores(), dims=dims, discretization=scheme, tolerance=1e-8)
            lam, mu = with_pores().lame_moduli_of(3)[0]
            f = 8 / 12
            C = np.zeros((3 * dims - 3,) * 2)
            C[1, 1] = f * (lam + 2 * mu - lam**2 / (lam + 2 * mu))
            if dims == 3:
                C[2, 2], C[1, 2], C[3, 3] = C[1, 1], f * (lam - lam**2 / (lam + 2 * mu)), f * mu
                C[2, 1] = C[1, 2]
            np.testing.assert_allclose(result.stiffness[0], C, atol=1e-6)
            np.testing.assert_allclose(result.conductivity[0], np.diag([0] + [3 * f] * (dims - 1)), atol=1e-6)
            assert not result.stiffness[0, 0].any()
            values = (engineering_constants if dims == 2 else volume_properties)(result.stiffness, result.conductivity)
            undefined = {name for name, value in values.items() if np.isnan(value[0])}
            assert undefined == ({"vxy", "vyx"} if dims == 2 else {"AU", "vxy", "vxz", "vyx", "vzx"})
            zeros = {2: ("Ex", "Gxy", "kx"), 3: ("C11", "C12", "C55", "C66", "k11")}
            assert not any(values[name][0] for name in zeros[dims])
            if dims == 2:
                assert values["Ey"][0] == pytest.approx(C[1, 1])
                assert values["ky"][0] == pytest.approx(3 * f)
            else:  # the mean of Voigt's and of Reuss's, which is 0
                assert values["K"][0] == pytest.approx((C[1, 1] + C[2, 2] + 2 * C[1, 2]) / 9 / 2)


def test_only_one_physics_may_have_voids() -> None:
    phases = [{"E": 1, "nu": 0.3, "k": 1}, {"E": 0, "nu": 0.0, "k": 0.1}]
    result = homogenize(pore(2), Materials.model_validate({"phases": phases}))
    assert 0.1 < result.conductivity[0, 0, 0] < 1
    solid = homogenize(np.zeros((4, 4), int), Materials.model_validate({"phases": phases}))
    lam, mu = Materials.model_validate({"phases": phases}).lame_moduli[0]
    np.testing.assert_allclose(solid.stiffness[0], isotropic_stiffness(lam, mu, 2), rtol=1e-6)
    assert not solid.error_estimate.any()


def test_an_image_of_voids_alone_has_no_stiffness(subtests: pytest.Subtests) -> None:
    images = np.stack([pore(2), np.ones((16, 16), np.uint8)])
    for solve, boundary in itertools.product((homogenize, homogenize_batch), ("periodic", "mirror")):
        with subtests.test(solve=solve.__name__, boundary=boundary):
            result = solve(images, with_pores(), boundary=boundary)
            assert not result.stiffness[1].any()
            assert not result.conductivity[1].any()
            assert result.error_estimate[1] == 0
            np.testing.assert_allclose(
                result.stiffness[0], solve(images[0], with_pores(), boundary=boundary).stiffness[0]
            )
            values = engineering_constants(result.stiffness, result.conductivity)
            assert [name for name, value in values.items() if np.isnan(value[1])] == ["vxy", "vyx"]
            assert [values[name][1] for name in ("Ex", "Ey", "Gxy", "kx", "ky")] == [0] * 5
            assert np.isfinite(values["vxy"][0])


def test_contrast_is_not_taken_for_pores() -> None:
    """Layers of 0.1 and 6e7: in series 0.3, in parallel 4.0e7, though one is 1e-8 of the other."""
    layers = np.zeros((6, 6), np.uint8)
    layers[2:] = 1
    phases = Materials.model_validate({"phases": [{"E": 0.1, "nu": 0.2, "k": 0.1}, {"E": 6e7, "nu": 0.2, "k": 6e7}]})
    for boundary in ("periodic", "mirror"):
        result = homogenize(layers, phases, boundary=boundary)
        values = engineering_constants(result.stiffness, result.conductivity)
        assert values["kx"][0] == pytest.approx(0.3, rel=1e-6)
        assert values["ky"][0] == pytest.approx(4e7, rel=1e-6)
        assert values["Ey"][0] == pytest.approx(4e7, rel=1e-4)
        assert 0.29 < values["Ex"][0] < 0.32
        assert all(np.isfinite(value[0]) for value in values.values())
    volume = homogenize(layers[:, :, None].repeat(6, 2), phases, dims=3)
    assert all(np.isfinite(v[0]) for v in volume_properties(volume.stiffness, volume.conductivity).values())


def test_materials_of_voids_alone_are_refused() -> None:
    with pytest.raises(ValueError, match="E is 0 in every phase; expected at least one phase that is no void"):
        Materials.model_validate({"phases": [{"E": 0, "nu": 0.3, "k": 1}]})


@pytest.mark.filterwarnings("error")
def test_bounds_of_porous_media() -> None:
    porous = with_pores(plane="stress")
    fractions = np.array([[0.7, 0.3], [1.0, 0.0]])
    np.testing.assert_allclose(reuss(porous.conductivities, fractions), [0, 3])
    low, high = hashin_shtrikman(porous, fractions)["k"]
    np.testing.assert_allclose(low, [0, 3], atol=1e-12)
    np.testing.assert_allclose(high, [3 * 0.7 / 1.3, 3])  # Maxwell: (1 - p) / (1 + p) in the plane
    bounds = property_bounds(porous)
    assert bounds["Ex"] == pytest.approx((0, 2))
    assert bounds["vxy"] == (-np.inf, np.inf)
    check_reachable({"Ex": 0.5, "Gxy": 0.2, "kx": 1.0}, porous)
    with pytest.raises(InputError, match="target kx = 4 is out of reach"):
        check_reachable({"kx": 4.0}, porous)
    with pytest.raises(InputError, match="exclude each other"):
        check_reachable(
            {"Ex": 1.9, "kx": 1.0, "ky": 1.0},
            Materials.model_validate({"phases": [{"E": 2, "nu": 0.3, "k": 0}, {"E": 0, "nu": 0.3, "k": 1.5}]}),
        )

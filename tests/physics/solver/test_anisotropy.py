"""Phases given by tensors, polycrystals, and pixels that are no squares."""

import itertools

import numpy as np
import pytest

from microdesign.core.config import load_config, validate_config
from microdesign.core.errors import InputError
from microdesign.physics.bounds.property_bounds import phase_moduli
from microdesign.physics.materials import Materials, lame
from microdesign.physics.properties import volume_properties
from microdesign.physics.solver.homogenization import homogenize
from microdesign.physics.tensors import euler_rotation, isotropic_stiffness, rotate_stiffness

COPPER = np.zeros((6, 6))  # cubic, GPa
COPPER[:3, :3] = 121.4
COPPER[np.arange(6), np.arange(6)] = [168.4] * 3 + [75.4] * 3
CONDUCTOR = np.array([[3.0, 0.5, 0.0], [0.5, 2.0, 0.2], [0.0, 0.2, 1.0]])
SCHEMES = ("q1", "rotated", "q1bbar")


def random_labels(shape: tuple[int, ...], phases: int = 2) -> np.ndarray:
    return np.random.default_rng(1).integers(0, phases, shape).astype(np.uint8)


def materials_of(*phases: dict, plane: str = "strain") -> Materials:
    return validate_config(Materials, {"plane": plane, "phases": list(phases)}, "test")


def isotropic(E: float, nu: float, k: float) -> dict:
    return {
        "stiffness": isotropic_stiffness(*lame(E, nu, "strain"), 3).tolist(),
        "conductivity": (k * np.eye(3)).tolist(),
    }


def test_isotropic_tensors_are_e_nu_k(subtests: pytest.Subtests) -> None:
    kinds = [("stress", (7, 8)), ("strain", (7, 8)), ("stress", (4, 5, 6))]  # volumes do not use the plane
    for (plane, shape), scheme in itertools.product(kinds, SCHEMES):
        if scheme == "q1bbar" and len(shape) == 2:
            continue  # q1bbar in the plane takes E, nu and k
        with subtests.test(plane=plane, shape=shape, scheme=scheme):
            given = [(1, 0.3, 1), (10, 0.2, 5)]
            plain = materials_of(*({"E": E, "nu": nu, "k": k} for E, nu, k in given), plane=plane)
            tensors = materials_of(*(isotropic(*each) for each in given), plane=plane)
            settings = {"dims": len(shape), "discretization": scheme, "tolerance": 1e-11}
            expected = homogenize(random_labels(shape), plain, **settings)
            result = homogenize(random_labels(shape), tensors, **settings)
            np.testing.assert_allclose(result.stiffness, expected.stiffness, atol=1e-8)
            np.testing.assert_allclose(result.conductivity, expected.conductivity, atol=1e-8)


def test_polycrystal_of_isotropic_grains_is_homogeneous() -> None:
    """Whatever their angles: isotropic tensors do not turn."""
    angles = np.random.default_rng(0).uniform(0, 360, (5, 3)).tolist()
    materials = materials_of(*({**isotropic(3, 0.25, 2), "euler": each} for each in angles))
    result = homogenize(random_labels((5, 6, 4), 5), materials, dims=3, tolerance=1e-10)
    np.testing.assert_allclose(result.stiffness[0], isotropic_stiffness(*lame(3, 0.25, "strain"), 3), atol=1e-10)
    np.testing.assert_allclose(result.conductivity[0], 2 * np.eye(3), atol=1e-10)


def test_single_crystal_is_the_rotated_tensor() -> None:
    euler = (30.0, 50.0, 110.0)
    phase = {"stiffness": COPPER.tolist(), "conductivity": CONDUCTOR.tolist(), "euler": euler}
    result = homogenize(np.zeros((4, 4, 4), int), materials_of(phase), dims=3)
    R = euler_rotation(*euler)
    np.testing.assert_allclose(R @ R.T, np.eye(3), atol=1e-14)
    assert np.linalg.det(R) == pytest.approx(1)
    # x = R x_crystal: the crystal's first axis lies along the first column.
    np.testing.assert_allclose(result.conductivity[0], R @ CONDUCTOR @ R.T, atol=1e-6)
    np.testing.assert_allclose(result.stiffness[0], rotate_stiffness(COPPER, R), atol=1e-4)
    along = R[:, 0]
    strain = np.array([*along**2, 2 * along[1] * along[2], 2 * along[0] * along[2], 2 * along[0] * along[1]])
    assert strain @ result.stiffness[0] @ strain == pytest.approx(168.4)
    assert not result.iterations.any()


def test_cubic_crystal_turned_by_90_degrees_is_itself() -> None:
    for euler in ((90, 0, 0), (0, 90, 0), (0, 0, 90), (90, 90, 90)):
        np.testing.assert_allclose(rotate_stiffness(COPPER, euler_rotation(*euler)), COPPER, atol=1e-10)


def test_polycrystal_lies_between_voigt_and_reuss() -> None:
    angles = np.random.default_rng(0).uniform(0, 360, (8, 3)).tolist()
    materials = materials_of(*({"stiffness": COPPER.tolist(), "euler": each} for each in angles))
    labels = random_labels((8, 8, 8), 8)
    result = homogenize(labels, materials, dims=3, tolerance=1e-7)
    C = materials.stiffness_tensors(3)
    assert C is not None
    f = np.bincount(labels.reshape(-1)) / labels.size
    assert np.linalg.eigvalsh(np.tensordot(f, C, 1) - result.stiffness[0]).min() > -1e-6
    assert np.linalg.eigvalsh(np.linalg.inv(np.tensordot(f, np.linalg.inv(C), 1)) - result.stiffness[0]).max() < 1e-6
    values = volume_properties(result.stiffness, result.conductivity)
    assert values["K"][0] == pytest.approx((168.4 + 2 * 121.4) / 3, rel=1e-6)  # R. Hill 1952: K of cubic grains
    assert 40.2 < values["G"][0] < 54.6  # Reuss's and Voigt's shear moduli of copper
    assert np.isnan(result.conductivity).all()


def test_anisotropic_laminate() -> None:
    """Backus 1962 for any phases: with n normal and p in-plane components, C_nn = <C_nn^-1>^-1 and so on."""
    angles = [(20.0, 40.0, 60.0), (100.0, 70.0, 10.0)]
    materials = materials_of(
        *({"stiffness": COPPER.tolist(), "conductivity": CONDUCTOR.tolist(), "euler": each} for each in angles)
    )
    volume = np.zeros((12, 4, 4), np.uint8)
    volume[:5] = 1
    f = np.array([7, 5]) / 12

    def layers(tensors: np.ndarray, n: list[int]) -> np.ndarray:
        p = [i for i in range(tensors.shape[1]) if i not in n]
        nn, np_, pp = (tensors[:, a][:, :, b] for a, b in ((n, n), (n, p), (p, p)))
        soft = np.linalg.inv(nn)
        out = np.zeros(tensors.shape[1:])
        across = np.linalg.inv(np.tensordot(f, soft, 1))
        mixed = across @ np.tensordot(f, soft @ np_, 1)
        rest = np.tensordot(f, pp - np_.transpose(0, 2, 1) @ soft @ np_, 1)
        out[np.ix_(n, n)], out[np.ix_(n, p)], out[np.ix_(p, n)] = across, mixed, mixed.T
        out[np.ix_(p, p)] = rest + mixed.T @ np.linalg.inv(across) @ mixed
        return out

    C, k = materials.stiffness_tensors(3), materials.conductivity_tensors(3)
    assert C is not None
    assert k is not None
    for scheme in SCHEMES:
        result = homogenize(volume, materials, dims=3, discretization=scheme, tolerance=1e-11)
        np.testing.assert_allclose(result.stiffness[0], layers(C, [0, 4, 5]), atol=1e-6)
        np.testing.assert_allclose(result.conductivity[0], layers(k, [0]), atol=1e-8)


def test_plane_of_a_crystal(subtests: pytest.Subtests) -> None:
    for plane in ["stress", "strain"]:
        with subtests.test(plane=plane):
            phase = {"stiffness": COPPER.tolist(), "conductivity": CONDUCTOR.tolist(), "angle": 25.0}
            materials = materials_of(phase, plane=plane)
            C, k = materials.stiffness_tensors(2), materials.conductivity_tensors(2)
            assert C is not None
            assert k is not None
            R = euler_rotation(25, 0, 0)
            if plane == "strain":
                np.testing.assert_allclose(C[0], rotate_stiffness(COPPER, R)[np.ix_([0, 1, 5], [0, 1, 5])])
                np.testing.assert_allclose(k[0], (R @ CONDUCTOR @ R.T)[:2, :2])
            else:
                S = np.linalg.inv(rotate_stiffness(COPPER, R))
                np.testing.assert_allclose(np.linalg.inv(C[0]), S[np.ix_([0, 1, 5], [0, 1, 5])], atol=1e-12)
                np.testing.assert_allclose(np.linalg.inv(k[0]), np.linalg.inv(R @ CONDUCTOR @ R.T)[:2, :2])
            flat = materials_of({"stiffness": C[0].tolist(), "conductivity": k[0].tolist()}, plane=plane)
            assert flat.contrast > 1
            image = np.zeros((4, 4), int)
            np.testing.assert_allclose(
                homogenize(image, flat).stiffness, homogenize(image, materials).stiffness, rtol=1e-6
            )
            with pytest.raises(InputError, match="phase 0 has a 3 x 3 stiffness; expected 6 x 6 for a volume"):
                homogenize(np.zeros((4, 4, 4), int), flat, dims=3)


def test_spacing_stands_for_pixels_of_the_same_phase(subtests: pytest.Subtests) -> None:
    """Pixels twice as long are near the value of two pixels in their place; equal spacing changes nothing."""
    for shape, scheme in itertools.product([(6, 8), (4, 6, 5)], ["q1", "rotated", "q1bbar", "fv"]):
        with subtests.test(shape=shape, scheme=scheme):
            labels, dims = random_labels(shape), len(shape)
            for axis in range(dims):
                labels = np.repeat(labels, 2, axis)
            two = materials_of({"E": 1, "nu": 0.3, "k": 1}, {"E": 3, "nu": 0.2, "k": 3})
            settings = {"dims": dims, "discretization": scheme, "tolerance": 1e-8}
            same = homogenize(labels, two, spacing=[2.5] * dims, **settings)
            np.testing.assert_array_equal(same.stiffness, homogenize(labels, two, **settings).stiffness)
            long = homogenize(labels, two, spacing=[2.0, *[1.0] * (dims - 1)], **settings)
            split = homogenize(np.repeat(labels, 2, axis=0), two, **settings)
            np.testing.assert_allclose(long.stiffness, split.stiffness, atol=0.05)
            np.testing.assert_allclose(long.conductivity, split.conductivity, atol=0.05)


def test_spacing_of_laminates_does_not_matter(subtests: pytest.Subtests) -> None:
    for scheme in ["q1", "rotated", "q1bbar", "fv"]:
        with subtests.test(scheme=scheme):
            two = materials_of({"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.2, "k": 10})
            volume = np.zeros((4, 16, 4), np.uint8)
            volume[:, 3:8] = 1
            settings = {"dims": 3, "discretization": scheme, "tolerance": 1e-11}
            expected = homogenize(volume, two, **settings)
            result = homogenize(volume, two, spacing=(1, 0.3, 2), **settings)
            np.testing.assert_allclose(result.stiffness, expected.stiffness, atol=1e-9)
            np.testing.assert_allclose(result.conductivity, expected.conductivity, atol=1e-9)


def test_spacing_turns_with_the_image() -> None:
    two = materials_of({"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.2, "k": 10})
    labels = random_labels((5, 6, 4))
    result = homogenize(labels, two, dims=3, spacing=(1, 2, 3), tolerance=1e-10)
    turned = homogenize(labels.transpose(2, 0, 1).copy(), two, dims=3, spacing=(30, 10, 20), tolerance=1e-10)
    R = np.eye(3)[[2, 0, 1]]
    np.testing.assert_allclose(turned.stiffness[0], rotate_stiffness(result.stiffness[0], R), atol=1e-8)
    np.testing.assert_allclose(turned.conductivity[0], R @ result.conductivity[0] @ R.T, atol=1e-8)


def test_bad_phases(subtests: pytest.Subtests) -> None:
    for phase, message in [
        ({"stiffness": [[1, 0], [0, 1]]}, "stiffness is not of 3 x 3 or 6 x 6 numbers"),
        ({"stiffness": [[1, 2, 0], [2, 1, 0], [0, 0, 1]]}, "stiffness is not positive definite"),
        ({"stiffness": [[1, 0.5, 0], [0, 1, 0], [0, 0, 1]]}, "stiffness is not symmetric and finite"),
        ({"conductivity": [[1]]}, "conductivity is not of 2 x 2 or 3 x 3 numbers"),
        ({"conductivity": [[1, 0], [0, 1]], "k": 1}, "expected either conductivity or k"),
        ({"conductivity": [[1, 0], [0, 1]], "E": 1}, "E is given without nu; expected both E and nu, or neither"),
        ({"stiffness": COPPER.tolist(), "E": 1, "nu": 0.3}, "expected either stiffness or both E and nu"),
        ({"conductivity": [[1, 0], [0, 1]], "euler": [1, 2, 3]}, "is turned by angle, not by euler"),
        ({"stiffness": COPPER.tolist(), "euler": [1, 2, 3], "angle": 3}, "expected either euler or angle"),
        ({"stiffness": COPPER.tolist(), "rho": 3}, r"unknown key 'phases\.0\.rho'"),
    ]:
        with subtests.test(phase=phase), pytest.raises(InputError, match=message):
            materials_of(phase)


def test_moduli_are_given_for_all_phases_or_none() -> None:
    with pytest.raises(InputError, match="phase 1 has no stiffness"):
        materials_of({"E": 1, "nu": 0.3, "k": 1}, {"conductivity": [[1, 0], [0, 1]]})


def test_isotropic_bounds_refuse_tensors(tmp_path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("phases: [{conductivity: [[1, 0], [0, 2]], E: 1, nu: 0.3}]")
    with pytest.raises(InputError, match="phase 0 is given by tensors; expected E, nu and k here"):
        phase_moduli(load_config(Materials, path))


def test_discretizations_that_do_not_fit() -> None:
    image = np.zeros((4, 4), int)
    sheet = materials_of({"E": 1, "nu": 0.3, "k": 1}, plane="stress")
    with pytest.raises(InputError, match="'q1bbar' is for volumes and for plane strain"):
        homogenize(image, sheet, discretization="q1bbar")
    with pytest.raises(InputError, match="'fv' takes conductivities without off-diagonal entries"):
        homogenize(image, materials_of({"conductivity": CONDUCTOR.tolist()}), discretization="fv")


def test_golden_values_of_other_discretizations() -> None:
    """Plane strain by `q1bbar`, conduction by `fv`, computed by an independent program."""
    image = np.zeros((16, 16), np.uint8)
    image[2:9, 3:13] = 1
    image[9:14, 3:7] = 1
    two = materials_of({"E": 1, "nu": 0.3, "k": 1}, {"E": 100, "nu": 0.3, "k": 10})
    C = homogenize(image, two, discretization="q1bbar", tolerance=1e-11).stiffness[0]
    golden = [
        [3.062470955, 0.786399787, -0.065818267],
        [0.786399787, 2.695910404, -0.068621375],
        [-0.065818267, -0.068621375, 0.698665971],
    ]
    np.testing.assert_allclose(C, golden, atol=1e-9)
    k = homogenize(image, two, discretization="fv", tolerance=1e-11).conductivity[0]
    np.testing.assert_allclose(k, [[2.026100388, -0.099142023], [-0.099142023, 1.853755918]], atol=1e-9)


def test_finite_volumes_of_stripes_are_exact(subtests: pytest.Subtests) -> None:
    for dims in [2, 3]:
        with subtests.test(dims=dims):
            two = materials_of({"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.2, "k": 10})
            image = np.zeros((8, *[4] * (dims - 1)), np.uint8)
            image[::2] = 1
            k = homogenize(image, two, dims=dims, discretization="fv", tolerance=1e-10).conductivity[0]
            np.testing.assert_allclose(k, np.diag([1 / 0.55] + [5.5] * (dims - 1)), atol=1e-9)


def test_mean_dilatation_does_not_lock() -> None:
    """Nearly incompressible: `q1` is too stiff in shear, `q1bbar` is close to the refined value."""
    two = materials_of({"E": 1, "nu": 0.4999, "k": 1}, {"E": 10, "nu": 0.4999, "k": 1})
    image = np.zeros((8, 8), np.uint8)
    image[2:6, 2:6] = 1
    fine = homogenize(image.repeat(8, 0).repeat(8, 1), two, discretization="q1bbar", tolerance=1e-8).stiffness[0, 2, 2]
    locked, free = (
        homogenize(image, two, discretization=scheme, tolerance=1e-8).stiffness[0, 2, 2] for scheme in ("q1", "q1bbar")
    )
    assert abs(free - fine) < 0.5 * abs(locked - fine)

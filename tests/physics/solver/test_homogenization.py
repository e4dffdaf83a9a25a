"""The solver against closed forms, symmetries and numbers computed by other programs."""

import itertools

import numpy as np
import pytest

from microdesign.core.errors import InputError, NotConvergedError
from microdesign.physics.bounds.property_bounds import hashin_shtrikman, phase_moduli, reuss, voigt
from microdesign.physics.materials import Materials
from microdesign.physics.solver.homogenization import Homogenization, homogenize

SCHEMES = ("q1", "rotated")


def two_phases(contrast: float = 10, plane: str = "stress", nu: tuple[float, float] = (0.3, 0.3)) -> Materials:
    phases = [{"E": 1, "nu": nu[0], "k": 1}, {"E": contrast, "nu": nu[1], "k": contrast}]
    return Materials.model_validate({"plane": plane, "phases": phases})


def random_images(n: int, shape: tuple[int, int], phases: int = 2, length: float = 2.0, seed: int = 0) -> np.ndarray:
    """Periodic Gaussian fields of one correlation length, cut at quantiles."""
    rng = np.random.default_rng(seed)
    kx, ky = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(size) for size in shape), indexing="ij")
    smooth = np.exp(-(length**2) * (kx**2 + ky**2) / 2)
    fields = np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, *shape))) * smooth).real
    cuts = np.quantile(fields, np.arange(1, phases) / phases, axis=(1, 2))
    return (fields[None] > cuts[..., None, None]).sum(axis=0).astype(np.uint8)


def golden_image() -> np.ndarray:
    image = np.zeros((16, 16), np.uint8)
    image[2:9, 3:13] = 1
    image[9:14, 3:7] = 1
    return image


GOLDEN_CONDUCTIVITY = {
    "q1": [[2.065638814, -0.102191144], [-0.102191144, 1.879468203]],
    "rotated": [[2.052910068, -0.102527532], [-0.102527532, 1.871852559]],
}
GOLDEN_PLANE_STRAIN = {
    "q1": [
        [3.084272177, 0.780252913, -0.066556878],
        [0.780252913, 2.707907051, -0.068943062],
        [-0.066556878, -0.068943062, 0.700736087],
    ],
    "rotated": [
        [3.019469577, 0.798948017, -0.063342961],
        [0.798948017, 2.674515381, -0.067532158],
        [-0.063342961, -0.067532158, 0.694849561],
    ],
}


def test_golden_conductivity(subtests: pytest.Subtests) -> None:
    for scheme in SCHEMES:
        with subtests.test(scheme=scheme):
            result = homogenize(golden_image(), two_phases(10), discretization=scheme, tolerance=1e-11)
            np.testing.assert_allclose(result.conductivity[0], GOLDEN_CONDUCTIVITY[scheme], atol=1e-9)


def test_golden_plane_strain(subtests: pytest.Subtests) -> None:
    for scheme in SCHEMES:
        with subtests.test(scheme=scheme):
            result = homogenize(golden_image(), two_phases(100, "strain"), discretization=scheme, tolerance=1e-11)
            np.testing.assert_allclose(result.stiffness[0], GOLDEN_PLANE_STRAIN[scheme], atol=1e-9)


def test_laminate_is_exact_after_one_iteration(subtests: pytest.Subtests) -> None:
    for scheme in SCHEMES:
        with subtests.test(scheme=scheme):
            image = np.zeros((16, 16), np.uint8)
            image[3:8] = 1
            materials = Materials.model_validate(
                {"plane": "strain", "phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.2, "k": 10}]}
            )
            result = homogenize(image, materials, discretization=scheme, tolerance=1e-12, precision="float64")
            lam, mu = materials.lame_moduli.T
            p, mean = lam + 2 * mu, np.array([11, 5]) / 16
            c11 = 1 / (mean @ (1 / p))
            c12 = c11 * (mean @ (lam / p))
            c22 = mean @ (p - lam**2 / p) + c11 * (mean @ (lam / p)) ** 2
            expected = np.array([[c11, c12, 0], [c12, c22, 0], [0, 0, 1 / (mean @ (1 / mu))]])
            assert c11 == pytest.approx(1.855840928)
            assert c22 == pytest.approx(4.268582839)
            np.testing.assert_allclose(result.stiffness[0], expected, atol=1e-12)
            np.testing.assert_allclose(result.conductivity[0], np.diag([1.3913043478260869, 3.8125]), atol=1e-12)
            assert result.iterations[0] == 1


def test_one_pixel_stripes(subtests: pytest.Subtests) -> None:
    for scheme in SCHEMES:
        with subtests.test(scheme=scheme):
            image = np.tile(np.array([[0], [1]], np.uint8), (8, 16))
            result = homogenize(image, two_phases(10), discretization=scheme, tolerance=1e-10)
            np.testing.assert_allclose(result.conductivity[0], [[1 / 0.55, 0], [0, 5.5]], atol=1e-9)


def test_homogeneous_images_take_no_iteration() -> None:
    images = np.stack([np.zeros((8, 6), np.uint8), np.ones((8, 6), np.uint8)])
    result = homogenize(images, two_phases(10), tolerance=1e-8)
    lam, mu = two_phases(10).lame_moduli[1]
    np.testing.assert_allclose(
        result.stiffness[1], [[lam + 2 * mu, lam, 0], [lam, lam + 2 * mu, 0], [0, 0, mu]], rtol=1e-14
    )
    np.testing.assert_allclose(result.conductivity, [np.eye(2), 10 * np.eye(2)], rtol=1e-14)
    assert not result.iterations.any()
    assert not result.error_estimate.any()


def rotate_90(tensor: np.ndarray) -> np.ndarray:
    return np.array([[tensor[1, 1], -tensor[0, 1]], [-tensor[0, 1], tensor[0, 0]]])


def test_keller_duality() -> None:
    """K(k1, k2) = k1 k2 R^T K(k2, k1)^-1 R: exact for `rotated`; two `q1` solves bracket the truth.

    Exact on odd grids: on even ones the rotated scheme does not see the checkerboard, which breaks the duality by 1e-4.
    """
    images = random_images(3, (33, 31))
    for scheme in SCHEMES:
        here = homogenize(images, two_phases(10), discretization=scheme, tolerance=1e-9).conductivity
        swapped = homogenize(1 - images, two_phases(10), discretization=scheme, tolerance=1e-9).conductivity
        for direct, other in zip(here, swapped, strict=True):
            dual = 10 * rotate_90(np.linalg.inv(other))
            if scheme == "rotated":
                np.testing.assert_allclose(direct, dual, atol=1e-7)
            else:
                assert np.linalg.eigvalsh(direct - dual).min() > 0
                np.testing.assert_allclose(direct, dual, rtol=0.08, atol=0.05)


def test_hill_equal_shear_moduli() -> None:
    """C11 = 1 / <1 / (lambda + 2 mu)>, whatever the geometry, when mu is uniform (R. Hill 1964)."""
    phases = [{"E": 2 * (1 + nu), "nu": nu, "k": 1} for nu in (0.0, 0.45)]
    materials = Materials.model_validate({"plane": "strain", "phases": phases})
    image = random_images(1, (47, 33))[0]  # odd: see Keller
    result = homogenize(image, materials, discretization="rotated", tolerance=1e-10)
    lam, mu = materials.lame_moduli.T
    fractions = np.bincount(image.reshape(-1)) / image.size
    assert mu == pytest.approx([1, 1])
    c11 = float(reuss(lam + 2 * mu, fractions))
    expected = [[c11, c11 - 2, 0], [c11 - 2, c11, 0], [0, 0, 1]]
    np.testing.assert_allclose(result.stiffness[0], expected, atol=1e-7)


def test_voigt_reuss_bounds_hold(subtests: pytest.Subtests) -> None:
    for phases, scheme in itertools.product([2, 3], SCHEMES):
        with subtests.test(phases=phases, scheme=scheme):
            images = random_images(6, (24, 20), phases, length=0.7)
            materials = Materials.model_validate(
                {
                    "phases": [
                        {"E": 1, "nu": 0.1, "k": 5},
                        {"E": 30, "nu": 0.4, "k": 0.5},
                        {"E": 8, "nu": 0.2, "k": 20},
                    ][:phases]
                }
            )
            result = homogenize(images, materials, discretization=scheme, tolerance=1e-7)
            lam, mu = materials.lame_moduli.T
            tensors = np.array(
                [[[a + 2 * b, a, 0], [a, a + 2 * b, 0], [0, 0, b]] for a, b in zip(lam, mu, strict=True)]
            )
            fractions = np.array([np.bincount(image.reshape(-1), minlength=phases) / image.size for image in images])
            upper = np.einsum("np,pij->nij", fractions, tensors)
            lower = np.linalg.inv(np.einsum("np,pij->nij", fractions, np.linalg.inv(tensors)))
            assert np.linalg.eigvalsh(upper - result.stiffness).min() > -1e-6
            assert np.linalg.eigvalsh(result.stiffness - lower).min() > -1e-6
            k = materials.conductivities
            values = np.linalg.eigvalsh(result.conductivity)
            assert (values.max(axis=1) <= voigt(k, fractions) * (1 + 1e-6)).all()
            assert (values.min(axis=1) >= reuss(k, fractions) * (1 - 1e-6)).all()


def test_hashin_shtrikman_bounds_hold_on_smooth_images() -> None:
    """An isotropic arrangement of an image lies between the Reuss and the Voigt mean of its rotations."""
    images = random_images(6, (96, 96), length=5.0)
    materials = two_phases(10)
    result = homogenize(images, materials, discretization="rotated")
    fractions = np.array([np.bincount(image.reshape(-1), minlength=2) / image.size for image in images])
    limits = hashin_shtrikman(materials, fractions)
    C, S = result.stiffness, np.linalg.inv(result.stiffness)
    means = {
        "K": (1 / (S[:, 0, 0] + S[:, 1, 1] + 2 * S[:, 0, 1]), (C[:, 0, 0] + C[:, 1, 1] + 2 * C[:, 0, 1]) / 4),
        "k": (
            2 / np.trace(np.linalg.inv(result.conductivity), axis1=1, axis2=2),
            result.conductivity.trace(0, 1, 2) / 2,
        ),
    }
    for name, (harmonic, arithmetic) in means.items():
        lower, upper = limits[name]
        assert (harmonic <= upper * 1.002).all(), name
        assert (arithmetic >= lower * 0.998).all(), name


def test_symmetries(subtests: pytest.Subtests) -> None:
    for scheme in SCHEMES:
        with subtests.test(scheme=scheme):
            image = random_images(1, (20, 28), 3, length=1.0)[0]
            materials = Materials.model_validate(
                {"phases": [{"E": e, "nu": 0.3, "k": k} for e, k in ((1, 3), (9, 1), (4, 8))]}
            )
            relabelled = Materials(phases=materials.phases[::-1])

            def solve(
                labels: np.ndarray, phases: Materials = materials, discretization: str = scheme
            ) -> Homogenization:
                return homogenize(labels, phases, discretization=discretization, tolerance=1e-10)

            C, k = solve(image).stiffness[0], solve(image).conductivity[0]
            for same in (solve(np.roll(image, (3, 11), (0, 1))), solve(2 - image, relabelled)):
                np.testing.assert_allclose(same.stiffness[0], C, rtol=1e-8, atol=1e-8)
                np.testing.assert_allclose(same.conductivity[0], k, rtol=1e-8, atol=1e-8)
            turned = solve(np.rot90(image))
            swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, -1]])
            np.testing.assert_allclose(turned.stiffness[0], swap @ C @ swap.T, rtol=1e-8, atol=1e-8)
            np.testing.assert_allclose(turned.conductivity[0], rotate_90(k), rtol=1e-8, atol=1e-8)
            assert np.array_equal(C, C.T)
            assert np.linalg.eigvalsh(C).min() > 0


def test_error_stays_within_the_tolerance(subtests: pytest.Subtests) -> None:
    for contrast in [10, 100, 1000, 1e5]:
        with subtests.test(contrast=contrast):
            images, materials = random_images(4, (64, 64)), two_phases(contrast)
            coarse, fine = homogenize(images, materials), homogenize(images, materials, tolerance=1e-10)
            for name in ("stiffness", "conductivity"):
                reached = np.diagonal(getattr(coarse, name), axis1=1, axis2=2)
                exact = np.diagonal(getattr(fine, name), axis1=1, axis2=2)
                assert np.abs(reached / exact - 1).max() <= 1e-4
            assert (coarse.error_estimate <= 1e-4).all()
            assert (coarse.iterations < fine.iterations).all()


def test_float32_agrees_with_float64() -> None:
    images, materials = random_images(2, (32, 48)), two_phases(10)
    single = homogenize(images, materials, precision="float32", tolerance=1e-6)
    double = homogenize(images, materials, precision="float64", tolerance=1e-6)
    np.testing.assert_allclose(single.stiffness, double.stiffness, atol=2e-6 * 10)
    np.testing.assert_allclose(single.conductivity, double.conductivity, atol=2e-6 * 10)


def test_scale_of_the_moduli_does_not_matter() -> None:
    image = random_images(1, (16, 16))[0]
    small = homogenize(image, two_phases(10))
    phases = [{"E": 1e30 * p.E, "nu": p.nu, "k": 1e-30 * p.k} for p in two_phases(10).phases]
    large = homogenize(image, Materials.model_validate({"phases": phases}))
    np.testing.assert_allclose(large.stiffness / 1e30, small.stiffness, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(large.conductivity * 1e30, small.conductivity, rtol=1e-5, atol=1e-5)


def test_high_contrast_stays_between_the_phases() -> None:
    image = random_images(1, (32, 32))[0]
    result = homogenize(image, two_phases(1e5), tolerance=1e-4)
    moduli = phase_moduli(two_phases(1e5))
    assert moduli["K"][0] < result.stiffness[0, 0, 0] < 2 * moduli["K"][1]


def test_not_converged_carries_the_best() -> None:
    images = np.concatenate([np.zeros((1, 32, 32), np.uint8), random_images(1, (32, 32))])
    with pytest.raises(NotConvergedError, match=r"1 of 2 images did not converge in 4 iterations; image 1 ") as caught:
        homogenize(images, two_phases(1000), max_iterations=4)
    best = caught.value.best
    assert isinstance(best, Homogenization)
    assert best.error_estimate[0] == 0
    assert best.error_estimate[1] > 1e-4


def test_bad_labels(subtests: pytest.Subtests) -> None:
    for labels, message in [
        (np.zeros((3, 4, 4)), "labels are of type float64; expected integers"),
        (np.full((3, 4, 4), np.nan), "labels are of type float64; expected integers"),
        (np.zeros(4, int), r"labels have shape \(4,\); expected \(images, X, Y\)"),
        (np.zeros((1, 1, 4, 4), int), r"labels have shape \(1, 1, 4, 4\)"),
        (np.zeros((0, 4, 4), int), "no image; expected at least one"),
        (np.zeros((2, 1, 4), int), "images have 1 x 4 pixels; expected at least 2 x 2"),
        (
            np.arange(4).reshape(4, 1, 1).repeat(4, 1).repeat(4, 2) // 3 * 2,
            "image 3 has label 2, but the materials define 2",
        ),
        (np.full((4, 4), -1), r"image 0 has label -1, but the materials define 2 phases \(labels 0 to 1\)\."),
    ]:
        with subtests.test(labels=labels), pytest.raises(InputError, match=message):
            homogenize(labels, two_phases())


def test_bad_settings(subtests: pytest.Subtests) -> None:
    for settings, message in [
        ({"discretization": "q2"}, "discretization = 'q2' is unknown; expected one of q1, rotated"),
        ({"tolerance": 0.0}, "tolerance = 0.0 is out of range"),
        ({"tolerance": float("nan")}, "tolerance = nan is out of range"),
        ({"max_iterations": 0}, "max_iterations = 0 is out of range"),
        ({"precision": "float16"}, "precision = 'float16' is unknown"),
    ]:
        with subtests.test(settings=settings), pytest.raises(InputError, match=message):
            homogenize(golden_image(), two_phases(), **settings)

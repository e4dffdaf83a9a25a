"""Three dimensions: closed forms, symmetries, the plane problem as a special case, an independent solve."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sparse
from scipy.sparse.linalg import spsolve

from microdesign.core.errors import InputError
from microdesign.physics.bounds.property_bounds import reuss, voigt
from microdesign.physics.materials import Materials
from microdesign.physics.solver.homogenization import Homogenization, homogenize
from microdesign.physics.tensors import PAIRS, isotropic_stiffness, rotate_stiffness

SCHEMES = ("q1", "rotated", "q1bbar", "fv")


def phases_of(*phases: tuple[float, float, float], plane: str = "strain") -> Materials:
    return Materials.model_validate({"plane": plane, "phases": [{"E": E, "nu": nu, "k": k} for E, nu, k in phases]})


TWO = phases_of((1, 0.3, 1), (10, 0.2, 10))


def random_volume(shape: tuple[int, ...], phases: int = 2, length: float = 1.0, seed: int = 0) -> np.ndarray:
    """A periodic Gaussian field of one correlation length, cut at quantiles."""
    rng = np.random.default_rng(seed)
    k = np.meshgrid(*(2 * np.pi * np.fft.fftfreq(size) for size in shape), indexing="ij")
    smooth = np.exp(-(length**2) * sum(x**2 for x in k) / 2)
    field = np.fft.ifftn(np.fft.fftn(rng.normal(size=shape)) * smooth).real
    cuts = np.quantile(field, np.arange(1, phases) / phases)
    return (field[None] > cuts[:, None, None, None]).sum(axis=0).astype(np.uint8)


def solve(volume: np.ndarray, materials: Materials = TWO, scheme: str = "q1", **settings: float) -> Homogenization:
    return homogenize(volume, materials, dims=3, discretization=scheme, **{"tolerance": 1e-10, **settings})


def test_laminates(subtests: pytest.Subtests) -> None:
    for axis, scheme in itertools.product([0, 1, 2], SCHEMES):
        with subtests.test(axis=axis, scheme=scheme):
            volume = np.zeros((16, 4, 4), np.uint8)
            volume[3:8] = 1
            order = {0: [0, 1, 2], 1: [1, 0, 2], 2: [1, 2, 0]}[axis]
            result = solve(np.ascontiguousarray(volume.transpose(order)), scheme=scheme, tolerance=1e-12)
            if scheme in ("q1", "rotated"):
                assert result.iterations[0] == 1
            C = np.zeros((6, 6))
            C[:3, :3] = [
                [1.855840928, 0.691797846, 0.691797846],
                [0.691797846, 4.268582839, 1.135570019],
                [0.691797846, 1.135570019, 4.268582839],
            ]
            C[3:, 3:] = np.diag([1.566506410, 0.536912752, 0.536912752])
            turn = np.eye(3)[order]
            k = np.diag([1.391304348, 3.8125, 3.8125])
            np.testing.assert_allclose(result.stiffness[0], rotate_stiffness(C, turn), atol=1e-9)
            np.testing.assert_allclose(result.conductivity[0], turn @ k @ turn.T, atol=1e-9)


def test_homogeneous_volume_takes_no_iteration() -> None:
    result = solve(np.ones((4, 6, 5), np.uint8))
    lam, mu = TWO.lame_moduli_of(3)[1]
    np.testing.assert_allclose(result.stiffness[0], isotropic_stiffness(lam, mu, 3), rtol=1e-13)
    np.testing.assert_allclose(result.conductivity[0], 10 * np.eye(3), rtol=1e-13)
    assert not result.iterations.any()


def test_extruded_image_is_the_plane_problem(subtests: pytest.Subtests) -> None:
    for scheme in ["q1", "rotated", "fv"]:
        with subtests.test(scheme=scheme):
            image = random_volume((12, 10, 1))[:, :, 0]
            plane = homogenize(image, TWO, discretization=scheme, tolerance=1e-10)
            result = solve(np.repeat(image[:, :, None], 4, axis=2), scheme=scheme)
            np.testing.assert_allclose(result.stiffness[0][np.ix_([0, 1, 5], [0, 1, 5])], plane.stiffness[0], atol=1e-8)
            np.testing.assert_allclose(result.conductivity[0][:2, :2], plane.conductivity[0], atol=1e-8)
            assert result.conductivity[0, 2, 2] == pytest.approx(1 + 9 * image.mean())


def test_symmetries(subtests: pytest.Subtests) -> None:
    for scheme in SCHEMES:
        with subtests.test(scheme=scheme):
            volume = random_volume((6, 8, 10), 3)
            materials = phases_of((1, 0.3, 3), (9, 0.2, 1), (4, 0.1, 8))
            result = solve(volume, materials, scheme)
            C, k = result.stiffness[0], result.conductivity[0]
            relabelled = Materials(plane="strain", phases=materials.phases[::-1])
            for same in (
                solve(np.roll(volume, (3, 1, 4), (0, 1, 2)), materials, scheme),
                solve(2 - volume, relabelled, scheme),
            ):
                np.testing.assert_allclose(same.stiffness[0], C, atol=1e-8)
                np.testing.assert_allclose(same.conductivity[0], k, atol=1e-8)
            for order in itertools.permutations(range(3)):
                turn = np.eye(3)[list(order)]
                turned = solve(np.ascontiguousarray(volume.transpose(order)), materials, scheme)
                np.testing.assert_allclose(turned.stiffness[0], rotate_stiffness(C, turn), atol=1e-8)
                np.testing.assert_allclose(turned.conductivity[0], turn @ k @ turn.T, atol=1e-8)
            assert np.array_equal(C, C.T)
            assert np.linalg.eigvalsh(C).min() > 0


def finite_elements(
    labels: np.ndarray, tensors: np.ndarray, elastic: bool, spacing: tuple[float, ...] = (1, 1, 1)
) -> np.ndarray:
    """Assembled trilinear elements, 2 x 2 x 2 Gauss points, a direct solve: the effective tensor."""
    corners = np.array(list(itertools.product((0, 1), repeat=3)))
    points = itertools.product((0.5 - 0.5 / np.sqrt(3), 0.5 + 0.5 / np.sqrt(3)), repeat=3)
    matrices = []
    for point in points:
        values = np.where(corners, point, 1 - np.array(point))
        slopes = 2 * corners - 1
        gradient = np.array([slopes[:, j] * np.delete(values, j, axis=1).prod(axis=1) for j in range(3)])
        gradient = gradient / np.array(spacing)[:, None]
        if not elastic:
            matrices.append(gradient)
            continue
        B = np.zeros((6, 24))
        for row, (a, b) in enumerate(PAIRS[3]):
            B[row, a::3] += gradient[b]
            if a != b:
                B[row, b::3] += gradient[a]
        matrices.append(B)
    per_node = 3 if elastic else 1
    grid = np.stack(np.meshgrid(*map(np.arange, labels.shape), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    nodes = np.ravel_multi_index(tuple(np.moveaxis((grid + corners) % labels.shape, -1, 0)), labels.shape)
    dofs = (per_node * nodes[:, :, None] + np.arange(per_node)).reshape(len(nodes), -1)
    phase, size = labels.reshape(-1), per_node * labels.size
    elements = np.array([sum(B.T @ C @ B / 8 for B in matrices) for C in tensors])[phase]
    loads = np.array([sum(B.T @ C / 8 for B in matrices) for C in tensors])[phase]
    rows, columns = np.repeat(dofs, dofs.shape[1], axis=1).reshape(-1), np.tile(dofs, dofs.shape[1]).reshape(-1)
    K = sparse.csc_matrix((elements.reshape(-1), (rows, columns)), shape=(size, size))
    f = np.zeros((size, tensors.shape[1]))
    np.add.at(f, dofs, -loads)
    u = np.zeros_like(f)
    u[per_node:] = spsolve(K[per_node:, per_node:], f[per_node:])
    return (tensors[phase].sum(axis=0) + np.einsum("eds,edl->sl", loads, u[dofs])) / labels.size


def test_q1_equals_assembled_finite_elements(subtests: pytest.Subtests) -> None:
    for contrast in [10, 1000]:
        with subtests.test(contrast=contrast):
            volume = random_volume((8, 8, 8))
            materials = phases_of((1, 0.3, 1), (contrast, 0.2, contrast))
            C = finite_elements(volume, materials.stiffness_tensors(3), elastic=True)
            k = finite_elements(volume, materials.conductivity_tensors(3), elastic=False)
            tight = solve(volume, materials)
            np.testing.assert_allclose(tight.stiffness[0], C, atol=1e-8 * C.max())
            np.testing.assert_allclose(tight.conductivity[0], k, atol=1e-8 * k.max())
            usual = solve(volume, materials, tolerance=1e-5)
            np.testing.assert_allclose(usual.stiffness[0], C, atol=1e-4 * C.max())
            np.testing.assert_allclose(np.diag(usual.stiffness[0]), np.diag(C), rtol=1e-4)


def test_crystals_in_boxes_equal_assembled_finite_elements() -> None:
    rng, phases = np.random.default_rng(3), []
    for euler in rng.uniform(0, 360, (3, 3)).tolist():
        A, B = rng.normal(size=(6, 6)), rng.normal(size=(3, 3))
        C, k = A @ A.T + np.eye(6), B @ B.T + np.eye(3)
        phases.append({"stiffness": C.tolist(), "conductivity": k.tolist(), "euler": euler})
    materials = Materials.model_validate({"phases": phases})
    volume, spacing = random_volume((5, 4, 6), 3), (1.0, 2.0, 0.7)
    result = solve(volume, materials, spacing=spacing)
    C = finite_elements(volume, materials.stiffness_tensors(3), True, spacing)
    k = finite_elements(volume, materials.conductivity_tensors(3), False, spacing)
    np.testing.assert_allclose(result.stiffness[0], C, atol=1e-8 * C.max())
    np.testing.assert_allclose(result.conductivity[0], k, atol=1e-8 * k.max())


def test_error_stays_near_the_tolerance() -> None:
    volume = random_volume((24, 24, 24), length=2.0)
    for contrast in (10, 1000):
        materials = phases_of((1, 0.3, 1), (contrast, 0.3, contrast))
        coarse, fine = solve(volume, materials, tolerance=1e-4), solve(volume, materials)
        for name in ("stiffness", "conductivity"):
            ratio = np.diag(getattr(coarse, name)[0]) / np.diag(getattr(fine, name)[0])
            assert np.abs(ratio - 1).max() < 2e-4


def test_load_cases_one_by_one_are_those_together(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = random_volume((8, 9, 10))
    together = solve(volume)
    monkeypatch.setattr("microdesign.physics.solver.array_iterates._TOGETHER", 0)
    alone = solve(volume)
    np.testing.assert_allclose(alone.stiffness, together.stiffness, atol=1e-9)
    np.testing.assert_allclose(alone.conductivity, together.conductivity, atol=1e-9)


def test_voigt_reuss_bounds_hold() -> None:
    volume = random_volume((16, 16, 16))
    result, fractions = solve(volume), np.bincount(volume.reshape(-1)) / volume.size
    C = TWO.stiffness_tensors(3)
    assert C is not None
    assert np.linalg.eigvalsh(np.tensordot(fractions, C, 1) - result.stiffness[0]).min() > 0
    S = np.tensordot(fractions, np.linalg.inv(C), 1)
    assert np.linalg.eigvalsh(result.stiffness[0] - np.linalg.inv(S)).min() > 0
    k = np.linalg.eigvalsh(result.conductivity[0])
    assert reuss(TWO.conductivities, fractions) < k.min()
    assert k.max() < voigt(TWO.conductivities, fractions)


def test_hill_equal_shear_moduli() -> None:
    """C11 = 1 / <1 / (lambda + 2 mu)>, whatever the geometry, when mu is uniform (R. Hill 1964)."""
    materials = phases_of(*((2 * (1 + nu), nu, 1) for nu in (0.0, 0.45)))
    volume = random_volume((9, 11, 7))  # odd: the rotated scheme sees every mode
    result = solve(volume, materials, "rotated")
    lam, mu = materials.lame_moduli_of(3).T
    c11 = float(reuss(lam + 2 * mu, np.bincount(volume.reshape(-1)) / volume.size))
    np.testing.assert_allclose(result.stiffness[0], isotropic_stiffness(c11 - 2, 1, 3), atol=1e-7)


def sphere(size: int, radius: float) -> np.ndarray:
    x = np.arange(size) + 0.5 - size / 2
    return ((x[:, None, None] ** 2 + x[:, None] ** 2 + x**2) < (radius * size) ** 2).astype(np.uint8)


def test_dilute_sphere_is_maxwell_garnett() -> None:
    """k = k1 (1 + 3 f / ((k2 + 2 k1) / (k2 - k1) - f)); on a cubic lattice the next term is of order f^(13/3)."""
    volume = sphere(24, 0.2)
    f = volume.mean()
    expected = 1 + 3 * f / (12 / 9 - f)
    k = solve(volume, scheme="rotated", tolerance=1e-5).conductivity[0]
    assert k[0, 0] - 1 == pytest.approx(expected - 1, rel=0.05)
    np.testing.assert_allclose(k, k[0, 0] * np.eye(3), atol=1e-4)
    upper = solve(volume, scheme="q1", tolerance=1e-5).conductivity[0, 0, 0]
    assert k[0, 0] < upper < 1 + 1.15 * (expected - 1)


def test_refinement_converges() -> None:
    """Each voxel cut into 2 x 2 x 2: q1 falls towards the limit, with differences that shrink."""
    volume = random_volume((6, 6, 6))
    values = []
    for factor in (1, 2, 4):
        fine = volume
        for axis in range(3):
            fine = np.repeat(fine, factor, axis)
        values.append(solve(fine, tolerance=1e-6).stiffness[0, 0, 0])
    assert values[0] > values[1] > values[2]
    assert 1.4 < (values[0] - values[1]) / (values[1] - values[2]) < 4


def test_bad_volumes(subtests: pytest.Subtests) -> None:
    for labels, message in [
        (np.zeros((4, 4), int), r"labels have shape \(4, 4\); expected \(volumes, X, Y, Z\)"),
        (np.zeros((4, 1, 4), int), "images have 4 x 1 x 4 pixels; expected at least 2 x 2 x 2"),
        (np.full((1, 4, 4, 4), 2), "image 0 has label 2"),
    ]:
        with subtests.test(labels=labels), pytest.raises(InputError, match=message):
            homogenize(labels, TWO, dims=3)


def test_bad_dims() -> None:
    with pytest.raises(InputError, match="dims = 4 is out of range; expected 2 or 3"):
        homogenize(np.zeros((4, 4), int), TWO, dims=4)


def test_hashin_shtrikman_bounds_hold_on_smooth_volumes() -> None:
    """An isotropic arrangement of a volume lies between the Reuss and the Voigt mean of its rotations.

    k = 1 / <1 / (k_i + 2 k*)> - 2 k* and K = 1 / <1 / (K_i + 4/3 mu*)> - 4/3 mu* with the phases' extremes
    (Z. Hashin and S. Shtrikman 1962, 1963).
    """
    volume = random_volume((32, 32, 32), length=3.0)
    result, f = solve(volume, scheme="rotated", tolerance=1e-4), np.bincount(volume.reshape(-1)) / volume.size
    lam, mu = TWO.lame_moduli_of(3).T
    bulk, k = lam + 2 * mu / 3, TWO.conductivities
    limits = {
        "K": [reuss(bulk + 4 / 3 * m, f) - 4 / 3 * m for m in (mu.min(), mu.max())],
        "k": [reuss(k + 2 * c, f) - 2 * c for c in (k.min(), k.max())],
    }
    C, S = result.stiffness[0], np.linalg.inv(result.stiffness[0])
    means = {
        "K": (1 / S[:3, :3].sum(), C[:3, :3].sum() / 9),
        "k": (3 / np.trace(np.linalg.inv(result.conductivity[0])), np.trace(result.conductivity[0]) / 3),
    }
    for name, (harmonic, arithmetic) in means.items():
        lower, upper = limits[name]
        assert harmonic <= upper * 1.002, name
        assert arithmetic >= lower * 0.998, name


def test_schemes_are_ordered() -> None:
    """`q1` is an upper bound of the voxels' geometry; mean dilatation and one-point integration are softer."""
    volume = random_volume((8, 8, 8))
    q1, bbar, rotated = (solve(volume, scheme=scheme).stiffness[0] for scheme in ("q1", "q1bbar", "rotated"))
    assert np.linalg.eigvalsh(q1 - bbar).min() > 0
    assert np.linalg.eigvalsh(bbar - rotated).min() > 0

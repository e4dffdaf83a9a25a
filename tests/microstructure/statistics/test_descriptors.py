"""Descriptors against images whose numbers are known."""

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.statistics.connectivity import clusters
from microdesign.microstructure.statistics.descriptors import describe, euler_density, lags_of
from microdesign.microstructure.statistics.difference import coordinates, differences, nearest_difference


def stripes(size: int, period: int) -> np.ndarray:
    return (np.arange(size) % period < period // 2).astype(np.uint8)[:, None].repeat(size, 1)


def noise(n: int, shape: tuple[int, ...], phases: int = 2, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, phases, (n, *shape)).astype(np.uint8)


def test_descriptors_of_stripes() -> None:
    """Half-filled stripes of period 8: a triangle wave of two-point statistics, chords of 4 pixels across."""
    found = describe(stripes(32, 8)[None], lags=(1, 2, 4)).values[0]
    correlation = found[:12].reshape(3, 4)
    np.testing.assert_allclose(correlation[:, 0], [0.5, 0, -1], atol=1e-6)
    np.testing.assert_allclose(correlation[:, 1], 1, atol=1e-6)
    np.testing.assert_allclose(correlation[:, 2], [0.5, 0, -1], atol=1e-6)  # a diagonal crosses as many stripes
    np.testing.assert_allclose(correlation[:, 3], 0, atol=1e-6)
    lineal = found[12:24].reshape(2, 3, 2)  # axis, lag, phase
    np.testing.assert_allclose(lineal[0], [[0.75] * 2, [0.5] * 2, [0] * 2], atol=1e-6)
    np.testing.assert_allclose(lineal[1], 1, atol=1e-6)
    np.testing.assert_allclose(np.exp(-found[24:28]), [1 / 4 + 1 / 64] * 2 + [1 / 64] * 2, rtol=1e-5)
    np.testing.assert_allclose(np.exp(found[[28, 30]]), [1.5, 1.5], rtol=1e-6)  # distances 1, 2, 2, 1
    np.testing.assert_allclose(found[32:], 0, atol=1e-6)


@pytest.mark.parametrize("periodic", [True, False])
def test_descriptors_of_a_volume_count_voxel_by_voxel(periodic: bool) -> None:
    """Two-point covariances and lineal paths along each axis, of every segment there is."""
    shape, lags = (5, 6, 7), (1, 2)
    volume = noise(1, shape, seed=4)[0]
    found = describe(volume[None], periodic=periodic, lags=lags).values[0]
    for axis, n in enumerate(shape):
        lines = np.moveaxis(volume, axis, 0)
        for number, lag in enumerate(lags):
            starts = range(n if periodic else n - lag)
            segments = np.array([[lines[(start + step) % n] for step in range(lag + 1)] for start in starts])
            first, last = segments[:, 0].astype(float), segments[:, -1].astype(float)
            assert found[9 * number + axis] == pytest.approx(np.corrcoef(first.ravel(), last.ravel())[0, 1])
            for phase in (0, 1):
                path = (segments == phase).all(1).mean() / (volume == phase).mean()
                assert found[18 + 4 * axis + 2 * number + phase] == pytest.approx(path)


def test_shifts_and_mirrors_change_nothing_in_any_dimension() -> None:
    for shape, phases in [((24, 24), 2), ((16, 20), 3), ((8, 8, 8), 2)]:
        images = noise(3, shape, phases)
        given = describe(images, phases).values
        axes = tuple(range(1, len(shape) + 1))
        for moved in (np.roll(images, (3, 5), (1, 2)), *(np.flip(images, axis) for axis in axes)):
            np.testing.assert_allclose(describe(moved, phases).values, given, atol=1e-5)


def test_euler_number_is_that_of_the_clusters_and_holes() -> None:
    images = noise(4, (12, 12), seed=2)
    images[0] = 0
    images[0, 2:7, 2:7], images[0, 4, 4], images[0, 9:11, 9:11] = 1, 0, 1  # a ring and a square
    solid = np.pad(images, ((0, 0), (1, 1), (1, 1)))  # nothing winds around the image
    found = euler_density(solid[:, None] == 1, periodic=True)[:, 0] * 14**2
    for number, image in enumerate(solid):
        # Holes are connected through corners where parts are connected through faces.
        outside = len(np.unique(_with_corners(image == 0))) - 1 - 1
        assert found[number] == pytest.approx(len(clusters(image == 1)) - outside, abs=1e-3)
    cube = np.zeros((1, 8, 8, 8), np.uint8)
    cube[0, 1:6, 1:6, 1:6], cube[0, 3, 3, 3] = 1, 0  # one part with a cavity
    assert euler_density(cube[None] == 1, periodic=True)[0, 0] * 512 == pytest.approx(2)


def _with_corners(mask: np.ndarray) -> np.ndarray:
    from scipy.ndimage import label

    found: np.ndarray = label(mask, np.ones((3, 3)))[0]
    return found


def test_windows_of_a_material_have_its_descriptors() -> None:
    """Nothing crosses the edges of images that are not periodic: windows of stripes are stripes wherever they are."""
    image = stripes(96, 8)
    windows = np.stack([image[a : a + 40, :40] for a in (0, 3, 5)])
    given, whole = describe(windows, periodic=False, lags=(1, 2, 4)), describe(image[None], lags=(1, 2, 4))
    lengths = [*range(12), *range(12, 28)]
    np.testing.assert_allclose(given.values[:, lengths], whole.values[:, lengths].repeat(3, 0), atol=0.2)
    np.testing.assert_allclose(given.spread / whole.spread, 96 / 40)


def test_one_phase_and_no_images() -> None:
    assert describe(np.zeros((2, 16, 16), np.uint8)).one_phase.all()
    assert describe(np.zeros((0, 16, 16), np.uint8)).values.shape == (0, describe(noise(1, (16, 16))).values.shape[1])
    assert lags_of((16, 64)) == (1, 2, 4)
    assert lags_of((3, 3)) == (1,)
    with pytest.raises(InputError, match="1 phase"):
        describe(noise(1, (8, 8), 1), 1)


def test_differences() -> None:
    """Copies differ by nothing, realisations of noise by about one, stripes and images of one phase by far more."""
    images = np.concatenate([noise(6, (64, 64)), stripes(64, 8)[None], np.zeros((1, 64, 64), np.uint8)])
    points = coordinates(images)
    found = differences(points[0], points)
    assert found[0] == 0
    assert (found[1:6] < 1).all()
    assert (found[6:] > 5).all()
    shifted = coordinates(np.roll(images, (3, 9), (1, 2)))
    np.testing.assert_allclose(nearest_difference(shifted, points), 0, atol=1e-4)

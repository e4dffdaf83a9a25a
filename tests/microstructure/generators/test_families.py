"""What single families claim: volume fractions, isotropy and anisotropy, characteristic lengths, and diversity."""

import itertools
import json
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage

from microdesign.microstructure.generators.registry import generate
from microdesign.microstructure.statistics.two_point import two_point

MICRO2D = [
    "AngEllipse",
    "GRF",
    "NBSA",
    "RandomEllipse",
    "VoidSmall",
    "VoidSmallBig",
    "VoronoiLarge",
    "VoronoiMedium",
    "VoronoiMediumSpaced",
    "VoronoiSmall",
]


def drawn(family: str, count: int, size: int, dims: int = 2, seed: int = 0) -> list[tuple[np.ndarray, dict[str, Any]]]:
    batch = generate(family, count, (size,) * dims, seed=seed)
    return list(zip(batch.labels, map(json.loads, batch.generation), strict=True))


def surface(image: np.ndarray, axis: int) -> float:
    return float((np.roll(image, -1, axis) != image).mean())


def components(image: np.ndarray) -> int:
    """Number of regions of ones of an image, connected by sides or corners, and around the edges."""
    labels, count = ndimage.label(image, ndimage.generate_binary_structure(image.ndim, image.ndim))
    parent = list(range(count + 1))

    def root(i: int) -> int:
        while parent[i] != i:
            i = parent[i]
        return i

    for axis in range(image.ndim):
        for step in (-1, 0, 1):
            for a, b in zip(np.roll(labels.take(0, axis), step), labels.take(-1, axis), strict=True):
                if a and b:
                    parent[root(a)] = root(b)
    return sum(parent[i] == i for i in range(1, count + 1))


def spectrum(image: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    power = np.abs(np.fft.fftn(image - image.mean())) ** 2
    return power, np.meshgrid(*(np.fft.fftfreq(n) for n in image.shape), indexing="ij")


def test_fields_meet_their_fraction_to_a_pixel() -> None:
    fields = [("GRF", 0.03, 0.5), ("Spinodal", 0.2, 0.8)]
    for (family, low, high), dims in itertools.product(fields, (2, 3)):
        samples = drawn(family, 60, 20, dims)
        for image, parameters in samples:
            assert abs(image.mean() - parameters["fraction"]) <= 0.5 / image.size + 5e-5
            # Images are averaged from larger ones, which loses a few pixels.
            assert 0.5 * low <= parameters["fraction"] <= high + 0.05
        assert np.ptp([parameters["fraction"] for _, parameters in samples]) > 0.8 * (high - low)


def test_filtered_noise_is_spread_as_by_latin_hypercube() -> None:
    for dims in (2, 3):
        samples = drawn("FilteredNoise", 64, 24, dims)
        fractions = np.array([parameters["fraction"] for _, parameters in samples])
        np.testing.assert_allclose([image.mean() for image, _ in samples], fractions, atol=0.5 / 24**dims + 5e-5)
        # One in each of 64 equal intervals; labels are rounded, so intervals may be missed by their edges.
        assert np.abs(np.sort(fractions) - (0.1 + 0.8 * (np.arange(64) + 0.5) / 64)).max() < 0.5 * 0.8 / 64 + 1e-4
        assert sum(parameters["kernel"] == "box" for _, parameters in samples) == 32
        for _, parameters in samples:
            assert len(parameters["lengths"]) == dims
            if parameters["kernel"] == "box":
                assert all(width % 2 == 1 and 3 <= width <= 0.4 * 24 + 1 for width in parameters["lengths"])


def test_filtered_noise_is_longer_along_its_longer_axis() -> None:
    for dims in (2, 3):
        ratios, kernels = [], []
        for image, parameters in drawn("FilteredNoise", 60, 32, dims):
            for axis in range(1, dims):
                kernels.append(np.log(parameters["lengths"][0] / parameters["lengths"][axis]))
                ratios.append(np.log(surface(image, axis) / max(surface(image, 0), 1e-6)))
        assert np.corrcoef(kernels, ratios)[0, 1] > 0.85


def test_the_filter_kernels_are_what_they_say() -> None:
    from microdesign.microstructure.generators.fields import _box_transfer, filtered, gaussian_transfer

    point = np.zeros((24, 15), dtype=np.float32)
    point[0, 0] = 1.0
    box = filtered(point, _box_transfer((24, 15), [5, 3]))
    rows, columns = np.abs(np.fft.fftfreq(24, 1 / 24)) <= 2, np.abs(np.fft.fftfreq(15, 1 / 15)) <= 1
    np.testing.assert_allclose(box, np.outer(rows, columns) / 15, atol=1e-6)
    gauss = filtered(point, gaussian_transfer((24, 15), [2.0, 1.2], np.eye(2)))
    x, y = np.fft.fftfreq(24, 1 / 24)[:, None], np.fft.fftfreq(15, 1 / 15)
    expected = np.exp(-(x**2) / 8 - y**2 / (2 * 1.44))
    np.testing.assert_allclose(gauss, expected / expected.sum(), atol=2e-5)


def test_spinodal_has_its_wavelength() -> None:
    for dims, size in [(2, 96), (3, 32)]:
        for image, parameters in drawn("Spinodal", 40, size, dims):
            power, waves = spectrum(image)
            k = np.sqrt(sum(w * w for w in waves))
            # Below the second harmonic that thresholding adds.
            low = (k > 0) & (k < 1.6 / parameters["wavelength"])
            mean = (power * k)[low].sum() / power[low].sum()
            assert mean * parameters["wavelength"] == pytest.approx(1.0, abs=0.25)
            ring = np.abs(k * parameters["wavelength"] - 1) < max(0.3, 1.5 * parameters["wavelength"] / size)
            assert power[ring].sum() > 0.5 * power.sum()


def test_lamellar_spinodal_lies_along_its_angle() -> None:
    seen = 0
    for image, parameters in drawn("Spinodal", 150, 96):
        if parameters["axes"] == 1 and parameters["spread"] < 0.3:
            power, (kx, ky) = spectrum(image)
            double = np.arctan2((power * 2 * kx * ky).sum(), (power * (kx**2 - ky**2)).sum())
            off = (double / 2 - parameters["angle"] + np.pi / 2) % np.pi - np.pi / 2
            assert abs(off) < 0.3
            seen += 1
    assert seen > 5


def test_isotropic_ones_have_as_much_surface_along_x_as_along_y() -> None:
    for family in ("RandomEllipse", "VoidSmall", "VoidSmallBig", "VoronoiSmall", "Circles", "Spinodal"):
        ratios = [
            np.log(surface(image, 0) / surface(image, 1))
            for image, parameters in drawn(family, 160, 96)
            if not parameters.get("axes")
        ]
        assert len(ratios) > 40
        assert abs(np.mean(ratios)) < 0.05
        assert np.quantile(np.abs(ratios), 0.9) < 0.45


def test_aligned_ellipses_lie_along_their_angle() -> None:
    for image, parameters in drawn("AngEllipse", 80, 96):
        power, (kx, ky) = spectrum(image)
        # Features of the size of an ellipse, not of their arrangement.
        power = power * (np.hypot(kx, ky) > 0.08)
        # The spectrum is narrow along the ellipses: its long axis is across them.
        double = np.arctan2((power * 2 * kx * ky).sum(), (power * (kx**2 - ky**2)).sum())
        off = (double / 2 - parameters["angle"]) % np.pi - np.pi / 2
        assert abs(off) < 0.3


def test_a_polycrystal_has_straight_grains_of_several_phases() -> None:
    batch = generate("Polycrystal", 40, (64, 64), n_phases=5)
    fractions = np.array([json.loads(text)["fractions"] for text in batch.generation])
    np.testing.assert_allclose(fractions.sum(axis=1), 1, atol=1e-3)
    # Dirichlet shares: far from equal, no phase preferred.
    assert fractions.std(axis=1).mean() > 0.08
    np.testing.assert_allclose(fractions.mean(axis=0), 0.2, atol=0.08)


def test_circles_are_those_of_the_paper() -> None:
    for image, parameters in drawn("Circles", 20, 224):
        assert parameters["radius"] == pytest.approx(20)
        assert np.pi * 400 * 0.95 < image.sum() < 5 * np.pi * 400 * 1.02
        assert components(image) <= 5


def test_lines_are_straight_and_spaced_as_labelled() -> None:
    kinds = set()
    for image, parameters in drawn("Lines", 40, 100):
        across = image if parameters["along"] == "y" else image.T
        assert (across == across[:, :1]).all()
        profile = across[:, 0].astype(int)
        starts = np.flatnonzero(profile > np.roll(profile, 1))
        assert profile.sum() == len(starts) * parameters["thickness"]
        spacings = np.diff(starts, append=starts[0] + 100)
        first = parameters["spacings"]
        turns = [first[i:] + first[:i] for i in range(len(first))]
        assert spacings.tolist() in turns
        kinds.add((parameters["along"], parameters["thickness"]))
    assert len(kinds) >= 4


def correlations(family: str, count: int) -> np.ndarray:
    """Normalised autocovariances (f - phi^2) / (phi - phi^2) up to 16 pixels, of 64 x 64 images, flattened."""
    indicator = torch.from_numpy(generate(family, count, (64, 64), seed=3).labels).double()
    phi = indicator.mean((1, 2))[:, None, None]
    f = (two_point(indicator) - phi**2) / (phi - phi**2)
    return torch.roll(f, 16, 2)[:, :17, :33].reshape(count, -1).numpy()


def test_statistics_are_more_diverse_over_classes_than_within_one() -> None:
    count = 50
    rows = np.concatenate([correlations(family, count) for family in MICRO2D])
    centred = rows - rows.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    scores = (centred @ axes[:4].T).reshape(len(MICRO2D), count, 4)
    # More than a handful of numbers is needed: the first component is far from all of it.
    assert values[0] ** 2 < 0.75 * (values**2).sum()
    everything = scores.reshape(-1, 4)
    within = scores.var(axis=1)
    assert (within.mean(axis=0) < everything.var(axis=0)).all()
    # The volume that the samples fill (square root of the covariance's determinant), per class and for all classes.
    volume = np.array([np.sqrt(np.linalg.det(np.cov(each.T))) for each in scores])
    whole = np.sqrt(np.linalg.det(np.cov(everything.T)))
    assert whole > 2 * np.median(volume)
    assert (whole > volume).sum() >= 7
    # Classes are told apart by their statistics alone: nearest other sample, chance is one in ten.
    eight = (centred @ axes[:8].T) / values[:8]
    distance = np.linalg.norm(eight[:, None] - eight, axis=-1) + 1e9 * np.eye(len(eight))
    classes = np.repeat(np.arange(len(MICRO2D)), count)
    assert (classes[distance.argmin(axis=1)] == classes).mean() > 0.3


def test_statistics_do_not_see_a_shift() -> None:
    for family in ("GRF", "NBSA", "VoidSmall", "VoronoiSmall", "Polycrystal"):
        for image, _ in drawn(family, 3, 32):
            moved = np.roll(image, (5, 17), (0, 1))
            for axis in (0, 1):
                assert surface(moved, axis) == surface(image, axis)
            f, g = (two_point(torch.from_numpy(np.ascontiguousarray(each)).double()) for each in (image, moved))
            torch.testing.assert_close(f, g, atol=1e-12, rtol=0)
            assert components(moved) == components(image)

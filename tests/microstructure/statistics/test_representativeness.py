"""The spread of windows against what is known of images without correlation, and of images of random blocks."""

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.microstructure.statistics.representativeness import representativeness_of
from tests.cases import case


def blocks(shape: tuple[int, ...], edge: int, phi: float, seed: int = 0) -> np.ndarray:
    """Blocks of an edge, each of phase 1 with probability phi: of integral range edge^d."""
    labels = (np.random.default_rng(seed).random([n // edge for n in shape]) < phi).astype(np.uint8)
    for axis in range(len(shape)):
        labels = labels.repeat(edge, axis)
    return labels


def test_the_integral_range_of_random_blocks() -> None:
    for shape, edge, phi in [((256, 256), 1, 0.3), ((256, 256), 4, 0.3), ((64, 64, 64), 2, 0.5)]:
        with case(shape=shape, edge=edge):
            dims = len(shape)
            images = [representativeness_of(blocks(shape, edge, phi, seed), 2) for seed in range(1, 4)]
            ranges = [found["settles"]["fraction 1"]["integral_range"] for found in images]
            assert np.mean(ranges) == pytest.approx(edge**dims, rel=0.25)
            for found, integral_range in zip(images, ranges, strict=True):
                settled, mean = found["settles"]["fraction 1"], found["sizes"][-1]["quantities"]["fraction 1"]["mean"]
                # Kanit et al.: 2 D(V) / mean, with D(V)^2 = phi (1 - phi) A / V.
                error = 2 * np.sqrt((1 - mean) / mean * integral_range)
                assert settled["error_of_image"] == pytest.approx(error / np.sqrt(np.prod(shape)))
                assert settled["size"] == np.ceil((error / found["tolerance"]) ** (2 / dims))
                windows = (error / found["tolerance"]) ** 2 / found["recommended_size"] ** dims
                assert settled["windows_of_recommended"] == np.ceil(windows)
                # Blocks are not correlated beyond their edge.
                assert edge / 2 <= found["correlation_range"] <= 1.5 * edge
                assert found["recommended_size"] == 32


def test_two_point_statistics_are_those_of_the_pairs_inside_a_window() -> None:
    labels = blocks((64, 64), 4, 0.4, seed=3)
    found = representativeness_of(labels, 2)
    lag = found["two_point_offset"]
    assert lag > 1
    for row in found["sizes"][:2]:
        size = row["size"]
        place = np.indices((size, size)).reshape(2, -1)
        distance = np.sqrt(((place[:, :, None] - place[:, None]) ** 2).sum(0))
        first, second = np.nonzero(np.rint(distance) == lag)
        windows = [labels[x : x + size, y : y + size].ravel() for x in range(0, 64, size) for y in range(0, 64, size)]
        expected = [float((window[first] & window[second]).mean()) for window in windows]
        assert row["quantities"]["two-point 1"]["mean"] == pytest.approx(np.mean(expected), rel=1e-5)
        assert row["quantities"]["two-point 1"]["std"] == pytest.approx(np.std(expected, ddof=1), rel=1e-4)


def test_more_quantities_are_measured_and_biased_sizes_are_not_recommended() -> None:
    labels = blocks((512, 512), 2, 0.5)

    def measure(windows: np.ndarray) -> dict[str, np.ndarray]:
        mean = windows.mean((1, 2))
        return {"fair": mean, "biased": mean + 20 / windows.shape[1], "missing": np.full(len(windows), np.nan)}

    found = representativeness_of(labels, 2, measure)
    assert found["settles"]["missing"]["size"] is None
    assert found["settles"]["fair"] == {
        name: value for name, value in found["settles"]["fraction 1"].items() if name != "integral_range"
    }
    assert "the mean of biased differs" in found["reason"]
    assert found["recommended_size"] > 64
    assert "range of correlation" in representativeness_of(labels, 2)["reason"]


def test_what_cannot_be_measured_is_refused() -> None:
    for labels, tolerance, message in [
        (blocks((60, 100), 1, 0.5), 0.1, "has 60 x 100 pixels; expected at least 64 along each axis"),
        (np.ones((64, 64), np.uint8), 0.1, r"holds one phase alone \(label 1\)"),
        (blocks((64, 64), 1, 0.5), 0.0, "tolerance = 0.0 is out of range"),
    ]:
        with case(message=message), pytest.raises(InputError, match=message):
            representativeness_of(labels, 2, tolerance=tolerance)

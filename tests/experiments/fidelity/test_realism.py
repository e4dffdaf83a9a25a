import numpy as np
import pytest

from microdesign.experiments.fidelity.realism import distribution_shifts, largest_cross_correlation, morphology


def stripes(width: int, size: int = 32) -> np.ndarray:
    return np.repeat((np.arange(size) // width % 2).astype(np.uint8)[:, None], size, axis=1)


def test_morphology_of_stripes_is_known() -> None:
    values = {name: array[0] for name, array in morphology(stripes(4)[None]).items()}
    assert values["volume_fraction"] == 0.5
    assert values["specific_surface"] == 0.25  # an interface every 4 pixels
    assert values["chord_phase_0"] == values["chord_phase_1"] == (4 + 32) / 2  # across, and endless along
    assert values["feature_size"] == values["feature_size_phase_0"] == values["feature_size_phase_1"] == 4
    assert values["euler_number"] == pytest.approx(0, abs=1e-3)  # stripes are rings in the tiled image
    assert values["percolation_phase_0"] == values["percolation_phase_1"] == 0.5  # along one axis of two
    assert values["anisotropy"] == pytest.approx(1, abs=1e-6)
    assert values["corner_contacts"] == 0


def test_a_checkerboard_of_pixels_has_corner_contacts_everywhere() -> None:
    checkerboard = (np.indices((32, 32)).sum(0) % 2).astype(np.uint8)
    values = morphology(checkerboard[None])
    assert values["corner_contacts"][0] == 1000
    assert values["feature_size"][0] == 1


def test_shifted_and_inverted_copies_correlate_and_independent_noise_does_not() -> None:
    stream = np.random.default_rng(0)
    one = (stream.random((32, 32)) < 0.4).astype(np.uint8)
    copies = [np.roll(one, (number, 3 * number), (0, 1)) for number in range(4)]
    assert largest_cross_correlation(np.stack([*copies, 1 - one])) == pytest.approx(np.ones(5))
    strangers = (stream.random((16, 32, 32)) < 0.4).astype(np.uint8)
    assert (
        largest_cross_correlation(strangers) < 0.25
    ).all()  # the largest of 1024 correlations of standard deviation 1 / 32
    assert largest_cross_correlation(strangers[:1] * 0) == pytest.approx(0)


def test_images_of_one_phase_have_finite_statistics() -> None:
    for name, values in morphology(np.stack([np.zeros((16, 16)), np.ones((16, 16))]).astype(np.uint8)).items():
        assert np.isfinite(values).all(), name


def test_a_shifted_distribution_exceeds_the_null_distance() -> None:
    stream = np.random.default_rng(0)
    data = {"s": stream.normal(size=2000)}
    same = distribution_shifts({"s": stream.normal(size=300)}, data)["s"]
    shifted = distribution_shifts({"s": stream.normal(size=300) + 1}, data)["s"]
    assert shifted.distance == pytest.approx(1, abs=0.15)  # in standard deviations
    assert shifted.distance > 3 * shifted.null_distance
    assert same.inside == pytest.approx(0.98, abs=0.03)
    assert same.data_inside == pytest.approx(0.98, abs=1e-3)
    assert shifted.inside < same.inside


def test_draws_of_the_data_are_within_the_null_distance_nineteen_times_in_twenty() -> None:
    """Four draws a target, independent or equal: the more correlated, the smaller the effective sample."""
    for correlation in (0.0, 0.5, 1.0):
        stream, beyond = np.random.default_rng(0), []
        for _ in range(60):
            own, shared = stream.normal(size=(50, 4)), stream.normal(size=(50, 1))
            draws = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
            found = distribution_shifts({"s": draws.ravel()}, {"s": stream.normal(size=200)}, group=4, rounds=60)["s"]
            beyond.append(found.distance > found.null_distance)
        assert np.mean(beyond) <= 0.12, correlation

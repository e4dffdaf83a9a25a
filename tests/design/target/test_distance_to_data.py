import numpy as np

from microdesign.design.target.distance_to_data import distance_to_data
from microdesign.design.target.target import Target


def table() -> np.ndarray:
    return np.exp(np.random.default_rng(0).normal(size=(500, 2)))


def test_inside_is_told_from_outside() -> None:
    assert not distance_to_data(Target(properties={"Ex": 1.0, "Ey": 1.0}), table()).is_outside
    far = distance_to_data(Target(properties={"Ex": 1000.0, "Ey": 0.001}), table())
    assert far.is_outside
    assert "OUTSIDE" in str(far)


def test_a_bound_is_reached_by_whatever_keeps_it() -> None:
    assert distance_to_data(Target(properties={"Ex": {"at_least": 1}, "Ey": {"maximize": True}}), table()).distance == 0
    assert distance_to_data(Target(properties={"Ex": {"at_least": 1000}, "Ey": {"at_most": 1}}), table()).is_outside


def test_a_property_that_all_samples_share_does_not_count() -> None:
    """Phases of one conductivity: kx has no spread to divide by, whatever rounding makes of it."""
    rounding = 7 * (1 + 1e-6 * np.random.default_rng(1).normal(size=(500, 1)))
    for constant in (np.full((500, 1), 7.0), rounding, np.zeros((500, 1))):
        both = np.concatenate([table(), constant], axis=1)
        alone = distance_to_data(Target(properties={"Ex": 1.0, "Ey": 1.0}), table())
        assert distance_to_data(Target(properties={"Ex": 1.0, "Ey": 1.0, "kx": 7.0}), both) == alone
        assert distance_to_data(Target(properties={"Ex": 1.0, "Ey": 1.0, "kx": {"at_least": 7.0}}), both) == alone
        assert not distance_to_data(Target(properties={"kx": 7.0}), constant).is_outside

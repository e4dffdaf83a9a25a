import numpy as np

from microdesign.design.target.distance_to_data import reach
from microdesign.design.target.targets import Target


def table() -> np.ndarray:
    return np.exp(np.random.default_rng(0).normal(size=(500, 2)))


def test_inside_is_told_from_outside() -> None:
    assert not reach(Target(properties={"Ex": 1.0, "Ey": 1.0}), table()).outside
    far = reach(Target(properties={"Ex": 1000.0, "Ey": 0.001}), table())
    assert far.outside
    assert "OUTSIDE" in str(far)


def test_a_bound_is_reached_by_whatever_keeps_it() -> None:
    assert reach(Target(properties={"Ex": {"at_least": 1}, "Ey": {"maximize": True}}), table()).distance == 0
    assert reach(Target(properties={"Ex": {"at_least": 1000}, "Ey": {"at_most": 1}}), table()).outside


def test_a_property_that_all_samples_share_does_not_count() -> None:
    """Phases of one conductivity: kx has no spread to divide by, whatever rounding makes of it."""
    rounding = 7 * (1 + 1e-6 * np.random.default_rng(1).normal(size=(500, 1)))
    for constant in (np.full((500, 1), 7.0), rounding, np.zeros((500, 1))):
        both = np.concatenate([table(), constant], axis=1)
        alone = reach(Target(properties={"Ex": 1.0, "Ey": 1.0}), table())
        assert reach(Target(properties={"Ex": 1.0, "Ey": 1.0, "kx": 7.0}), both) == alone
        assert reach(Target(properties={"Ex": 1.0, "Ey": 1.0, "kx": {"at_least": 7.0}}), both) == alone
        assert not reach(Target(properties={"kx": 7.0}), constant).outside

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

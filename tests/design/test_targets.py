import numpy as np
import pytest

from microdesign.config import validate_config
from microdesign.design.targets import Target, reach
from microdesign.errors import InputError


def test_error_is_that_of_the_worst_property():
    target = Target(properties={"Ex": 2.0, "vxy": -0.1})
    assert target.errors(np.array([[2.1, -0.1], [2.0, -0.08]])) == pytest.approx([0.05, 0.2])
    assert target.deviations(np.array([[2.0, -0.08]]))[0] == pytest.approx([0.0, 0.2])


def test_volume_fraction_is_checked_on_the_image():
    images = np.zeros((3, 4, 4), np.uint8)
    images[1, :2] = 1
    images[2] = 1
    assert Target(properties={"Ex": 1}, volume_fraction=(0.1, 0.5)).admits(images).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"properties": {}}, "properties"),
        ({"properties": {"Ex": 0}}, "Ex = 0.*other than 0"),
        ({"properties": {"Ex": float("nan")}}, "Ex = nan"),
        ({"properties": {"Ex": 1}, "volume_fraction": [0.6, 0.4]}, "low < high"),
        ({"properties": {"Ex": 1}, "tolerance": 0}, "tolerance"),
        ({"properties": {"Ex": 1}, "colour": 1}, "unknown key 'colour'"),
    ],
)
def test_bad_targets(values, message):
    with pytest.raises(InputError, match=message):
        validate_config(Target, values, "the target")


def test_reach_tells_inside_from_outside():
    table = np.exp(np.random.default_rng(0).normal(size=(500, 2)))
    assert not reach(Target(properties={"Ex": 1.0, "Ey": 1.0}), table).outside
    far = reach(Target(properties={"Ex": 1000.0, "Ey": 0.001}), table)
    assert far.outside
    assert "OUTSIDE" in str(far)

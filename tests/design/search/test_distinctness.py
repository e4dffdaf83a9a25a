import numpy as np

from microdesign.design.search.distinctness import basin_of, distinct_best, is_distinct
from microdesign.microstructure.statistics.difference import coordinates


def stripes(width: int, axis: int = 0) -> np.ndarray:
    image = np.zeros((16, 16), np.uint8)
    image[np.arange(16) % (2 * width) < width] = 1
    return image if axis == 0 else image.T


def test_distinctness_ignores_periodic_shifts():
    image = (np.random.default_rng(0).random((1, 16, 16)) < 0.3).astype(np.uint8)
    points = coordinates(image)
    shifted = np.roll(image, (2, 7), axis=(1, 2))
    assert not is_distinct(coordinates(shifted)[0], points, 1e-4)
    assert is_distinct(coordinates(1 - image)[0], points)


def test_the_best_distinct_designs():
    images = np.stack([stripes(1), np.roll(stripes(1), 1, 0), stripes(2), stripes(4), stripes(1, 1)])
    points = coordinates(images)
    errors = np.array([0.1, 0.0, 0.3, 0.2, 0.4])
    same = np.zeros(5, int)
    assert distinct_best(errors, same, points, 3) == [1, 3, 2]  # 0 is a shifted copy of 1
    assert distinct_best(errors, np.array([0, 0, 0, 0, 1]), points, 3) == [1, 3, 4]
    assert distinct_best(errors, np.array([1, 0, 0, 0, 0]), points, 3) == [1, 3, 2]  # the other one is a copy
    assert distinct_best(errors[:0], same[:0], points[:0], 3) == []


def test_every_component_that_is_good_enough_has_its_turn():
    images = np.stack([stripes(1), stripes(2), stripes(4), stripes(1, 1), stripes(2, 1)])
    errors, component = np.array([0.0, 0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 0, 1, 2])
    points = coordinates(images)
    assert distinct_best(errors, component, points, 3) == [0, 3, 4]
    assert distinct_best(errors, component, points, 4) == [0, 1, 3, 4]
    assert distinct_best(errors, component, points, 3, errors < 0.35) == [0, 1, 3]
    assert distinct_best(errors, component, points, 3, errors < 0) == [0, 1, 2]


def test_niches_are_within_components():
    images = np.stack([stripes(1), stripes(4), stripes(1), stripes(4), stripes(4)])
    component = np.array([0, 0, 0, 0, 1])
    assert basin_of(coordinates(images), component, [0, 1]).tolist() == [0, 1, 0, 1, -1]

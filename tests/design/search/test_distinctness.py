import numpy as np
import pytest
import torch

from microdesign.design.search.distinctness import (
    distance,
    distinct_best,
    is_distinct,
    niche_of,
    novelty,
    statistics_of,
)


def stripes(width: int, axis: int = 0) -> np.ndarray:
    image = np.zeros((16, 16), np.uint8)
    image[np.arange(16) % (2 * width) < width] = 1
    return image if axis == 0 else image.T


def test_distinctness_and_novelty_ignore_periodic_shifts():
    image = (np.random.default_rng(0).random((1, 16, 16)) < 0.3).astype(np.uint8)
    statistics = statistics_of(image)
    shifted = np.roll(image, (2, 7), axis=(1, 2))
    assert not is_distinct(statistics_of(shifted)[0], statistics, 1e-4)
    assert novelty(shifted, statistics) == pytest.approx([0], abs=1e-5)
    assert is_distinct(statistics_of(1 - image)[0], statistics)


def test_distance_of_stripes_along_and_across():
    """Autocovariances a(i) and a(j), a = +-1/4 for stripes of one pixel: their difference is 0 or +-1/2, half each."""
    along, across = statistics_of(np.stack([stripes(1), stripes(1, axis=1)]))
    assert float(distance(along, across[None])) == pytest.approx(0.5**0.5 * 0.5 / 0.25)


def test_one_phase_images_have_a_finite_distance():
    assert torch.isfinite(distance(*(lambda s: (s[0], s))(statistics_of(np.zeros((2, 8, 8), np.uint8))))).all()


def test_the_best_distinct_designs():
    images = np.stack([stripes(1), np.roll(stripes(1), 1, 0), stripes(2), stripes(4), stripes(1, 1)])
    statistics = statistics_of(images)
    errors = np.array([0.1, 0.0, 0.3, 0.2, 0.4])
    same = np.zeros(5, int)
    assert distinct_best(errors, same, statistics, 3) == [1, 3, 2]  # 0 is a shifted copy of 1
    assert distinct_best(errors, np.array([0, 0, 0, 0, 1]), statistics, 3) == [1, 3, 4]
    assert distinct_best(errors, np.array([1, 0, 0, 0, 0]), statistics, 3) == [1, 3, 2]  # the other one is a copy
    assert distinct_best(errors[:0], same[:0], statistics[:0], 3) == []


def test_every_component_that_is_good_enough_has_its_turn():
    images = np.stack([stripes(1), stripes(2), stripes(4), stripes(1, 1), stripes(2, 1)])
    errors, component = np.array([0.0, 0.1, 0.2, 0.3, 0.4]), np.array([0, 0, 0, 1, 2])
    statistics = statistics_of(images)
    assert distinct_best(errors, component, statistics, 3) == [0, 3, 4]
    assert distinct_best(errors, component, statistics, 4) == [0, 1, 3, 4]
    assert distinct_best(errors, component, statistics, 3, errors < 0.35) == [0, 1, 3]
    assert distinct_best(errors, component, statistics, 3, errors < 0) == [0, 1, 2]


def test_niches_are_within_components():
    images = np.stack([stripes(1), stripes(4), stripes(1), stripes(4), stripes(4)])
    component = np.array([0, 0, 0, 0, 1])
    assert niche_of(statistics_of(images), component, [0, 1]).tolist() == [0, 1, 0, 1, -1]

import numpy as np
import pytest

from microdesign.design.screening import Designs, is_distinct, novelty, screen, statistics_of
from microdesign.design.targets import Target


def designs(predicted, component, labels=None) -> Designs:
    n = len(predicted)
    if labels is None:
        labels = (np.random.default_rng(0).random((n, 16, 16)) < np.linspace(0.2, 0.8, n)[:, None, None]).astype(
            np.uint8
        )
    return Designs(np.arange(n)[:, None] * 1.0, np.array(component), labels, np.array(predicted)[:, None], ("",) * n)


def test_every_component_gives_its_best():
    chosen = screen(designs([1.5, 1.1, 1.01, 3.0, 2.0, 2.5], [0, 0, 0, 1, 1, 1]), Target(properties={"Ex": 1.0}), 4)
    assert chosen.z[:, 0].tolist() == [2, 4, 1, 5]


def test_twins_are_passed_over():
    labels = designs([1, 1, 1], [0, 0, 0]).labels
    labels[1] = np.roll(labels[0], (3, 5), axis=(0, 1))
    chosen = screen(designs([1.0, 1.01, 1.02], [0, 0, 0], labels), Target(properties={"Ex": 1.0}), 3)
    assert chosen.z[:, 0].tolist() == [0, 2]


def test_distinctness_and_novelty_ignore_periodic_shifts():
    image = designs([1], [0]).labels
    statistics = statistics_of(image)
    shifted = np.roll(image, (2, 7), axis=(1, 2))
    assert not is_distinct(statistics_of(shifted)[0], statistics, 1e-4)
    assert novelty(shifted, statistics) == pytest.approx([0], abs=1e-6)
    assert is_distinct(statistics_of(1 - image)[0], statistics)


def test_nothing_to_screen():
    none = designs([1.0], [0]).select(np.array([]))
    assert len(screen(none, Target(properties={"Ex": 1.0}), 4)) == 0

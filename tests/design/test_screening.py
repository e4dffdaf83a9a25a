import numpy as np

from microdesign.design.screening import Designs, screen
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


def test_nothing_to_screen():
    none = designs([1.0], [0]).select(np.array([]))
    assert len(screen(none, Target(properties={"Ex": 1.0}), 4)) == 0

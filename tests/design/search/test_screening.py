import itertools

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from microdesign.design.search.screening import DISTINCT, Designs, diverse, ranks, screen
from microdesign.design.target.target import Target
from microdesign.microstructure.statistics.difference import coordinates

TARGET = Target(properties={"Ex": 1.0})


def designs(predicted, component, labels=None, std=0.0) -> Designs:
    n = len(predicted)
    if labels is None:
        labels = (np.random.default_rng(0).random((n, 64, 64)) < np.linspace(0.2, 0.8, n)[:, None, None]).astype(
            np.uint8
        )
    spread = np.broadcast_to(np.asarray(std, float), n)[:, None]
    z = np.arange(n)[:, None] * 1.0
    return Designs(z, np.array(component), labels, np.array(predicted)[:, None], spread, ("",) * n)


def test_every_component_gives_its_best():
    chosen = screen(designs([1.5, 1.1, 1.01, 3.0, 2.0, 2.5], [0, 0, 0, 1, 1, 1]), TARGET, 4)
    assert chosen.z[:, 0].tolist() == [2, 4, 1, 5]


def test_the_component_of_the_most_promising_design_comes_first():
    chosen = screen(designs([3.0, 2.0, 2.5, 1.5, 1.1, 1.01], [0, 0, 0, 1, 1, 1]), TARGET, 4)
    assert chosen.z[:, 0].tolist() == [5, 1, 4, 2]


def test_twins_are_passed_over():
    labels = designs([1, 1, 1], [0, 0, 0]).labels
    labels[1] = np.roll(labels[0], (3, 5), axis=(0, 1))
    chosen = screen(designs([1.0, 1.01, 1.02], [0, 0, 0], labels), TARGET, 2)
    assert chosen.z[:, 0].tolist() == [0, 2]


def test_a_sure_prediction_comes_before_an_unsure_one():
    assert ranks(designs([1.0, 1.05], [0, 0], std=[0.2, 0.01]), TARGET).tolist() == [1, 0]
    assert ranks(designs([1.0, 1.05], [0, 0], std=0.01), TARGET).tolist() == [0, 1]


def test_an_optimum_ranks_by_its_mean():
    optimum = Target.model_validate({"properties": {"Ex": {"maximize": True}}})
    assert ranks(designs([1.0, 3.0, 2.0], [0, 0, 0]), optimum).tolist() == [2, 0, 1]


def test_known_microstructures_are_no_answer():
    given = designs([1.0, 1.01, 1.02], [0, 0, 0])
    known = coordinates(given.labels[:1])
    chosen = screen(given, TARGET, 3, known, least_novelty=0.5)
    assert sorted(chosen.z[:, 0].tolist()) == [1, 2]


def test_nothing_to_screen():
    none = designs([1.0], [0]).select(np.array([]))
    assert len(screen(none, TARGET, 4)) == 0


def test_the_diverse_set_has_nearly_the_largest_determinant():
    """The greedy set against all sets: its determinant is within the guarantee of a submodular maximum."""
    stream = np.random.default_rng(4)
    labels = (stream.random((8, 16, 16)) < stream.uniform(0.3, 0.7, 8)[:, None, None]).astype(np.uint8)
    labels[1], labels[2] = np.roll(labels[0], 4, 0), labels[0].T
    points, merit = coordinates(labels), stream.uniform(-0.5, 0, 8)
    d = cdist(points, points)
    kernel = np.exp(merit[:, None] + merit[None] - 0.5 * (d / DISTINCT) ** 2)

    def volume(chosen: tuple[int, ...]) -> float:
        return float(np.linalg.det(kernel[np.ix_(chosen, chosen)]))

    greedy = diverse(points, merit, np.zeros(8, int), 3)
    volumes = sorted(volume(chosen) for chosen in itertools.combinations(range(8), 3))
    assert volume(tuple(greedy)) == pytest.approx(volumes[-1], rel=0.2)
    assert len({0, 1} & set(greedy.tolist())) < 2

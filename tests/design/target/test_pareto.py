import numpy as np
import pytest

from microdesign.design.target.pareto import crowding, front_numbers


def test_fronts_of_a_case_done_by_hand() -> None:
    points = np.array([[3, 1], [1, 3], [2, 2], [1, 1], [2, 1], [3, 1], [0, 0]])
    assert front_numbers(points).tolist() == [0, 0, 0, 2, 1, 0, 3]


def test_a_front_is_what_no_point_beats() -> None:
    points = np.random.default_rng(0).random((60, 3))
    fronts = front_numbers(points)
    for i, point in enumerate(points):
        beaten_by = fronts[(points >= point).all(1) & (points > point).any(1)]
        assert fronts[i] == (beaten_by.max() + 1 if len(beaten_by) else 0)


def test_one_objective_is_a_sorting() -> None:
    assert front_numbers(np.array([[2.0], [5.0], [3.0]])).tolist() == [2, 0, 1]
    assert front_numbers(np.empty((0, 2))).tolist() == []


def test_crowding_of_evenly_spaced_points() -> None:
    line = np.linspace(0, 1, 5)
    found = crowding(np.stack([line, 1 - line], axis=1))
    assert found[[0, -1]].tolist() == [np.inf, np.inf]
    assert found[1:-1] == pytest.approx([1, 1, 1])  # two neighbours half the range apart, in both objectives


def test_designs_with_an_unknown_objective_are_in_the_first_front() -> None:
    values = np.array([[1.0, 1.0], [np.nan, 0.0], [0.0, 0.0], [np.nan, np.nan], [-1.0, -1.0]])
    assert front_numbers(values).tolist() == [0, 0, 1, 0, 2]
    assert front_numbers(np.full((3, 2), np.nan)).tolist() == [0, 0, 0]

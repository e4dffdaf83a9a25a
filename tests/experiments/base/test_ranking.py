import numpy as np

from microdesign.experiments.base.ranking import best_of, count_distinct, nearest_errors, ranked_errors
from microdesign.microstructure.statistics.difference import coordinates


def test_best_of_takes_the_ranking_and_not_the_truth() -> None:
    errors = np.array([[0.5, 0.1, 0.3, 0.05]])
    score = np.array([[0.2, 0.4, 0.1, 0.3]])
    np.testing.assert_allclose(best_of(errors, score, 4), [0.3])
    np.testing.assert_allclose(best_of(errors, score, 2), [0.5])
    np.testing.assert_allclose(best_of(errors, errors, 2), [0.1])


def test_more_draws_never_raise_the_error_of_the_oracle() -> None:
    errors, score = np.random.default_rng(0).random((2, 50, 16))
    first, four, four_oracle, all_, all_oracle = ranked_errors(errors, score)
    names = [each.name for each in (first, four, four_oracle, all_oracle)]
    assert names == ["first draw", "best of 4 by regressor", "best of 4 by oracle", "best of 16 by oracle"]
    assert (first.values >= four_oracle.values).all()
    assert (four_oracle.values >= all_oracle.values).all()
    np.testing.assert_allclose(all_oracle.values, errors.min(1))
    np.testing.assert_allclose(all_.values, errors[np.arange(50), score.argmin(1)])
    assert [each.name for each in ranked_errors(errors[:, :1], score[:, :1])][1] == "best of 1 by regressor"


def test_a_target_in_the_table_is_hit_exactly() -> None:
    table = np.random.default_rng(1).uniform(1, 2, (20, 3))
    np.testing.assert_allclose(nearest_errors(table[:5], table), 0)
    np.testing.assert_allclose(nearest_errors(np.array([[2.0]]), np.array([[1.0], [2.5], [1.8]])), [0.1])


def test_copies_and_shifted_copies_are_no_new_morphology() -> None:
    stripes = np.zeros((32, 32), np.uint8)
    stripes[::4] = stripes[1::4] = 1
    images = np.stack([stripes, np.roll(stripes, 3, 0), stripes.T, stripes.T])
    assert count_distinct(coordinates(images), 0.1) == 2
    assert count_distinct(np.zeros((0, 8)), 0.1) == 0

import numpy as np

from microdesign.design.sampling import sample_components
from microdesign.model.surrogate import Prior


def prior() -> Prior:
    return Prior(
        np.array([0.8, 0.2 - 1e-6, 1e-6]), np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]), np.full((3, 2), 0.5)
    )


def test_components_in_use_get_the_same_number_of_draws():
    draws = sample_components(prior(), 2000, seed=0)
    assert np.bincount(draws.component).tolist() == [1000, 1000]
    for k in (0, 1):
        mine = draws.z[draws.component == k]
        assert np.allclose(mine.mean(0), prior().mean[k], atol=0.08)
        assert np.allclose(mine.std(0), 0.5, atol=0.05)


def test_draws_are_seeded():
    first, again, other = (sample_components(prior(), 16, seed=s).z for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)

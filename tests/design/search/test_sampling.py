import numpy as np
import pytest
from scipy.stats import chi2, kstest

from microdesign.design.search.sampling import sample_strata
from microdesign.surrogate.protocol import Prior
from tests.design.small_model import strata_of


def prior(shift: float = 0.0) -> Prior:
    mean = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]]) + shift
    return Prior(np.array([0.8, 0.2 - 1e-6, 1e-6]), mean, np.full((3, 2), 0.5))


def test_components_in_use_get_the_same_number_of_draws():
    draws = sample_strata(strata_of(prior()), 2000, seed=0)
    assert np.bincount(draws.component).tolist() == [1000, 1000]
    for k in (0, 1):
        x = (draws.z[draws.component == k] - prior().mean[k]) / 0.5
        # Low-discrepancy: the moments are far better than those of independent draws, 1 / sqrt(1000).
        assert np.allclose(x.mean(0), 0, atol=0.005)
        assert np.allclose(x.std(0), 1, atol=0.01)
        assert kstest(x[:, 0], "norm").statistic < 0.005


def test_the_density_is_that_of_the_mixture_of_equal_shares():
    one = prior()
    draws = sample_strata(strata_of(one), 64, seed=3)
    equal = Prior(np.array([0.5, 0.5]), one.mean[:2], one.std[:2])
    assert draws.log_density == pytest.approx(equal.log_density(draws.z))


def test_draws_are_seeded():
    strata = strata_of(prior())
    first, again, other = (sample_strata(strata, 16, seed=s).z for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_every_point_has_strata_of_its_own():
    strata = strata_of(prior(), prior(shift=1.0))
    assert strata.component.tolist() == [0, 1, 0, 1]
    assert strata.nearest(np.array([[0.9, 1.1]]), np.array([0])) == 2
    assert strata.nearest(np.array([[10.9, 1.1]]), np.array([1])) == 3
    assert len(strata.joined(strata)) == 8


def test_typical_is_what_the_component_itself_draws():
    strata = strata_of(prior())
    draws = sample_strata(strata, 4000, seed=0)
    assert strata.typical(draws.z, draws.component, 0.9).mean() == pytest.approx(0.9, abs=0.01)
    # Typical of the other component is not enough.
    assert not strata.typical(draws.z, 1 - draws.component, 0.999).any()
    edge = strata.mean[:1] + 0.5 * np.sqrt(chi2.ppf(0.9, 2)) * np.array([[0.0, 1.0]])
    assert strata.typical(edge, np.array([0]), 0.91).all()
    assert not strata.typical(edge, np.array([0]), 0.89).any()

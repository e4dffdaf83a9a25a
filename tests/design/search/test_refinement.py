"""Refinement on a problem of known answer: "physics" is a smooth function of the latent, the regressor is biased."""

import numpy as np
import pytest

from microdesign.design.search.refinement import Observations, RefinementConfig, Request, refine, trust_radius
from microdesign.design.search.refiners import REFINERS
from microdesign.design.search.screening import Designs
from microdesign.design.target.targets import Target
from microdesign.surrogate.protocol import Prior
from tests.design.small_model import strata_of

LATENT = 6
TARGET = Target(properties={"Ex": 2.0, "kx": 3.0})
PRIOR = Prior(np.array([0.5, 0.5]), np.stack([np.zeros(LATENT), np.full(LATENT, 8.0)]), np.ones((2, LATENT)))
STRATA = strata_of(PRIOR)


def physics(z: np.ndarray) -> np.ndarray:
    centred = np.where(z.mean(1, keepdims=True) > 4, z - 8, z)
    return np.stack(
        [2.4 * np.exp(0.3 * centred[:, 0] + 0.1 * centred[:, 1] ** 2), 3 * np.exp(0.3 * centred[:, 2])], axis=1
    )


def regressor(z: np.ndarray) -> np.ndarray:
    return 1.1 * physics(z) ** 0.95


def decode(niche: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
    predicted = regressor(z)
    return Designs(
        z, component, np.zeros((len(z), 2, 2), np.uint8), predicted, 0.05 * predicted, parent or ("",) * len(z)
    )


def no_reserve(niche: int) -> Designs:
    return decode(niche, np.empty((0, LATENT)), np.empty(0, int), ())


def observe(z: np.ndarray, component: np.ndarray) -> Observations:
    keys = tuple(str(i) for i in range(len(z)))
    return Observations(z, component, component, regressor(z), physics(z), keys)


def start(seed: int = 0) -> Observations:
    component = np.repeat([0, 1], 8)
    z = PRIOR.mean[component] + np.random.default_rng(seed).standard_normal((16, LATENT))
    return observe(z, component)


def request(observations: Observations, count: int, seed: int, target: Target = TARGET, pool: int = 128) -> Request:
    nothing = np.empty((0, LATENT)), np.empty((0, len(target.names)))
    config = RefinementConfig(pool=pool)
    return Request(observations, nothing, [0, 1], STRATA, STRATA, target, decode, no_reserve, config, count, seed)


def searched(refiner: str, rounds: int, target: Target = TARGET) -> Observations:
    observations = start()
    for number in range(rounds):
        designs = REFINERS[refiner](request(observations, 6, number, target))
        designs = designs.select(np.arange(min(6, len(designs))))
        z, component = (
            np.concatenate(pair) for pair in ((observations.z, designs.z), (observations.component, designs.component))
        )
        observations = observe(z, component)
    return observations


def test_proposals_stay_in_their_component_and_are_shared():
    designs = refine(request(start(), 6, seed=1))
    assert np.bincount(designs.component).tolist() == [3, 3]
    distance = np.linalg.norm(designs.z - PRIOR.mean[designs.component], axis=1)
    assert (distance < 4.8).all()  # chi2(6) at 0.999: 22.46 = 4.74 ** 2
    assert set(designs.parent) <= set(start().keys)
    assert len(np.unique(designs.z, axis=0)) == 6


@pytest.mark.parametrize("refiner", REFINERS)
def test_proposals_are_seeded(refiner: str):
    first, again, other = (REFINERS[refiner](request(start(), 4, seed)).z for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("refiner", REFINERS)
def test_every_refiner_stays_where_the_prior_is(refiner: str):
    designs = REFINERS[refiner](request(start(), 8, seed=2))
    assert len(designs) >= 8
    assert STRATA.typical(designs.z, designs.component, 0.9999).all()


def test_what_waits_for_physics_is_not_proposed_again():
    first = refine(request(start(), 1, seed=5))
    pending = request(start(), 1, seed=5)
    pending = Request(**{**vars(pending), "pending": (first.z, first.predicted)})
    assert not np.array_equal(refine(pending).z, first.z)


@pytest.mark.slow
def test_it_beats_random_draws_and_evolution_of_the_same_number():
    found = {refiner: TARGET.errors(searched(refiner, 7).verified) for refiner in REFINERS}
    assert found["bayesian"].min() < 0.02
    assert found["bayesian"].min() < 0.5 * found["random"].min()
    assert found["bayesian"].min() < found["cmaes"].min() < TARGET.errors(start().verified).min()


@pytest.mark.slow
def test_an_optimum_within_a_bound_is_approached():
    target = Target.model_validate({"properties": {"Ex": {"maximize": True}, "kx": {"at_most": 3.0}}})
    observations = searched("bayesian", 6, target)
    met = physics(observations.z)[:, 1] <= 3.0
    first = physics(start().z)
    assert observations.verified[met, 0].max() > 1.3 * first[first[:, 1] <= 3.0, 0].max()


@pytest.mark.slow
def test_a_front_of_two_optima_grows():
    target = Target.model_validate({"properties": {"Ex": {"maximize": True}, "kx": {"minimize": True}}})
    verified = searched("bayesian", 4, target).verified
    assert verified[:, 0].max() > start().verified[:, 0].max()
    assert verified[:, 1].min() < start().verified[:, 1].min()


def test_the_trust_region_shrinks_and_starts_over():
    config = RefinementConfig(radius=0.5, shrink=0.5, smallest_radius=0.2)
    better = 2.0 * np.array([[1.5, 1.5], [1.4, 1.4], [1.3, 1.3], [1.2, 1.2], [1.1, 1.1]])
    worse = np.repeat([[9.0, 9.0]], 4, axis=0)
    assert trust_radius(better, TARGET, config) == 0.5
    assert trust_radius(np.concatenate((better, worse)), TARGET, config) == 0.25
    assert trust_radius(np.concatenate((better, worse, worse)), TARGET, config) == 0.5


def slopes(z: np.ndarray) -> np.ndarray:
    """Of the regressor, by central differences."""
    steps = 1e-5 * np.eye(LATENT)
    return np.stack([(regressor(z + step) - regressor(z - step)) / 2e-5 for step in steps], axis=-1)


def test_half_of_a_pool_is_aimed_by_the_models_own_slopes():
    """Predictions are off by a tenth and more, and corrected by what physics says of the centres."""
    decoded: list[np.ndarray] = []

    def kept(niche: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
        decoded.append(z)
        return decode(niche, z, component, parent)

    def aimed(**changes: object) -> float:
        decoded.clear()
        refine(Request(**{**vars(request(start(), 1, seed=1)), "decode": kept, **changes}))
        return float(np.median(TARGET.errors(physics(decoded[1]))))

    assert aimed(slopes=slopes) < 0.5 * np.median(TARGET.errors(physics(start().z)))
    assert aimed(slopes=lambda z: -slopes(z)) > 2 * aimed(slopes=slopes)


def test_a_property_that_the_model_does_not_know_is_aimed_at_by_what_the_process_expects():
    """The model says nothing of kx and has no slopes of it; physics' answers tell where it grows."""
    decoded: list[np.ndarray] = []

    def blind(values: np.ndarray) -> np.ndarray:
        return np.stack((values[:, 0], np.full(len(values), np.nan)), axis=1)

    def kept(niche: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
        decoded.append(z)
        designs = decode(niche, z, component, parent)
        return Designs(**{**vars(designs), "predicted": blind(designs.predicted)})

    def blind_slopes(z: np.ndarray) -> np.ndarray:
        return np.stack((slopes(z)[:, 0], np.full((len(z), LATENT), np.nan)), axis=1)

    z = np.random.default_rng(1).standard_normal((40, LATENT))
    better_and_better = np.argsort(physics(z)[:, 1])  # or else the trust region would have shrunk
    observations = observe(z[better_and_better], np.zeros(40, int))
    observations = Observations(**{**vars(observations), "predicted": blind(observations.predicted)})
    target = Target.model_validate({"properties": {"Ex": {"at_most": 9.0}, "kx": {"maximize": True}}})
    for known in (blind_slopes, lambda z: None):
        decoded.clear()
        asked = request(observations, 1, seed=1, target=target)
        refine(Request(**{**vars(asked), "decode": kept, "slopes": known, "niches": [0]}))
        explored, aimed = (physics(z)[:, 1] for z in decoded)
        assert np.median(aimed) > 1.1 * np.median(explored)


def test_on_the_way_to_an_optimum_the_prior_may_be_thinner():
    """5.5 standard deviations in six dimensions: a few draws of a hundred thousand."""
    z, component = np.zeros((1, LATENT)), np.zeros(1, int)
    z[0, 0] = 5.5
    optimum = Target.model_validate({"properties": {"Ex": {"maximize": True}, "kx": 3.0}})
    found = [request(start(), 1, 0, target).typical(z, component)[0] for target in (TARGET, optimum)]
    assert found == [False, True]
    assert not request(start(), 1, 0, optimum).typical(2 * z, component)[0]

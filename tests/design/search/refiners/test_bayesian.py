"""Bayesian refinement of a problem of known answer, and beside the refiners that it is measured against."""

import numpy as np
import pytest

from microdesign.design.search.refiners.bayesian import bayesian, trust_radius
from microdesign.design.search.refiners.config import RefinementConfig
from microdesign.design.search.refiners.protocol import Observations, Request, load_refiner
from microdesign.design.search.screening import Designs
from microdesign.design.target.target import Target
from tests.design.search.refiners.problem import (
    LATENT,
    PRIOR,
    TARGET,
    decode,
    observe,
    physics,
    regressor,
    request,
    start,
)


def searched(refiner: str, rounds: int, target: Target = TARGET) -> Observations:
    observations = start()
    for number in range(rounds):
        designs = load_refiner(refiner)(request(observations, 6, number, target))
        designs = designs.select(np.arange(min(6, len(designs))))
        z, component = (
            np.concatenate(pair) for pair in ((observations.z, designs.z), (observations.component, designs.component))
        )
        observations = observe(z, component)
    return observations


def test_proposals_stay_in_their_component_and_are_shared():
    designs = bayesian(request(start(), 6, seed=1))
    assert np.bincount(designs.component).tolist() == [3, 3]
    distance = np.linalg.norm(designs.z - PRIOR.mean[designs.component], axis=1)
    assert (distance < 4.8).all()  # chi2(6) at 0.999: 22.46 = 4.74 ** 2
    assert set(designs.parent) <= set(start().keys)
    assert len(np.unique(designs.z, axis=0)) == 6


def test_what_waits_for_physics_is_not_proposed_again():
    first = bayesian(request(start(), 1, seed=5))
    pending = request(start(), 1, seed=5)
    pending = Request(**{**vars(pending), "pending": (first.z, first.predicted)})
    assert not np.array_equal(bayesian(pending).z, first.z)


@pytest.mark.slow
def test_it_beats_random_draws_and_evolution_of_the_same_number():
    found = {refiner: TARGET.errors(searched(refiner, 7).verified) for refiner in ("bayesian", "cmaes", "random")}
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


def jacobian(z: np.ndarray) -> np.ndarray:
    """Of the regressor, by central differences."""
    steps = 1e-5 * np.eye(LATENT)
    return np.stack([(regressor(z + step) - regressor(z - step)) / 2e-5 for step in steps], axis=-1)


def test_half_of_a_pool_follows_the_jacobian():
    """Predictions are off by a tenth and more, and corrected by what physics says of the centres."""
    decoded: list[np.ndarray] = []

    def kept(basin: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
        decoded.append(z)
        return decode(basin, z, component, parent)

    def towards(**changes: object) -> float:
        decoded.clear()
        bayesian(Request(**{**vars(request(start(), 1, seed=1)), "decode": kept, **changes}))
        return float(np.median(TARGET.errors(physics(decoded[1]))))

    assert towards(jacobian=jacobian) < 0.5 * np.median(TARGET.errors(physics(start().z)))
    assert towards(jacobian=lambda z: -jacobian(z)) > 2 * towards(jacobian=jacobian)


def test_a_property_that_the_model_does_not_know_is_approached_by_what_the_process_expects():
    """The model says nothing of kx and has no Jacobian of it; results of physics tell where it grows."""
    decoded: list[np.ndarray] = []

    def blind(values: np.ndarray) -> np.ndarray:
        return np.stack((values[:, 0], np.full(len(values), np.nan)), axis=1)

    def kept(basin: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
        decoded.append(z)
        designs = decode(basin, z, component, parent)
        return Designs(**{**vars(designs), "predicted": blind(designs.predicted)})

    def blind_jacobian(z: np.ndarray) -> np.ndarray:
        return np.stack((jacobian(z)[:, 0], np.full((len(z), LATENT), np.nan)), axis=1)

    z = np.random.default_rng(1).standard_normal((40, LATENT))
    better_and_better = np.argsort(physics(z)[:, 1])  # or else the trust region would have shrunk
    observations = observe(z[better_and_better], np.zeros(40, int))
    observations = Observations(**{**vars(observations), "predicted": blind(observations.predicted)})
    target = Target.model_validate({"properties": {"Ex": {"at_most": 9.0}, "kx": {"maximize": True}}})
    for known in (blind_jacobian, lambda z: None):
        decoded.clear()
        asked = request(observations, 1, seed=1, target=target)
        bayesian(Request(**{**vars(asked), "decode": kept, "jacobian": known, "basins": [0]}))
        explored, towards = (physics(z)[:, 1] for z in decoded)
        assert np.median(towards) > 1.1 * np.median(explored)


def test_where_every_image_carries_nothing_steps_still_lead_to_the_target():
    """Pores cut all of them, so that Ex is 0 by physics; the model sees where it would grow."""
    decoded: list[np.ndarray] = []

    def kept(basin: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
        decoded.append(z)
        return decode(basin, z, component, parent)

    observations = start()
    cut = observations.verified * np.array([0.0, 1.0])
    observations = Observations(**{**vars(observations), "verified": cut})
    asked = Request(**{**vars(request(observations, 1, seed=1)), "decode": kept, "jacobian": jacobian})
    with np.errstate(all="raise"):
        bayesian(asked)
    explored, towards = (physics(z)[:, 0] for z in decoded)
    assert len(towards) > 10
    assert np.median(towards) > np.median(explored)


def test_on_the_way_to_an_optimum_the_prior_may_be_thinner():
    """5.5 standard deviations in six dimensions: a few draws of a hundred thousand."""
    z, component = np.zeros((1, LATENT)), np.zeros(1, int)
    z[0, 0] = 5.5
    optimum = Target.model_validate({"properties": {"Ex": {"maximize": True}, "kx": 3.0}})
    found = [request(start(), 1, 0, target).typical(z, component)[0] for target in (TARGET, optimum)]
    assert found == [False, True]
    assert not request(start(), 1, 0, optimum).typical(2 * z, component)[0]

"""Refinement on a problem of known answer: "physics" is a smooth function of the latent, the regressor is biased."""

import numpy as np
import pytest

from microdesign.design.refinement import Observations, RefinementConfig, propose
from microdesign.design.screening import Designs
from microdesign.design.targets import Target
from microdesign.model.surrogate import Prior

LATENT = 6
TARGET = Target(properties={"Ex": 2.0, "kx": 3.0})
PRIOR = Prior(np.array([0.5, 0.5]), np.stack([np.zeros(LATENT), np.full(LATENT, 8.0)]), np.ones((2, LATENT)))


def physics(z: np.ndarray) -> np.ndarray:
    centred = np.where(z.mean(1, keepdims=True) > 4, z - 8, z)
    return np.stack(
        [2.4 * np.exp(0.3 * centred[:, 0] + 0.1 * centred[:, 1] ** 2), 3 * np.exp(0.3 * centred[:, 2])], axis=1
    )


def decode(niche: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
    return Designs(z, component, np.zeros((len(z), 2, 2), np.uint8), 1.1 * physics(z) ** 0.95, parent)


def observe(z: np.ndarray, component: np.ndarray, rounds: np.ndarray) -> Observations:
    keys = tuple(str(i) for i in range(len(z)))
    return Observations(z, component, component, decode(0, z, component, keys).predicted, physics(z), keys, rounds)


def start(seed: int = 0) -> Observations:
    component = np.repeat([0, 1], 8)
    z = PRIOR.mean[component] + np.random.default_rng(seed).standard_normal((16, LATENT))
    return observe(z, component, np.zeros(16, int))


def test_proposals_stay_in_their_component_and_are_shared():
    designs = propose(start(), [0, 1], PRIOR, TARGET, decode, RefinementConfig(pool=64), count=6, seed=1)
    assert np.bincount(designs.component).tolist() == [3, 3]
    distance = np.linalg.norm(designs.z - PRIOR.mean[designs.component], axis=1)
    assert (distance < 4.8).all()  # chi2(6) at 0.999: 22.46 = 4.74 ** 2
    assert set(designs.parent) <= set(start().keys)
    assert len(np.unique(designs.z, axis=0)) == 6


def test_proposals_are_seeded():
    first, again = (
        propose(start(), [0, 1], PRIOR, TARGET, decode, RefinementConfig(pool=32), 4, seed=3).z for _ in range(2)
    )
    assert np.array_equal(first, again)


@pytest.mark.slow
def test_it_beats_random_draws_of_the_same_number():
    observations = start()
    for number in range(1, 8):
        designs = propose(observations, [0, 1], PRIOR, TARGET, decode, RefinementConfig(pool=64), count=6, seed=number)
        observations = observe(
            np.concatenate((observations.z, designs.z)),
            np.concatenate((observations.component, designs.component)),
            np.concatenate((observations.round, np.full(len(designs), number))),
        )
    component = np.random.default_rng(1).integers(2, size=len(observations.z))
    random = PRIOR.mean[component] + np.random.default_rng(2).standard_normal((len(component), LATENT))
    found = TARGET.errors(observations.verified).min()
    assert found < 0.02
    assert found < 0.5 * TARGET.errors(physics(random)).min()
    for k in (0, 1):
        assert TARGET.errors(observations.verified[observations.component == k]).min() < 0.05

"""A problem of known answer: "physics" is a smooth function of the latent, the regressor is biased."""

import numpy as np

from microdesign.design.search.refiners.config import RefinementConfig
from microdesign.design.search.refiners.protocol import Observations, Request
from microdesign.design.search.screening import Designs
from microdesign.design.target.target import Target
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


def decode(basin: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
    predicted = regressor(z)
    return Designs(
        z, component, np.zeros((len(z), 2, 2), np.uint8), predicted, 0.05 * predicted, parent or ("",) * len(z)
    )


def no_reserve(basin: int) -> Designs:
    return decode(basin, np.empty((0, LATENT)), np.empty(0, int), ())


def observe(z: np.ndarray, component: np.ndarray) -> Observations:
    keys = tuple(str(i) for i in range(len(z)))
    return Observations(z, component, component, regressor(z), physics(z), keys)


def start(seed: int = 0) -> Observations:
    component = np.repeat([0, 1], 8)
    z = PRIOR.mean[component] + np.random.default_rng(seed).standard_normal((16, LATENT))
    return observe(z, component)


def request(observations: Observations, count: int, seed: int, target: Target = TARGET, pool: int = 128) -> Request:
    nothing = np.empty((0, LATENT)), np.empty((0, len(target.names)))
    config = RefinementConfig()
    return Request(observations, nothing, [0, 1], STRATA, STRATA, target, decode, no_reserve, config, pool, count, seed)

"""First draws: latents from each component of the prior, at the target's properties and around them.

Shapes: n draws, D latent, K components, S strata.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri
from scipy.stats import chi2, qmc

from microdesign.surrogate.protocol import Draws, Surrogate


@dataclass(frozen=True)
class Strata:
    """The Gaussians that a search draws from and stays in: the components in use of p(z|c) at one or several c*.

    Attributes:
        component: Which component of the prior each is, int `(S,)`.
        mean: `(S, D)`.
        std: `(S, D)`.
        condition: The c* of each, the properties in the model's order, `(S, P)`.
    """

    component: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    condition: np.ndarray

    @classmethod
    def of(cls, surrogate: Surrogate, points: Sequence[Mapping[str, float]], least_weight: float = 1e-3) -> "Strata":
        """The components at the points c*, without those below `least_weight`: training has not used them."""
        priors = [surrogate.prior(point) for point in points]
        used = [np.flatnonzero(prior.weights >= least_weight) for prior in priors]
        mean = [prior.mean[k] for prior, k in zip(priors, used, strict=True)]
        std = [prior.std[k] for prior, k in zip(priors, used, strict=True)]
        rows = [[float(point[name]) for name in surrogate.properties] for point in points]
        condition = np.repeat(np.array(rows), [len(k) for k in used], axis=0)
        return cls(np.concatenate(used), np.concatenate(mean), np.concatenate(std), condition)

    def __len__(self) -> int:
        return len(self.component)

    def joined(self, other: "Strata") -> "Strata":
        """These and the other ones."""
        mine = (self.component, self.mean, self.std, self.condition)
        theirs = (other.component, other.mean, other.std, other.condition)
        return Strata(*(np.concatenate(pair) for pair in zip(mine, theirs, strict=True)))

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """log N(z) of each stratum for z `(n, D)`: `(n, S)`."""
        x = (z[:, None] - self.mean) / self.std
        return -0.5 * np.square(x).sum(-1) - np.log(self.std).sum(-1) - 0.5 * z.shape[1] * np.log(2 * np.pi)

    def nearest(self, z: np.ndarray, component: np.ndarray) -> np.ndarray:
        """The stratum of its component in which each z `(n, D)` is the most likely, int `(n,)`."""
        own = self.component == component[:, None]
        return np.where(own, self.log_density(z), -np.inf).argmax(1)

    def typical(self, z: np.ndarray, component: np.ndarray, quantile: float) -> np.ndarray:
        """Whether each z `(n, D)` lies where a share `quantile` of its component's own draws does, bool `(n,)`.

        The squared radius of a Gaussian's draws, in standard deviations, is chi2 distributed.
        """
        x = (z[:, None] - self.mean) / self.std
        radius = np.where(self.component == component[:, None], np.square(x).sum(-1), np.inf)
        return radius.min(1) <= chi2.ppf(quantile, z.shape[1])


def strata_around(
    surrogate: Surrogate, points: Sequence[Mapping[str, float]], neighbours: int, spread: float, seed: int
) -> Strata:
    """The strata of p(z|c) at the points and at `neighbours` others around each, a relative `spread` away."""
    stream = np.random.default_rng([seed, 1])
    around = [
        {name: value * float(np.exp(spread * stream.standard_normal())) for name, value in point.items()}
        for point in points
        for _ in range(neighbours)
    ]
    return Strata.of(surrogate, [*points, *around])


def sample_strata(strata: Strata, n: int, seed: int) -> Draws:
    """Draws about n latents, the same number from each stratum.

    Stratified: components have one target by different morphologies, so a component of small weight is as
    interesting as one of large weight. Within a stratum a scrambled Sobol sequence goes through the inverse of the
    normal distribution: fewer gaps and near-duplicates than independent draws have.
    """
    each, size = -(-n // len(strata)), strata.mean.shape[1]
    z = []
    for index in range(len(strata)):
        sobol = qmc.Sobol(size, rng=np.random.default_rng([seed, 0, index]))
        uniform = sobol.random_base2(int(np.ceil(np.log2(each))))[:each]
        z.append(strata.mean[index] + strata.std[index] * ndtri(np.clip(uniform, 1e-6, 1 - 1e-6)))
    drawn = np.concatenate(z)
    density = np.logaddexp.reduce(strata.log_density(drawn), axis=1) - np.log(len(strata))
    return Draws(drawn, np.repeat(strata.component, each), density)

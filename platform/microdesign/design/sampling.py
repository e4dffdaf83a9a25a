"""First draws: latents from each component of the prior at the target."""

import numpy as np

from microdesign.model.surrogate import Draws, Prior


def sample_components(prior: Prior, n: int, seed: int, least_weight: float = 1e-3) -> Draws:
    """Draws about n latents from p(z|c*), the same number from each component in use.

    Stratified: components answer one target with different morphologies, so a component of small weight is as
    interesting as one of large weight. Components below `least_weight` are left out: nothing taught them anything.
    """
    used = np.flatnonzero(prior.weights >= least_weight)
    stream = np.random.default_rng([seed, 0])
    component = np.repeat(used, -(-n // len(used)))
    z = prior.mean[component] + prior.std[component] * stream.standard_normal((len(component), prior.mean.shape[1]))
    return Draws(z, component, prior.log_density(z))

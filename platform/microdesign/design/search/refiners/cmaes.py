"""CMA-ES in the latent space, a refiner to measure others against."""

import numpy as np
from cmaes import CMA

from microdesign.design.search.refiners.protocol import Request
from microdesign.design.search.screening import Designs

_TRIES = 8
"""Draws for each design that is asked for, of which some break a constraint or leave the prior."""


def cmaes(request: Request) -> Designs:
    """A `Refiner`: CMA-ES in the latent space of the best design's component, in standard deviations of the prior.

    The strategy is told the component's results again in their order, a generation at a time, and asked for more
    (Hansen, The CMA evolution strategy: a tutorial, arXiv:1604.00772).
    """
    observations, strata = request.observations, request.strata
    ranks = request.target.ranks(observations.verified)
    lead = int(ranks.argmin())
    component = int(observations.component[lead])
    stratum = strata.nearest(observations.z[[lead]], np.array([component]))[0]
    mean, std = strata.mean[stratum], strata.std[stratum]
    mine = np.flatnonzero(observations.component == component)
    x = (observations.z[mine] - mean) / std
    strategy = CMA(mean=x[0], sigma=0.5, seed=request.seed % 2**32)
    size = strategy.population_size
    if len(mine) >= size:
        first = int(ranks[mine[:size]].argmin())
        strategy = CMA(mean=x[first], sigma=0.5, seed=request.seed % 2**32)
    for start in range(size, len(mine) - size + 1, size):
        generation = range(start, start + size)
        strategy.tell([(x[i], float(ranks[mine[i]])) for i in generation])
    drawn = np.array([strategy.ask() for _ in range(_TRIES * request.count)]) * std + mean
    owner = np.full(len(drawn), component)
    inside = request.typical(drawn, owner)
    basin = int(observations.basin[lead])
    parents = (observations.keys[lead],) * int(inside.sum())
    return request.decode(basin, drawn[inside], owner[inside], parents)

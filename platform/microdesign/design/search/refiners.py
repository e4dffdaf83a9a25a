"""The refiners that a campaign may use: `bayesian`, and the two that it is measured against.

A refiner is a function of a `Request`, so of the record alone: nothing of it has to be kept between requests.
"""

from collections.abc import Callable, Mapping

import numpy as np
from cmaes import CMA

from microdesign.design.search.refinement import Request, refine
from microdesign.design.search.sampling import sample_strata
from microdesign.design.search.screening import Designs

Refiner = Callable[[Request], Designs]

_TRIES = 8
"""Draws for each design that is asked for, of which some break a constraint or leave the prior."""


def evolve(request: Request) -> Designs:
    """CMA-ES in the latent space of the best design's component, in standard deviations of the prior.

    The strategy is told the component's answers again in their order, a generation at a time, and asked for more
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
    niche = int(observations.niche[lead])
    parents = (observations.keys[lead],) * int(inside.sum())
    return request.decode(niche, drawn[inside], owner[inside], parents)


def draw_again(request: Request) -> Designs:
    """Further draws from p(z|c*), not screened by the regressor."""
    draws = sample_strata(request.strata, max(_TRIES * request.count, len(request.strata)), request.seed)
    some = np.random.default_rng(request.seed).permutation(len(draws.z))[: _TRIES * request.count]
    return request.decode(-1, draws.z[some], draws.component[some], ())


REFINERS: Mapping[str, Refiner] = {"bayesian": refine, "cmaes": evolve, "random": draw_again}

"""Further draws from the prior, a refiner to measure others against."""

import numpy as np

from microdesign.design.search.refiners.protocol import Request
from microdesign.design.search.sampling import sample_strata
from microdesign.design.search.screening import Designs

_TRIES = 8
"""Draws for each design that is asked for, of which some break a constraint."""


def random_draws(request: Request) -> Designs:
    """A `Refiner`: further draws from p(z|c*), not screened by the regressor."""
    draws = sample_strata(request.strata, max(_TRIES * request.count, len(request.strata)), request.seed)
    some = np.random.default_rng(request.seed).permutation(len(draws.z))[: _TRIES * request.count]
    return request.decode(-1, draws.z[some], draws.component[some], ())

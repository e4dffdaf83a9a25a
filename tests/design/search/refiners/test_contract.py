"""What every refiner has to do, asked of the built-in ones and of one that a user brings along."""

import numpy as np
import pytest

from microdesign.core.errors import InputError
from microdesign.design.search.refiners.protocol import Request, load_refiner
from microdesign.design.search.screening import Designs
from tests.design.search.refiners.problem import LATENT, STRATA, request, start


def best_again(request: Request) -> Designs:
    """A user's refiner: random steps from the best design so far."""
    lead = int(request.target.ranks(request.observations.verified).argmin())
    stream = np.random.default_rng(request.seed)
    z = request.observations.z[lead] + 0.1 * stream.standard_normal((8 * request.count, LATENT))
    component = np.full(len(z), request.observations.component[lead])
    inside = request.typical(z, component)
    return request.decode(-1, z[inside], component[inside], ())


NAMES = ("bayesian", "cmaes", "random", f"{__name__}:best_again")
"""A new refiner is tested by its name here."""


@pytest.mark.parametrize("name", NAMES)
def test_proposals_are_seeded_enough_and_where_the_prior_is(name: str) -> None:
    refiner = load_refiner(name)
    first, again, other = (refiner(request(start(), 4, seed)).z for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    designs = refiner(request(start(), 8, seed=2))
    assert len(designs) >= 8
    assert STRATA.typical(designs.z, designs.component, 0.9999).all()


def test_what_is_no_refiner() -> None:
    for name, message in {
        "annealing": "refiner = 'annealing' is unknown; expected bayesian, cmaes, random or module:name",
        "nowhere:refine": "refiner = 'nowhere:refine' cannot be loaded",
        "math:pi": "is a float; expected a function of a request",
        f"{__name__}:Designs": "is a type; expected a function of a request",
    }.items():
        with pytest.raises(InputError, match=message):
            load_refiner(name)

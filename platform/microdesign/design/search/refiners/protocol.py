"""What a refiner is: a function from everything known so far to the designs to evaluate next.

Built in are `bayesian`, and `cmaes` and `random`, which it is measured against; `module:name` is a refiner of your own.
It takes part in `tests/design/search/refiners/test_contract.py` by one more line in the list there.

Shapes: n observations, m pending designs, M latents, D latent, P properties of the target.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.references import load_named
from microdesign.design.search.refiners.config import RefinementConfig
from microdesign.design.search.sampling import Strata
from microdesign.design.search.screening import Designs
from microdesign.design.target.target import Target

EXPECTED = "bayesian, cmaes, random or module:name"
_BUILT_IN = {
    "bayesian": ("microdesign.design.search.refiners.bayesian", "bayesian"),
    "cmaes": ("microdesign.design.search.refiners.cmaes", "cmaes"),
    "random": ("microdesign.design.search.refiners.random_draws", "random_draws"),
}

Decode = Callable[[int, np.ndarray, np.ndarray, tuple[str, ...]], Designs]
"""A basin, latents `(M, D)`, components `(M,)` and parents to the decodes that are distinct from other incumbents."""


@dataclass(frozen=True)
class Observations:
    """The evaluations with values, in the order of results.

    Attributes:
        z: Latents `(n, D)`.
        component: `(n,)`.
        basin: `(n,)`; -1: in none.
        predicted: What the regressor says, `(n, P)`.
        verified: What physics says, `(n, P)`.
        keys: Keys of the trials.
    """

    z: np.ndarray
    component: np.ndarray
    basin: np.ndarray
    predicted: np.ndarray
    verified: np.ndarray
    keys: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.z)


@dataclass(frozen=True)
class Request:
    """What a refiner is given.

    Attributes:
        observations: At least one.
        pending: Latents `(m, D)` and predictions `(m, P)` of designs that wait for physics.
        basins: Those to refine, the most urgent first; each has observations, all of one component.
        strata: Where latents are to stay.
        home: Where the first draws came from: lengths are relative to it.
        target: What to reach.
        decode: Decodes and screens latents.
        reserve: The draws that physics has not seen, of a basin's component and distinct from the other basins: the
            record may tell now that some of them are better than they seemed.
        config: Radii and quantiles.
        pool: How many latents to draw and decode.
        count: Designs to propose.
        seed: Of every draw.
        jacobian: Derivatives `(n, P, D)` of the predictions at latents `(n, D)`; None where the model has none.
    """

    observations: Observations
    pending: tuple[np.ndarray, np.ndarray]
    basins: Sequence[int]
    strata: Strata
    home: Strata
    target: Target
    decode: Decode
    reserve: Callable[[int], Designs]
    config: RefinementConfig
    pool: int
    count: int
    seed: int
    jacobian: Callable[[np.ndarray], np.ndarray | None] = lambda z: None

    def typical(self, z: np.ndarray, component: np.ndarray) -> np.ndarray:
        """Whether latents `(n, D)` are within their component's density limit, bool `(n,)`."""
        config = self.config
        quantile = config.optimum_quantile if self.target.senses.any() else config.quantile
        return self.strata.typical(z, component, quantile)


class Refiner(Protocol):
    """Proposes designs from a `Request`.

    It is a function of the request alone and keeps nothing between calls: a campaign that is resumed, after any crash,
    makes the same requests and expects the same designs.

    Example:
        >>> def best_again(request):
        ...     \"""Random steps from the best design so far.\"""
        ...     lead = int(request.target.ranks(request.observations.verified).argmin())
        ...     stream = np.random.default_rng(request.seed)
        ...     z = request.observations.z[lead] + 0.1 * stream.standard_normal((8 * request.count, 64))
        ...     component = np.full(len(z), request.observations.component[lead])
        ...     inside = request.typical(z, component)
        ...     return request.decode(-1, z[inside], component[inside], ())

        In a config: `refiner: my_module:best_again`.
    """

    def __call__(self, request: Request) -> Designs:
        """Proposes about `request.count` designs, the most promising first; those beyond it are dropped.

        The designs come from `request.decode`, which binarises latents, drops what breaks a constraint, is evaluated
        already or is too near to another incumbent, and predicts the properties of the others.
        """
        ...


def load_refiner(name: str) -> Refiner:
    """Returns the refiner that a string names.

    Args:
        name: `bayesian`, `cmaes`, `random`, or `module:name`.

    Raises:
        InputError: There is no such refiner, or it is no function.
    """
    what = f"refiner = {name!r}"
    if name in _BUILT_IN:
        module, attribute = _BUILT_IN[name]
        return getattr(import_module(module), attribute)  # BoTorch takes seconds to import
    if ":" not in name:
        raise InputError(f"{what} is unknown; expected {EXPECTED}.")
    found = load_named(name, what, EXPECTED)
    if not callable(found) or isinstance(found, type):
        raise InputError(f"{what} is a {type(found).__name__}; expected a function of a request.")
    return found

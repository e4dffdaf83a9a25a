"""Refinement: Bayesian optimisation of the latents, a trust region for each niche, within a component of the prior.

A niche is what surrounds one of the answers in the making: designs of its component that resemble it more than another.
Latents are drawn around the best ones of a niche, kept inside the component's density, decoded and screened by the
regressor before the acquisition function chooses among them. Decodes are cut to two phases, so there is no useful
gradient of the acquisition to follow.

Shapes: n observations, M pool, D latent, P properties.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from microdesign.core.config import Config
from microdesign.design.search.acquisition import ResidualProcess
from microdesign.design.search.gauss_newton import least_norm
from microdesign.design.search.sampling import Strata
from microdesign.design.search.screening import Designs
from microdesign.design.target.targets import Target

Decode = Callable[[int, np.ndarray, np.ndarray, tuple[str, ...]], Designs]
"""A niche, latents `(M, D)`, components `(M,)` and parents to the decodes that are distinct from other niches."""

_TOGETHER = 3
"""Designs of a request from which a further niche is served."""
_GROWTH = 1.25
"""Growth of the record after which the process is fitted again."""
_FITTED = 64
"""Most observations that it is fitted to, the best ones."""
_STALLED = 4
"""Answers without improvement after which a trust region shrinks."""


class RefinementConfig(Config):
    """Size and pace of the refinement."""

    pool: int = Field(128, ge=8, description="latents drawn and decoded for each request")
    radius: float = Field(
        0.6, gt=0, description="first radius of a trust region, in standard deviations of the component"
    )
    shrink: float = Field(0.7, gt=0, lt=1, description=f"factor of the radius after {_STALLED} answers, none better")
    smallest_radius: float = Field(0.02, gt=0, description="radius at which a trust region starts over")
    quantile: float = Field(
        0.999, gt=0, lt=1, description="share of a component's own draws that its density limit admits"
    )
    optimum_quantile: float = Field(
        1 - 1e-7, gt=0, lt=1, description="the same on the way to an optimum, which lies where the prior is thin"
    )
    observations: int = Field(200, ge=10, description="most observations in the Gaussian process, the best ones")


@dataclass(frozen=True)
class Observations:
    """What physics has answered, in the order of answers.

    Attributes:
        z: Latents `(n, D)`.
        component: `(n,)`.
        niche: `(n,)`; -1: in none.
        predicted: What the regressor says, `(n, P)`.
        verified: What physics says, `(n, P)`.
        keys: Keys of the trials.
    """

    z: np.ndarray
    component: np.ndarray
    niche: np.ndarray
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
        niches: Those to refine, the most urgent first; each has observations, all of one component.
        strata: Where latents are to stay.
        home: Where the first draws came from: lengths are relative to it.
        target: What to reach.
        decode: Decodes and screens latents.
        reserve: The draws that physics has not seen, of a niche's component and distinct from the other niches: the
            record may tell now that some of them are better than they seemed.
        config: Sizes.
        count: Designs to propose.
        seed: Of every draw.
        slopes: Derivatives `(n, P, D)` of the predictions at latents `(n, D)`; None where the model has none.
    """

    observations: Observations
    pending: tuple[np.ndarray, np.ndarray]
    niches: Sequence[int]
    strata: Strata
    home: Strata
    target: Target
    decode: Decode
    reserve: Callable[[int], Designs]
    config: RefinementConfig
    count: int
    seed: int
    slopes: Callable[[np.ndarray], np.ndarray | None] = lambda z: None

    def typical(self, z: np.ndarray, component: np.ndarray) -> np.ndarray:
        """Whether latents `(n, D)` are within their component's density limit, bool `(n,)`."""
        config = self.config
        quantile = config.optimum_quantile if self.target.senses.any() else config.quantile
        return self.strata.typical(z, component, quantile)


def refine(request: Request) -> Designs:
    """Proposes about `count` designs for physics to evaluate, shared among the niches."""
    observations, target, config = request.observations, request.target, request.config
    stream = np.random.default_rng(request.seed)
    ranks = target.ranks(observations.verified)
    fitted = _fitted(observations.verified, target)
    kept = np.union1d(np.argsort(ranks, kind="stable")[: config.observations], fitted)
    known = observations.z[kept], observations.predicted[kept], observations.verified[kept]
    process = ResidualProcess(*known, target, request.home, np.searchsorted(kept, fitted))
    served = min(len(request.niches), max(1, request.count // _TOGETHER))
    share = -(-request.count // served)
    pending_z, pending_predicted = request.pending
    proposed: Designs | None = None
    for niche in request.niches:
        left = request.count - (0 if proposed is None else len(proposed))
        if left < 1:
            break
        mine = np.flatnonzero(observations.niche == niche)
        pool = _pool(request, process, niche, mine[np.argsort(ranks[mine])], config.pool // served, stream)
        pool = pool.joined(request.reserve(niche))
        baseline, pending = np.flatnonzero(np.isin(kept, mine)), (pending_z, pending_predicted)
        chosen = process.choose(baseline, pending, (pool.z, pool.predicted), min(share, left), request.seed)
        designs = pool.select(chosen)
        pending_z = np.concatenate((pending_z, designs.z))
        pending_predicted = np.concatenate((pending_predicted, designs.predicted))
        proposed = designs if proposed is None else proposed.joined(designs)
    assert proposed is not None
    return proposed


def _fitted(verified: np.ndarray, target: Target) -> np.ndarray:
    """Indices, ascending, of the answers that the process is fitted to, out of all `(n, P)` in their order.

    They change when the record has grown by a quarter, at the same numbers whenever a campaign is resumed: until then
    a fit, which takes longer than everything else here, is good enough.
    """
    size = 1
    while (larger := max(size + 1, int(_GROWTH * size))) <= len(verified):
        size = larger
    return np.sort(np.argsort(target.ranks(verified[:size]), kind="stable")[:_FITTED])


def _pool(
    request: Request,
    process: ResidualProcess,
    niche: int,
    ranked: np.ndarray,
    size: int,
    stream: np.random.Generator,
) -> Designs:
    """Decoded latents around a niche's best observations, inside the component's density.

    Half of them are random steps. The other half scatters around the step that would bring a centre's verified
    properties to the target, by the model's own slopes at the centre, or where it has none by a linear fit of what is
    expected to the random steps.

    Args:
        request: What the refiner was given.
        process: What is expected of latents, also of properties that the model does not know.
        niche: The niche.
        ranked: Indices of its observations, best first.
        size: How many latents to draw.
        stream: Random numbers.
    """
    observations, target, strata = request.observations, request.target, request.strata
    radius = trust_radius(observations.verified[np.sort(ranked)], target, request.config)
    half = max(4, size // 2)
    centres = ranked[stream.integers(min(3, len(ranked)), size=half)]
    component = int(observations.component[ranked[0]])
    std = strata.std[strata.nearest(observations.z[ranked[:1]], np.array([component]))[0]]

    def decoded(z: np.ndarray) -> Designs:
        owner = np.full(len(z), component)
        inside = request.typical(z, owner)
        parents = tuple(observations.keys[i] for i in centres[inside])
        return request.decode(niche, z[inside], owner[inside], parents)

    # Steps along a random subset of the axes reach farther for the same radius, as in TuRBO.
    axes = stream.random((half, len(std))) < 0.5
    explored = decoded(observations.z[centres] + radius * std * stream.standard_normal(axes.shape) * axes)
    wanted = _wanted(observations.verified[centres], target)
    if len(explored) <= len(target.names) + 1 or not wanted.any():
        return explored
    scale = np.abs(observations.verified).mean(0)
    distinct, place = np.unique(centres, return_inverse=True)
    slopes = request.slopes(observations.z[distinct])
    fitted = _slope(explored.z / std, process.expected(explored.z, explored.predicted) / scale)
    if slopes is None:
        steps = (wanted / scale) @ np.linalg.pinv(fitted, rcond=1e-2)
    else:
        own = slopes * std / scale[:, None]
        steps = least_norm(np.where(np.isnan(own), fitted.T, own)[place], wanted / scale)
    length = np.linalg.norm(steps, axis=1, keepdims=True)
    steps *= np.minimum(1, radius * np.sqrt(len(std)) / np.maximum(length, 1e-12))
    scatter = 0.3 * radius * stream.standard_normal(axes.shape) * (stream.random(axes.shape) < 0.5)
    aimed = decoded(observations.z[centres] + std * (steps * stream.uniform(0.5, 1.2, (half, 1)) + scatter))
    return explored.joined(aimed)


def _wanted(verified: np.ndarray, target: Target) -> np.ndarray:
    """Change of each property that would bring verified values `(n, P)` to the target, or an optimum 10 % farther."""
    nearest = np.clip(verified, target.lows, target.highs)
    change = nearest - verified
    return np.where(change == 0, 0.1 * np.abs(verified) * target.senses, change)


def _slope(x: np.ndarray, y: np.ndarray, ridge: float = 1e-2) -> np.ndarray:
    """Slopes `(D, P)` of a ridge regression of `y` `(n, P)` on `x` `(n, D)`, both centred."""
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.solve(x.T @ x + ridge * len(x) * np.eye(x.shape[1]), x.T @ y)


def trust_radius(verified: np.ndarray, target: Target, config: RefinementConfig) -> float:
    """The trust region's radius, from a niche's answers `(n, P)` in their order.

    It shrinks after every few answers of which none was the best so far, and starts over when it has become too small.
    """
    radius, best, idle = config.radius, 0, 0
    ranks = target.ranks(verified)
    for index in range(1, len(ranks)):
        if ranks[index] < ranks[best]:
            best, idle = index, 0
            continue
        idle += 1
        if idle % _STALLED == 0:
            radius *= config.shrink
            if radius < config.smallest_radius:
                radius = config.radius
    return radius

"""Bayesian optimisation of the latents, a trust region for each basin, within a component of the prior.

A basin surrounds an incumbent: the designs of its component that differ less from it than from another incumbent.
Latents are drawn around the best ones of a basin, kept inside the component's density, decoded and screened by the
regressor before the acquisition function chooses among them. Decodes are binarised to two phases, so there is no useful
gradient of the acquisition to follow.

Shapes: n observations, M pool, D latent, P properties.
"""

import numpy as np

from microdesign.design.search.gauss_newton import least_norm
from microdesign.design.search.refiners.acquisition import ResidualProcess
from microdesign.design.search.refiners.config import STALLED, RefinementConfig
from microdesign.design.search.refiners.protocol import Request
from microdesign.design.search.screening import Designs
from microdesign.design.target.target import Target

_TOGETHER = 3
"""Designs of a request from which a further basin is served."""
_GROWTH = 1.25
"""Growth of the record after which the process is fitted again."""
_FITTED = 64
"""Most observations that it is fitted to, the best ones."""


def bayesian(request: Request) -> Designs:
    """A `Refiner`: about `count` designs, shared among the basins."""
    observations, target, config = request.observations, request.target, request.config
    stream = np.random.default_rng(request.seed)
    ranks = target.ranks(observations.verified)
    fitted = _fitted(observations.verified, target)
    kept = np.union1d(np.argsort(ranks, kind="stable")[: config.observations], fitted)
    known = observations.z[kept], observations.predicted[kept], observations.verified[kept]
    process = ResidualProcess(*known, target, request.home, np.searchsorted(kept, fitted))
    served = min(len(request.basins), max(1, request.count // _TOGETHER))
    share = -(-request.count // served)
    pending_z, pending_predicted = request.pending
    proposed: Designs | None = None
    for basin in request.basins:
        left = request.count - (0 if proposed is None else len(proposed))
        if left < 1:
            break
        mine = np.flatnonzero(observations.basin == basin)
        pool = _pool(request, process, basin, mine[np.argsort(ranks[mine])], request.pool // served, stream)
        pool = pool.joined(request.reserve(basin))
        baseline, pending = np.flatnonzero(np.isin(kept, mine)), (pending_z, pending_predicted)
        chosen = process.choose(baseline, pending, (pool.z, pool.predicted), min(share, left), request.seed)
        designs = pool.select(chosen)
        pending_z = np.concatenate((pending_z, designs.z))
        pending_predicted = np.concatenate((pending_predicted, designs.predicted))
        proposed = designs if proposed is None else proposed.joined(designs)
    assert proposed is not None
    return proposed


def _fitted(verified: np.ndarray, target: Target) -> np.ndarray:
    """Indices, ascending, of the evaluations that the process is fitted to, out of all `(n, P)` in their order.

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
    basin: int,
    ranked: np.ndarray,
    size: int,
    stream: np.random.Generator,
) -> Designs:
    """Decoded latents around a basin's best observations, inside the component's density.

    Half of them are random steps. The other half scatters around the step that would bring a centre's verified
    properties to the target, by the model's Jacobian at the centre, or where it has none by a linear fit of what is
    expected to the random steps.

    Args:
        request: What the refiner was given.
        process: What is expected of latents, also of properties that the model does not know.
        basin: The basin.
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
        return request.decode(basin, z[inside], owner[inside], parents)

    # Steps along a random subset of the axes reach farther for the same radius, as in TuRBO.
    axes = stream.random((half, len(std))) < 0.5
    explored = decoded(observations.z[centres] + radius * std * stream.standard_normal(axes.shape) * axes)
    wanted = _wanted(observations.verified[centres], target)
    if len(explored) <= len(target.names) + 1 or not wanted.any():
        return explored
    # Where pores cut every image so far, a property is 0 in all of them.
    usual, asked = (np.abs(values).mean(0) for values in (observations.verified, wanted))
    scale = np.select([usual > 0, asked > 0], [usual, asked], 1.0)
    distinct, place = np.unique(centres, return_inverse=True)
    jacobian = request.jacobian(observations.z[distinct])
    fitted = _slope(explored.z / std, process.expected(explored.z, explored.predicted) / scale)
    if jacobian is None:
        steps = (wanted / scale) @ np.linalg.pinv(fitted, rcond=1e-2)
    else:
        own = jacobian * std / scale[:, None]
        steps = least_norm(np.where(np.isnan(own), fitted.T, own)[place], wanted / scale)
    length = np.linalg.norm(steps, axis=1, keepdims=True)
    steps *= np.minimum(1, radius * np.sqrt(len(std)) / np.maximum(length, 1e-12))
    scatter = 0.3 * radius * stream.standard_normal(axes.shape) * (stream.random(axes.shape) < 0.5)
    towards = decoded(observations.z[centres] + std * (steps * stream.uniform(0.5, 1.2, (half, 1)) + scatter))
    return explored.joined(towards)


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
    """The trust region's radius, from a basin's evaluations `(n, P)` in their order.

    It shrinks after every few evaluations none of which was the best so far, and starts over when it is too small.
    """
    radius, best, idle = config.radius, 0, 0
    ranks = target.ranks(verified)
    for index in range(1, len(ranks)):
        if ranks[index] < ranks[best]:
            best, idle = index, 0
            continue
        idle += 1
        if idle % STALLED == 0:
            radius *= config.shrink
            if radius < config.smallest_radius:
                radius = config.radius
    return radius

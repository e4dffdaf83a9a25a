"""Refinement: Bayesian optimisation of the latents, a trust region for each niche, within a component of the prior.

A niche is what surrounds one of the answers in the making: designs of its component that resemble it more than another.

A Gaussian process models what the regressor gets wrong (physics minus prediction, as relative deviations from the
target); the objective is composite, the worst deviation of prediction plus residual. Candidates are drawn around the
best latents of a niche, kept inside the component's own density, decoded and screened by the regressor before the
acquisition function chooses among them. Decodes are cut to two phases, so there is no useful gradient to follow.

Shapes: n observations, M pool, D latent, P properties.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.transforms.input import ChainedInputTransform, FilterFeatures, Normalize
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood
from linear_operator.utils.warnings import NumericalWarning
from pydantic import Field
from scipy.stats import chi2
from torch import Tensor

from microdesign.config import Config
from microdesign.design.screening import Designs
from microdesign.design.targets import Target
from microdesign.model.mixture import Gaussian
from microdesign.model.surrogate import Prior

Decode = Callable[[int, np.ndarray, np.ndarray, tuple[str, ...]], Designs]
"""A niche, latents `(M, D)`, components `(M,)` and parents to the decodes that are distinct from other niches."""


class RefinementConfig(Config):
    """Size and pace of the refinement."""

    pool: int = Field(128, ge=8, description="latents drawn and decoded for each niche and round")
    radius: float = Field(
        0.6, gt=0, description="first radius of a trust region, in standard deviations of the component"
    )
    shrink: float = Field(0.7, gt=0, lt=1, description="factor of the radius after a round without improvement")
    smallest_radius: float = Field(0.02, gt=0, description="radius at which a trust region starts over")
    quantile: float = Field(
        0.999, gt=0, lt=1, description="share of a component's own draws that its density limit admits"
    )
    observations: int = Field(200, ge=10, description="most observations in the Gaussian process, the best ones")


@dataclass(frozen=True)
class Observations:
    """Latents `(n, D)`, components, niches (-1: in none) and rounds `(n,)`, predicted and verified `(n, P)`."""

    z: np.ndarray
    component: np.ndarray
    niche: np.ndarray
    predicted: np.ndarray
    verified: np.ndarray
    keys: tuple[str, ...]
    round: np.ndarray


def propose(
    observations: Observations,
    niches: Sequence[int],
    prior: Prior,
    target: Target,
    decode: Decode,
    config: RefinementConfig,
    count: int,
    seed: int,
) -> Designs:
    """Proposes about `count` designs for physics to evaluate, shared among the niches.

    Args:
        observations: At least two.
        niches: Those to refine; each has observations, all of one component.
        prior: p(z|c) at the target.
        target: What to reach.
        decode: Decodes and screens latents.
        config: Sizes.
        count: Designs to propose.
        seed: Of the pool and of the acquisition's samples.
    """
    torch.manual_seed(seed)
    latent = observations.z.shape[1]
    stream = np.random.default_rng(seed)
    errors = target.errors(observations.verified)
    best = np.sort(np.argsort(errors, kind="stable")[: config.observations])
    with _small_algebra():
        model = _fit(observations, target, best)
    objective = GenericMCObjective(lambda samples, X: -(samples + X[..., -samples.shape[-1] :]).abs().amax(-1))
    share = max(1, -(-count // len(niches)))
    proposals: list[Designs] = []
    pending: Tensor | None = None
    for niche in niches[: -(-count // share)]:
        mine = np.flatnonzero(observations.niche == niche)
        pool = _pool(observations, mine, errors, prior, target, partial(decode, niche), config, stream)
        if not len(pool):
            continue
        choices = _inputs(pool.z, pool.predicted, target)
        with _small_algebra():
            chosen = _choose(
                model, observations, mine, target, objective, pending, choices, min(share, len(pool)), seed
            )
        where = [int((choices == row).all(-1).nonzero()[0, 0]) for row in chosen]
        proposals.append(pool.select(np.array(where)))
        pending = chosen if pending is None else torch.cat((pending, chosen))
    return _join(proposals) if proposals else decode(niches[0], np.empty((0, latent)), np.empty(0, int), ())


def _choose(
    model: SingleTaskGP,
    observations: Observations,
    mine: np.ndarray,
    target: Target,
    objective: GenericMCObjective,
    pending: Tensor | None,
    choices: Tensor,
    count: int,
    seed: int,
) -> Tensor:
    """The `count` rows of `choices` `(M, D + P)` that promise the largest improvement on the niche's own best."""
    acquisition = qLogNoisyExpectedImprovement(
        model,
        X_baseline=_inputs(observations.z[mine], observations.predicted[mine], target),
        sampler=SobolQMCNormalSampler(torch.Size([128]), seed=seed),
        objective=objective,
        X_pending=pending,
        prune_baseline=True,
    )
    chosen, _ = optimize_acqf_discrete(acquisition, q=count, choices=choices, unique=True)
    return chosen


@contextmanager
def _small_algebra() -> Iterator[None]:
    """On one thread, for a second makes it four times slower; without warnings of what the library mends itself."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=NumericalWarning)
            warnings.filterwarnings("ignore", message="Sparse invariant checks")
            yield
    finally:
        torch.set_num_threads(threads)


def _inputs(z: np.ndarray, predicted: np.ndarray, target: Target) -> Tensor:
    """Latents and predicted deviations, `(n, D + P)` float64: the process sees the first, the objective both.

    What the model does not predict counts as met: all of its deviation is left to the process.
    """
    return torch.from_numpy(np.concatenate((z, np.nan_to_num(target.deviations(predicted))), axis=1))


def _fit(observations: Observations, target: Target, rows: np.ndarray) -> SingleTaskGP:
    inputs = _inputs(observations.z[rows], observations.predicted[rows], target)
    residual = torch.from_numpy(target.deviations(observations.verified[rows])) - inputs[:, observations.z.shape[1] :]
    latent = observations.z.shape[1]
    transform = ChainedInputTransform(
        latent=FilterFeatures(feature_indices=torch.arange(latent)), unit=Normalize(d=latent)
    )
    model = SingleTaskGP(inputs, residual, input_transform=transform)
    fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model), optimizer_kwargs={"options": {"maxiter": 50}})
    return model


def _pool(
    observations: Observations,
    mine: np.ndarray,
    errors: np.ndarray,
    prior: Prior,
    target: Target,
    decode: Callable[[np.ndarray, np.ndarray, tuple[str, ...]], Designs],
    config: RefinementConfig,
    stream: np.random.Generator,
) -> Designs:
    """Decoded latents around the niche's best observations, inside the component's density.

    Half of them are random steps. A linear fit of the regressor's predictions to these says which step would bring each
    centre's verified properties to the target; the other half scatters around that step.
    """
    ranked = mine[np.argsort(errors[mine], kind="stable")]
    radius = _radius(observations.round[mine], errors[mine], config)
    half = config.pool // 2
    centres = ranked[stream.integers(min(3, len(ranked)), size=half)]
    component = int(observations.component[mine[0]])
    mean, std = prior.mean[component], prior.std[component]

    def decoded(z: np.ndarray) -> Designs:
        inside = _log_density(z, mean, std) >= _density_limit(mean, std, config.quantile)
        parents = tuple(observations.keys[i] for i in centres[inside])
        return decode(z[inside], np.full(inside.sum(), component), parents)

    # Steps along a random subset of the axes reach farther for the same radius, as in TuRBO.
    axes = stream.random((half, len(mean))) < 0.5
    explored = decoded(observations.z[centres] + radius * std * stream.standard_normal(axes.shape) * axes)
    if len(explored) <= len(target.names) + 1:
        return explored
    slope = _slope((explored.z - mean) / std, np.nan_to_num(target.deviations(explored.predicted)))
    missing = -target.deviations(observations.verified[centres])
    steps = missing @ np.linalg.pinv(slope, rcond=1e-2)
    length = np.linalg.norm(steps, axis=1, keepdims=True)
    steps *= np.minimum(1, radius * np.sqrt(len(mean)) / np.maximum(length, 1e-12))
    scatter = 0.3 * radius * stream.standard_normal(axes.shape) * (stream.random(axes.shape) < 0.5)
    aimed = decoded(observations.z[centres] + std * (steps * stream.uniform(0.5, 1.2, (half, 1)) + scatter))
    return _join([explored, aimed])


def _slope(x: np.ndarray, y: np.ndarray, ridge: float = 1e-2) -> np.ndarray:
    """Slopes `(D, P)` of a ridge regression of `y` `(n, P)` on `x` `(n, D)`, both centred."""
    x, y = x - x.mean(0), y - y.mean(0)
    return np.linalg.solve(x.T @ x + ridge * len(x) * np.eye(x.shape[1]), x.T @ y)


def _radius(rounds: np.ndarray, errors: np.ndarray, config: RefinementConfig) -> float:
    """The trust region's radius, from the record alone: it shrinks with each round without improvement."""
    radius, best = config.radius, np.inf
    for number in np.unique(rounds):
        reached = errors[rounds == number].min()
        if reached >= best:
            radius *= config.shrink
            if radius < config.smallest_radius:
                radius = config.radius
        best = min(best, reached)
    return radius


def _log_density(z: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    return Gaussian(torch.from_numpy(mean), torch.from_numpy(std).log()).log_density(torch.from_numpy(z)).numpy()


def _density_limit(mean: np.ndarray, std: np.ndarray, quantile: float) -> float:
    """Log density above which a share `quantile` of the Gaussian's own draws lies (their squared radius is chi2)."""
    peak = float(_log_density(mean[None], mean, std)[0])
    return peak - 0.5 * float(chi2.ppf(quantile, len(mean)))


def _join(parts: list[Designs]) -> Designs:
    return Designs(
        np.concatenate([part.z for part in parts]),
        np.concatenate([part.component for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.predicted for part in parts]),
        tuple(parent for part in parts for parent in part.parent),
    )

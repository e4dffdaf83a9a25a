"""How many evaluations of physics a local search needs from draws and from random starts.

Sardeshmukh et al. 2024, arXiv 2402.17806, section 1, promise far less computation when inverse inference starts a
physics-based search. The search is CMA-ES in the latent space (Hansen, arXiv:1604.00772), one for each target, all
targets a generation at a time. It starts from

- `draws`: the one of several draws that the regressor ranks first, scaled by the component of p(z|c*) it is from;
- `corrected draws`: the same after condition correction by the regressor, which needs no physics;
- `random starts`: the latent of a training image, scaled by the standard deviation of all of them.

Shapes: T targets, N draws, D latent, P properties.
"""

import numpy as np
from cmaes import CMA

from microdesign.core.metrics import worst_errors
from microdesign.design.search.condition_correction import corrected_sample
from microdesign.experiments.inverse.config import LocalSearchConfig
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.protocol import Surrogate, decode_labels

STEP = 0.5
"""First standard deviation of the search, in units of its scale."""
_FINITE = 1e6
"""The error of a design that cannot be evaluated: CMA-ES takes no infinity."""


def evaluations_needed(
    surrogate: Surrogate,
    evaluator: TableEvaluator,
    targets: np.ndarray,
    training: np.ndarray,
    config: LocalSearchConfig,
) -> dict[str, np.ndarray]:
    """Evaluations until all properties of a target are within the tolerance, `(T,)` by start; budget + 1 if never.

    Args:
        surrogate: The model.
        evaluator: Physics of the model's properties.
        targets: Their properties `(T, P)`.
        training: Images of the training set `(M, *N)`, M >= T, from which random starts are taken.
        config: How long to search.
    """
    targets = targets[: config.targets]
    starts = {
        "draws": [_chosen_draw(surrogate, row, config, i, corrected=False) for i, row in enumerate(targets)],
        "corrected draws": [_chosen_draw(surrogate, row, config, i, corrected=True) for i, row in enumerate(targets)],
    }
    latents = surrogate.encode(training)[0]
    random = latents[np.random.default_rng(config.seed).permutation(len(latents))[: len(targets)]]
    starts["random starts"] = [(z, latents.std(0)) for z in random]
    found = {}
    for start, pairs in starts.items():
        latent, scale = (np.stack(part) for part in zip(*pairs, strict=True))
        found[start] = _search(surrogate, evaluator, targets, latent, scale, config)
    return found


def _chosen_draw(
    surrogate: Surrogate, wanted: np.ndarray, config: LocalSearchConfig, number: int, corrected: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Latent and scale, each `(D,)`, of the draw for the properties `(P,)` that the regressor ranks first."""
    target = dict(zip(surrogate.properties, wanted.tolist(), strict=True))
    n, seed, prior = config.draws, config.seed + number, surrogate.prior(target)
    effort = (config.correction_rounds, config.gauss_newton_steps) if corrected else (0, 0)
    draws = corrected_sample(surrogate, target, n, seed, *effort)
    best = int(worst_errors(surrogate.predict(decode_labels(surrogate, draws.z))[0], wanted).argmin())
    return draws.z[best], prior.std[draws.component[best]]


def _search(
    surrogate: Surrogate,
    evaluator: TableEvaluator,
    targets: np.ndarray,
    starts: np.ndarray,
    scales: np.ndarray,
    config: LocalSearchConfig,
) -> np.ndarray:
    """Evaluations `(T,)` of each target's search from starts `(T, D)`, in units of scales `(T, D)`."""

    def errors(z: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.minimum(worst_errors(evaluator.evaluate(decode_labels(surrogate, z)), targets[rows]), _FINITE)

    everything = np.arange(len(targets))
    needed = np.where(errors(starts, everything) <= config.tolerance, 1, config.budget + 1)
    strategies = [CMA(mean=np.zeros(starts.shape[1]), sigma=STEP, seed=config.seed + int(i)) for i in everything]
    size, spent = strategies[0].population_size, 1
    while spent < config.budget and (left := np.flatnonzero(needed > config.budget)).size:
        x = np.array([[strategies[i].ask() for _ in range(size)] for i in left])
        z = (starts[left, None] + scales[left, None] * x).reshape(-1, starts.shape[1])
        found = errors(z, np.repeat(left, size)).reshape(len(left), size)
        for i, points, values in zip(left, x, found, strict=True):
            strategies[i].tell(list(zip(points, values.tolist(), strict=True)))
            converged = np.flatnonzero(values[: config.budget - spent] <= config.tolerance)
            if converged.size:
                needed[i] = spent + 1 + converged[0]
        spent += size
    return needed

"""What draws save a search: evaluations of physics that the same local search needs from draws and from random starts.

Sardeshmukh et al. 2024, arXiv 2402.17806, section 1, promise far less computation when inverse inference starts a
physics-based search. The search is CMA-ES in the latent space (Hansen, arXiv:1604.00772), one for each target, all
targets a generation at a time. A draw is the one of several that the regressor ranks first, its scale that of its
component of p(z|c*); an aimed draw is one of those that the regressor has aimed, which costs no physics; a random start
is the latent of a training image, its scale that of all their latents.

Shapes: T targets, N draws, D latent, P properties.
"""

from collections.abc import Mapping

import numpy as np
from cmaes import CMA
from pydantic import Field

from microdesign.core.config import Config
from microdesign.design.search.condition_correction import aimed_sample
from microdesign.experiments.base.outcome import Cell, Table
from microdesign.experiments.base.ranking import worst_errors
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.protocol import Surrogate, decode_labels

STEP = 0.5
"""First standard deviation of the search, in units of its scale."""
_FINITE = 1e6
"""What stands for the error of a design without an answer: the strategy takes no infinity."""


class LocalSearchConfig(Config):
    """How long to search, and for what."""

    targets: int = Field(20, ge=1, description="of the targets, the first so many")
    draws: int = Field(16, ge=1, description="draws from p(z|c*), of which the regressor chooses where to start")
    aim_rounds: int = Field(3, ge=0, description="rounds in which an aimed draw corrects its condition")
    aim_steps: int = Field(3, ge=0, description="its steps down the model's slopes after these")
    enough: float = Field(0.02, gt=0, description="error of the worst property at which a search has arrived")
    budget: int = Field(256, ge=2, description="evaluations at which a search gives up")
    seed: int = Field(0, ge=0, description="seed of draws, random starts and searches")


def evaluations_needed(
    surrogate: Surrogate, evaluator: TableEvaluator, wanted: np.ndarray, known: np.ndarray, config: LocalSearchConfig
) -> dict[str, np.ndarray]:
    """Evaluations until all properties of a target are within `enough`, each `(T,)`; budget + 1 if that never is.

    Args:
        surrogate: The model.
        evaluator: Physics of the model's properties.
        wanted: The targets' properties `(T, P)`.
        known: Images of the training set `(M, *N)`, M >= T, from which random starts are taken.
        config: How long to search.
    """
    wanted = wanted[: config.targets]
    starts = {
        "draws": [_chosen_draw(surrogate, row, config, i, aimed=False) for i, row in enumerate(wanted)],
        "aimed draws": [_chosen_draw(surrogate, row, config, i, aimed=True) for i, row in enumerate(wanted)],
    }
    latents = surrogate.encode(known)[0]
    random = latents[np.random.default_rng(config.seed).permutation(len(latents))[: len(wanted)]]
    starts["random starts"] = [(z, latents.std(0)) for z in random]
    return {
        start: _searched(surrogate, evaluator, wanted, *(np.stack(part) for part in zip(*pairs, strict=True)), config)
        for start, pairs in starts.items()
    }


def local_search_table(found: Mapping[str, Mapping[str, np.ndarray]], config: LocalSearchConfig) -> Table:
    """Evaluations by model and start: median, quartiles, share that arrived; and their ratio to random starts."""
    rows: list[list[Cell]] = []
    for model, starts in found.items():
        medians = {start: float(np.median(values)) for start, values in starts.items()}
        for start, values in starts.items():
            low, high = np.quantile(values, (0.25, 0.75)).tolist()
            ratio = medians[start] / medians["random starts"]
            rows.append([model, start, medians[start], low, high, float((values <= config.budget).mean()), ratio])
    titles = ("model", "from", "evaluations, median", "25 %", "75 %", "share within budget", "this / random")
    return Table(titles, rows)


def _chosen_draw(
    surrogate: Surrogate, wanted: np.ndarray, config: LocalSearchConfig, number: int, aimed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Latent and scale, each `(D,)`, of the draw for the properties `(P,)` that the regressor ranks first."""
    target = dict(zip(surrogate.properties, wanted.tolist(), strict=True))
    n, seed, prior = config.draws, config.seed + number, surrogate.prior(target)
    effort = (config.aim_rounds, config.aim_steps) if aimed else (0, 0)
    draws = aimed_sample(surrogate, target, n, seed, *effort)
    best = int(worst_errors(surrogate.predict(decode_labels(surrogate, draws.z))[0], wanted).argmin())
    return draws.z[best], prior.std[draws.component[best]]


def _searched(
    surrogate: Surrogate,
    evaluator: TableEvaluator,
    wanted: np.ndarray,
    starts: np.ndarray,
    scales: np.ndarray,
    config: LocalSearchConfig,
) -> np.ndarray:
    """Evaluations of each target's search from starts `(T, D)`, in units of scales `(T, D)`."""

    def errors(z: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.minimum(worst_errors(evaluator.evaluate(decode_labels(surrogate, z)), wanted[rows]), _FINITE)

    targets = np.arange(len(wanted))
    needed = np.where(errors(starts, targets) <= config.enough, 1, config.budget + 1)
    strategies = [CMA(mean=np.zeros(starts.shape[1]), sigma=STEP, seed=config.seed + i) for i in targets]
    size, spent = strategies[0].population_size, 1
    while spent < config.budget and (left := np.flatnonzero(needed > config.budget)).size:
        x = np.array([[strategies[i].ask() for _ in range(size)] for i in left])
        z = (starts[left, None] + scales[left, None] * x).reshape(-1, starts.shape[1])
        found = errors(z, np.repeat(left, size)).reshape(len(left), size)
        for i, points, values in zip(left, x, found, strict=True):
            strategies[i].tell(list(zip(points, values.tolist(), strict=True)))
            arrived = np.flatnonzero(values[: config.budget - spent] <= config.enough)
            if arrived.size:
                needed[i] = spent + 1 + arrived[0]
        spent += size
    return needed

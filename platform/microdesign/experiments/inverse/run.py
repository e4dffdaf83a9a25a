"""The experiment `inverse`: images for properties, straight from p(z|c), of models that differ in their prior.

Sardeshmukh et al. 2024, arXiv 2402.17806: no optimisation; the properties of held-out images are the targets, and
physics judges every decode. Images or volumes.

Shapes: T targets, N draws a target, K components, P properties.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from pydantic import Field

from microdesign.core.progress import Progress
from microdesign.experiments.base.config import ExperimentConfig
from microdesign.experiments.base.draws import VerifiedDraws, best_errors, verified
from microdesign.experiments.base.outcome import Cell, Outcome, Table
from microdesign.experiments.base.physics import (
    check_labels,
    check_measurable,
    labelled_materials,
    materials_of,
)
from microdesign.experiments.base.ranking import nearest_errors
from microdesign.experiments.base.trained import TrainedModels
from microdesign.experiments.inverse.local_search import LocalSearchConfig, evaluations_needed, local_search_table
from microdesign.microstructure.data.dataset import Dataset
from microdesign.microstructure.data.manifest import SplitName
from microdesign.microstructure.drawing import draw
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.physics.execution.parallel import ParallelEvaluator
from microdesign.physics.execution.store import ResultStore
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Draws, Surrogate

LEAST_WEIGHT = 1e-3
"""Weight below which a component is out of use: nothing taught it anything."""
SHOWN = 4
"""Targets in the gallery."""


class InverseExperiment(ExperimentConfig, TrainedModels):
    """Models that differ in their prior, and how many targets and draws they are tried on."""

    what: Literal["inverse"] = "inverse"
    folder: str = Field("runs/inverse", description="where tables, figures and results of physics go")
    evaluator: str = Field("fft", description="physics of decodes: fft, module:name, or command: PROGRAM ARGS")
    store: str | None = Field(None, description="folder of known results; one in `folder` when None")
    split: SplitName = Field("test", description="held-out split that the targets are taken from")
    targets: int = Field(100, ge=1, description="held-out images whose properties become targets")
    draws: int = Field(16, ge=1, description="draws from p(z|c*) for each target")
    component_draws: int = Field(16, ge=1, description="draws from each component in use, for each target")
    local_search: LocalSearchConfig | None = Field(
        LocalSearchConfig(), description="searches from draws and from random starts; null: none"
    )
    seed: int = Field(0, ge=0, description="seed of the choice of targets and of the draws")


def run_inverse(config: InverseExperiment, folder: Path, uri: str, progress: Progress) -> Outcome:
    """Trains the models and tries them; what was trained, or answered by physics, before is not done again.

    Raises:
        InputError: A setting, a data set or a model is not valid.
        MicrodesignError: A training failed.
    """
    names = config.wanted
    dataset = Dataset.open(config.train.dataset)
    check_measurable(dataset, (2, 3))
    labelled_materials(dataset)
    bundles, left_out = config.bundles(folder / "models", uri, progress)
    held_out = dataset.load(config.split).with_known(names)
    chosen = np.sort(np.random.default_rng(config.seed).permutation(len(held_out))[: config.targets])
    targets = held_out.select(chosen)
    wanted = targets.property_table(names)
    known = dataset.load("train").with_known(names)
    errors = {"nearest training image": {"first draw": nearest_errors(wanted, known.property_table(names))}}
    searches: dict[str, dict[str, np.ndarray]] = {}
    found: dict[str, VerifiedDraws] = {}
    components: list[ComponentErrors] = []
    store = ResultStore(config.store or folder / "results")
    physics = ParallelEvaluator(load_evaluator(config.evaluator), store)
    for name, bundle in bundles.items():
        progress(f"{name}: {config.draws} draws for each of {len(wanted)} targets")
        surrogate = LocalSurrogate(bundle)
        evaluator = TableEvaluator(physics, materials_of(surrogate, dataset), surrogate.properties)
        goal = targets.property_table(surrogate.properties)
        check_labels(evaluator, targets.labels, goal)
        found[name] = direct_draws(surrogate, evaluator, goal, config.draws, config.seed)
        errors[name] = best_errors("", found[name])
        components += component_errors(name, surrogate, evaluator, goal, config.component_draws, config.seed)
        if config.local_search is not None:
            progress(f"{name}: local search from draws and from random starts")
            searches[name] = evaluations_needed(surrogate, evaluator, goal, known.labels, config.local_search)
    searched = (
        {} if config.local_search is None else {"local_search": local_search_table(searches, config.local_search)}
    )
    return Outcome(
        tables={
            "inverse": inverse_table(errors, found),
            "components": component_table(components),
            **searched,
        },
        figures={"errors": error_figure(errors), "gallery": gallery(targets.labels, found)},
        metrics={
            f"{model}_{kind}_{at}".replace(" ", "_"): float(np.quantile(values, share))
            for model, kinds in errors.items()
            for kind, values in kinds.items()
            for at, share in (("median", 0.5), ("q90", 0.9))
        }
        | {
            f"{model}_evaluations_from_{start}".replace(" ", "_"): float(np.median(values))
            for model, starts in searches.items()
            for start, values in starts.items()
        },
        details={"left_out": left_out, "models": {name: bundle.digest for name, bundle in bundles.items()}},
        tags={"dataset": dataset.manifest.digest},
    )


def direct_draws(
    surrogate: Surrogate, evaluator: TableEvaluator, wanted: np.ndarray, n: int, seed: int
) -> VerifiedDraws:
    """n draws from p(z|c*) for each target's properties `(T, P)`, judged by physics."""
    conditions = [dict(zip(surrogate.properties, row, strict=True)) for row in wanted.tolist()]
    draws = [surrogate.sample(condition, n, seed + number) for number, condition in enumerate(conditions)]
    return verified(surrogate, evaluator, wanted, draws)


class ComponentErrors(NamedTuple):
    """A component of a model, its mean weight, and the errors of its draws by ranking, each `(T,)`."""

    model: str
    component: int
    weight: float
    errors: Mapping[str, np.ndarray]


def component_errors(
    model: str, surrogate: Surrogate, evaluator: TableEvaluator, wanted: np.ndarray, n: int, seed: int
) -> list[ComponentErrors]:
    """Errors of n draws of each component in use for each target's properties `(T, P)`, component by component."""
    priors = [surrogate.prior(dict(zip(surrogate.properties, row, strict=True))) for row in wanted.tolist()]
    weights = np.stack([prior.weights for prior in priors])
    found = []
    for k in np.flatnonzero(weights.mean(0) >= LEAST_WEIGHT):
        noise = np.random.default_rng([seed, int(k)]).standard_normal((len(priors), n, priors[0].mean.shape[1]))
        z = [prior.mean[k] + prior.std[k] * each for prior, each in zip(priors, noise, strict=True)]
        draws = [Draws(each, np.full(n, k), prior.log_density(each)) for prior, each in zip(priors, z, strict=True)]
        errors = best_errors("", verified(surrogate, evaluator, wanted, draws))
        found.append(ComponentErrors(model, int(k), float(weights[:, k].mean()), errors))
    return found


def component_table(components: Sequence[ComponentErrors]) -> Table:
    """Medians over targets, in per cent, a row for each component."""
    rows: list[list[Cell]] = [
        [each.model, each.component, each.weight, *(float(100 * np.median(values)) for values in each.errors.values())]
        for each in components
    ]
    kinds = [f"{kind} / %" for kind in components[0].errors] if components else []
    return Table(("model", "component", "mean weight", *kinds), rows)


def inverse_table(errors: Mapping[str, Mapping[str, np.ndarray]], found: Mapping[str, VerifiedDraws]) -> Table:
    """Median and 90 % of the errors over targets, in per cent, and morphologies, a row for each model."""
    kinds = list(dict.fromkeys(kind for each in errors.values() for kind in each))
    rows: list[list[Cell]] = []
    for model, each in errors.items():
        cells: list[Cell] = [model]
        for kind in kinds:
            values = [None, None] if kind not in each else (100 * np.quantile(each[kind], (0.5, 0.9))).tolist()
            cells += values
        draws = found.get(model)
        if draws is None:
            cells += [None] * 3
        else:
            cells += [float(np.median(draws.distinct())), float(np.median(draws.distinct(within=0.1)))]
            cells += [float(np.median(100 * draws.regressor_error))]
        rows.append(cells)
    columns = [f"{kind}, {at} / %" for kind in kinds for at in ("median", "90 %")]
    return Table(
        ("model", *columns, "distinct morphologies", "distinct within a tenth", "regressor on decodes / %"), rows
    )


def error_figure(errors: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """The share of targets up to each error: first draws and the best of all, by the regressor and by physics."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for number, (model, kinds) in enumerate(errors.items()):
        shown = list(kinds)[:1] + list(kinds)[-2:]
        for kind, style in zip(dict.fromkeys(shown), (":", "-", "--"), strict=False):
            values = 100 * np.sort(kinds[kind])
            share = (np.arange(len(values)) + 1) / len(values)
            label = model if len(kinds) == 1 else f"{model}, {kind}"
            axes.plot(values, share, style, color=f"C{number}", label=label)
    axes.set(xscale="log", xlabel="error of the worst property / %", ylabel="share of targets up to this error")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return figure


def gallery(targets: np.ndarray, found: Mapping[str, VerifiedDraws]) -> Figure:
    """Some targets `(T, *N)` and, by model, the draw that the regressor ranks first, with its error by physics."""
    where = np.linspace(0, len(targets) - 1, min(SHOWN, len(targets))).round().astype(int)
    figure = Figure(figsize=(1.8 * len(where), 1.9 * (1 + len(found))), layout="constrained")
    grid = figure.subplots(1 + len(found), len(where), squeeze=False)
    for column, index in enumerate(where):
        draw(grid[0, column], targets[index], title="target")
        for row, (model, draws) in enumerate(found.items(), 1):
            error = draws.error[index, draws.score[index].argmin()]
            draw(grid[row, column], draws.chosen[index], title=f"{model}: {error:.1%}")
    return figure

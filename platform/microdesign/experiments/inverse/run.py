"""The experiment `inverse`: images for properties, directly from p(z|c), by models that differ in their prior.

Sardeshmukh et al. 2024, arXiv 2402.17806: no optimisation; the properties of held-out images are the targets, and
physics evaluates every decode. Images or volumes.

Shapes: T targets, P properties.
"""

from pathlib import Path

import numpy as np

from microdesign.core.progress import Progress, silent
from microdesign.experiments.base.evaluated_draws import EvaluatedDraws, conditions_of, evaluate_draws
from microdesign.experiments.base.model_training import train_models
from microdesign.experiments.base.physics import (
    check_labels,
    check_measurable,
    labelled_materials,
    materials_of,
    physics_of,
)
from microdesign.experiments.base.ranking import RankedErrors, nearest_errors
from microdesign.experiments.base.result import ExperimentResult, metric_name, save_figures
from microdesign.experiments.inverse.components import ComponentErrors, component_errors
from microdesign.experiments.inverse.config import InverseExperiment
from microdesign.experiments.inverse.figures import error_figure, gallery
from microdesign.experiments.inverse.local_search import evaluations_needed
from microdesign.experiments.inverse.tables import component_table, inverse_table, local_search_table
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.protocol import for_images
from microdesign.physics.evaluators.table import TableEvaluator
from microdesign.surrogate.local import LocalSurrogate
from microdesign.surrogate.protocol import Surrogate


def run(config: InverseExperiment, folder: Path, uri: str, progress: Progress) -> ExperimentResult:
    """Trains and evaluates the models; trained models and stored results of physics are reused.

    Raises:
        InputError: A setting, a data set or a model is not valid.
        MicrodesignError: A training failed.
    """
    names = config.properties
    dataset = Dataset.open(config.train.dataset)
    check_measurable(dataset, (2, 3))
    labelled_materials(dataset)
    bundles, left_out = train_models(config, folder / "models", uri, progress)
    held_out = dataset.load(config.split).with_known(names)
    chosen = np.sort(np.random.default_rng(config.seed).permutation(len(held_out))[: config.targets])
    targets = held_out.select(chosen)
    training = dataset.load("train").with_known(names)
    nearest = nearest_errors(targets.property_table(names), training.property_table(names))
    errors: dict[str, tuple[RankedErrors, ...]] = {"nearest training image": (RankedErrors("first", 1, nearest),)}
    searches: dict[str, dict[str, np.ndarray]] = {}
    draws: dict[str, EvaluatedDraws] = {}
    components: list[ComponentErrors] = []
    # Draws take minutes; a local search is of hundreds of calls, each of which would show its own count.
    of_draws, of_search = (
        for_images(physics_of(config, folder, each), dataset.manifest.periodic, dataset.manifest.aspect)
        for each in (progress, silent)
    )
    for name, bundle in bundles.items():
        progress(f"{name}: {config.draws} draws for each of {len(targets)} targets")
        surrogate = LocalSurrogate(bundle)
        materials = materials_of(surrogate, dataset)
        evaluator = TableEvaluator(of_draws, materials, surrogate.properties)
        table = targets.property_table(surrogate.properties)
        check_labels(evaluator, targets.labels, table)
        draws[name] = direct_draws(surrogate, evaluator, table, config.draws, config.seed)
        errors[name] = draws[name].ranked
        components += component_errors(name, surrogate, evaluator, table, config.component_draws, config.seed)
        if config.local_search is not None:
            progress(f"{name}: local search from draws and from random starts")
            search = TableEvaluator(of_search, materials, surrogate.properties)
            searches[name] = evaluations_needed(surrogate, search, table, training.labels, config.local_search)
    tables = {"inverse": inverse_table(errors, draws), "components": component_table(components)}
    if config.local_search is not None:
        tables["local_search"] = local_search_table(searches, config.local_search.budget)
    metrics = {
        metric_name(model, each.name, at): float(np.quantile(each.values, share))
        for model, ranked in errors.items()
        for each in ranked
        for at, share in (("median", 0.5), ("q90", 0.9))
    }
    metrics |= {
        metric_name(model, "evaluations_from", start): float(np.median(values))
        for model, starts in searches.items()
        for start, values in starts.items()
    }
    figures = {"errors": error_figure(errors), "gallery": gallery(targets.labels, draws)}
    return ExperimentResult(
        tables=tables,
        figures=save_figures(figures, folder),
        metrics=metrics,
        details={"left_out": left_out, "models": {name: bundle.digest for name, bundle in bundles.items()}},
        tags={"dataset": dataset.manifest.digest},
    )


def direct_draws(
    surrogate: Surrogate, evaluator: TableEvaluator, targets: np.ndarray, n: int, seed: int
) -> EvaluatedDraws:
    """n draws from p(z|c*) for each target's properties `(T, P)`, evaluated by physics."""
    conditions = conditions_of(surrogate.properties, targets)
    draws = [surrogate.sample(condition, n, seed + number) for number, condition in enumerate(conditions)]
    return evaluate_draws(surrogate, evaluator, targets, draws)

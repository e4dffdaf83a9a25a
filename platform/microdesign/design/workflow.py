"""From a campaign's configuration to its report: model, physics, search, baselines, images, MLflow."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from microdesign.config import validate_config
from microdesign.design import report
from microdesign.design.baselines import Baseline, best_of_random_draws, best_of_training_set
from microdesign.design.campaign import CampaignConfig
from microdesign.design.distinctness import novelty, statistics_of
from microdesign.design.engine import Answer, run_campaign
from microdesign.design.reach import Reach, reach
from microdesign.design.surrogates import open_surrogate
from microdesign.design.targets import Target
from microdesign.design.trials import Trial
from microdesign.design.wire import TOKEN_VARIABLE
from microdesign.errors import InputError
from microdesign.files import digest_json
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.dataset import Dataset
from microdesign.model.surrogate import Surrogate
from microdesign.physics.evaluator import Evaluator, load_evaluator
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_unit
from microdesign.physics.reachability import check_reachable
from microdesign.physics.store import ResultStore
from microdesign.progress import Progress, silent
from microdesign.tracking import default_uri, ending, start_run


def design(config: CampaignConfig, progress: Progress = silent, tracking_uri: str | None = None) -> dict[str, Any]:
    """Runs or resumes a campaign, writes candidates and report into its folder, and returns the JSON document.

    Raises:
        InputError: Anything in the config cannot be had: the model, the target, the data set, the folder.
        EvaluationError: Physics could answer for none of the first designs.
    """
    folder = Path(config.folder).resolve()
    uri = tracking_uri or default_uri()
    if config.materials is not None:
        check_reachable(config.target.fixed, config.materials)
    token = config.token or os.environ.get(TOKEN_VARIABLE)
    surrogate = open_surrogate(config.model, folder.parent / "models", uri, token)
    materials = config.materials or _model_materials(surrogate)
    check_reachable(config.target.fixed, materials)
    evaluator = load_evaluator(config.evaluator, config.evaluator_settings)
    store = ResultStore(config.store or folder / "results")
    data = None if config.dataset is None else _training_images(config.dataset, config.target, surrogate, materials)
    reached = None if data is None else reach(config.target, config.target.table(data.properties))
    if reached is not None:
        progress(str(reached))
    name = f"design-{digest_json(config.target.model_dump(mode='json'))[:8]}"
    with ending(start_run(config.experiment, name, uri)) as run:
        run.log_params(config.model_dump(mode="json"))
        run.log_tags({"stage": "design", "model": surrogate.digest})
        table = None if data is None else data.properties
        known = statistics_of(data.labels) if data is not None and config.least_novelty else None
        answer = run_campaign(config, surrogate, evaluator, materials, progress, run, store, table, known)
        progress(f"the search ends: {answer.stopped}")
        document = _document(config, folder, answer, surrogate, evaluator, materials, data, reached, store)
        document |= {"tracking_uri": uri, "report": str(folder / report.PAGE)}
        page = report.write_report(folder, document)
        run.log_file(page)
        run.log_file(folder / report.DOCUMENT)
        images = [candidate.labels for candidate in answer.candidates]
        titles = [f"{100 * entry['max_relative_error']:.2f} %" for entry in document["candidates"]]
        run.log_figure(report.candidates_figure(images, titles), "candidates.png")
        run.log_figure(report.convergence_figure(answer.history, config.target.tolerance), "convergence.png")
    return document


def _document(
    config: CampaignConfig,
    folder: Path,
    answer: Answer,
    surrogate: Surrogate,
    evaluator: Evaluator,
    materials: Materials,
    data: Microstructures | None,
    reached: Reach | None,
    store: ResultStore,
) -> dict[str, Any]:
    target = config.target
    statistics = None if data is None else statistics_of(data.labels)
    candidates = [_candidate(e, n, folder, target, statistics) for n, e in enumerate(answer.candidates, start=1)]
    baselines: dict[str, Any] = {}
    if data is not None:
        n = len(answer.evaluations)
        draws = best_of_random_draws(data, surrogate, target, evaluator, materials, n, config.seed, store)
        found = {"training_set": best_of_training_set(data, target), "random": draws}
        baselines = {name: _baseline(found[name], folder / "baselines" / f"{name}.npy") for name in found}
    return {
        "target": target.model_dump(mode="json")["properties"],
        "goals": {name: str(goal) for name, goal in target.properties.items()},
        "units": {name: property_unit(name, materials) for name in target.names},
        "tolerance": target.tolerance,
        "candidates": candidates,
        "baselines": baselines,
        "materials": materials.model_dump(mode="json"),
        "evaluations": len(answer.evaluations),
        "resumed_evaluations": answer.resumed,
        "history": answer.history,
        "stopped": answer.stopped,
        "reach": str(reached) if reached else "",
        "reach_outside": bool(reached and reached.outside),
        "model": surrogate.digest,
        "evaluator": config.evaluator,
        "seed": config.seed,
        "ledger": str(folder / "evaluations"),
    }


def _candidate(
    evaluation: Trial, number: int, folder: Path, target: Target, statistics: torch.Tensor | None
) -> dict[str, Any]:
    path = folder / "candidates" / f"candidate-{number}.npy"
    report.write_image(path, evaluation.labels)
    verified = {name: evaluation.verified[name] for name in target.names}
    return {
        "component": evaluation.component,
        "predicted": {n: v if np.isfinite(v) else None for n, v in evaluation.predicted.items()},
        "verified": verified,
        "max_relative_error": float(target.errors(np.array(list(verified.values())))),
        "novelty": None if statistics is None else float(novelty(evaluation.labels[None], statistics)[0]),
        "volume_fraction": float(evaluation.labels.mean()),
        "round": evaluation.round,
        "key": evaluation.key,
        "z": evaluation.z.tolist(),
        "image": str(path),
    }


def _baseline(baseline: Baseline | None, path: Path) -> dict[str, Any] | None:
    if baseline is None:
        return None
    report.write_image(path, baseline.labels)
    return {
        "verified": baseline.verified,
        "max_relative_error": baseline.max_relative_error,
        "of": baseline.of,
        "image": str(path),
    }


def _model_materials(surrogate: Surrogate) -> Materials:
    materials = surrogate.describe().get("materials")
    if materials is None:
        raise InputError("The model does not say what materials it was trained on; give the campaign `materials`.")
    return validate_config(Materials, materials, "the model's materials")


def _training_images(folder: str, target: Target, surrogate: Surrogate, materials: Materials) -> Microstructures:
    """The training split's samples whose target properties are known: NaN says that physics could not answer."""
    dataset = Dataset.open(folder)
    size = surrogate.describe()["model"]["network"]["size"]
    if tuple(dataset.manifest.shape) != (size, size):
        raise InputError(
            f"{folder}: holds images of shape {tuple(dataset.manifest.shape)}, the model makes {size} x {size}."
        )
    labels_of = dataset.manifest.materials
    if labels_of is not None and validate_config(Materials, labels_of, folder).digest != materials.digest:
        raise InputError(f"{folder}: is labelled for other materials than the campaign's; label it again for these.")
    data = dataset.load("train")
    known = np.isfinite(target.table(data.properties)).all(1)
    if known.sum() < 2:
        raise InputError(f"Fewer than 2 samples have finite values of {', '.join(target.names)}; label them again.")
    return data.select(known)

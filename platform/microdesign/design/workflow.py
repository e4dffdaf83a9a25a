"""From a campaign's configuration to its report: model, physics, search, baselines, images, MLflow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from microdesign.config import dump_yaml
from microdesign.design import document as describe
from microdesign.design import report
from microdesign.design.baselines import best_of_random_draws, best_of_training_set
from microdesign.design.campaign_config import CampaignConfig
from microdesign.design.conditioning import conditions
from microdesign.design.engine import Answer, Retrain, run_campaign
from microdesign.design.problem import Problem, open_problem
from microdesign.design.record import Recorder
from microdesign.design.robustness import discretization_gap, robustness
from microdesign.design.trials import Trial
from microdesign.errors import InputError
from microdesign.files import digest_json, write_text
from microdesign.model.surrogate import Surrogate
from microdesign.progress import Progress, silent
from microdesign.tracking import Run, continued, default_uri, ending, start_run


def design(
    config: CampaignConfig,
    progress: Progress = silent,
    tracking_uri: str | None = None,
    retrain: Retrain | None = None,
) -> dict[str, Any]:
    """Runs or resumes a campaign, writes candidates and report into its folder, and returns the JSON document.

    Args:
        config: What to look for, and how long.
        progress: Called with lines for people.
        tracking_uri: MLflow's address; `default_uri()` when None.
        retrain: Trains the model on new values of physics, where `config.retrain_every` asks for it.

    Raises:
        InputError: Anything in the config cannot be had: the model, the target, the data set, the folder.
        EvaluationError: Physics could answer for none of the first designs.
    """
    if config.retrain_every and retrain is None:
        raise InputError(
            f"retrain_every = {config.retrain_every}: nobody trains here; set it to 0, or give `design` a "
            "`retrain`, such as `retrainer(config)` of microdesign.retraining."
        )
    folder = Path(config.folder).resolve()
    uri = tracking_uri or default_uri()
    problem = open_problem(config, folder, uri)
    config = problem.config
    if problem.feasibility.reach is not None:
        progress(str(problem.feasibility.reach))
    for warning in problem.feasibility.warnings:
        progress(warning)
    name = f"design-{digest_json(config.target.model_dump(mode='json'))[:8]}"

    def started() -> Run:
        run = start_run(config.experiment, name, uri)
        run.log_params(config.model_dump(mode="json"))
        run.log_tags({"stage": "design", "model": problem.surrogate.digest})
        return run

    write_text(folder / "campaign.yaml", dump_yaml(config))
    with ending(continued(folder / "mlflow.json", uri, started)) as run, Recorder(run, config.target) as recorder:
        answer = run_campaign(
            config,
            problem.surrogate,
            problem.evaluator,
            problem.materials,
            progress,
            recorder,
            problem.store,
            problem.table,
            problem.training if config.least_novelty else None,
            None if retrain is None else lambda trials: problem.predicting(retrain(trials)),
            problem.starts,
        )
        progress(f"the search ends: {answer.stopped}")
        document = _document(problem, answer, folder)
        document |= {"tracking_uri": uri, "report": str(folder / report.PAGE)}
        report.write_report(folder, document)
        recorder.answer(document, [candidate.labels for candidate in answer.candidates], folder)
    return document


def _document(problem: Problem, answer: Answer, folder: Path) -> dict[str, Any]:
    """The answer as JSON; writes the images that it names."""
    config, target = problem.config, problem.config.target
    training = problem.training
    candidates = [
        describe.describe_candidate(trial, number, folder, target, training)
        for number, trial in enumerate(answer.candidates, start=1)
    ]
    point = conditions(target, problem.surrogate, problem.table, 1, config.seed)[0]
    std = problem.surrogate.prior(point).std
    spreads = robustness(
        _latents(answer.candidates, problem.surrogate),
        np.array([std[trial.component] for trial in answer.candidates]),
        problem.surrogate,
        target,
        problem.evaluator,
        problem.materials,
        config.robustness,
        config.seed,
        problem.store,
    )
    for candidate, trial, spread in zip(candidates, answer.candidates, spreads, strict=True):
        candidate["robustness"] = spread
        candidate["discretization_gap"] = discretization_gap(trial.labels, target, problem.evaluator, problem.materials)
    return {
        **describe.describe_target(target, problem.materials, problem.feasibility),
        "candidates": candidates,
        "baselines": _baselines(problem, len(answer.evaluations), folder / "baselines"),
        **describe.describe_search(answer.evaluations, target, folder, config.per_round),
        "evaluations": len(answer.evaluations),
        "resumed_evaluations": answer.resumed,
        "utilization": answer.utilization,
        "history": answer.history,
        "stopped": answer.stopped,
        "model": problem.surrogate.digest,
        "evaluator": config.evaluator,
        "seed": config.seed,
        "ledger": str(folder / "evaluations"),
        "config": dump_yaml(config),
    }


def _baselines(problem: Problem, n: int, folder: Path) -> dict[str, Any]:
    if problem.data is None or not problem.labelled:
        return {}
    target, config = problem.config.target, problem.config
    draws = best_of_random_draws(
        problem.data, problem.surrogate, target, problem.evaluator, problem.materials, n, config.seed, problem.store
    )
    found = {"training_set": best_of_training_set(problem.data, target), "random": draws}
    return {name: describe.describe_baseline(found[name], folder / f"{name}.npy") for name in found}


def _latents(trials: Sequence[Trial], surrogate: Surrogate) -> np.ndarray:
    """Latents `(n, D)` in the eyes of this model; a retrained one may have proposed a trial."""
    digest = surrogate.digest
    return np.array([t.z if t.model == digest else surrogate.encode(t.labels[None])[0][0] for t in trials])

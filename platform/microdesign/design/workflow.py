"""From a campaign's configuration to its report: model, physics, search, baselines, images, MLflow."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from microdesign.core.config import dump_yaml
from microdesign.core.errors import InputError
from microdesign.core.files import digest_json, write_text
from microdesign.core.progress import Progress, silent
from microdesign.design.campaign.campaign import Campaign
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.engine import Answer, Retrain, drive
from microdesign.design.campaign.trials import Trial, Trials
from microdesign.design.report import html as report
from microdesign.design.report import result as describe
from microdesign.design.report.baselines import best_of_random_draws, best_of_training_set
from microdesign.design.report.mlflow_logger import Recorder
from microdesign.design.report.robustness import discretization_gap, robustness
from microdesign.design.search.conditioning import conditions
from microdesign.design.setup import Problem, open_problem
from microdesign.surrogate.protocol import Surrogate
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
            "`retrain`, such as `retrainer(config)` of microdesign.design.campaign.retraining."
        )
    if "://" in config.folder:
        raise InputError(
            f"folder = {config.folder}: report and images need a folder of a file system; mount it, or drive "
            "`Campaign` yourself, whose ledger may be anywhere that pyarrow reaches."
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

    fingerprint, reference = problem.evaluator.fingerprint, problem.training if config.least_novelty else None
    parts = problem.surrogate, problem.materials, fingerprint, problem.table, reference, problem.starts
    with Campaign(config, *parts) as campaign:  # from here on the folder is known to be this campaign's, and is held
        write_text(folder / report.CONFIG, dump_yaml(config))
        with ending(continued(folder / report.RUN, uri, started)) as run, Recorder(run, config.target) as recorder:
            run.log_changes(config.model_dump(mode="json"))
            answer = drive(
                campaign,
                problem.evaluator,
                problem.materials,
                progress,
                recorder,
                problem.store,
                None if retrain is None else lambda trials: problem.predicting(retrain(trials)),
            )
            progress(f"the search ends: {answer.stopped}")
            document = _document(problem, answer, folder)
            document |= {"tracking_uri": uri, "report": str(folder / report.PAGE)}
            report.write_report(folder, document)
            recorder.answer(document, [candidate.labels for candidate in answer.candidates], folder)
    return document


def _document(problem: Problem, answer: Answer, folder: Path) -> dict[str, Any]:
    """The answer as JSON; writes the images that it names."""
    config = problem.config
    document = describe.describe_standing(
        config, Trials(answer.evaluations), problem.materials, problem.feasibility, folder, problem.training
    )
    started = time.monotonic()
    redraws = _judge_candidates(problem, answer.candidates, document["candidates"])
    baselines, draws = _baselines(problem, len(answer.evaluations), folder / "baselines")
    return document | {
        "baselines": baselines,
        "after_search": {"evaluations": redraws + draws, "seconds": time.monotonic() - started},
        "resumed_evaluations": answer.resumed,
        "utilization": answer.utilization,
        "stopped": answer.stopped,
        "model": problem.surrogate.digest,
        "ledger": str(folder / "evaluations"),
    }


def _judge_candidates(problem: Problem, trials: Sequence[Trial], described: list[dict[str, Any]]) -> int:
    """Adds to each candidate's description how far it can be trusted; returns the redraws that physics was asked of."""
    config, target, surrogate = problem.config, problem.config.target, problem.surrogate
    point = conditions(target, surrogate, problem.table, 1, config.seed)[0]
    std = surrogate.prior(point).std
    spreads = robustness(
        _latents(trials, surrogate),
        np.array([std[trial.component] for trial in trials]),
        surrogate,
        target,
        problem.evaluator,
        problem.materials,
        config.robustness,
        config.seed,
        problem.store,
    )
    for entry, trial, spread in zip(described, trials, spreads, strict=True):
        entry["robustness"] = spread
        entry["discretization_gap"] = discretization_gap(trial.labels, target, problem.evaluator, problem.materials)
    return len(trials) * config.robustness.draws


def _baselines(problem: Problem, n: int, folder: Path) -> tuple[dict[str, Any], int]:
    """The best of the training set, and of n blind draws if these are asked for; and how many draws there were."""
    if problem.data is None or not problem.labelled:
        return {}, 0
    target, config = problem.config.target, problem.config
    found = {"training_set": best_of_training_set(problem.data, target)}
    if config.random_baseline:
        found["random"] = best_of_random_draws(
            problem.data, problem.surrogate, target, problem.evaluator, problem.materials, n, config.seed, problem.store
        )
    described = {name: describe.describe_baseline(found[name], folder / f"{name}.npy") for name in found}
    return described, n * config.random_baseline


def _latents(trials: Sequence[Trial], surrogate: Surrogate) -> np.ndarray:
    """Latents `(n, D)` in the eyes of this model; a retrained one may have proposed a trial."""
    digest = surrogate.digest
    return np.array([t.z if t.model == digest else surrogate.encode(t.labels[None])[0][0] for t in trials])

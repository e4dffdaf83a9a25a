"""From a campaign's configuration to its report: model, physics, search, baselines, images, MLflow."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from microdesign.core.config import dump_yaml
from microdesign.core.errors import InputError
from microdesign.core.files import digest_json, write_text
from microdesign.core.progress import Progress, silent
from microdesign.design.campaign.ask_tell import AskTell
from microdesign.design.campaign.background_training import Retrain
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.discretizations import SecondDiscretization
from microdesign.design.campaign.engine import SearchOutcome, open_campaign_runner, run_search
from microdesign.design.campaign.runners.evaluation import Evaluate, evaluate_images
from microdesign.design.campaign.runners.protocol import Runner
from microdesign.design.campaign.trials import Trial, Trials
from microdesign.design.report.baselines import (
    AdmittedImages,
    admitted_images,
    best_of_random_draws,
    best_of_training_set,
    checked_by,
    worst_cases,
)
from microdesign.design.report.html import CONFIG, PAGE, RUN, write_report
from microdesign.design.report.manufacturing import manufacturing
from microdesign.design.report.mlflow_logger import MLflowLogger
from microdesign.design.report.result import CampaignResult
from microdesign.design.report.result_parts import AfterSearch, BaselineResult, CandidateResult, Manufacturing
from microdesign.design.report.robustness import robustness
from microdesign.design.report.statistics_curves import summarize_population
from microdesign.design.report.summary import summarize, summarize_baseline, summarize_training_images
from microdesign.design.search.conditioning import conditions
from microdesign.design.setup import CampaignSetup, open_setup
from microdesign.physics.evaluators.manufacturing import VARIANTS
from microdesign.physics.evaluators.protocol import Evaluator, for_images
from microdesign.physics.execution.labelling import boundary_of
from microdesign.physics.execution.store import evaluation_keys
from microdesign.surrogate.protocol import Surrogate
from microdesign.tracking import Run, check_reachable, default_uri, recorded, start_run


def run_design(
    config: CampaignConfig,
    progress: Progress = silent,
    tracking_uri: str | None = None,
    retrain: Retrain | None = None,
    surrogate: Surrogate | None = None,
    evaluator: Evaluator | None = None,
) -> CampaignResult:
    """Runs or resumes a campaign, writes candidates and report into its folder, and returns its result.

    Args:
        config: What to look for, and how long.
        progress: Called with lines for people.
        tracking_uri: MLflow's address; `default_uri()` when None.
        retrain: Fine-tunes the model on new values of physics, where `config.retrain_every` asks for it.
        surrogate: The model; None opens `config.model`.
        evaluator: The physics; None makes `config.evaluator`.

    Raises:
        InputError: Anything in the config cannot be had: the model, the target, the data set, the folder, the runner.
        EvaluationError: Physics has values for none of the first designs.
    """
    if config.retrain_every and retrain is None:
        raise InputError(
            f"retrain_every = {config.retrain_every}, but there is nothing that trains; set it to 0, or pass "
            "`retrain`, such as `retrainer(config)` of microdesign.design.campaign.retraining."
        )
    if "://" in config.folder:
        raise InputError(
            f"folder = {config.folder}: report and images need a folder of a file system; mount it, or use "
            "`microdesign.Campaign`, whose ledger may be anywhere that pyarrow can write."
        )
    folder = Path(config.folder).resolve()
    uri = tracking_uri or default_uri()
    check_reachable(uri)
    progress(f"opening the model {config.model}" + (f" and the data set {config.dataset}" if config.dataset else ""))
    setup = open_setup(config, folder, uri, surrogate, progress, evaluator=evaluator)
    config = setup.config
    if setup.feasibility.distance_to_data is not None:
        progress(str(setup.feasibility.distance_to_data))
    for warning in setup.feasibility.warnings:
        progress(warning)
    name = f"design-{digest_json(config.target.model_dump(mode='json'))[:8]}"

    def started() -> Run:
        run = start_run(config.experiment, name, uri)
        run.log_params(config.model_dump(mode="json"))
        run.log_tags({"stage": "design", "model": setup.surrogate.digest})
        return run

    runner = open_campaign_runner(config, setup.evaluator, setup.materials)
    try:
        with AskTell(
            config, *setup.campaign_parts
        ) as campaign:  # from here on the folder is known to be this campaign's, and is locked
            write_text(folder / CONFIG, dump_yaml(config))
            with (
                recorded(folder / RUN, uri, started, progress) as run,
                MLflowLogger(run, config.target, config.images_per_design, config.pixel) as logger,
            ):
                run.log_changes(config.model_dump(mode="json"))
                progress(f"searching; at most {config.evaluations} evaluations")
                fine_tune = None if retrain is None else lambda trials: setup.predicting(retrain(trials))
                second = SecondDiscretization(config, setup.evaluator, setup.materials, setup.store)
                outcome = run_search(campaign, runner, progress, logger, setup.store, fine_tune, second)
                progress(f"the search ends: {outcome.stopped}; redraws, baselines and report follow")
                result = _result(setup, outcome, runner, folder, second)
                result = result.model_copy(update={"tracking_uri": uri, "report": str(folder / PAGE)})
                write_report(result)
                logger.log_result(result)
    finally:
        runner.stop()
    return result


def _result(
    setup: CampaignSetup, outcome: SearchOutcome, runner: Runner, folder: Path, second: SecondDiscretization
) -> CampaignResult:
    """The result with baselines and redraws; writes the images that it names."""
    config, started, before = setup.config, time.monotonic(), second.evaluations
    trials, digest = Trials(outcome.evaluations), setup.surrogate.digest

    def evaluate(images: np.ndarray) -> dict[str, np.ndarray]:
        keys = evaluation_keys(images, setup.materials, setup.evaluator)
        return evaluate_images(runner, images, keys, setup.materials, setup.store, config.retries)

    admitted = None if setup.data is None or not setup.labelled else admitted_images(setup.data, config.target)
    compared = 0
    if config.robust and admitted is not None:  # labels are of images as drawn
        admitted = worst_cases(admitted, config.target, evaluate)
        compared = len(admitted.rows)
    if admitted is not None and second.exists and config.checks:
        admitted = checked_by(admitted, config.target, config.candidates, second.errors)
    result = summarize(config, trials, setup.materials, setup.feasibility, digest, folder, setup.training, admitted)
    candidates = _with_robustness(setup, outcome.candidates, result.candidates, evaluate)
    baselines, draws = _baselines(setup, admitted, len(outcome.evaluations), folder / "baselines", evaluate)
    from_data = (
        ()
        if admitted is None
        else summarize_training_images(admitted, config.target, config.candidates, folder / "from-data", config.pixel)
    )
    images = config.images_per_design
    outlines = len(VARIANTS) * _outlines_vary(config)
    redraws = len(candidates) * (config.robustness.draws * images + outlines)
    designs = [trial.labels for trial in outcome.candidates] or [
        result.labels(each.files["npy"])[0] for each in result.misses
    ]
    population = (
        None if setup.data is None else summarize_population(setup.data, setup.labelled, config.target, designs)
    )
    search = result.search.model_copy(
        update={
            "resumed_evaluations": outcome.resumed * images,
            "utilization": outcome.utilization,
            "stopped": outcome.stopped,
        }
    )
    checks = second.evaluations - before
    spent = redraws + (draws + compared) * images + checks
    after = AfterSearch(evaluations=spent, seconds=time.monotonic() - started)
    return result.model_copy(
        update={
            "candidates": candidates,
            "boundary": boundary_of(for_images(setup.image_evaluator, periodic=True)).get("boundary", ""),
            "from_data": from_data,
            "baselines": baselines,
            "population": population,
            "search": search,
            "after_search": after,
        }
    )


def _outlines_vary(config: CampaignConfig) -> bool:
    """Whether candidates are evaluated with other outlines: of two phases, and of squares or cubes.

    A robust campaign has them on record.
    """
    possible = config.target.phases == 2 and not config.pixel.aspect
    return config.robustness.manufacturing and not config.robust and possible


def _with_robustness(
    setup: CampaignSetup, trials: Sequence[Trial], candidates: Sequence[CandidateResult], evaluate: Evaluate
) -> tuple[CandidateResult, ...]:
    """The candidates with how far each can be trusted."""
    config, target, surrogate = setup.config, setup.config.target, setup.surrogate
    point = conditions(target, surrogate, setup.table, 1, config.seed)[0]
    std = surrogate.prior(point).std
    spreads = robustness(
        _latents(trials, surrogate),
        np.array([std[trial.component] for trial in trials]),
        surrogate,
        target,
        evaluate,
        config.robustness,
        config.seed,
    )
    made: Sequence[Manufacturing | None] = [each.manufacturing for each in candidates]
    if _outlines_vary(config):
        made = manufacturing([trial.labels for trial in trials], target, evaluate, config.seed)
    return tuple(
        candidate.model_copy(update={"robustness": spread, "manufacturing": outlines})
        for candidate, spread, outlines in zip(candidates, spreads, made, strict=True)
    )


def _baselines(
    setup: CampaignSetup, admitted: AdmittedImages | None, n: int, folder: Path, evaluate: Evaluate
) -> tuple[dict[str, BaselineResult | None], int]:
    """The best of the training set, and of n blind draws if these are asked for; and how many draws there were."""
    if setup.data is None or not setup.labelled:
        return {}, 0
    target, config = setup.config.target, setup.config
    found = {"training_set": None if admitted is None else best_of_training_set(admitted, target)}
    if config.random_baseline:
        found["random"] = best_of_random_draws(setup.data, setup.surrogate, target, evaluate, n, config.seed)
    summarized = {
        name: summarize_baseline(found[name], folder / f"{name}.npy", target.phases, config.pixel) for name in found
    }
    return summarized, n * config.random_baseline


def _latents(trials: Sequence[Trial], surrogate: Surrogate) -> np.ndarray:
    """Latents `(n, D)` by this model; a retrained one may have proposed a trial."""
    digest = surrogate.digest
    return np.array([t.z if t.model == digest else surrogate.encode(t.labels[None])[0][0] for t in trials])

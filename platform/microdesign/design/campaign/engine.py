"""The engine of a campaign: evaluations through a runner that is kept busy while the next designs are being proposed.

A result is on disk the moment it comes. Designs are proposed in a thread into a small queue, so that no worker idles
while there is something to propose; as many at a time as the workers evaluate meanwhile, so that quick physics waits
for BoTorch less often and slow physics gives every proposal the latest results. A model that is fine-tuned during the
search is trained beside it, too (`background_training.py`).
"""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from microdesign.core.errors import EvaluationError
from microdesign.core.progress import Progress, silent
from microdesign.design.campaign.ask_tell import AskTell
from microdesign.design.campaign.background_training import BackgroundTraining, Retrain
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.discretizations import SecondDiscretization, errors_by_both
from microdesign.design.campaign.runners.evaluation import known_results, store_results
from microdesign.design.campaign.runners.protocol import Runner, RunnerTask, open_runner
from microdesign.design.campaign.trials import Trial, TrialResult, TrialState
from microdesign.design.target.feasibility import check_feasible
from microdesign.physics.evaluators.protocol import Evaluator
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Surrogate

_POLL = 0.05
"""Seconds between two looks at a proposal in the making."""
_ROUNDS_OF_MISSES = 3
"""Rounds in which near misses are checked: one that a check sets back makes room for another."""


@dataclass(frozen=True)
class SearchOutcome:
    """How a search ended.

    Attributes:
        candidates: Distinct designs within the target's tolerance, best first, from as many components as possible.
        evaluations: All evaluations on record, in the order of results.
        history: Best error after each evaluation that succeeded.
        resumed: Number of evaluations that were on record before this run.
        stopped: Why the search ended.
        utilization: Share of the workers' time, from the first to the last result of this run, that was spent on
            physics. The start of the workers' processes is left out, and what a training had of the processors.
    """

    candidates: list[Trial]
    evaluations: list[Trial]
    history: list[float]
    resumed: int
    stopped: str
    utilization: float


class RoundLogger(Protocol):
    """Takes what a search has come to after every `per_round` results, such as an MLflow logger."""

    @property
    def reported(self) -> int:
        """Evaluations that have been logged already, also by an earlier run of the campaign."""
        ...

    def log_round(self, evaluations: Sequence[Trial], new: Sequence[Trial], candidates: int) -> None:
        """Logs a round: all evaluations in the order of results, those of this round, the number of candidates."""
        ...


def run_campaign(
    config: CampaignConfig,
    surrogate: Surrogate,
    evaluator: Evaluator,
    materials: Materials,
    progress: Progress = silent,
    store: ResultStore | None = None,
    table: Mapping[str, np.ndarray] | None = None,
    retrain: Retrain | None = None,
) -> SearchOutcome:
    """Opens a campaign and runs it to its end from whatever its folder holds already: the search without a report.

    Args:
        config: What to look for, and how long.
        surrogate: The model, in process or at an endpoint.
        evaluator: The physics.
        materials: The phases.
        progress: Called with lines for people.
        store: As `run_search` takes it.
        table: Properties of the training samples by name, each `(N,)`.
        retrain: As `run_search` takes it.

    Raises:
        InputError: The target is outside the bounds of the phases (before anything is computed), or the folder belongs
            to another campaign or is in use.
        EvaluationError: Physics has values for none of the first designs.
    """
    check_feasible(config.target, materials, evaluator)
    evaluator = config.physics(evaluator)
    with AskTell(config, surrogate, materials, evaluator.fingerprint, table) as campaign:
        runner = open_campaign_runner(config, evaluator, materials)
        second = SecondDiscretization(config, evaluator, materials, store)
        try:
            return run_search(campaign, runner, progress, None, store, retrain, second)
        finally:
            runner.stop()


def open_campaign_runner(config: CampaignConfig, evaluator: Evaluator, materials: Materials) -> Runner:
    """The runner that a campaign's config names.

    Raises:
        InputError: There is no such runner, or the machine is too small for one evaluation.
    """
    task = RunnerTask(evaluator, materials, config.cpus, config.time_limit)
    return open_runner(config.runner, task, config.runner_settings)


def run_search(
    campaign: AskTell,
    runner: Runner,
    progress: Progress = silent,
    logger: RoundLogger | None = None,
    store: ResultStore | None = None,
    retrain: Retrain | None = None,
    second: SecondDiscretization | None = None,
) -> SearchOutcome:
    """Runs an open campaign to its end.

    Args:
        campaign: The campaign.
        runner: Where its designs are evaluated; nothing is left running in it.
        progress: Called with lines for people.
        logger: Takes each round.
        store: Results of physics that are known already; new ones are added to it.
        retrain: Makes a model of the trials with values, every `config.retrain_every` of them.
        second: Checks the candidates whenever the search would end: those that it refutes are none, and the search goes
            on unless a budget is spent. None checks none.

    Raises:
        InputError: No design satisfies the target's constraints.
        EvaluationError: Physics has values for none of the first designs.
    """
    return _Engine(campaign, runner, store, progress, logger, retrain, second).run()


class _Engine:
    """Runs one campaign.

    The arguments are those of `run_search`.
    """

    def __init__(
        self,
        campaign: AskTell,
        runner: Runner,
        store: ResultStore | None,
        progress: Progress,
        logger: RoundLogger | None,
        retrain: Retrain | None,
        second: SecondDiscretization | None,
    ) -> None:
        self.campaign, self._runner, self._store = campaign, runner, store
        self._progress, self._logger = progress, logger
        self._second = second if second is not None and second.exists else None
        self._training = BackgroundTraining(campaign.config, retrain, lambda: runner.width, progress)
        self._queue: deque[Trial] = deque()
        self._resumed, self._started = 0, time.monotonic()
        self._running = 0
        self._reported = min(len(campaign.ledger), logger.reported) if logger else len(campaign.ledger)
        self._busy = self._first_result = self._last_result = 0.0
        self._propose_seconds, self._evaluate_seconds = 1.0, 1.0

    def run(self) -> SearchOutcome:
        """Runs the campaign to its end, from whatever its ledger holds already."""
        campaign, resumed = self.campaign, len(self.campaign.ledger)
        self._resumed, self._started = resumed, time.monotonic()
        if resumed:
            self._progress(f"resumed with {resumed} evaluations on record")
        with ThreadPoolExecutor(1, "proposer") as executor:
            try:
                self._enqueue(campaign.requeue())  # another campaign of this store may have had them done
                self._training.begin_if_due(campaign.ledger)
                if (model := self._training.wait_for_model()) is not None:  # a resumed search goes on with its model
                    campaign.adopt(model)
                stopped = self._loop(executor)
            finally:
                self._runner.stop()
        self._training.let_end(stopped)
        campaign.abandon()
        self._check_candidates()  # where nothing could be proposed any more
        self._check(campaign.unchecked_misses, rounds=_ROUNDS_OF_MISSES)
        if not campaign.ledger.succeeded:
            errors = [trial.error for trial in campaign.ledger.evaluations]
            reason = f"Physics has values for none of the first {len(errors)} designs: {errors[0]}" if errors else ""
            raise EvaluationError(reason or stopped)
        if len(campaign.ledger) > self._reported:
            self._report()
        wall = (self._last_result - self._first_result) * self._runner.width - self._training.seconds_lent
        return SearchOutcome(
            campaign.candidates(),
            campaign.ledger.evaluations,
            campaign.history(),
            resumed,
            stopped,
            min(1.0, self._busy / wall) if wall > 0 else 0.0,
        )

    def _loop(self, executor: ThreadPoolExecutor) -> str:
        """Evaluates and proposes until the campaign has a reason to stop, which is returned."""
        proposal: Future[list[Trial]] | None = None
        exhausted = False
        while not (stopped := self._reason_to_stop()):
            self._start_queued()
            self._training.begin_if_due(self.campaign.ledger)
            # A proposal in the making is of the present model.
            if proposal is None and (model := self._training.finished_model()) is not None:
                self.campaign.adopt(model)
                exhausted = False  # another model may propose more
            if proposal is None and not exhausted and len(self._queue) < self._ahead():
                proposal = executor.submit(self.campaign.propose, self._wanted())
            if proposal is not None and (proposal.done() or not self._running):
                trials = proposal.result()
                self._note_proposals(trials)
                proposal = None
                # Nothing new may be due to results that are still to come.
                exhausted = not trials
                continue
            if not self._running and self._training.is_running:
                self._training.wait(_POLL)  # no processor is left for physics, or nothing to propose without it
                continue
            if not self._running and not self._queue:
                return "no new design can be proposed"
            waits = proposal is not None or self._training.is_running
            results = self._runner.poll(_POLL if waits else self.campaign.seconds_left)
            if results:
                exhausted = False
                self._record(results)
        if proposal is not None:
            proposal.cancel()
        return stopped

    def _reason_to_stop(self) -> str:
        """Why the search ends now, after a second look at its candidates; empty when it goes on."""
        if not self.campaign.reason_to_stop():
            return ""
        self._check_candidates()
        return self.campaign.reason_to_stop()

    def _check_candidates(self) -> None:
        self._check(self.campaign.unchecked)

    def _check(self, unchecked: Callable[[], list[Trial]], rounds: float = math.inf) -> None:
        """Has designs checked, and those that take their places by what was found, in so many rounds at most."""
        while self._second is not None and rounds > 0 and (open_ones := unchecked()):
            self.campaign.ledger.record(self._second.check(open_ones))
            rounds -= 1

    def _ahead(self) -> int:
        """Designs that are evaluated while others are being proposed; at least one, at most a round."""
        during = self._runner.width * self._propose_seconds / max(self._evaluate_seconds, 1e-3)
        return int(np.clip(np.ceil(during), 1, self.campaign.config.per_round))

    def _wanted(self) -> int:
        """Designs to ask for: what keeps the workers busy while the next ones are made, whatever still waits now."""
        return max(self._runner.width - self._running - len(self._queue), self._ahead())

    def _note_proposals(self, trials: list[Trial]) -> None:
        if trials:
            self._propose_seconds = sum(trial.timings["proposing"] for trial in trials)
        self.campaign.ledger.record(trials)
        self._enqueue(trials)

    def _enqueue(self, trials: list[Trial]) -> None:
        """Queues trials; those that the store has results of are recorded at once."""
        known = known_results(self._store, [trial.key for trial in trials])
        if known:
            self._report_if_due(self.campaign.tell(known))
        keys = {result.key for result in known}
        self._queue += (trial for trial in trials if trial.key not in keys)

    def _start_queued(self) -> None:
        """Submits queued trials: one for every worker, and a few more, so that none waits for this process.

        Beside a training no more than its processors leave: what waits would be run before the training.
        """
        width, lent = self._runner.width, self._training.workers_lent
        free = (width - lent if lent else width + max(1, width // 4)) - self._running
        trials = [self._queue.popleft() for _ in range(min(max(0, free), len(self._queue)))]
        for trial in self.campaign.start(trials):
            self._runner.submit(trial.key, trial.labels)
            self._running += 1

    def _record(self, results: list[TrialResult]) -> None:
        """Records results, stores them, and queues again what was lost."""
        self._running -= len(results)
        self._last_result = time.monotonic()
        if self._first_result:  # what was done before the first result is not of the time that is measured
            self._busy += sum(min(each.seconds, self._last_result - self._first_result) for each in results)
        self._first_result = self._first_result or self._last_result
        self._training.measured_from = self._first_result
        trials = self.campaign.tell(results)
        store_results(self._store, results)
        self._evaluate_seconds = float(np.mean([each.seconds for each in results]))
        self._queue.extendleft(trial for trial in trials if trial.state is TrialState.RETRYABLE)
        self._report_if_due([trial for trial in trials if trial.state.is_final])

    def _report_if_due(self, trials: list[Trial]) -> None:
        if trials and len(self.campaign.ledger) - self._reported >= self.campaign.config.per_round:
            self._report()

    def _best(self) -> str:
        """The best error so far; of optima that meet the other goals their values."""
        target, done = self.campaign.config.target, self.campaign.ledger.succeeded
        if not done:
            return "physics has no values yet"
        values = np.array([[trial.verified[name] for name in target.names] for trial in done])
        errors = errors_by_both(target, done)
        place = int(target.ranks(values, errors).argmin())
        best, error, optima = values[place], float(errors[place]), np.flatnonzero(target.senses).tolist()
        if optima and error <= target.tolerance:
            return "best " + ", ".join(f"{target.names[i]} {best[i]:.4g}" for i in optima)
        return f"best error {error:.2%}"

    def _report(self) -> None:
        campaign = self.campaign
        before, self._reported = self._reported, len(campaign.ledger)
        candidates, config = campaign.candidates(), campaign.config
        images, new = config.images_per_design, self._reported - self._resumed
        rate = 60 * images * new / max(time.monotonic() - self._started, 1e-9)
        left, most = campaign.seconds_left, config.minutes
        budget = "" if left is None or most is None else f", {most - left / 60:.1f} of at most {most:g} min"
        designs = f" of {self._reported} designs" if config.robust else ""
        self._progress(
            f"{self._reported * images} of at most {config.evaluations} evaluations{designs}{budget}, "
            f"{rate:.3g} a minute; {len(candidates)} of {config.candidates} candidates, {self._best()}"
        )
        if self._logger is not None:
            evaluations = campaign.ledger.evaluations
            self._logger.log_round(evaluations, evaluations[before:], len(candidates))

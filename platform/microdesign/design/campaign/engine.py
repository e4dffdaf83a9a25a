"""The engine of a campaign: physics in Ray tasks, kept at the cluster's width, while the next designs are being made.

An answer is on record the moment it comes. Proposals are made beside, in a thread, into a small queue, so that no
worker idles while there is something to propose; as many at a time as the workers get through meanwhile, so that quick
physics waits for the process of BoTorch less often and slow physics learns from every answer. A model that learns on
the way does so beside, too, on processors that physics leaves to it.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Thread

import numpy as np

from microdesign.core.errors import EvaluationError
from microdesign.core.progress import Progress, silent
from microdesign.design.campaign.campaign import Campaign
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.trials import Result, State, Trial
from microdesign.design.report.mlflow_logger import Recorder
from microdesign.design.target.feasibility import check_feasible
from microdesign.physics.evaluators.protocol import Evaluator
from microdesign.physics.execution.pool import Finished, TaskPool
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Surrogate

Retrain = Callable[[list[Trial]], Surrogate]
"""A model fine-tuned on the first trials with values; a resumed campaign asks for the same again."""

_POLL = 0.05
"""Seconds between two looks at a proposal in the making."""


@dataclass(frozen=True)
class Answer:
    """What a campaign found.

    Attributes:
        candidates: Distinct designs within the target's tolerance, best first, from as many components as possible.
        evaluations: All evaluations on record, in the order of answers.
        history: Best error after each evaluation that succeeded.
        resumed: Number of evaluations that were on record before this run.
        stopped: Why the search ended.
        utilization: Share of the workers' time, from the first to the last answer of this run, that physics took: the
            start of the workers' processes is left out, and what was lent to training.
    """

    candidates: list[Trial]
    evaluations: list[Trial]
    history: list[float]
    resumed: int
    stopped: str
    utilization: float


def run_campaign(
    config: CampaignConfig,
    surrogate: Surrogate,
    evaluator: Evaluator,
    materials: Materials,
    progress: Progress = silent,
    store: ResultStore | None = None,
    table: Mapping[str, np.ndarray] | None = None,
    retrain: Retrain | None = None,
) -> Answer:
    """Opens a campaign, and drives it to its end from whatever its folder holds already.

    Args:
        config: What to look for, and how long.
        surrogate: The model, in process or at an endpoint.
        evaluator: The physics.
        materials: The phases.
        progress: Called with lines for people.
        store: As `drive` takes it.
        table: Properties of the training samples by name, each `(N,)`.
        retrain: As `drive` takes it.

    Raises:
        InputError: The target is outside the bounds of the phases (before anything is computed), or the folder belongs
            to another campaign or is in use.
        EvaluationError: Physics could answer for none of the first designs.
    """
    check_feasible(config.target, materials, evaluator)
    with Campaign(config, surrogate, materials, evaluator.fingerprint, table) as campaign:
        return drive(campaign, evaluator, materials, progress, None, store, retrain)


def drive(
    campaign: Campaign,
    evaluator: Evaluator,
    materials: Materials,
    progress: Progress = silent,
    recorder: Recorder | None = None,
    store: ResultStore | None = None,
    retrain: Retrain | None = None,
) -> Answer:
    """Runs an open campaign to its end.

    Args:
        campaign: The campaign.
        evaluator: The physics.
        materials: The phases.
        progress: Called with lines for people.
        recorder: Writes each round to MLflow.
        store: Results of physics that are known already; new ones are added to it.
        retrain: Makes a model of the trials with values, every `config.retrain_every` of them.

    Raises:
        InputError: No design satisfies the target's constraints.
        EvaluationError: Physics could answer for none of the first designs.
    """
    return _Engine(campaign, evaluator, materials, store, progress, recorder, retrain).run()


class _Engine:
    """Runs one campaign.

    The arguments are those of `drive`.
    """

    def __init__(
        self,
        campaign: Campaign,
        evaluator: Evaluator,
        materials: Materials,
        store: ResultStore | None = None,
        progress: Progress = silent,
        recorder: Recorder | None = None,
        retrain: Retrain | None = None,
    ) -> None:
        self.campaign, self._store, self._progress, self._recorder = campaign, store, progress, recorder
        config = campaign.config
        self._retrain, self._every, self._trained = retrain, config.retrain_every, 0
        self._training: Future[Surrogate] | None = None
        self._lent_seconds = self._training_since = 0.0
        self._pool = TaskPool(
            evaluator, materials, num_cpus_per_task=config.cpus, system_retries=0, time_limit=config.time_limit
        )
        self._queue: deque[Trial] = deque()
        self._reported = min(len(campaign.ledger), recorder.reported) if recorder else len(campaign.ledger)
        self._busy = self._first_answer = self._last_answer = 0.0
        self._propose_seconds, self._evaluate_seconds = 1.0, 1.0

    def run(self) -> Answer:
        """Runs the campaign to its end, from whatever its ledger holds already.

        Raises:
            EvaluationError: Physics answered for none of the first designs.
            InputError: No design satisfies the target's constraints.
        """
        resumed = len(self.campaign.ledger)
        if resumed:
            self._progress(f"resumed with {resumed} evaluations on record")
        with ThreadPoolExecutor(1, "proposer") as executor:
            try:
                self._enqueue(self.campaign.requeue())  # another campaign of this store may have had them done
                self._train_when_due()
                if self._training is not None:  # a resumed search goes on with the model that it had
                    wait([self._training])
                    self._adopt_what_is_trained()
                stopped = self._loop(executor)
            finally:
                self._pool.close()
        self._let_training_end(stopped)
        self.campaign.abandon()
        if not self.campaign.ledger.succeeded:
            errors = [trial.error for trial in self.campaign.ledger.evaluations]
            reason = f"Physics answered for none of the first {len(errors)} designs: {errors[0]}" if errors else stopped
            raise EvaluationError(reason)
        if len(self.campaign.ledger) > self._reported:
            self._report()
        campaign = self.campaign
        evaluations = campaign.ledger.evaluations
        wall = (self._last_answer - self._first_answer) * self._pool.width - self._lent_seconds
        return Answer(
            campaign.candidates(),
            evaluations,
            campaign.history(),
            resumed,
            stopped,
            min(1.0, self._busy / wall) if wall > 0 else 0.0,
        )

    def _loop(self, executor: ThreadPoolExecutor) -> str:
        proposal: Future[list[Trial]] | None = None
        exhausted = False
        while not (stopped := self.campaign.reason_to_stop()):
            self._start_waiting()
            self._train_when_due()
            if proposal is None and self._adopt_what_is_trained():  # a proposal in the making is of the present model
                exhausted = False  # another model may propose more
            if proposal is None and not exhausted and len(self._queue) < self._ahead():
                proposal = executor.submit(self.campaign.propose, self._wanted())
            if proposal is not None and (proposal.done() or not len(self._pool)):
                trials = proposal.result()
                self._note_proposals(trials)
                proposal = None
                # Nothing new may be due to answers that are still to come.
                exhausted = not trials
                continue
            if not len(self._pool) and self._training is not None:
                wait([self._training], _POLL)  # no processor is left for physics, or nothing to propose without it
                continue
            if not len(self._pool) and not self._queue:
                return "no new design can be proposed"
            finished = self._pool.collect(
                _POLL if proposal is not None or self._training else self.campaign.seconds_left
            )
            if finished:
                exhausted = False
                self._answer(finished)
        if proposal is not None:
            proposal.cancel()
        return stopped

    def _ahead(self) -> int:
        """Designs that the workers get through while others are being made; at least one, at most a round."""
        during = self._pool.width * self._propose_seconds / max(self._evaluate_seconds, 1e-3)
        return int(np.clip(np.ceil(during), 1, self.campaign.config.per_round))

    def _wanted(self) -> int:
        """Designs to ask for: what keeps the workers busy while the next ones are made, whatever still waits now."""
        return max(self._pool.width - len(self._pool) - len(self._queue), self._ahead())

    def _note_proposals(self, trials: list[Trial]) -> None:
        if trials:
            self._propose_seconds = sum(trial.timings["proposing"] for trial in trials)
        self.campaign.ledger.record(trials)
        self._enqueue(trials)

    def _enqueue(self, trials: list[Trial]) -> None:
        """Lets trials wait for a worker, but for those that the store has the answers of."""
        known = self._known(trials)
        if known:
            self._told(self.campaign.tell(known))
        told = {result.key for result in known}
        self._queue += (trial for trial in trials if trial.key not in told)

    def _known(self, trials: list[Trial]) -> list[Result]:
        """Results that the store has, from whichever campaign or labelling."""
        if self._store is None or not trials:
            return []
        known, values = self._store.find([trial.key for trial in trials])
        rows = np.flatnonzero(known)
        return [
            Result(trials[row].key, {name: float(array[i]) for name, array in values.items()}, worker="store")
            for i, row in enumerate(rows)
        ]

    def _start_waiting(self) -> None:
        """Submits queued trials: one for every worker, and a few more, so that none waits for this process.

        Beside a training no more than its processors leave: Ray would run what waits before it.
        """
        width, lent = self._pool.width, self._lent
        free = (width - lent if lent else width + max(1, width // 4)) - len(self._pool)
        trials = [self._queue.popleft() for _ in range(min(max(0, free), len(self._queue)))]
        for trial in self.campaign.start(trials):
            self._pool.submit(trial, trial.labels[None])

    def _answer(self, finished: list[Finished]) -> None:
        results = [_result(done) for done in finished]
        self._last_answer = time.monotonic()
        if self._first_answer:  # what was done before the first answer is not of the time that is measured
            self._busy += sum(min(done.seconds, self._last_answer - self._first_answer) for done in finished)
        self._first_answer = self._first_answer or self._last_answer
        trials = self.campaign.tell(results)
        if self._store is not None:
            solved = [done for done in finished if done.values is not None and not done.values["error"][0]]
            for done in solved:
                assert done.values is not None
                self._store.add([done.tag.key], done.values)
        self._evaluate_seconds = float(np.mean([done.seconds for done in finished]))
        self._queue.extendleft(trial for trial in trials if trial.state is State.RETRYABLE)
        self._told([trial for trial in trials if trial.state.answered])

    def _told(self, trials: list[Trial]) -> None:
        if trials and len(self.campaign.ledger) - self._reported >= self.campaign.config.per_round:
            self._report()

    def _report(self) -> None:
        campaign = self.campaign
        before, self._reported = self._reported, len(campaign.ledger)
        candidates, history = campaign.candidates(), campaign.history()
        errors = ", ".join(f"{100 * campaign.error(candidate):.2f} %" for candidate in candidates)
        best = f"errors {errors}" if errors else f"none within tolerance, best {min(history, default=np.inf):.1%}"
        self._progress(f"{self._reported} evaluations, {len(candidates)} candidates, {best}")
        if self._recorder is not None:
            answered = campaign.ledger.evaluations
            self._recorder.round(answered, answered[before:], len(candidates))

    @property
    def _lent(self) -> int:
        """Workers of physics that the training in progress has the processors of."""
        if self._training is None or self._training.done():
            return 0
        return _workers(self.campaign.config, self._pool.width)

    def _train_when_due(self) -> None:
        """Begins to train when there are enough new values; on resume what was trained then is found again."""
        if self._retrain is None or self._every < 1 or self._training is not None:
            return
        succeeded = self.campaign.ledger.succeeded
        due = len(succeeded) // self._every
        known = sum(trial.state is not State.ABANDONED for trial in self.campaign.ledger.trials)
        if due > self._trained and known < self.campaign.config.evaluations:  # or nothing would be proposed with it
            self._trained, self._training_since = due, time.monotonic()
            self._progress(f"the model learns from {due * self._every} values of physics")
            self._training = _in_background(self._retrain, succeeded[: due * self._every])

    def _adopt_what_is_trained(self) -> bool:
        """Goes on with the model that was in training, if it is done; returns whether."""
        if self._training is None or not self._training.done():
            return False
        surrogate = self._training.result()
        self._training = None
        self._note_lent()
        self.campaign.adopt(surrogate)
        return True

    def _let_training_end(self, stopped: str) -> None:
        """Waits for a training that the search has outrun; its model is for the next one, so that it may fail."""
        if self._training is None:
            return
        self._note_lent()
        self._progress(
            f"{stopped}; a training is still in progress, and its model for the next campaign: it is waited for"
        )
        try:
            self._training.result()
        except Exception as error:
            self._progress(f"that training failed: {error}")

    def _note_lent(self) -> None:
        if self._first_answer:
            workers = _workers(self.campaign.config, self._pool.width)
            self._lent_seconds += workers * (time.monotonic() - max(self._training_since, self._first_answer))


def _workers(config: CampaignConfig, width: int) -> int:
    """Workers of physics, of `width`, whose processors a training takes."""
    return min(width, math.ceil(config.retraining.cpus / config.cpus))


def _in_background(retrain: Retrain, trials: list[Trial]) -> Future[Surrogate]:
    """The model to come, made in a thread that does not hold up the end of the process."""
    future: Future[Surrogate] = Future()

    def work() -> None:
        try:
            future.set_result(retrain(trials))
        except BaseException as error:
            future.set_exception(error)

    Thread(target=work, name="trainer", daemon=True).start()
    return future


def _result(done: Finished) -> Result:
    key = done.tag.key
    if done.values is None:
        return Result(key, error=done.lost, retry=not done.late, seconds=done.seconds)
    error = str(done.values["error"][0])
    values = {} if error else {name: float(array[0]) for name, array in done.values.items() if name != "error"}
    return Result(key, values, error, seconds=done.seconds, worker=done.worker)

"""A training that runs beside a search, on processors that the search leaves to it."""

import math
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread

from microdesign.core.progress import Progress
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.trials import Trial, Trials, TrialState
from microdesign.surrogate.protocol import Surrogate

Retrain = Callable[[list[Trial]], Surrogate]
"""A model fine-tuned on the first trials with values; a resumed campaign asks for the same again."""


class BackgroundTraining:
    """Fine-tunes the model in a thread whenever enough new values are on record.

    Args:
        config: The campaign's.
        retrain: Trains; None trains never.
        width: Says how many evaluations run at once.
        progress: Called with lines for people.

    Attributes:
        measured_from: Time from which the processors that a training takes are counted; 0 while nothing is.
        seconds_lent: Seconds of workers that trainings have taken.
    """

    def __init__(
        self, config: CampaignConfig, retrain: Retrain | None, width: Callable[[], int], progress: Progress
    ) -> None:
        self._config, self._retrain, self._width, self._progress = config, retrain, width, progress
        self._trained = 0
        self._future: Future[Surrogate] | None = None
        self._since = self.measured_from = self.seconds_lent = 0.0

    @property
    def is_running(self) -> bool:
        """Whether a training has begun whose model has not been taken yet."""
        return self._future is not None

    @property
    def workers_lent(self) -> int:
        """Workers whose processors the training in progress has."""
        return 0 if self._future is None or self._future.done() else self._workers()

    def begin_if_due(self, trials: Trials) -> None:
        """Begins to train when there are enough new values; on resume what was trained then is found again."""
        every = self._config.retrain_every
        if self._retrain is None or every < 1 or self._future is not None:
            return
        succeeded = trials.succeeded
        due = len(succeeded) // every
        proposed = sum(trial.state is not TrialState.ABANDONED for trial in trials.trials)
        if due > self._trained and proposed < self._config.most_designs:  # or nothing would be proposed with it
            self._trained, self._since = due, time.monotonic()
            self._progress(f"fine-tuning the model on {due * every} evaluated designs")
            self._future = _in_background(self._retrain, succeeded[: due * every])

    def wait(self, seconds: float) -> None:
        """Waits for the training, at most so long."""
        wait([self._future] if self._future is not None else [], seconds)

    def wait_for_model(self) -> Surrogate | None:
        """The model of the training in progress, when it is done; None if there is none."""
        if self._future is not None:
            wait([self._future])
        return self.finished_model()

    def finished_model(self) -> Surrogate | None:
        """The model of a training that is done, once; None while there is none. A training that failed raises."""
        if self._future is None or not self._future.done():
            return None
        surrogate = self._future.result()
        self._future = None
        self._count_lent()
        return surrogate

    def let_end(self, stopped: str) -> None:
        """Waits for a training that the search has outrun; its model is for the next one, so that it may fail.

        Args:
            stopped: Why the search has ended.
        """
        if self._future is None:
            return
        self._count_lent()
        self._progress(f"{stopped}; waiting for a training in progress, whose model the next campaign can use")
        try:
            self._future.result()
        except Exception as error:
            self._progress(f"the training failed: {error}")

    def _workers(self) -> int:
        return min(self._width(), math.ceil(self._config.retraining.cpus / self._config.cpus))

    def _count_lent(self) -> None:
        if self.measured_from:
            self.seconds_lent += self._workers() * (time.monotonic() - max(self._since, self.measured_from))


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

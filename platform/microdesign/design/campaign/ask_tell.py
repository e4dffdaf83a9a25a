"""A design campaign as ask and tell: `ask` proposes designs, `tell` takes what physics says of them, all on record.

Whoever evaluates elsewhere, with a solver of their own or in a laboratory, uses it as it is; `engine.py` uses it to run
physics in parallel. What is proposed depends on seed, model and order of results alone, and is read from the ledger:
after any crash the same command goes on.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np

from microdesign.core.errors import InputError
from microdesign.core.files import lock_folder
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.ledger import Ledger
from microdesign.design.campaign.progress import CampaignProgress
from microdesign.design.campaign.proposals import Proposals
from microdesign.design.campaign.trials import Trial, TrialResult, TrialState
from microdesign.design.campaign.worker_deaths import WorkerDeaths
from microdesign.design.search.likeness import Distance
from microdesign.design.target.feasibility import check_bounds
from microdesign.physics.density import with_density
from microdesign.physics.evaluators.manufacturing import DRAWN, VARIANTS, by_variant, variant_name
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Surrogate


class AskTell(CampaignProgress):
    """A campaign on its ledger.

    Example:
        >>> with Campaign(config, surrogate, materials, "laboratory of 2026") as campaign:
        ...     while not campaign.reason_to_stop():
        ...         trials = campaign.ask(4)
        ...         campaign.tell([TrialResult(trial.key, measure(trial.labels)) for trial in trials])
        ...     campaign.candidates()

    It holds a local folder until it is closed: nobody else drives the campaign meanwhile.

    Args:
        config: What to look for, and how long.
        surrogate: The model, in process or at an endpoint.
        materials: The phases.
        fingerprint: Names everything else that values depend on: the evaluator's fingerprint, or a laboratory's method.
        table: Properties of the training samples by name, each `(N,)`: where to draw when the target leaves it open.
        reference: Coordinates of the training set, `(m, F)`, for novelty; see `statistics.difference`.
        known_images: Images `(s, X, Y)` whose latents are in the initial design, such as the best known ones.
        distance: Of images `(n, X, Y)` from the training images as a population, `(n,)`; the less alike half of the
            designs to choose from is left out (`prefer_alike`).

    Raises:
        InputError: No microstructure of the phases can be what is asked; or the folder belongs to another campaign, is
            in use, or holds a damaged record.
        StorageError: The folder cannot be written.
    """

    def __init__(
        self,
        config: CampaignConfig,
        surrogate: Surrogate,
        materials: Materials,
        fingerprint: str,
        table: Mapping[str, np.ndarray] | None = None,
        reference: np.ndarray | None = None,
        known_images: np.ndarray | None = None,
        distance: Distance | None = None,
    ) -> None:
        check_bounds(config.target, materials)
        self._materials = materials
        self.proposals = Proposals(config, surrogate, materials, fingerprint, table, reference, known_images, distance)
        self._lock = lock_folder(str(config.folder))
        try:
            self.ledger = Ledger(str(config.folder), campaign_identity(config, surrogate, fingerprint, materials))
        except BaseException:
            self.close()
            raise
        super().__init__(config, self.ledger)
        self._started, self._deaths = time.monotonic(), WorkerDeaths()
        self._age = max((trial.timings.get("answered_at", 0.0) for trial in self.ledger.trials), default=0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the folder."""
        if self._lock is not None:
            self._lock.close()

    @property
    def surrogate(self) -> Surrogate:
        """The model that proposes now."""
        return self.proposals.surrogate

    @property
    def clock(self) -> float:
        """Age of the campaign in seconds, without the time between runs."""
        return self._age + time.monotonic() - self._started

    @property
    def seconds_left(self) -> float | None:
        """What is left of the budget of wall time, which the first proposal starts; None without one."""
        if self.config.minutes is None:
            return None
        # The initial design takes a minute or two where draws are volumes: a short budget would end before it.
        begun = self.ledger.trials[0].timings.get("proposed_at", 0.0) if self.ledger.trials else self.clock
        return max(0.0, 60 * self.config.minutes - (self.clock - begun))

    @property
    def open(self) -> list[Trial]:
        """Trials that wait for a result: those that an earlier run left come first."""
        return self.ledger.open

    def ask(self, n: int) -> list[Trial]:
        """Proposes at most n designs and records them; none when results are awaited first, or none can be made."""
        trials = self.propose(n)
        self.ledger.record(trials)
        return trials

    def propose(self, n: int) -> list[Trial]:
        """What `ask` proposes, not yet on record: it changes nothing, so that it may run beside `tell`."""
        started = time.monotonic()
        trials = self.ledger.trials
        n = min(n, self.config.most_designs - sum(trial.state is not TrialState.ABANDONED for trial in trials))
        if n < 1:
            return []
        staged = self.proposals.propose(self, self.ledger, n)
        seconds = (time.monotonic() - started) / max(1, sum(len(designs) for _, designs in staged))
        proposed: dict[str, Trial] = {}
        for stage, designs in staged:
            for i, key in enumerate(self.proposals.keys(designs)):
                if key not in proposed and len(proposed) < n:
                    values = zip(self.target.names, designs.predicted[i].tolist(), strict=True)
                    proposed[key] = Trial(
                        number=len(trials) + len(proposed),
                        key=key,
                        labels=designs.labels[i],
                        z=designs.z[i],
                        component=int(designs.component[i]),
                        round=self.ledger.rounds,
                        stage=stage,
                        parent=designs.parent[i],
                        model=self.surrogate.digest,
                        predicted=dict(values),
                        timings={"proposing": seconds, "proposed_at": self.clock},
                    )
        return list(proposed.values())

    def start(self, trials: Sequence[Trial]) -> list[Trial]:
        """Records that an attempt at each trial begins; returns the trials as they are then."""
        started = []
        for trial in trials:
            waited = self.clock - trial.timings.get("proposed_at", self.clock)
            waiting = max(0.0, waited - trial.timings.get("waiting", 0.0) - trial.seconds)
            started.append(trial.moved(TrialState.RUNNING, {"waiting": waiting}, attempts=trial.attempts + 1))
        self.ledger.record(started)
        return started

    def tell(self, results: Sequence[TrialResult]) -> list[Trial]:
        """Records results; on disk when this returns. Returns the trials as they are then.

        Raises:
            InputError: A result is of no trial, of one with a result, or the second of its trial; a property of the
                target is missing, or a value is no number. Nothing is recorded then.
        """
        order = len(self.ledger)
        told: list[Trial] = []
        for result in results:
            if result.key not in self.ledger:
                raise InputError(f"The result of {result.key[:12]} belongs to no trial of {self.config.folder}.")
            if result.key in {trial.key for trial in told}:
                number = self.ledger[result.key].number
                raise InputError(f"Trial {number} is told twice at once; expected one result of each trial.")
            trial = self._told(self.ledger[result.key], result, order)
            order += trial.state.is_final
            told.append(trial)
        self.ledger.record(told)
        return told

    def requeue(self) -> list[Trial]:
        """The open trials. An attempt that ended with the process that had begun it is not held against its trial."""
        begun = [trial for trial in self.open if trial.state is TrialState.RUNNING]
        self.ledger.record([trial.moved(TrialState.PROPOSED, attempts=trial.attempts - 1) for trial in begun])
        return self.open

    def abandon(self) -> None:
        """Gives up the trials that wait for a result."""
        self.ledger.record([trial.moved(TrialState.ABANDONED) for trial in self.open])

    def reason_to_stop(self) -> str:
        """Why the search ends now; empty when it goes on."""
        config, candidates = self.config, self.candidates()
        done = self.ledger.evaluations
        components = {candidate.component for candidate in candidates}
        tried = {trial.component for trial in self.ledger.succeeded}
        several = len(components) >= min(2, config.candidates, len(tried))
        whole = len(candidates) == config.candidates and several and not self.target.senses.any()
        if whole and max(self.error(candidate) for candidate in candidates) <= config.goal:
            checked = all(each.is_checked for each in candidates)
            both = " by the search's own discretization, and meet the target by the second too" if checked else ""
            return f"all {len(candidates)} candidates are within {config.goal:.2%}{both}"
        if len(done) >= config.most_designs:
            return f"the budget of {config.evaluations} evaluations is spent"
        if self.seconds_left == 0:
            return f"the budget of {config.minutes:g} minutes is spent"
        spent = sum(trial.seconds for trial in self.ledger.trials) * config.cpus / 3600
        if config.core_hours is not None and spent >= config.core_hours:
            return f"the budget of {config.core_hours:g} core-hours is spent"
        if len(done) > config.patience and not self.improved(len(done) - config.patience):
            return f"no better result in {config.patience} evaluations"
        return ""

    def adopt(self, surrogate: Surrogate) -> None:
        """Goes on with another model, as a retrained one: trials that another one proposed are encoded anew."""
        self.proposals.adopt(surrogate)

    def _told(self, trial: Trial, result: TrialResult, order: int) -> Trial:
        timings = {"evaluating": result.seconds}
        if self._deaths.forgives(result):
            trial = replace(trial, attempts=trial.attempts - 1)
        if result.error and result.retry and trial.attempts <= self.config.retries:
            return trial.moved(TrialState.RETRYABLE, timings, error=result.error, worker=result.worker)
        timings["answered_at"] = self.clock
        ended = {"order": order, "worker": result.worker}
        if result.error:
            return trial.moved(TrialState.FAILED, timings, error=result.error, **ended)
        given = {name: np.array([_number(trial, name, value)]) for name, value in result.values.items()}
        columns = with_density(given, trial.labels[None], self._materials)
        verified = {name: float(array[0]) for name, array in columns.items()}
        if self.config.robust:
            drawn = self._complete(trial, columns)
            verified |= {variant_name(name, DRAWN): value for name, value in drawn.items()}
        values = self.target.table(columns)[0]
        verified |= dict(zip(self.target.names, values.tolist(), strict=True))
        if not np.isfinite(values).all():
            name = self.target.names[int(np.flatnonzero(~np.isfinite(values))[0])]
            return trial.moved(TrialState.FAILED, timings, error=f"{name} = {verified[name]}: no finite value", **ended)
        verified = {name: value for name, value in verified.items() if np.isfinite(value)}
        return replace(trial.moved(TrialState.SUCCEEDED, timings, error="", **ended), verified=verified)

    def _complete(self, trial: Trial, columns: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The target's properties as drawn.

        Raises:
            InputError: The result lacks one of the variants of a design.
        """
        variants = by_variant(columns)
        for variant in VARIANTS:
            if variant not in variants:
                raise InputError(
                    f"Trial {trial.number}: the campaign is robust, and there are no values of the image '{variant}'; "
                    f"expected each property of {', '.join(VARIANTS)}."
                )
        return dict(zip(self.target.names, self.target.table(variants[DRAWN])[0].tolist(), strict=True))


def campaign_identity(
    config: CampaignConfig, surrogate: Surrogate, fingerprint: str, materials: Materials
) -> dict[str, Any]:
    """What a campaign's record depends on: a folder with another identity is another campaign's."""
    return {
        "target": config.target.model_dump(mode="json", exclude={"tolerance"}),
        "materials": materials.digest,
        "evaluator": fingerprint,
        "model": surrogate.digest,
        "seed": config.seed,
    }


def _number(trial: Trial, name: str, value: Any) -> float:
    with suppress(OverflowError):
        if isinstance(value, Real) and not isinstance(value, bool):
            return float(value)
    raise InputError(f"Trial {trial.number}: {name} = {value!r}; expected a number.")

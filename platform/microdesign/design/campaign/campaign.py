"""A design campaign as ask and tell: `ask` proposes designs, `tell` takes what physics says of them, all on record.

Whoever evaluates elsewhere, with a solver of their own or in a laboratory, uses it as it is; `engine.py` uses it to run
physics in parallel. What is proposed depends on seed, model and order of answers alone, and is read from the ledger:
after any crash the same command goes on.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from numbers import Real
from typing import Any, Self

import numpy as np
import torch

from microdesign.core.errors import InputError
from microdesign.core.files import hold
from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.ledger import Ledger
from microdesign.design.campaign.progress import CampaignProgress
from microdesign.design.campaign.trials import Trial, TrialResult, TrialState
from microdesign.design.search.conditioning import conditions
from microdesign.design.search.distinctness import is_distinct, niche_of
from microdesign.design.search.initial_design import FirstDraws, draw_first
from microdesign.design.search.refinement import Observations, Request
from microdesign.design.search.refiners import REFINERS
from microdesign.design.search.sampling import Strata, strata_around
from microdesign.design.search.screening import Designs, decode_designs, screen
from microdesign.design.target.feasibility import check_bounds
from microdesign.microstructure.statistics.similarity import two_point_of
from microdesign.physics.execution.store import evaluation_key
from microdesign.physics.materials import Materials
from microdesign.surrogate.protocol import Surrogate

_MOST_DRAWS = 4
"""Times `screened`: draws that go to physics while there is no answer to refine."""


class Campaign(CampaignProgress):
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
        reference: Two-point statistics of the training set, `(m, X, Y)`, for novelty.
        starts: Images `(s, X, Y)` whose latents are among the first draws, such as the best known ones.

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
        reference: torch.Tensor | None = None,
        starts: np.ndarray | None = None,
    ) -> None:
        check_bounds(config.target, materials)
        self.surrogate = surrogate
        self._digest, self._fingerprint, self._reference = materials.digest, fingerprint, reference
        self._table, self._starts = table, starts
        self.strata = self._strata_of(surrogate, config)
        self._hold = hold(str(config.folder))
        try:
            self.ledger = Ledger(str(config.folder), campaign_identity(config, surrogate, fingerprint, materials))
        except BaseException:
            self.close()
            raise
        super().__init__(config, self.ledger)
        self._views: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
        self._draws: FirstDraws | None = None
        self._started = time.monotonic()
        self._age = max((trial.timings.get("answered_at", 0.0) for trial in self.ledger.trials), default=0.0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of the folder."""
        if self._hold is not None:
            self._hold.close()

    @property
    def clock(self) -> float:
        """Age of the campaign in seconds, without the time between runs."""
        return self._age + time.monotonic() - self._started

    @property
    def seconds_left(self) -> float | None:
        """What is left of the budget of wall time; None without one."""
        return None if self.config.minutes is None else max(0.0, 60 * self.config.minutes - self.clock)

    @property
    def open(self) -> list[Trial]:
        """Trials that wait for an answer: those that an earlier run left come first."""
        return self.ledger.open

    def ask(self, n: int) -> list[Trial]:
        """Proposes at most n designs and records them; none when answers are awaited first, or none can be made."""
        trials = self.propose(n)
        self.ledger.record(trials)
        return trials

    def propose(self, n: int) -> list[Trial]:
        """What `ask` proposes, not yet on record: it changes nothing, so that it may run beside `tell`."""
        started, config = time.monotonic(), self.config
        trials = self.ledger.trials
        done = self.ledger.succeeded
        n = min(n, config.evaluations - sum(trial.state is not TrialState.ABANDONED for trial in trials))
        if n < 1:
            return []
        number = self.ledger.rounds
        # While screened draws are left, half of the effort goes to them and half to what physics has told already.
        share = n // 2 + n % 2 * (1 - number % 2) if done else n
        leaders = self.leaders(done)
        drawn = self._first_designs(share, leaders)
        staged = [("initial", drawn)]
        if done and len(drawn) < n:
            staged.append((config.refiner, self._refined_designs(done, leaders, number, n - len(drawn), drawn)))
        if done and not any(len(designs) for _, designs in staged):
            # Nothing new around the leaders: the next best of the draws.
            left = self._unknown(self._drawn().designs)
            staged.append(("initial", screen(left, self.target, n, self._reference, config.least_novelty)))
        seconds = (time.monotonic() - started) / max(1, sum(len(designs) for _, designs in staged))
        proposed: dict[str, Trial] = {}
        for stage, designs in staged:
            for i, key in enumerate(self._keys(designs)):
                if key not in proposed and len(proposed) < n:
                    values = zip(self.target.names, designs.predicted[i].tolist(), strict=True)
                    proposed[key] = Trial(
                        number=len(trials) + len(proposed),
                        key=key,
                        labels=designs.labels[i],
                        z=designs.z[i],
                        component=int(designs.component[i]),
                        round=number,
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
        """Records answers; on disk when this returns. Returns the trials as they are then.

        Raises:
            InputError: A result is of no trial, of one with an answer, or the second of its trial; a property of the
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
        """Gives up the trials that wait for an answer."""
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
            return f"all {len(candidates)} candidates are within {config.goal:.2%}"
        if len(done) >= config.evaluations:
            return f"the budget of {config.evaluations} evaluations is spent"
        if config.minutes is not None and self.clock >= 60 * config.minutes:
            return f"the budget of {config.minutes:g} minutes is spent"
        spent = sum(trial.seconds for trial in self.ledger.trials) * config.cpus / 3600
        if config.core_hours is not None and spent >= config.core_hours:
            return f"the budget of {config.core_hours:g} core-hours is spent"
        if len(done) > config.patience and not self.improved(len(done) - config.patience):
            return f"no better answer in {config.patience} evaluations"
        return ""

    def adopt(self, surrogate: Surrogate) -> None:
        """Goes on with another model, as a retrained one: trials that another one proposed are encoded anew."""
        self.surrogate, self._draws = surrogate, None
        self.strata = self._strata_of(surrogate, self.config)

    def _strata_of(self, surrogate: Surrogate, config: CampaignConfig) -> Strata:
        points = conditions(config.target, surrogate, self._table, config.conditions, config.seed)
        return strata_around(surrogate, points, config.neighbours, config.spread, config.seed)

    def _drawn(self) -> FirstDraws:
        """The first draws, made once for a model."""
        if self._draws is None:
            config = self.config
            effort = (
                config.samples,
                config.aimed,
                config.aim_rounds,
                config.aim_steps if config.slopes else 0,
                config.seed,
            )
            self._draws = draw_first(self.target, self.surrogate, self.strata, *effort, self._starts)
            if not len(self._draws.designs) and not len(self.ledger.trials):
                raise InputError(self._draws.complaint)
        return self._draws

    def _first_designs(self, count: int, leaders: list[Trial]) -> Designs:
        """At most `count` screened draws that are not on record.

        Beyond `screened` while there is nothing to refine, and, if distinct from the leaders, while there are fewer of
        these than candidates are asked for.
        """
        config, drawn = self.config, self._drawn()
        novel = self._reference, config.least_novelty
        limit = config.screened if leaders else max(count, _MOST_DRAWS * config.screened)
        left = min(count, limit - sum(trial.stage == "initial" for trial in self.ledger.trials))
        if left > 0:
            chosen = self._unknown(screen(drawn.likely, self.target, config.screened, *novel))
            if len(chosen) < left and not leaders:
                chosen = screen(self._unknown(drawn.designs), self.target, left, *novel)
            return chosen.select(np.arange(min(len(chosen), left)))
        if count < 1 or len(leaders) in (0, config.candidates):
            return drawn.likely.select(np.array([]))
        known = self.statistics(leaders)
        others = [i for i, f in enumerate(drawn.statistics[: len(drawn.likely)]) if is_distinct(f, known)]
        return screen(self._unknown(drawn.likely.select(np.array(others))), self.target, count, *novel)

    def _refined_designs(self, done: list[Trial], best: list[Trial], number: int, n: int, drawn: Designs) -> Designs:
        """Designs around the leaders that are not good enough yet, each away from the other leaders.

        Those on their way to physics, `drawn` among them, count as pending.
        """
        pending = self._seen(self.open)
        pending = np.concatenate((pending[0], drawn.z)), np.concatenate((pending[1], drawn.predicted))
        statistics = self.statistics(done)
        component = np.array([trial.component for trial in done])
        leaders = [done.index(leader) for leader in best]
        observations = Observations(
            z=self._seen(done)[0],
            component=component,
            niche=niche_of(statistics, component, leaders),
            predicted=self._seen(done)[1],
            verified=self.verified(done),
            keys=tuple(trial.key for trial in done),
        )

        lead_component = component[leaders]

        def others(niche: int) -> torch.Tensor:
            return statistics[[leader for i, leader in enumerate(leaders) if niche not in (i, -1)]]

        def decode(niche: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
            designs = self._unknown(decode_designs(self.surrogate, self.target, z, component, parent))
            own = [i for i, f in enumerate(two_point_of(designs.labels)) if is_distinct(f, others(niche))]
            return designs.select(np.array(own))

        def reserve(niche: int) -> Designs:
            drawn = self._drawn()
            own = np.flatnonzero(drawn.designs.component == lead_component[niche])
            keys = self._keys(drawn.designs.select(own))
            mine = [i for i, key in zip(own, keys, strict=True) if key not in self.ledger]
            return drawn.designs.select(np.array([i for i in mine if is_distinct(drawn.statistics[i], others(niche))]))

        request = Request(
            observations=observations,
            pending=pending,
            niches=self._niches(best, number),
            strata=self._strata(best),
            home=self.strata,
            target=self.target,
            decode=decode,
            reserve=reserve,
            config=self.config.refinement,
            count=n,
            seed=int(np.random.default_rng([self.config.seed, number]).integers(2**31)),
            slopes=lambda z: self.target.slopes(self.surrogate, z) if self.config.slopes else None,
        )
        return REFINERS[self.config.refiner](request)

    def _niches(self, leaders: list[Trial], number: int) -> list[int]:
        """The niches that are not good enough: every other time the best comes first, else the others in turn."""
        optima = self.target.senses.any()
        left = [i for i, leader in enumerate(leaders) if optima or self.error(leader) > self.config.goal]
        first, *others = left or list(range(len(leaders)))
        turn = number // 2 % max(1, len(others))
        others = others[turn:] + others[:turn]
        order = [first, *others] if number % 2 or not others else [*others, first]
        return order

    def _strata(self, leaders: list[Trial]) -> Strata:
        """Where latents have to stay. On the way to an optimum that follows the leaders: p(z|c) at their values."""
        if not self.target.senses.any():
            return self.strata
        names = self.surrogate.properties
        points = [
            {name: leader.verified[name] for name in names} for leader in leaders if set(names) <= set(leader.verified)
        ]
        return self.strata.joined(Strata.of(self.surrogate, points)) if points else self.strata

    def _told(self, trial: Trial, result: TrialResult, order: int) -> Trial:
        timings = {"evaluating": result.seconds}
        if result.error and result.retry and trial.attempts <= self.config.retries:
            return trial.moved(TrialState.RETRYABLE, timings, error=result.error, worker=result.worker)
        timings["answered_at"] = self.clock
        ended = {"order": order, "worker": result.worker}
        if result.error:
            return trial.moved(TrialState.FAILED, timings, error=result.error, **ended)
        columns = {name: np.array([_number(trial, name, value)]) for name, value in result.values.items()}
        values = self.target.table(columns)[0]
        verified = {name: float(array[0]) for name, array in columns.items()}
        verified |= dict(zip(self.target.names, values.tolist(), strict=True))
        if not np.isfinite(values).all():
            name = self.target.names[int(np.flatnonzero(~np.isfinite(values))[0])]
            return trial.moved(TrialState.FAILED, timings, error=f"{name} = {verified[name]}: no finite value", **ended)
        return replace(trial.moved(TrialState.SUCCEEDED, timings, error="", **ended), verified=verified)

    def _unknown(self, designs: Designs) -> Designs:
        """The designs that are not on record, each once."""
        first = {key: i for i, key in reversed(list(enumerate(self._keys(designs)))) if key not in self.ledger}
        return designs.select(np.array(sorted(first.values())))

    def _keys(self, designs: Designs) -> list[str]:
        return [evaluation_key(labels, self._digest, self._fingerprint) for labels in designs.labels]

    def _seen(self, trials: Sequence[Trial]) -> tuple[np.ndarray, np.ndarray]:
        """Latents `(n, D)` and predictions `(n, P)` of trials in the eyes of the present model."""
        model = self.surrogate.digest
        foreign = [t for t in trials if t.model != model and (t.key, model) not in self._views]
        if foreign:
            labels = np.stack([trial.labels for trial in foreign])
            z, predicted = self.surrogate.encode(labels)[0], self.target.predict(self.surrogate, labels)[0]
            self._views |= {(t.key, model): (z[i], predicted[i]) for i, t in enumerate(foreign)}
        seen = [
            (t.z, np.array([t.predicted[name] for name in self.target.names]))
            if t.model == model
            else self._views[t.key, model]
            for t in trials
        ]
        z_size, count = self.strata.mean.shape[1], len(self.target.names)
        return np.array([z for z, _ in seen]).reshape(-1, z_size), np.array([p for _, p in seen]).reshape(-1, count)


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

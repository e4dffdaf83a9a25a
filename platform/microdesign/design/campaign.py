"""A design campaign: sample, screen, physics in parallel, refine, physics, ..., recorded evaluation by evaluation.

The campaign reads nothing but its ledger to decide what comes next, so the same command goes on after any crash.
"""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import Field

from microdesign.config import Config
from microdesign.design.conditioning import conditions
from microdesign.design.distinctness import distinct_best, is_distinct, niche_of, statistics_of
from microdesign.design.ledger import Evaluation, Ledger
from microdesign.design.refinement import Observations, RefinementConfig, propose
from microdesign.design.sampling import sample_components
from microdesign.design.screening import Designs, decode_designs, screen
from microdesign.design.targets import Target
from microdesign.errors import EvaluationError, InputError
from microdesign.model.surrogate import Surrogate
from microdesign.physics.evaluator import Evaluator
from microdesign.physics.materials import Materials
from microdesign.physics.parallel import evaluate_stream
from microdesign.physics.reachability import check_reachable
from microdesign.physics.store import ResultStore, evaluation_keys
from microdesign.progress import Progress, silent
from microdesign.tracking import Run


class SearchConfig(Config):
    """How long and how widely a campaign searches."""

    candidates: int = Field(4, ge=1, description="distinct designs to answer with")
    goal: float = Field(0.01, gt=0, description="worst relative error of every candidate at which the search stops")
    samples: int = Field(512, ge=1, description="latents that are drawn from the prior and screened at first")
    screened: int = Field(48, ge=2, description="of those, designs that physics evaluates")
    per_round: int = Field(16, ge=1, description="designs that physics evaluates in a refinement round")
    evaluations: int = Field(400, ge=2, description="budget of physics evaluations")
    patience: int = Field(6, ge=1, description="rounds without any better answer after which the search stops")
    refinement: RefinementConfig = RefinementConfig()
    seed: int = Field(0, ge=0, description="seed of every draw")


class CampaignConfig(SearchConfig):
    """A design campaign. Materials are the model's own unless given."""

    target: Target
    model: str = Field(
        "models:/microdesign@champion", description="bundle folder, models:/NAME@ALIAS, or http://HOST:PORT"
    )
    materials: Materials | None = Field(None, description="phases; the physics is exact for any, the regressor is not")
    folder: str = Field("runs/campaign", description="the campaign's folder; the same folder resumes")
    dataset: str | None = Field(None, description="labelled data set: for reach, novelty and the baselines")
    evaluator: str = Field("fft", description="physics: fft, module:name, or command: PROGRAM ARGS")
    evaluator_settings: dict[str, Any] = Field(default_factory=dict, description="settings of the evaluator")
    store: str | None = Field(None, description="folder of results; None takes `results` in the campaign's folder")
    experiment: str = Field("microdesign", description="MLflow experiment")
    token: str | None = Field(
        None, description="bearer token of the Serve endpoint; better given as MICRODESIGN_SERVE_TOKEN", exclude=True
    )


@dataclass(frozen=True)
class Answer:
    """What a campaign found.

    Attributes:
        candidates: Distinct designs within the target's tolerance, best first, from two components if possible.
        evaluations: All evaluations on record.
        history: Best error after each round.
        resumed: Number of evaluations that were on record before this run.
        stopped: Why the search ended.
    """

    candidates: list[Evaluation]
    evaluations: list[Evaluation]
    history: list[float]
    resumed: int
    stopped: str


def run_campaign(
    config: CampaignConfig,
    surrogate: Surrogate,
    evaluator: Evaluator,
    materials: Materials,
    progress: Progress = silent,
    run: Run | None = None,
    store: ResultStore | None = None,
) -> Answer:
    """Runs a campaign to its end, from whatever its folder holds already.

    Args:
        config: What to look for, and how long.
        surrogate: The model, in process or at an endpoint.
        evaluator: The physics.
        materials: The phases.
        progress: Called with a line for people after each round.
        run: MLflow run to log the rounds to.
        store: Results of physics that are known already; new ones are added to it.

    Raises:
        InputError: The target is outside the bounds of the phases (before anything is computed), is not the model's, or
            the folder belongs to another campaign.
        EvaluationError: Physics could answer for none of the first designs.
    """
    check_reachable(config.target.fixed, materials)
    campaign = _Campaign(config, surrogate, evaluator, materials, store)
    resumed = len(campaign.ledger)
    if resumed:
        progress(f"resumed with {resumed} evaluations on record")
    # One round on record may be a part of the first, where a kill interrupted it.
    stopped = campaign.begin(progress, run) if campaign.ledger.rounds <= 1 else campaign.reason_to_stop()
    while not stopped:
        number = campaign.ledger.rounds
        proposals = campaign.refined_designs(number)
        if not len(proposals):
            stopped = "no new design can be proposed"
            break
        campaign.evaluate(proposals, number)
        stopped = campaign.after_round(number, progress, run)
    return Answer(campaign.candidates(), campaign.ledger.evaluations, campaign.history(), resumed, stopped)


class _Campaign:
    """The steps of a campaign, each a function of the ledger."""

    def __init__(
        self,
        config: CampaignConfig,
        surrogate: Surrogate,
        evaluator: Evaluator,
        materials: Materials,
        store: ResultStore | None = None,
    ) -> None:
        self.config, self.target, self.store = config, config.target, store
        self.surrogate, self.evaluator, self.materials = surrogate, evaluator, materials
        self.prior = surrogate.prior(conditions(config.target, surrogate, None, 1, config.seed)[0])
        identity = campaign_identity(config, surrogate, evaluator, materials)
        self.ledger = Ledger(str(config.folder), identity)
        self._statistics: dict[str, torch.Tensor] = {}

    def decode(self, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...] = ()) -> Designs:
        """Decodes latents, without those that are on record already."""
        designs = decode_designs(self.surrogate, self.target, z, component, parent)
        return designs.select(np.array([i for i, key in enumerate(self._keys(designs)) if key not in self.ledger]))

    def begin(self, progress: Progress, run: Run | None) -> str:
        """Evaluates the most promising of many draws, of every component; those on record are not evaluated again."""
        draws = sample_components(self.prior, self.config.samples, self.config.seed)
        count = min(self.config.screened, self.config.evaluations)
        designs = screen(decode_designs(self.surrogate, self.target, draws.z, draws.component), self.target, count)
        if not len(designs) and not len(self.ledger):
            raise InputError("No draw satisfies the target's constraints on the microstructure; loosen them.")
        missing = [index for index, key in enumerate(self._keys(designs)) if key not in self.ledger]
        self.evaluate(designs.select(np.array(missing[: max(0, count - len(self.ledger))])), 0)
        return self.after_round(0, progress, run)

    def after_round(self, number: int, progress: Progress, run: Run | None) -> str:
        """Reports a round and says why the search ends now; empty when it goes on."""
        if len(self.succeeded()) < 2:
            errors = [evaluation.error for evaluation in self.ledger.evaluations if evaluation.error]
            reason = errors[0] if errors else "only one draw satisfies the target's constraints"
            raise EvaluationError(f"Physics answered for fewer than 2 of the first designs: {reason}")
        candidates, best = self.candidates(), self.history()
        if run is not None:
            values = {"best_error": best[-1], "evaluations": len(self.ledger), "candidates": len(candidates)}
            run.log_metrics(values, step=number)
        errors = [f"{100 * self.error(candidate):.2f} %" for candidate in candidates]
        progress(
            f"round {number}: {len(self.ledger)} evaluations, {len(candidates)} candidates, "
            + (f"errors {', '.join(errors)}" if errors else f"none within tolerance, best {best[-1]:.1%}")
        )
        return self.reason_to_stop()

    def refined_designs(self, number: int) -> Designs:
        """The designs of a refinement round: around each leader that is not good enough yet, away from the others."""
        done = self.succeeded()
        names = self.target.names
        statistics = self.statistics(done)
        leaders = [done.index(leader) for leader in self.leaders(done)]
        observations = Observations(
            z=np.stack([e.z for e in done]),
            component=np.array([e.component for e in done]),
            niche=niche_of(statistics, np.array([e.component for e in done]), leaders),
            predicted=np.array([[e.predicted[name] for name in names] for e in done]),
            verified=np.array([[e.verified[name] for name in names] for e in done]),
            keys=tuple(e.key for e in done),
            round=np.array([e.round for e in done]),
        )

        def decode(niche: int, z: np.ndarray, component: np.ndarray, parent: tuple[str, ...]) -> Designs:
            designs = self.decode(z, component, parent)
            others = statistics[[leader for position, leader in enumerate(leaders) if position != niche]]
            own = [i for i, f in enumerate(statistics_of(designs.labels)) if is_distinct(f, others)]
            return designs.select(np.array(own))

        unfinished = [i for i, leader in enumerate(leaders) if self.error(done[leader]) > self.config.goal]
        count = min(self.config.per_round, self.config.evaluations - len(self.ledger))
        seed = int(np.random.default_rng([self.config.seed, number]).integers(2**31))
        niches = unfinished or list(range(len(leaders)))
        designs = propose(observations, niches, self.prior, self.target, decode, self.config.refinement, count, seed)
        return designs.select(np.arange(min(count, len(designs))))

    def evaluate(self, designs: Designs, number: int) -> None:
        """Runs physics on designs in parallel; each batch is on record when it is reported."""
        if not len(designs):
            return
        keys = self._keys(designs)
        unique = {key: index for index, key in reversed(list(enumerate(keys))) if key not in self.ledger}
        rows = np.array(sorted(unique.values()), dtype=int)
        names = self.target.names
        started = time.monotonic()
        images = designs.labels[rows]
        stream = evaluate_stream(self.evaluator, images, self.materials, batch_size=2, store=self.store)
        for where, values in stream:
            seconds = time.monotonic() - started
            properties = {name: array for name, array in values.items() if name != "error"}
            properties |= dict(zip(names, self.target.table(properties).T, strict=True))
            self.ledger.append(
                [
                    Evaluation(
                        key=keys[row],
                        labels=designs.labels[row],
                        z=designs.z[row],
                        component=int(designs.component[row]),
                        round=number,
                        parent=designs.parent[row],
                        predicted=dict(zip(names, designs.predicted[row].tolist(), strict=True)),
                        verified={} if values["error"][i] else {n: float(properties[n][i]) for n in properties},
                        seconds=seconds,
                        error=str(values["error"][i]),
                    )
                    for i, row in enumerate(rows[where])
                ]
            )

    def succeeded(self) -> list[Evaluation]:
        """The evaluations that physics answered."""
        return [evaluation for evaluation in self.ledger.evaluations if not evaluation.error]

    def error(self, evaluation: Evaluation) -> float:
        """Relative error of an evaluation's worst property."""
        return float(self.target.errors(np.array([evaluation.verified[name] for name in self.target.names])))

    def candidates(self) -> list[Evaluation]:
        """The best distinct designs within tolerance."""
        return self.leaders([e for e in self.succeeded() if self.error(e) <= self.target.tolerance])

    def leaders(self, evaluations: list[Evaluation]) -> list[Evaluation]:
        """The best distinct ones of the evaluations, as many as candidates are asked for, best first."""
        errors = np.array([self.error(e) for e in evaluations])
        component = np.array([e.component for e in evaluations])
        best = distinct_best(errors, component, self.statistics(evaluations), self.config.candidates)
        return [evaluations[index] for index in best]

    def statistics(self, evaluations: list[Evaluation]) -> torch.Tensor:
        """Two-point statistics of the evaluations' images, each computed once."""
        new = [e for e in evaluations if e.key not in self._statistics]
        if new:
            self._statistics |= zip((e.key for e in new), statistics_of(np.stack([e.labels for e in new])), strict=True)
        return torch.stack([self._statistics[e.key] for e in evaluations]) if evaluations else torch.empty(0)

    def history(self) -> list[float]:
        """The best error after each round."""
        best: dict[int, float] = {}
        lowest = np.inf
        for evaluation in self.succeeded():
            lowest = min(lowest, self.error(evaluation))
            best[evaluation.round] = lowest
        return [best[number] for number in sorted(best)]

    def reason_to_stop(self) -> str:
        """Why the search ends now; empty when it goes on."""
        candidates, best = self.candidates(), self.history()
        errors = [self.error(candidate) for candidate in candidates]
        components = {candidate.component for candidate in candidates}
        several = len(components) >= min(2, len(np.unique([e.component for e in self.succeeded()])))
        whole = len(candidates) == self.config.candidates and not self.target.senses.any()
        if whole and max(errors) <= self.config.goal and several:
            return f"all {len(candidates)} candidates are within {self.config.goal:.2%}"
        if len(self.ledger) >= self.config.evaluations:
            return f"the budget of {self.config.evaluations} evaluations is spent"
        improved = max([e.round for e in candidates] + [int(np.argmin(best))])
        if improved + self.config.patience < self.ledger.rounds:
            return f"no better answer in {self.config.patience} rounds"
        return ""

    def _keys(self, designs: Designs) -> list[str]:
        return evaluation_keys(designs.labels, self.materials, self.evaluator)


def campaign_identity(
    config: CampaignConfig, surrogate: Surrogate, evaluator: Evaluator, materials: Materials
) -> dict[str, Any]:
    """What a campaign's record depends on: a folder with another identity is another campaign's."""
    return {
        "target": config.target.model_dump(mode="json", exclude={"tolerance"}),
        "materials": materials.digest,
        "evaluator": evaluator.fingerprint,
        "model": surrogate.digest,
        "seed": config.seed,
    }

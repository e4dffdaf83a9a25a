"""The progress of a campaign by its ledger alone: errors, incumbents, candidates, and whether these get better.

No model is asked, so that whoever has the folder can see it. Shapes: n trials, P target properties, X Y image.
"""

from collections.abc import Sequence

import numpy as np

from microdesign.design.campaign.campaign_config import CampaignConfig
from microdesign.design.campaign.discretizations import errors_by_both
from microdesign.design.campaign.trials import Trial, Trials
from microdesign.design.search.distinctness import distinct_best


class CampaignProgress:
    """What a campaign has come to.

    Args:
        config: What is looked for.
        trials: The campaign's, which may grow.
    """

    def __init__(self, config: CampaignConfig, trials: Trials) -> None:
        self.config, self.target, self._trials = config, config.target, trials
        self._points: dict[str, np.ndarray] = {}
        self._best: dict[tuple[int, int], list[Trial]] = {}

    def verified(self, trials: Sequence[Trial]) -> np.ndarray:
        """Physics' values of the target's properties, `(n, P)`."""
        return np.array([[trial.verified[name] for name in self.target.names] for trial in trials])

    def error(self, trial: Trial) -> float:
        """Error of a verified trial's worst property, by the evaluator's own discretization."""
        return float(self.target.errors(self.verified([trial]))[0])

    def errors(self, trials: Sequence[Trial]) -> np.ndarray:
        """Errors by which trials count, `(n,)`: by the worse of two discretizations where the second was asked.

        When as many were checked as `checks` allows, those that were not are beyond the tolerance.
        """
        errors = errors_by_both(self.target, trials)
        if 0 < self.config.checks <= self.checks:
            unknown = np.array([not trial.is_checked for trial in trials], dtype=bool)
            errors[unknown & (errors <= self.target.tolerance)] += 1.001 * self.target.tolerance
        return errors

    @property
    def checks(self) -> int:
        """How many designs were checked by a second discretization."""
        return sum(trial.is_checked for trial in self._trials.trials)

    def candidates(self) -> list[Trial]:
        """The best distinct designs within tolerance, from as many components as possible, best first.

        Those within it by the evaluator alone are chosen by its errors; they stand in the order of `errors`.
        """
        found = self._candidates(self._trials.succeeded)
        if self.target.senses.any():
            return found
        return [found[index] for index in np.argsort(self.errors(found), kind="stable")]

    def unchecked(self) -> list[Trial]:
        """The candidates that no second discretization has been asked about, as many as `checks` still allows."""
        left = max(0, self.config.checks - self.checks)
        return [trial for trial in self.candidates() if not trial.is_checked][:left]

    def unchecked_misses(self) -> list[Trial]:
        """The near misses that stand in for candidates that are lacking, and have not been checked, likewise.

        One check is left: with none, whatever was not checked would count as beyond the tolerance.
        """
        left = max(0, self.config.checks - self.checks - 1)
        lacking = self.config.candidates - len(self.candidates())
        nearest = self.incumbents(self._missed())[: max(0, lacking)]
        return [trial for trial in nearest if not trial.is_checked][:left]

    def near_misses(self, n: int) -> list[Trial]:
        """The best n distinct designs that miss the tolerance, best first; those that were checked, if they are n."""
        missed = self._missed()
        checked = self.incumbents([trial for trial in missed if trial.is_checked])[: max(0, n)]
        return checked if len(checked) == n else self.incumbents(missed)[: max(0, n)]

    def _missed(self) -> list[Trial]:
        done = self._trials.succeeded
        errors = self.errors(done).tolist() if done else []
        return [trial for trial, error in zip(done, errors, strict=True) if error > self.target.tolerance]

    def incumbents(self, trials: list[Trial]) -> list[Trial]:
        """The best distinct ones of the trials, as many as candidates are asked for, best first.

        Components have their turn where they meet the target; an optimum is one for all of them.
        """
        if not trials:
            return []
        met, ranks = self._ranked(trials)
        good = met & (not self.target.senses.any())
        component = np.array([trial.component for trial in trials])
        best = distinct_best(ranks.astype(float), component, self.points(trials), self.config.candidates, good)
        return [trials[index] for index in best]

    def points(self, trials: Sequence[Trial]) -> np.ndarray:
        """Coordinates of the trials' images, `(n, F)`, each computed once; their distances are differences."""
        new = [trial for trial in trials if trial.key not in self._points]
        if new:
            computed = self.target.coordinates(np.stack([trial.labels for trial in new]))
            self._points |= zip((trial.key for trial in new), computed, strict=True)
        return np.stack([self._points[trial.key] for trial in trials]) if trials else np.empty((0, 0))

    def history(self) -> list[float]:
        """The best error so far after each evaluation that succeeded."""
        done = self._trials.succeeded
        return np.minimum.accumulate(self.target.errors(self.verified(done))).tolist() if done else []

    def improved(self, order: int) -> bool:
        """Whether the evaluations from `order` on improved the result.

        One more candidate does, and `least_gain` less error of one beyond the goal. While there is none, and with
        optima, any better design does: the first candidate may be a small step away.
        """
        done = self._trials.succeeded
        before = [trial for trial in done if trial.order < order]
        if not before or not done:
            return len(done) > len(before)
        now, then = self._candidates(done), self._candidates(before)
        if self.target.senses.any():
            best = done[int(self._ranked(done)[1].argmin())]
            return any(trial.order >= order for trial in [best, *now])
        if len(now) > len(then):
            return True
        if not now:  # by what counts: one that only the first discretization called good is no reason to stop
            return bool(self.errors(done).min() < self.errors(before).min())
        least, goal = 1 - self.config.least_gain, self.config.goal
        pairs = zip(now, then, strict=False)
        return any(max(self.error(new), goal) < least * max(self.error(old), goal) for new, old in pairs)

    def _candidates(self, done: list[Trial]) -> list[Trial]:
        """The candidates of the first evaluations, `done`; selected once."""
        state = len(done), self.checks
        if state not in self._best:
            errors = self.errors(done).tolist()
            met = [trial for trial, error in zip(done, errors, strict=True) if error <= self.target.tolerance]
            self._best[state] = self.incumbents(met)
        return self._best[state]

    def _ranked(self, trials: Sequence[Trial]) -> tuple[np.ndarray, np.ndarray]:
        """Which trials meet the target, bool `(n,)`, and the rank of each: of these by the evaluator's own errors.

        A smaller error of another discretization is nothing that the search could aim at.
        """
        verified, errors = self.verified(trials), self.errors(trials)
        met = errors <= self.target.tolerance
        return met, self.target.ranks(verified, np.where(met, self.target.errors(verified), errors))

"""A trial: one design on its way through physics, its states, and everything that its record says.

    proposed -> running -> succeeded
                        -> failed                physics has no values of this image
                        -> failed-retryable      its worker or node died: it is queued again
                        -> proposed              the process that had begun it died
    proposed, running, failed-retryable -> abandoned      the search ended first

Shapes: D latent, X Y image.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np

from microdesign.core.errors import InputError
from microdesign.physics.evaluators.manufacturing import without_variants


class TrialState(StrEnum):
    """Where a trial is in its life."""

    PROPOSED = "proposed"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    RETRYABLE = "failed-retryable"
    FAILED = "failed"
    ABANDONED = "abandoned"

    @property
    def is_final(self) -> bool:
        """Whether the evaluation is complete, with or without values."""
        return self in (TrialState.SUCCEEDED, TrialState.FAILED)

    @property
    def is_open(self) -> bool:
        """Whether a result is still to come."""
        return self in (TrialState.PROPOSED, TrialState.RUNNING, TrialState.RETRYABLE)


@dataclass(frozen=True)
class Trial:
    """One design with what is known of it.

    Attributes:
        number: Its place in the order of proposals.
        key: Digest of (image, materials, evaluator fingerprint).
        labels: The image, uint8 `(X, Y)`.
        z: Its latent `(D,)`.
        component: Prior component that it stems from.
        round: Number of the request for designs that proposed it; 0 is the first.
        stage: What proposed it: `initial`, or the refiner's name.
        parent: Key of the trial that it was derived from; empty for draws.
        model: Digest of the model that proposed it.
        predicted: Property name to the regressor's mean; NaN where the model says nothing.
        state: Where it is in its life.
        verified: Property name to the physics value; empty unless it succeeded. In a robust campaign the target's have
            their worst case, and those of the variants follow (`physics.evaluators.manufacturing`).
        second: The same by a second discretization, NaN where that has no value; empty while it has not been asked.
        fine: The same as `verified` on twice the pixels; empty unless the two discretizations left doubt.
        fine_second: The same as `second` there.
        error: Why physics has no values, or why the last attempt was lost; empty otherwise.
        order: Its place in the order of results; -1 while there is none.
        attempts: How often it was started, but for what ended with the process that had started it or by a death of
            its worker that is forgiven (`worker_deaths`).
        worker: Who evaluated it: host and process, `store` for a result that was known, or what `tell` was given.
        timings: Seconds: `proposing`, its share of the making of its round; `waiting` between that and physics, and
            `evaluating`, both of all attempts; `checking` by the second discretization; `proposed_at` and
            `answered_at`, the campaign's age, pauses left out.
    """

    number: int
    key: str
    labels: np.ndarray
    z: np.ndarray
    component: int
    round: int
    stage: str
    parent: str
    model: str
    predicted: Mapping[str, float]
    state: TrialState = TrialState.PROPOSED
    verified: Mapping[str, float] = field(default_factory=dict)
    second: Mapping[str, float] = field(default_factory=dict)
    fine: Mapping[str, float] = field(default_factory=dict)
    fine_second: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    order: int = -1
    attempts: int = 0
    worker: str = ""
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def drawn(self) -> dict[str, float]:
        """Property name to the physics value of the image as drawn; `verified` unless the worst case counts."""
        return without_variants(self.verified)

    @property
    def seconds(self) -> float:
        """Seconds of physics, all attempts and the second discretization together."""
        return self.timings.get("evaluating", 0.0) + self.timings.get("checking", 0.0)

    @property
    def is_checked(self) -> bool:
        """Whether a second discretization has been asked."""
        return bool(self.second)

    def moved(self, state: TrialState, timings: Mapping[str, float] | None = None, **changes: Any) -> "Trial":
        """The trial in another state; seconds are added to those of the same name.

        Raises:
            InputError: It has its result already.
        """
        if self.state.is_final:
            raise InputError(f"Trial {self.number} is {self.state} already; expected one that waits for a result.")
        added = {name: self.timings.get(name, 0.0) + seconds for name, seconds in (timings or {}).items()}
        return replace(self, state=state, timings={**self.timings, **added}, **changes)


@dataclass(frozen=True)
class TrialResult:
    """What physics, or a laboratory, says of one proposed design.

    Attributes:
        key: The trial's key.
        values: Property name to value, in the materials' units; empty when there is none.
        error: Why there is none.
        retry: Whether asking again may help, as after the death of a worker.
        own_fault: Whether that death was the trial's doing; None where nobody knows, as of a process that was killed.
        seconds: How long it took.
        worker: Who did it.
    """

    key: str
    values: Mapping[str, float] = field(default_factory=dict)
    error: str = ""
    retry: bool = False
    seconds: float = 0.0
    worker: str = ""
    own_fault: bool | None = True


class Trials:
    """The trials of a campaign by key, in the order of proposals.

    Args:
        trials: They, as they are after each change; of a key the last one counts.
    """

    def __init__(self, trials: Iterable[Trial] = ()) -> None:
        self._trials: dict[str, Trial] = {}
        self._note(trials)

    def _note(self, trials: Iterable[Trial]) -> None:
        self._trials |= {trial.key: trial for trial in trials}

    def __contains__(self, key: str) -> bool:
        return key in self._trials

    def __getitem__(self, key: str) -> Trial:
        return self._trials[key]

    def __len__(self) -> int:
        """Number of evaluations: trials with a result."""
        return sum(trial.state.is_final for trial in self.trials)

    @property
    def trials(self) -> list[Trial]:
        """All trials, in the order of proposals."""
        return list(self._trials.values())

    @property
    def evaluations(self) -> list[Trial]:
        """The trials with a result, in the order of results."""
        return sorted((trial for trial in self.trials if trial.state.is_final), key=lambda trial: trial.order)

    @property
    def succeeded(self) -> list[Trial]:
        """The evaluations with values, in the order of results."""
        return [trial for trial in self.evaluations if trial.state is TrialState.SUCCEEDED]

    @property
    def open(self) -> list[Trial]:
        """The trials that wait for a result, in the order of proposals."""
        return [trial for trial in self.trials if trial.state.is_open]

    @property
    def rounds(self) -> int:
        """The number of the next round: one more than the last that is on record."""
        return 1 + max((trial.round for trial in self.trials), default=-1)

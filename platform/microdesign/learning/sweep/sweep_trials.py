"""A sweep's record on disk: a file a trial, written by whoever changes it, read again when the sweep goes on.

What is left to do follows from the record alone; Ray Tune's own files are not needed for it and never read.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field

from microdesign.core.config import Config, validate_config
from microdesign.core.files import digest_json, read_json, replacing, write_json
from microdesign.learning.training.loop import State

Status = Literal["running", "finished", "stopped", "failed"]


class SweepTrial(Config):
    """One trial: what it tries and how far it is."""

    choice: Mapping[str, Any] = Field(description="dotted name of a setting -> its value")
    status: Status = Field("running", description="stopped: early, by the scheduler; failed: for good, as `error` says")
    epochs: int = Field(0, description="epochs done")
    metrics: Mapping[str, float] = Field(default_factory=dict, description="on the validation split, last measured")
    error: str = ""
    repeats: int = Field(0, description="how often the search proposed it again and took the result from here")

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to do."""
        return self.status != "running"

    @property
    def has_result(self) -> bool:
        """Whether it can be compared."""
        return self.status in ("finished", "stopped")


class SweepTrialStore:
    """The trials of one search in a folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, choice: Mapping[str, Any], suffix: str) -> Path:
        """A file of a trial."""
        return self.folder / f"{digest_json(dict(choice))[:12]}.{suffix}"

    def read(self, choice: Mapping[str, Any]) -> SweepTrial | None:
        """The trial of a choice, if it ever started."""
        path = self.path(choice, "json")
        return validate_config(SweepTrial, read_json(path), str(path)) if path.is_file() else None

    def write(self, trial: SweepTrial) -> None:
        """Records a trial, whole or not at all; one that is over needs its training state no more."""
        write_json(self.path(trial.choice, "json"), trial.model_dump(mode="json"))
        if trial.is_over:
            self.path(trial.choice, "pt").unlink(missing_ok=True)

    def all(self) -> list[SweepTrial]:
        """All trials that ever started, in the order of their first record's name."""
        paths = sorted(path for path in self.folder.glob("*.json") if len(path.stem) == 12)
        return [validate_config(SweepTrial, read_json(path), str(path)) for path in paths]

    def save_state(self, choice: Mapping[str, Any], state: State) -> None:
        """Keeps the training state of a trial."""
        with replacing(self.path(choice, "pt")) as temporary:
            torch.save(state, temporary)

    def load_state(self, choice: Mapping[str, Any]) -> State | None:
        """The training state of a trial, or None; tensors and plain values only, never code."""
        path = self.path(choice, "pt")
        return torch.load(path, map_location="cpu", weights_only=True) if path.is_file() else None


def pareto_set(values: np.ndarray) -> np.ndarray:
    """Which of n trials are not dominated: bool `(n,)` for values `(n, m)` of m metrics, smaller is better.

    A trial dominates another if it is nowhere worse and somewhere better. One with a value that is NaN is never in the
    set.
    """
    from botorch.utils.multi_objective.pareto import is_non_dominated  # takes seconds to import

    known = np.isfinite(values).all(1)
    safe = np.where(known[:, None], values, np.inf)
    return known & is_non_dominated(torch.from_numpy(safe), maximize=False, deduplicate=False).numpy()


def balanced_best(values: np.ndarray) -> int:
    """The trial of the Pareto set with the least sum of ranks over the metrics, `(n, m)`; the first of equals.

    Ranks, because the metrics have no common unit and a failed one may be very large.
    """
    ranks = (safe := np.nan_to_num(values, nan=np.inf)).argsort(0, kind="stable").argsort(0, kind="stable").sum(1)
    return int(np.where(pareto_set(safe), ranks, len(values) * values.shape[1]).argmin())

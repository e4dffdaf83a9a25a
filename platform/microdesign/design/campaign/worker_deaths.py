"""Which deaths of workers count against a trial: its own alone, as far as that can be known."""

from collections import Counter

from microdesign.design.campaign.trials import TrialResult

UNKNOWN, FOREIGN = 5, 50
"""How often a trial is forgiven a death whose cause nobody knows, and one that was certainly not its doing.

Killed from outside, or by the system for the memory that it took: a worker that is gone does not say. So that a trial
which takes all memory each time comes to an end, both numbers are finite.
"""


class WorkerDeaths:
    """Counts the deaths that trials are forgiven."""

    def __init__(self) -> None:
        self._forgiven: Counter[tuple[str, bool | None]] = Counter()

    def forgives(self, result: TrialResult) -> bool:
        """Whether a lost evaluation is no attempt of its trial; each call is for one death."""
        if not (result.error and result.retry) or result.own_fault:
            return False
        self._forgiven[result.key, result.own_fault] += 1
        return self._forgiven[result.key, result.own_fault] <= (UNKNOWN if result.own_fault is None else FOREIGN)

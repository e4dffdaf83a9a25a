"""Evaluations in Ray tasks, on this machine or on the cluster that `RAY_ADDRESS` names."""

import numpy as np

from microdesign.design.campaign.runners.evaluation import trial_result
from microdesign.design.campaign.runners.protocol import RunnerTask
from microdesign.design.campaign.trials import TrialResult
from microdesign.physics.execution.pool import TaskPool


class RayRunner:
    """A `Runner` of Ray tasks, one an evaluation; Ray is started on this machine if none is connected.

    The time limit is kept in the task itself; where a library hangs without coming back to Python, its process is ended
    half a limit later, and where that fails too, the task is cancelled a minute after.

    Args:
        task: What to evaluate.

    Raises:
        InputError: The evaluator needs a GPU and the cluster has none, or more processors than this machine has.
    """

    def __init__(self, task: RunnerTask) -> None:
        self._pool = TaskPool(
            task.evaluator, task.materials, num_cpus_per_task=task.cpus, system_retries=0, time_limit=task.time_limit
        )

    @property
    def width(self) -> int:
        """See `Runner.width`."""
        return self._pool.width

    def submit(self, key: str, image: np.ndarray) -> None:
        """See `Runner.submit`."""
        self._pool.submit(key, image[None])

    def poll(self, timeout: float | None = None) -> list[TrialResult]:
        """See `Runner.poll`."""
        return [
            TrialResult(done.tag, error=done.lost, retry=not done.late, seconds=done.seconds, own_fault=done.own_fault)
            if done.values is None
            else trial_result(done.tag, done.values, done.seconds, done.worker)
            for done in self._pool.collect(timeout)
        ]

    def stop(self) -> None:
        """See `Runner.stop`."""
        self._pool.close()

"""The pool of tasks where a worker says nothing any more."""

import os
import signal
import time

import numpy as np
import pytest

from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.execution.pool import TaskPool
from microdesign.physics.materials import Materials

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

MATERIALS = Materials.model_validate({"phases": [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}]})


class StopsItself:
    """An image of ones stops the worker's process, which then keeps no time limit of its own."""

    fingerprint = "stops"

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        if images.all():
            os.kill(os.getpid(), signal.SIGSTOP)
        return {"Ex": images.mean(axis=(1, 2))}


def test_a_task_that_says_nothing_is_given_up() -> None:
    pool = TaskPool(StopsItself(), MATERIALS, num_cpus_per_task=2, system_retries=0, time_limit=1, start_seconds=2)
    begun = time.monotonic()
    pool.submit("stopped", np.ones((1, 4, 4), np.uint8))
    assert pool.collect(0.1) == []
    (stopped,) = pool.collect()
    assert (stopped.tag, stopped.values, stopped.late) == ("stopped", None, True)
    assert stopped.lost == "TimeoutError: no answer within the time limit of 1 s"
    assert 8 <= stopped.seconds <= time.monotonic() - begun
    assert len(pool) == 0
    assert pool.collect() == []
    again = TaskPool(StopsItself(), MATERIALS, num_cpus_per_task=2)  # its processors are free again
    again.submit("good", np.zeros((1, 4, 4), np.uint8))
    (good,) = again.collect(100)
    np.testing.assert_array_equal(good.values["Ex"], [0])

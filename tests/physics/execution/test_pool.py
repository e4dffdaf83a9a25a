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


ONES, ZEROS = np.ones((1, 4, 4), np.uint8), np.zeros((1, 4, 4), np.uint8)


class StopsItself:
    """An image of ones stops the worker's process, which then keeps no time limit of its own."""

    fingerprint = "stops"

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        if images.all():
            os.kill(os.getpid(), signal.SIGSTOP)
        return {"Ex": images.mean(axis=(1, 2))}


class Hangs(StopsItself):
    """An image of ones takes ten minutes."""

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        if images.all():
            time.sleep(600)
        return {"Ex": images.mean(axis=(1, 2))}


def evaluated_alone() -> Values | None:
    """What a task answers that needs all processors."""
    pool = TaskPool(Hangs(), MATERIALS, num_cpus_per_task=2)
    pool.submit("alone", ZEROS)
    found = pool.collect(100)
    pool.close()
    return found[0].values if found else None


def test_nothing_runs_on_in_a_pool_that_is_closed() -> None:
    """Also what is on its way to a worker that has yet to begin it."""
    for seconds in (0, 0.02, 0.2):
        pool = TaskPool(Hangs(), MATERIALS)
        for number in range(4):
            pool.submit(number, ONES)
        time.sleep(seconds)
        pool.close()
        assert len(pool) == 0
        assert evaluated_alone() == {"Ex": [0], "error": [""]}, f"closed after {seconds} s"


def test_a_task_that_says_nothing_is_given_up() -> None:
    pool = TaskPool(StopsItself(), MATERIALS, num_cpus_per_task=2, system_retries=0, time_limit=1, start_seconds=2)
    begun = time.monotonic()
    pool.submit("stopped", ONES)
    assert pool.collect(0.1) == []
    (stopped,) = pool.collect()
    assert (stopped.tag, stopped.values, stopped.late) == ("stopped", None, True)
    assert stopped.lost == "TimeoutError: no answer within the time limit of 1 s"
    assert 8 <= stopped.seconds <= time.monotonic() - begun
    assert len(pool) == 0
    assert pool.collect() == []
    assert evaluated_alone() == {"Ex": [0], "error": [""]}  # its processors are free again

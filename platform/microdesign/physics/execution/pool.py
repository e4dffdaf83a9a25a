"""A pool of evaluations in Ray tasks that its caller keeps full: submit, and collect what has finished."""

import faulthandler
import math
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import ray

from microdesign.core.errors import EvaluationError, InputError
from microdesign.physics.evaluators.protocol import Evaluator, Values, evaluate_each
from microdesign.physics.execution.resources import check_resources
from microdesign.physics.materials import Materials

SYSTEM_RETRIES = 3
"""How often Ray repeats a task whose worker or node died."""
_CLOSE_SECONDS = 30.0


@dataclass(frozen=True)
class Finished:
    """A task that ended.

    Attributes:
        tag: What `submit` was given.
        values: The evaluator's values; None when the task was lost.
        lost: Why it was lost; empty when it was not.
        late: Whether it was lost because it ran into the time limit.
        seconds: Time that the evaluator took.
        worker: Host and process that ran it.
        own_fault: Whether its own evaluation ended the worker that was lost; None where Ray does not know.
    """

    tag: Any
    values: Values | None
    lost: str = ""
    late: bool = False
    seconds: float = 0.0
    worker: str = ""
    own_fault: bool | None = None


def gpus_for(evaluator: Evaluator) -> int:
    """GPUs of the cluster if the evaluator uses them, else 0.

    Raises:
        InputError: The evaluator needs a GPU and the cluster has none.
    """
    if not getattr(evaluator, "uses_gpu", False):
        return 0
    gpus = int(ray.cluster_resources().get("GPU", 0))
    if not gpus:
        raise InputError("the evaluator needs a GPU and the cluster has 0; expected a node with one, or device=cpu.")
    return gpus


class TaskPool:
    """Evaluations of small batches of images in Ray tasks.

    Args:
        evaluator: Any evaluator that can be pickled.
        materials: The phases.
        num_cpus_per_task: Processors that Ray reserves for a task.
        system_retries: How often Ray itself repeats a task whose worker or node died.
        time_limit: Seconds after which an evaluation fails; where a library hangs without coming back to Python, its
            process is ended some time later (half a limit and 5 s). None waits for ever.
        start_seconds: How long after that a task is given up which cannot even do this, such as one whose process is
            stopped or whose node is gone without a word; also the time that a worker has to start in.

    Raises:
        InputError: The evaluator needs a GPU and the cluster has none, or more processors than this machine has.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        materials: Materials,
        *,
        num_cpus_per_task: float = 1,
        system_retries: int = SYSTEM_RETRIES,
        time_limit: float | None = None,
        start_seconds: float = 60,
    ) -> None:
        self._cpus, self._limit, self._start_seconds = num_cpus_per_task, time_limit, start_seconds
        self._per_task = {"CPU": num_cpus_per_task} | ({"GPU": 1.0} if gpus_for(evaluator) else {})
        check_resources("An evaluation", self._per_task, "the processors of an evaluation (cpus)")
        self._task = ray.remote(
            num_cpus=num_cpus_per_task, num_gpus=self._per_task.get("GPU", 0), max_retries=system_retries
        )(_evaluate_batch)
        self._shared = ray.put(evaluator), ray.put(materials)
        self._running: dict[ray.ObjectRef, Any] = {}
        self._begun: dict[ray.ObjectRef, float] = {}

    def __len__(self) -> int:
        """Tasks that were submitted and not collected."""
        return len(self._running)

    @property
    def width(self) -> int:
        """Tasks that the cluster runs at once, as large as it is now."""
        has = ray.cluster_resources()
        return max(1, int(min(has.get(name, 1) / needed for name, needed in self._per_task.items())))

    def submit(self, tag: Any, images: np.ndarray) -> None:
        """Submits uint8 images `(n, *shape)` as one task; `tag` comes back with the result."""
        threads = max(1, int(self._cpus))
        self._running[self._task.remote(images, *self._shared, threads, self._limit)] = tag
        self._note_begun()

    def collect(self, timeout: float | None = None) -> list[Finished]:
        """Waits until a task has ended, at most `timeout` seconds, and returns all that have.

        With a time limit it never waits for ever: a task that says nothing long after it is cancelled, and is `late`.

        Raises:
            EvaluationError: A task could not start at all (the evaluator cannot be loaded on a worker).
        """
        end = math.inf if timeout is None else time.monotonic() + timeout
        while self._running:
            self._note_begun()
            until = min(end, *(self._given_up_at(reference) for reference in self._running))
            wait = None if until == math.inf else max(0.0, until - time.monotonic())
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=wait)
            if ready:
                ready, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
            finished = [self._result(reference) for reference in ready] + self._give_up()
            self._note_begun()
            if finished or time.monotonic() >= end:
                return finished
        return []

    def close(self) -> None:
        """Cancels what has not finished, and waits until it has ended, at most half a minute."""
        left, end = list(self._running), time.monotonic() + _CLOSE_SECONDS
        self._running.clear()
        self._begun.clear()
        while left and time.monotonic() < end:
            for (
                reference
            ) in left:  # again and again: a worker that has yet to begin a task forgets that it is cancelled
                ray.cancel(reference, force=True)
            _, left = ray.wait(left, num_returns=len(left), timeout=0.5)

    def _note_begun(self) -> None:
        """About when each task began to run: when it came among the first that fit."""
        for reference in list(self._running)[: self.width] if self._limit else ():
            self._begun.setdefault(reference, time.monotonic())

    def _given_up_at(self, reference: ray.ObjectRef) -> float:
        if self._limit is None or reference not in self._begun:
            return math.inf
        return self._begun[reference] + _hard_limit(self._limit) + self._start_seconds

    def _give_up(self) -> list[Finished]:
        """Cancels the tasks whose process should have ended long ago."""
        now, given_up = time.monotonic(), list[Finished]()
        for reference in [each for each in self._running if self._given_up_at(each) <= now]:
            ray.cancel(reference, force=True)
            given_up.append(self._late_task(self._running.pop(reference), now - self._begun.pop(reference)))
        return given_up

    def _late_task(self, tag: Any, seconds: float) -> Finished:
        return Finished(tag, None, f"TimeoutError: {_late(self._limit)}", late=True, seconds=seconds)

    def _result(self, reference: ray.ObjectRef) -> Finished:
        tag, begun = self._running.pop(reference), self._begun.pop(reference, time.monotonic())
        try:
            values, seconds, worker = ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            reason = str(error.cause).strip().splitlines()[0]
            raise EvaluationError(f"an evaluation task could not run: {reason}") from error
        except ray.exceptions.RayError as error:
            seconds = time.monotonic() - begun
            if self._limit is not None and seconds >= _hard_limit(self._limit):
                return self._late_task(tag, seconds)
            lost = f"the worker died: {type(error).__name__}: {error}"
            return Finished(tag, None, lost, seconds=seconds, own_fault=_own_fault(error))
        return Finished(tag, values, seconds=seconds, worker=worker)


def _own_fault(error: ray.exceptions.RayError) -> bool | None:
    """Whether a task is the cause of its own loss, as far as Ray's error tells."""
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return True
    # Of a process that is gone Ray does not know whether it crashed or was killed.
    return None if isinstance(error, ray.exceptions.WorkerCrashedError) else False


def use_threads(threads: int) -> None:
    """Ray sets OMP_NUM_THREADS for libraries loaded later; torch may be there already."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _evaluate_batch(
    images: np.ndarray, evaluator: Evaluator, materials: Materials, threads: int, limit: float | None
) -> tuple[Values, float, str]:
    """What a task runs."""
    use_threads(threads)
    started = time.monotonic()
    with _within(limit):
        values = evaluate_each(evaluator, images, materials)
    return values, time.monotonic() - started, f"{socket.gethostname()}/{os.getpid()}"


@contextmanager
def _within(limit: float | None) -> Iterator[None]:
    """Raises TimeoutError in the block when it takes longer; ends the process where that cannot reach it."""
    if limit is None:
        yield
        return

    def stop(*_: Any) -> None:
        raise TimeoutError(_late(limit))

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    faulthandler.dump_traceback_later(_hard_limit(limit), exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        faulthandler.cancel_dump_traceback_later()


def _hard_limit(limit: float) -> float:
    return 1.5 * limit + 5


def _late(limit: float | None) -> str:
    return f"no answer within the time limit of {limit:g} s"

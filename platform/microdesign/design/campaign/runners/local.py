"""Evaluations in processes of this machine, without Ray: for a notebook or a laptop."""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait

import cloudpickle
import numpy as np

from microdesign.core.errors import EvaluationError, InputError
from microdesign.design.campaign.runners.protocol import RunnerTask
from microdesign.design.campaign.trials import TrialResult

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


_LAST_SECONDS = 2.0  # that a process whose pipe is closed has to end by itself, for its exit code
_ASKED_TO_END = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def _own_fault(code: int) -> bool | None:
    """Whether a process ended by what it did itself, by its exit code; SIGKILL may be for the memory that it took."""
    return None if code == -signal.SIGKILL else -code not in _ASKED_TO_END


@dataclass
class _Worker:
    """A process with the key that it evaluates, and since when; no key while it is free."""

    process: subprocess.Popen[bytes]
    pipe: Connection
    ready: bool = False
    key: str = ""
    since: float = 0.0


class LocalRunner:
    """A `Runner` of processes of this machine, each of which evaluates one image after the other.

    The processes begin at the first `submit`, or again where one was lost or ran into the time limit. They are Python
    processes of their own and not copies of this one, so that a script needs no `if __name__ == "__main__"`. They end
    with the process that began them, however that ends.

    Args:
        task: What to evaluate.
        workers: How many processes; None takes one for every `task.cpus` processors that this process may use. With an
            evaluator that uses a GPU there is one.

    Raises:
        InputError: One evaluation needs more processors than there are, or `workers` is below 1.
    """

    def __init__(self, task: RunnerTask, workers: int | None = None) -> None:
        available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if task.cpus > available:
            raise InputError(
                f"An evaluation asks for {task.cpus:g} CPU; this machine has {available}: change the processors of an "
                "evaluation (cpus)."
            )
        if workers is not None and workers < 1:
            raise InputError(f"workers = {workers}: expected at least 1.")
        self._content = cloudpickle.dumps(task)
        self._limit, self._threads = task.time_limit, max(1, int(task.cpus))
        one = getattr(task.evaluator, "uses_gpu", False)
        self._width = 1 if one else workers or max(1, int(available / task.cpus))
        self._waiting: deque[tuple[str, np.ndarray]] = deque()
        self._workers: list[_Worker] = []

    @property
    def width(self) -> int:
        """See `Runner.width`."""
        return self._width

    def submit(self, key: str, image: np.ndarray) -> None:
        """See `Runner.submit`."""
        self._waiting.append((key, image))
        self._distribute()

    def poll(self, timeout: float | None = None) -> list[TrialResult]:
        """See `Runner.poll`."""
        end = np.inf if timeout is None else time.monotonic() + timeout
        results: list[TrialResult] = []
        while not results and (self._waiting or any(worker.key for worker in self._workers)):
            now = time.monotonic()
            limits = [w.since + self._limit for w in self._workers if w.key and w.ready and self._limit is not None]
            until = min([end, *limits])
            ready = wait([w.pipe for w in self._workers], None if until == np.inf else max(0.0, until - now))
            for worker in list(self._workers):
                results += self._read(worker) if worker.pipe in ready else self._ended_late(worker)
            self._distribute()
            if time.monotonic() >= end:
                break
        return results

    def stop(self) -> None:
        """See `Runner.stop`."""
        self._waiting.clear()
        for worker in self._workers:
            self._end(worker)
        self._workers.clear()

    def __del__(self) -> None:
        self.stop() if hasattr(self, "_workers") else None

    def _distribute(self) -> None:
        """Gives what waits to the workers that are free, and begins as many of these as are needed."""
        while len(self._workers) < self._width and len(self._waiting) > sum(not w.key for w in self._workers):
            self._workers.append(self._begin())
        for worker in self._workers:
            if self._waiting and not worker.key:
                key, image = self._waiting.popleft()
                worker.key, worker.since = key, time.monotonic()
                with suppress(OSError):  # where it is dead, `poll` reads the end of its pipe
                    worker.pipe.send((key, image))

    def _begin(self) -> _Worker:
        mine, its = Pipe()
        environment = os.environ | dict.fromkeys(_THREADS, str(self._threads))
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        process = subprocess.Popen(
            [sys.executable, "-m", "microdesign.design.campaign.runners.worker", str(its.fileno())],
            pass_fds=[its.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        its.close()
        mine.send_bytes(self._content)
        return _Worker(process, mine)

    def _read(self, worker: _Worker) -> list[TrialResult]:
        """What a worker says: that it is ready, why it cannot be, a result, or nothing more."""
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            with suppress(subprocess.TimeoutExpired):
                worker.process.wait(_LAST_SECONDS)
            code = self._end(worker)
            lost = TrialResult(
                worker.key,
                error=f"the worker died: exit code {code}",
                retry=True,
                seconds=time.monotonic() - worker.since,
                own_fault=_own_fault(code),
            )
            return [lost] if worker.key else []
        if isinstance(said, str):
            if said:
                raise EvaluationError(f"an evaluation task could not run: {said}")
            worker.ready, worker.since = True, time.monotonic()  # its start is not counted
            return []
        worker.key = ""
        return [said]

    def _ended_late(self, worker: _Worker) -> list[TrialResult]:
        """Ends a worker that has run into the time limit."""
        seconds = time.monotonic() - worker.since
        if self._limit is None or not worker.key or not worker.ready or seconds < self._limit:
            return []
        self._workers.remove(worker)
        self._end(worker)
        error = f"TimeoutError: no answer within the time limit of {self._limit:g} s"
        return [TrialResult(worker.key, error=error, seconds=seconds)]

    @staticmethod
    def _end(worker: _Worker) -> int:
        worker.pipe.close()
        worker.process.kill()
        return worker.process.wait()

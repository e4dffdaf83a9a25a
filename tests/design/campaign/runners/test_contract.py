"""What every runner has to do, asked of Ray tasks, of local processes, and of one that a user brings along."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microdesign.core.errors import EvaluationError, InputError
from microdesign.design.campaign.runners.evaluation import evaluate_images, evaluate_one
from microdesign.design.campaign.runners.protocol import Runner, RunnerTask, open_runner
from microdesign.design.campaign.trials import TrialResult
from microdesign.physics.evaluators.fft import FFTEvaluator
from microdesign.physics.evaluators.protocol import Values
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials

RAY = pytest.param("ray", marks=pytest.mark.ray)
EVERYWHERE = [RAY, "local", f"{__name__}:InThisProcess"]
"""A new runner is tested by its name here, and in the next list if it runs evaluations in processes of their own."""
IN_PROCESSES = [RAY, "local"]


class InThisProcess:
    """A user's runner: one image at a time, when it is polled."""

    width = 1

    def __init__(self, task: RunnerTask, patience: float = 0.0) -> None:
        self.task, self.waiting = task, list[tuple[str, np.ndarray]]()

    def submit(self, key: str, image: np.ndarray) -> None:
        self.waiting.append((key, image))

    def poll(self, timeout: float | None = None) -> list[TrialResult]:
        return [evaluate_one(self.task, *self.waiting.pop(0))] if self.waiting else []

    def stop(self) -> None:
        self.waiting.clear()


class Fickle:
    """Does what the first pixels of an image say; else the share of phase 1 is Ex."""

    fingerprint = "fickle"

    def __init__(self, marks: Path | None = None) -> None:
        self.marks = marks

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        raises, hangs, dies = images[0, 0, :3]
        if raises:
            raise RuntimeError("no licence")
        if hangs:
            time.sleep(600)
        if dies and self.marks is not None:
            (self.marks / str(time.time_ns())).touch()
            if len(list(self.marks.iterdir())) <= 1:
                os.kill(os.getpid(), signal.SIGKILL)
        return {"Ex": images.mean((1, 2))}


def image(fraction: int = 0, **pixels: int) -> np.ndarray:
    """Zeros, but for `fraction` rows and the first pixels."""
    found = np.zeros((8, 8), np.uint8)
    found[8 - fraction :] = 1
    found[0, :3] = [pixels.get(name, 0) for name in ("raises", "hangs", "dies")]
    return found


def collected(runner: Runner, n: int, limit: float = 100) -> dict[str, TrialResult]:
    found: dict[str, TrialResult] = {}
    end = time.monotonic() + limit
    while len(found) < n:
        assert time.monotonic() < end, f"{len(found)} of {n} results after {limit:g} s"
        for result in runner.poll(1.0):
            assert result.key not in found
            found[result.key] = result
    return found


@pytest.fixture
def opened(request: pytest.FixtureRequest, materials: Materials) -> Iterator[Any]:
    """Makes runners of the test's name, and stops them."""
    if request.param == "ray":
        request.getfixturevalue("local_ray")
    runners: list[Runner] = []

    def make(evaluator: Any, **settings: Any) -> Runner:
        runners.append(open_runner(request.param, RunnerTask(evaluator, materials, **settings)))
        return runners[-1]

    yield make
    for runner in runners:
        runner.stop()


@pytest.mark.parametrize("opened", EVERYWHERE, indirect=True)
def test_results_and_errors(opened: Any, materials: Materials, tmp_path: Path) -> None:
    runner = opened(Fickle())
    assert isinstance(runner, Runner)
    assert runner.width >= 1
    assert runner.poll() == runner.poll(0.1) == []  # at once
    for number in range(5):
        runner.submit(f"{number} rows", image(number))
    runner.submit("raises", image(raises=1))
    found = collected(runner, 6)
    for number in range(5):
        result = found[f"{number} rows"]
        assert (result.values, result.error, result.retry) == ({"Ex": number / 8}, "", False)
        assert "/" in result.worker
        assert result.seconds >= 0
    assert found["raises"].error == "RuntimeError: no licence"
    assert found["raises"].values == {}
    assert not found["raises"].retry
    assert runner.poll() == []
    # Many at once, with a store: what it has is not evaluated again, and equal images are evaluated once.
    images = np.stack([image(1), image(2), image(1), image(raises=1)])
    store, keys = ResultStore(tmp_path), ["a" * 64, "b" * 64, "a" * 64, "c" * 64]
    values = evaluate_images(runner, images, keys, materials, store)
    np.testing.assert_array_equal(values["Ex"], [1 / 8, 2 / 8, 1 / 8, np.nan])
    assert store.find(keys)[0].tolist() == [True, True, True, False]
    again = evaluate_images(opened(None), images[:2], keys[:2], materials, store)
    np.testing.assert_array_equal(again["Ex"], [1 / 8, 2 / 8])


@pytest.mark.parametrize("opened", EVERYWHERE, indirect=True)
def test_physics_is_that_of_the_evaluator(opened: Any, materials: Materials) -> None:
    runner = opened(FFTEvaluator())
    runner.submit("k", image(3))
    (result,) = collected(runner, 1).values()
    for name, values in FFTEvaluator().evaluate(image(3)[None], materials).items():
        assert result.values[name] == values[0]


@pytest.mark.parametrize("opened", IN_PROCESSES, indirect=True)
def test_a_time_limit_ends_what_hangs_and_nothing_else(opened: Any) -> None:
    runner = opened(Fickle(), time_limit=3)
    runner.submit("hangs", image(hangs=1))
    runner.submit("2 rows", image(2))
    found = collected(runner, 2)
    assert found["hangs"].error == "TimeoutError: no answer within the time limit of 3 s"
    assert not found["hangs"].retry
    assert 3 <= found["hangs"].seconds < 30
    assert found["2 rows"].values == {"Ex": 0.25}


@pytest.mark.parametrize("opened", IN_PROCESSES, indirect=True)
def test_a_killed_worker_costs_an_attempt_and_nothing_else(opened: Any, materials: Materials, tmp_path: Path) -> None:
    runner = opened(Fickle(tmp_path))
    runner.submit("dies", image(dies=1))
    runner.submit("2 rows", image(2))
    found = collected(runner, 2)
    assert found["dies"].retry
    assert found["dies"].own_fault is None  # killed: by whom, nobody knows
    assert found["dies"].error.startswith("the worker died: ")
    assert found["2 rows"].values == {"Ex": 0.25}
    runner.submit("dies", image(dies=1))
    assert collected(runner, 1)["dies"].values == {"Ex": 1 / 64}
    for mark in tmp_path.iterdir():
        mark.unlink()
    assert evaluate_images(runner, image(dies=1)[None], ["k"], materials)["Ex"] == [1 / 64]


@pytest.mark.parametrize("opened", ["local"], indirect=True)
def test_whose_fault_a_death_is(opened: Any) -> None:
    """Of its own processes the local runner knows; SIGKILL may be the system's for the memory that it took."""

    class Ends:
        fingerprint = "ends"

        def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
            number = int(images[0, 0, 0])
            os._exit(3) if number == 0 else os.kill(os.getpid(), number)
            time.sleep(60)
            return {}

    runner = opened(Ends())
    for number, own_fault in ((0, True), (signal.SIGSEGV, True), (signal.SIGTERM, False), (signal.SIGKILL, None)):
        runner.submit("ends", np.full((4, 4), number, np.uint8))
        found = collected(runner, 1)["ends"]
        assert (found.retry, found.own_fault) == (True, own_fault), (number, found)


@pytest.mark.parametrize("opened", EVERYWHERE, indirect=True)
def test_what_is_stopped_never_comes_back(opened: Any) -> None:
    runner = opened(Fickle())
    runner.submit("hangs" if runner.width > 1 else "1 row", image(hangs=int(runner.width > 1)))
    for number in range(9):
        runner.submit(f"before {number}", image(number % 8))
    runner.stop()
    assert runner.poll(0.5) == []
    runner.submit("after", image(4))
    assert collected(runner, 1)["after"].values == {"Ex": 0.5}


class Unloadable(Fickle):
    def __reduce__(self) -> Any:
        return _fail, ()


def _fail() -> None:
    raise ImportError("no such library")


@pytest.mark.parametrize("opened", ["local"], indirect=True)
def test_an_evaluator_that_a_worker_cannot_load(opened: Any) -> None:
    runner = opened(Unloadable())
    runner.submit("k", image())
    with pytest.raises(EvaluationError, match="could not run: ImportError: no such library"):
        collected(runner, 1)


def test_what_is_no_runner(materials: Materials) -> None:
    task = RunnerTask(FFTEvaluator(), materials)
    for name, message in {
        "slurm": "runner = 'slurm' is unknown; expected ray, local or module:name",
        "nowhere:Runner": "runner = 'nowhere:Runner' cannot be loaded",
        "builtins:repr": "is a str; expected methods submit, poll and stop",
    }.items():
        with pytest.raises(InputError, match=message):
            open_runner(name, task)
    with pytest.raises(InputError, match=r"cannot be made with its settings .*'colour'"):
        open_runner("local", task, {"colour": 1})
    with pytest.raises(InputError, match="workers = 0: expected at least 1"):
        open_runner("local", task, {"workers": 0})
    with pytest.raises(InputError, match="An evaluation asks for 999 CPU; this machine has"):
        open_runner("local", RunnerTask(FFTEvaluator(), materials, cpus=999))
    assert open_runner("local", task, {"workers": 3}).width == 3
    assert isinstance(open_runner(f"{__name__}:InThisProcess", task, {"patience": 1.0}), InThisProcess)

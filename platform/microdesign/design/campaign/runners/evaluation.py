"""One evaluation as every runner does it, and many of them through a runner."""

import os
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from microdesign.design.campaign.runners.protocol import Runner, RunnerTask
from microdesign.design.campaign.trials import TrialResult
from microdesign.design.campaign.worker_deaths import WorkerDeaths
from microdesign.physics.evaluators.protocol import Values, evaluate_each
from microdesign.physics.execution.store import STORE_SECONDS, ResultStore
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_names

Evaluate = Callable[[np.ndarray], Values]
"""Physics of images uint8 `(n, X, Y)`: the properties by name, each `(n,)`, NaN where there is none."""


def evaluate_one(task: RunnerTask, key: str, image: np.ndarray) -> TrialResult:
    """Evaluates an image uint8 `(X, Y)` in this process; an evaluator that raises is an `error`."""
    started = time.monotonic()
    values = evaluate_each(task.evaluator, image[None], task.materials)
    return trial_result(key, values, time.monotonic() - started, f"{socket.gethostname()}/{os.getpid()}")


def trial_result(key: str, values: Values, seconds: float, worker: str) -> TrialResult:
    """The result that one image's values, each `(1,)`, are."""
    error = str(values["error"][0])
    found = {} if error else {name: float(array[0]) for name, array in values.items() if name != "error"}
    return TrialResult(key, found, error, seconds=seconds, worker=worker)


def known_results(store: ResultStore | None, keys: Sequence[str]) -> list[TrialResult]:
    """The results of evaluations that are stored, from whichever campaign or labelling."""
    if store is None or not keys:
        return []
    known, values = store.find(list(keys))
    rows = np.flatnonzero(known)
    return [
        TrialResult(keys[row], {name: float(array[i]) for name, array in values.items()}, worker="store")
        for i, row in enumerate(rows.tolist())
    ]


def store_results(store: ResultStore | None, results: Sequence[TrialResult]) -> None:
    """Adds results with values to the store, in one file where they are of the same properties."""
    groups: dict[tuple[str, ...], list[TrialResult]] = {}
    for result in results if store is not None else ():
        if result.values and not result.error:
            groups.setdefault(tuple(result.values), []).append(result)
    for names, group in groups.items():
        values = {name: np.array([result.values[name] for result in group]) for name in names}
        assert store is not None
        store.add([result.key for result in group], {**values, "error": np.full(len(group), "")})


def evaluate_images(
    runner: Runner,
    images: np.ndarray,
    keys: Sequence[str],
    materials: Materials,
    store: ResultStore | None = None,
    retries: int = 2,
) -> Values:
    """Evaluates images through a runner that has nothing else to do.

    Args:
        runner: Where to evaluate.
        images: Phase labels, uint8 `(n, X, Y)`.
        keys: The key of each image, of which equal ones are evaluated once.
        materials: The phases.
        store: Results that are known already; new ones are added to it.
        retries: How often an evaluation is repeated that ended its own worker.

    Returns:
        The properties by name, each `(n,)`; NaN where there is no value.
    """
    found = {result.key: result for result in known_results(store, list(dict.fromkeys(keys)))}
    waiting = deque({key: image for key, image in zip(keys, images, strict=True) if key not in found}.items())
    running: dict[str, np.ndarray] = {}
    attempts: dict[str, int] = {}
    deaths = WorkerDeaths()
    new: list[TrialResult] = []
    stored = time.monotonic()
    while waiting or running:
        while waiting and len(running) < 2 * runner.width:
            key, image = waiting.popleft()
            running[key] = image
            runner.submit(key, image)
        for result in runner.poll():
            image = running.pop(result.key)
            attempts[result.key] = attempts.get(result.key, 0) + (not deaths.forgives(result))
            if result.retry and attempts[result.key] <= retries:
                waiting.append((result.key, image))
            else:
                found[result.key] = result
                new.append(result)
        if time.monotonic() - stored > STORE_SECONDS or not (waiting or running):
            store_results(store, new)
            new, stored = [], time.monotonic()
    names = dict.fromkeys([*property_names(materials, 2), *(n for r in found.values() for n in r.values)])
    return {name: np.array([found[key].values.get(name, np.nan) for key in keys]) for name in names}

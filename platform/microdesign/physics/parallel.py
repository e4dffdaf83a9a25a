"""Evaluation in Ray tasks: the one module of `physics` that knows Ray.

An evaluation uses one thread (`num_cpus_per_task` of them at most); the cluster's processors are filled by tasks. Ray
is taken as it is: the caller has connected to a cluster, or Ray starts a local one.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterator

import numpy as np
import ray

from microdesign.errors import EvaluationError, InputError
from microdesign.physics.evaluator import Evaluator, Values, evaluate_each, failed_values, merge_values
from microdesign.physics.materials import Materials

_SYSTEM_RETRIES = 3
"""How often Ray repeats a task whose worker or node died."""


def evaluate_parallel(
    evaluator: Evaluator,
    images: np.ndarray,
    materials: Materials,
    *,
    batch_size: int = 16,
    num_cpus_per_task: float = 1,
    on_batch: Callable[[np.ndarray, Values], None] | None = None,
) -> Values:
    """Evaluates images in Ray tasks and returns their values in the order of the images.

    Args:
        evaluator: Any evaluator that can be pickled.
        images: Phase labels, uint8 `(n, X, Y)`.
        materials: The phases.
        batch_size: Images a task.
        num_cpus_per_task: Processors that Ray reserves for a task.
        on_batch: Called with the indices and the values of each batch as it finishes, in any order.

    Returns:
        The evaluator's values, each `(n,)`, and `error`, an array of strings: empty, or why the image has NaN.

    Raises:
        InputError: The images are not of shape `(n, X, Y)` or a setting is out of its range.
        EvaluationError: A task could not start at all (the evaluator cannot be loaded on a worker).
    """
    parts = []
    stream = evaluate_stream(evaluator, images, materials, batch_size=batch_size, num_cpus_per_task=num_cpus_per_task)
    for indices, values in stream:
        parts.append((indices, values))
        if on_batch is not None:
            on_batch(indices, values)
    return merge_values(parts, len(images))


def evaluate_stream(
    evaluator: Evaluator,
    images: np.ndarray,
    materials: Materials,
    *,
    batch_size: int = 16,
    num_cpus_per_task: float = 1,
) -> Iterator[tuple[np.ndarray, Values]]:
    """Yields the indices and the values of each batch as it finishes; arguments as in `evaluate_parallel`.

    Images whose worker dies again and again are evaluated one by one, so that only the one that kills it is lost.
    Closing the iterator cancels what has not finished.

    Raises:
        InputError: The images are not of shape `(n, X, Y)` or a setting is out of its range.
        EvaluationError: A task could not start at all.
    """
    if images.ndim != 3:
        raise InputError(f"images have shape {images.shape}; expected (images, X, Y).")
    if batch_size < 1 or num_cpus_per_task <= 0:
        raise InputError(
            f"batch_size = {batch_size}, num_cpus_per_task = {num_cpus_per_task}; expected batch_size >= 1 and "
            "num_cpus_per_task > 0."
        )
    task = ray.remote(num_cpus=num_cpus_per_task, max_retries=_SYSTEM_RETRIES)(_evaluate_batch)
    shared = ray.put(evaluator), ray.put(materials)
    waiting = deque(np.arange(i, min(i + batch_size, len(images))) for i in range(0, len(images), batch_size))
    running: dict[ray.ObjectRef, np.ndarray] = {}
    try:
        while waiting or running:
            while waiting and len(running) < _slots(num_cpus_per_task):
                indices = waiting.popleft()
                running[task.remote(images[indices], *shared, max(1, int(num_cpus_per_task)))] = indices
            (done,), _ = ray.wait(list(running), num_returns=1)
            indices = running.pop(done)
            try:
                values = ray.get(done)
            except ray.exceptions.RayTaskError as error:
                raise EvaluationError(f"an evaluation task could not run: {error.cause!r}") from error
            except ray.exceptions.RayError as error:
                if len(indices) > 1:
                    waiting.extendleft(indices[:, None])
                    continue
                values = failed_values(1, f"the worker died: {type(error).__name__}: {error}")
            yield indices, values
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _slots(num_cpus_per_task: float) -> int:
    """Tasks to keep submitted: twice what fits now, so that no worker waits and an autoscaler sees the demand."""
    return 2 * max(1, int(ray.cluster_resources().get("CPU", 1) / num_cpus_per_task))


def _evaluate_batch(images: np.ndarray, evaluator: Evaluator, materials: Materials, threads: int) -> Values:
    """What a task runs. Ray sets OMP_NUM_THREADS for libraries loaded later; torch may be there already."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    return evaluate_each(evaluator, images, materials)

"""Evaluation in Ray tasks; with `pool.py`, on which it stands, the modules of `physics` that know Ray.

An evaluation uses one thread (`num_cpus_per_task` of them at most); the cluster's processors are filled by tasks. Ray
is taken as it is: the caller has connected to a cluster, or Ray starts a local one.

Images in memory (campaigns, baselines) go through a loop of plain tasks, `evaluate_stream`: it reports each batch as it
finishes. Data sets on disk go through Ray Data, `evaluate_shards`: the pipeline is a range of image numbers, each block
of which a task turns into values, reading its images from the Parquet shard itself. So images never pass the driver or
the object store on their way to physics, and the whole data set is one stream without a pause at the end of a shard.

Ray Data takes longer to start, since every worker imports it: 5 to 10 s on two busy cores, where 4000 images of 64 x 64
take 10 to 17 s in the loop and 24 s as a pipeline. So data sets up to `SMALL` pixels, a minute or two on two cores, go
through the loop, shard by shard.
"""

import logging
import math
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import ray

from microdesign.core.errors import InputError
from microdesign.core.progress import Progress, silent
from microdesign.microstructure.data.dataset import Dataset
from microdesign.physics.evaluators.protocol import (
    Evaluator,
    Values,
    evaluate_each,
    failed_values,
    for_images,
    merge_values,
)
from microdesign.physics.execution.pool import SYSTEM_RETRIES, TaskPool, gpus_for, use_threads
from microdesign.physics.execution.shard_rows import ShardImages, ShardValues
from microdesign.physics.execution.store import ResultStore, StoreWriter, evaluate_stored, evaluation_keys
from microdesign.physics.materials import Materials

SMALL = 40_000 * 64 * 64
"""Pixels up to which a data set goes through the loop of tasks."""
_LARGEST_BATCH = 256
"""Images of a task at most: about a second of work at 64 x 64."""
_BYTES_PER_PIXEL = 1024
"""Memory that an evaluator may need for each pixel of its batch: the fields of all load cases, and their copies."""
_STORES: dict[str, ResultStore] = {}


@dataclass(frozen=True)
class ParallelEvaluator:
    """An evaluator whose images are evaluated in Ray tasks, and whose answers are stored.

    Attributes:
        evaluator: What runs in the tasks; it must be picklable.
        store: Results that are known already; new ones are added to it.
        progress: Takes the number of images of a call that are evaluated.
    """

    evaluator: Evaluator
    store: ResultStore | None = None
    progress: Progress = silent

    @property
    def fingerprint(self) -> str:
        """That of the evaluator: how it is run does not change its answers."""
        return self.evaluator.fingerprint

    def for_images(self, periodic: bool) -> "ParallelEvaluator":
        """The same for images that repeat, or do not."""
        return replace(self, evaluator=for_images(self.evaluator, periodic))

    def for_spacing(self, spacing: tuple[float, ...]) -> "ParallelEvaluator":
        """The same for pixels of these edges."""
        return replace(self, evaluator=for_images(self.evaluator, periodic=True, spacing=spacing))

    @property
    def alternative(self) -> "ParallelEvaluator | None":
        """The same by the evaluator's other discretization; None if it has none."""
        other = getattr(self.evaluator, "alternative", None)
        return None if other is None else replace(self, evaluator=other)

    def evaluate(self, images: np.ndarray, materials: Materials) -> Values:
        """Returns the properties of images and `error`, each `(n,)`; see `evaluate_parallel`."""
        done = 0

        def count(indices: np.ndarray, values: Values) -> None:
            nonlocal done
            done += len(indices)
            self.progress.count(done, len(images), "images evaluated")

        return evaluate_parallel(self.evaluator, images, materials, store=self.store, on_batch=count)


def evaluate_parallel(
    evaluator: Evaluator,
    images: np.ndarray,
    materials: Materials,
    *,
    batch_size: int | None = None,
    num_cpus_per_task: float = 1,
    store: ResultStore | None = None,
    on_batch: Callable[[np.ndarray, Values], None] | None = None,
) -> Values:
    """Evaluates images in Ray tasks and returns their values in the order of the images.

    Args:
        evaluator: Any evaluator that can be pickled.
        images: Phase labels, uint8 `(n, X, Y)` or `(n, X, Y, Z)`.
        materials: The phases.
        batch_size: Images a task; None takes `batch_size_for`.
        num_cpus_per_task: Processors that Ray reserves for a task.
        store: Results that are known already; new ones are added to it.
        on_batch: Called with the indices and the values of each batch as it finishes, in any order.

    Returns:
        The evaluator's values, each `(n,)`, and `error`, an array of strings: empty, or why the image has NaN.

    Raises:
        InputError: The images are not of such a shape or a setting is out of its range.
        EvaluationError: A task could not start at all (the evaluator cannot be loaded on a worker).
    """
    parts = []
    stream = evaluate_stream(
        evaluator, images, materials, batch_size=batch_size, num_cpus_per_task=num_cpus_per_task, store=store
    )
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
    batch_size: int | None = None,
    num_cpus_per_task: float = 1,
    store: ResultStore | None = None,
) -> Generator[tuple[np.ndarray, Values], None, None]:
    """Yields the indices and the values of each batch as it finishes; arguments as in `evaluate_parallel`.

    Images whose worker dies again and again are evaluated one by one, so that only the one that kills it is lost.
    Closing the iterator cancels what has not finished. With a store, what it knows comes first, and of equal images one
    is evaluated.

    Raises:
        InputError: The images are not of such a shape or a setting is out of its range.
        EvaluationError: A task could not start at all.
        StorageError: The store cannot be written.
    """
    if images.ndim not in (3, 4):
        raise InputError(f"images have shape {images.shape}; expected (images, X, Y) or (volumes, X, Y, Z).")
    if not len(images):
        return
    if batch_size is None:
        batch_size = batch_size_for(evaluator, images.shape[1:], len(images))
    if batch_size < 1 or num_cpus_per_task <= 0:
        raise InputError(
            f"batch_size = {batch_size}, num_cpus_per_task = {num_cpus_per_task}; expected batch_size >= 1 and "
            "num_cpus_per_task > 0."
        )
    if store is not None:
        yield from _stored_stream(evaluator, images, materials, store, batch_size, num_cpus_per_task)
        return
    pool = TaskPool(evaluator, materials, num_cpus_per_task=num_cpus_per_task)
    waiting = deque(np.arange(i, min(i + batch_size, len(images))) for i in range(0, len(images), batch_size))
    try:
        while waiting or len(pool):
            # Twice what fits now, so that no worker waits and an autoscaler sees the demand.
            while waiting and len(pool) < 2 * pool.width:
                indices = waiting.popleft()
                pool.submit(indices, images[indices])
            for done in pool.collect():
                if done.values is not None:
                    yield done.tag, done.values
                elif len(done.tag) > 1:
                    waiting.extendleft(done.tag[:, None])
                else:
                    yield done.tag, failed_values(images[done.tag], materials, done.lost)
    finally:
        pool.close()


def _stored_stream(
    evaluator: Evaluator,
    images: np.ndarray,
    materials: Materials,
    store: ResultStore,
    batch_size: int,
    num_cpus_per_task: float,
) -> Iterator[tuple[np.ndarray, Values]]:
    keys = np.array(evaluation_keys(images, materials, evaluator))
    unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    known, values = store.find(unique.tolist())
    new = np.flatnonzero(~known)
    if known.any():
        indices = np.flatnonzero(known[inverse])
        rows = (np.cumsum(known) - 1)[inverse[indices]]
        found = {name: array[rows] for name, array in values.items()}
        yield indices, {**found, "error": np.full(len(indices), "")}
    stream = evaluate_stream(
        evaluator, images[first[new]], materials, batch_size=batch_size, num_cpus_per_task=num_cpus_per_task
    )
    writer = StoreWriter(store)
    try:
        for rows, batch in stream:
            writer.add(unique[new[rows]].tolist(), batch)
            place = {int(unique_row): i for i, unique_row in enumerate(new[rows])}
            indices = np.flatnonzero(np.isin(inverse, new[rows]))
            where = [place[int(unique_row)] for unique_row in inverse[indices]]
            yield indices, {name: array[where] for name, array in batch.items()}
    finally:
        # Also of a stream that is closed early.
        stream.close()
        writer.flush()


def batch_size_for(evaluator: Evaluator, shape: Sequence[int], n: int) -> int:
    """Images a task, for `n` images of a shape.

    So few that a quarter of the memory of a processor's share holds their fields and every processor gets several
    batches, and so many, at most, that a task takes about a second; never more than the evaluator's `batch_size`.
    """
    resources = ray.cluster_resources()
    processors = max(1, int(resources.get("CPU", 1)))
    memory = resources.get("memory", processors * 2**30) / processors / 4
    fits = int(memory / (math.prod(shape) * _BYTES_PER_PIXEL))
    wanted = min(_LARGEST_BATCH, 64**2 * _LARGEST_BATCH // math.prod(shape), fits, -(-n // (4 * processors)))
    return max(1, min(wanted, int(getattr(evaluator, "batch_size", None) or wanted)))


def evaluate_shards(
    evaluator: Evaluator,
    source: Dataset,
    shards: Sequence[int],
    materials: Materials,
    store: ResultStore | None = None,
    on_images: Callable[[int], None] = lambda n: None,
) -> Iterator[tuple[int, Values]]:
    """Yields the number and the values of each of the shards of a data set, as they are done.

    Args:
        evaluator: Any evaluator that can be pickled.
        source: The images; every node must see its folder.
        shards: Numbers of the shards to evaluate.
        materials: The phases.
        store: Results that are known already; new ones are added to it every few seconds.
        on_images: Called with the number of images after each batch.

    Raises:
        InputError: A shard is damaged.
        EvaluationError: A task could not start at all.
        StorageError: The store cannot be written.
    """
    rows = sum(source.manifest.shards[number].rows for number in shards)
    pixels = math.prod(source.manifest.shape)
    if rows * pixels > SMALL or gpus_for(evaluator):
        yield from _pipeline(evaluator, source, shards, materials, store, on_images)
        return
    for number in shards:
        images = source.read_shard(number).labels
        # Small batches: the processors wait for the last one at the end of each shard.
        size = min(16, batch_size_for(evaluator, images.shape[1:], len(images)))
        yield (
            number,
            evaluate_parallel(
                evaluator,
                images,
                materials,
                batch_size=size,
                store=store,
                on_batch=lambda indices, values: on_images(len(indices)),
            ),
        )


def _pipeline(
    evaluator: Evaluator,
    source: Dataset,
    shards: Sequence[int],
    materials: Materials,
    store: ResultStore | None,
    on_images: Callable[[int], None],
) -> Iterator[tuple[int, Values]]:
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    images = ShardImages(source, shards)
    work = evaluator, images, materials, store
    blocks = -(-len(images) // batch_size_for(evaluator, source.manifest.shape, len(images)))
    rows: Any = ray.data.range(len(images), override_num_blocks=blocks)
    rows.context.enable_progress_bars = False
    # A block whose worker died in every try is lost here, and its images are evaluated one by one below. Without
    # max_retries Ray Data repeats it for ever.
    rows.context.max_errored_blocks = -1
    gpus = gpus_for(evaluator)
    if gpus:
        results = rows.map_batches(
            _Labeller,
            batch_size=None,
            fn_constructor_args=work,
            num_cpus=1,
            num_gpus=1,
            concurrency=gpus,
            max_restarts=SYSTEM_RETRIES,
            max_task_retries=SYSTEM_RETRIES,
        )
    else:
        results = rows.map_batches(
            _evaluate_rows, batch_size=None, fn_args=work, num_cpus=1, max_retries=SYSTEM_RETRIES
        )
    gathered = ShardValues(images)
    writer = None if store is None else StoreWriter(store)

    def keep(indices: np.ndarray, values: Values) -> Iterator[tuple[int, Values]]:
        on_images(len(indices))
        if writer is not None:
            writer.add(evaluation_keys(images.take(indices), materials, evaluator), values)
        for position, whole in gathered.add(indices, values):
            yield shards[position], whole

    try:
        for block in results.iter_batches(batch_size=None, prefetch_batches=0):
            indices = np.asarray(block.pop("id"))
            yield from keep(indices, {name: np.asarray(array) for name, array in block.items()})
        for position in gathered.unfinished():
            missing = gathered.missing(position)
            labels = images.read(position)[missing]
            values = evaluate_parallel(evaluator, labels, materials, batch_size=1)
            yield from keep(missing + images.starts[position], values)
    finally:
        if writer is not None:
            writer.flush()


def _evaluate_rows(
    block: dict[str, np.ndarray],
    evaluator: Evaluator,
    images: ShardImages,
    materials: Materials,
    store: ResultStore | None,
) -> dict[str, np.ndarray]:
    """What a Ray Data task runs: reads its images itself, so that only numbers travel."""
    use_threads(1)
    labels = images.take(block["id"])
    if store is None:
        return {"id": block["id"], **evaluate_each(evaluator, labels, materials)}
    store = _STORES.setdefault(str(store.folder), store)
    return {"id": block["id"], **evaluate_stored(evaluator, labels, materials, store, add=False)}


class _Labeller:
    """The same in an actor that holds a GPU and, with it, whatever the evaluator keeps there."""

    def __init__(self, *work: Any) -> None:
        self._work = work

    def __call__(self, block: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        return _evaluate_rows(block, *self._work)

"""From a data set of images to one that also holds their effective properties, resumable by shard.

A shard is written whole when its last image has been evaluated; until then its answers are in a store, seconds after
they came, so that a run that is killed at any moment loses what was in flight and the same command goes on. How the
images are run is `EvaluateShards`: in process here, in Ray tasks and as a Ray Data pipeline in `parallel`.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from microdesign.core.errors import EvaluationError, InputError
from microdesign.core.journal import journal
from microdesign.core.progress import Progress, silent
from microdesign.core.properties import is_signed
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.microstructure.data.shards import read_column
from microdesign.physics.evaluators.protocol import Evaluator, Values, evaluate_each, for_images, given_properties
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.execution.label_config import LabelConfig
from microdesign.physics.execution.store import ResultStore, evaluate_stored
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_names, property_units, property_values, undefined_because

_SHOWN_REASONS = 3
"""Reasons of failures that a summary lists."""
UNFINISHED = "unfinished-shards"
"""Folder of the results of shards that are not whole yet, in that of the labelled data set, where no store is given."""
MOST_FAILURES = 100
"""Images that may fail before the first one is solved; then labelling gives up."""


class EvaluateShards(Protocol):
    """Evaluates shards of a data set and yields their numbers and values, in any order, as `evaluate_in_process`."""

    def __call__(
        self,
        evaluator: Evaluator,
        source: Dataset,
        shards: Sequence[int],
        materials: Materials,
        store: ResultStore | None = None,
        on_images: Callable[[int], None] = ...,
    ) -> Iterator[tuple[int, Values]]:
        """Calls `on_images` with the number of images after each batch."""
        ...


def label(config: LabelConfig, progress: Progress = silent) -> dict[str, Any]:
    """Labels a data set on Ray, as `label_dataset`; returns what was made.

    Raises:
        InputError: The source, the evaluator or the store cannot be had.
    """
    from microdesign.physics.execution.parallel import evaluate_shards  # Ray: a second to import

    source = Dataset.open(config.source)
    evaluator = load_evaluator(config.evaluator, config.evaluator_settings)
    store = None if config.store is None else ResultStore(Path(config.store).resolve())
    dataset = label_dataset(
        source, config.out, config.materials, evaluator, evaluate_shards, store=store, progress=progress
    )
    return {
        "dataset": str(dataset.folder),
        "images": len(dataset),
        **missing_values(dataset),
        **boundary_of(for_images(evaluator, source.manifest.periodic, source.manifest.aspect)),
        "digest": dataset.manifest.digest,
    }


def missing_values(dataset: Dataset) -> dict[str, Any]:
    """Returns how many images of a labelled data set have no values or not all of them, and why, as sentences.

    The entries are `failed` (images), and where there are some `reasons` of failures, the most frequent first,
    `undefined` (how many images lack a property, and why) and `zero` (how many have the value 0).
    """
    columns = dataset.property_columns()
    missing = {name: np.isnan(column) for name, column in columns.items()}
    failed = np.logical_and.reduce(list(missing.values()))
    found: dict[str, Any] = {"failed": int(failed.sum())}
    if failed.any():
        paths = (dataset.folder / shard.file for shard in dataset.manifest.shards)
        texts = [text for path in paths for text in read_column(path, "generation")]
        reasons = Counter(texts[i] for i in np.flatnonzero(failed)).most_common(_SHOWN_REASONS)
        found["reasons"] = [f"{_images(count)}: {reason}" for reason, count in reasons]
    undefined = {name: int((column & ~failed).sum()) for name, column in missing.items()}
    sentences = [f"{name} in {_images(count)}: {undefined_because(name)}" for name, count in undefined.items() if count]
    zero = {name: int((column == 0).sum()) for name, column in columns.items() if not is_signed(name)}
    found |= {"undefined": sentences} if sentences else {}
    return found | ({"zero": {name: count for name, count in zero.items() if count}} if any(zero.values()) else {})


def _images(count: int) -> str:
    return f"{count} image{'' if count == 1 else 's'}"


def boundary_of(evaluator: Evaluator) -> dict[str, str]:
    """Returns `{"boundary": ...}` of an evaluator that has one, for the settings of what it labels."""
    boundary = getattr(evaluator, "boundary", None)
    return {} if boundary is None else {"boundary": str(boundary)}


def label_dataset(
    source: Dataset,
    folder: str | Path,
    materials: Materials,
    evaluator: Evaluator,
    evaluate: EvaluateShards | None = None,
    *,
    store: ResultStore | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Writes the images or volumes of `source` with their `property_names` to another data set.

    Shards that are there already, from the same images, materials and evaluator, are kept. An image that the evaluator
    cannot solve gets NaN, and its message becomes its `generation` text; delete its shard to have it tried again.
    Images that the source says are not periodic get mirror boundaries, unless the evaluator says otherwise.

    Args:
        source: The images.
        folder: Where the labelled data set goes; not the source's folder.
        materials: The phases.
        evaluator: The physics.
        evaluate: How to run it: None in this process, `parallel.evaluate_shards` on Ray.
        store: Results that are known already; new ones are added to it.
        progress: Takes the number of images after each batch.

    Raises:
        InputError: A shard of the source is damaged, or the evaluator lacks one of the properties.
        EvaluationError: The first `MOST_FAILURES` images, or all, could not be solved; carries the first message.
        StorageError: A shard or a result cannot be written.
    """
    dims = len(source.manifest.shape)
    names = property_names(materials, dims)
    given = given_properties(evaluator, materials, dims)
    if given is not None:
        _check_complete(given, names, dims)
    evaluator = for_images(evaluator, source.manifest.periodic, source.manifest.aspect)
    settings = {"images": source.manifest.digest, "evaluator": evaluator.fingerprint} | boundary_of(evaluator)
    writer = DatasetWriter(
        folder,
        settings=settings,
        units=property_units(materials, dims),
        materials=materials.model_dump(mode="json"),
        seed=source.manifest.seed,
        split=source.manifest.split,
    )
    shards = source.manifest.shards
    missing = [number for number, shard in enumerate(shards) if not writer.has_shard(shard.name)]
    done = len(source) - sum(shards[number].rows for number in missing)
    solved = len(missing) < len(shards)
    with journal(Path(folder), "labelling", progress) as progress:
        if done:
            progress.count(done, len(source), "images labelled")

        def count(images: int) -> None:
            nonlocal done
            done += images
            progress.count(done, len(source), "images labelled")

        # Shards without any answer are held back until one image is solved: what fails from the start leaves nothing.
        held: list[tuple[int, Values]] = []
        run, unfinished = evaluate or evaluate_in_process, Path(folder) / UNFINISHED
        # In this process a shard is evaluated by one call, and then written.
        if store is None and evaluate is not None:
            store = ResultStore(unfinished)
        for number, values in run(evaluator, source, missing, materials, store, count) if missing else ():
            held.append((number, values))
            solved = solved or bool((values["error"] == "").any())
            if solved:
                for held_number, held_values in held:
                    batch = with_properties(source.read_shard(held_number), held_values, names)
                    writer.write_shard(shards[held_number].name, batch)
                held.clear()
            elif sum(shards[held_number].rows for held_number, _ in held) >= MOST_FAILURES:
                break
        if held:
            n = sum(shards[number].rows for number, _ in held)
            raise EvaluationError(
                f"None of the first {n} images could be evaluated; the first error: {held[0][1]['error'][0]}"
            )
        made = writer.finish([shard.name for shard in shards])
        shutil.rmtree(unfinished, ignore_errors=True)
        return made


def evaluate_in_process(
    evaluator: Evaluator,
    source: Dataset,
    shards: Sequence[int],
    materials: Materials,
    store: ResultStore | None = None,
    on_images: Callable[[int], None] = lambda images: None,
) -> Iterator[tuple[int, Values]]:
    """Yields the number and the values of each shard in turn; arguments as `parallel.evaluate_shards`."""
    for number in shards:
        images = source.read_shard(number).labels
        if store is None:
            values = evaluate_each(evaluator, images, materials)
        else:
            values = evaluate_stored(evaluator, images, materials, store)
        on_images(len(images))
        yield number, values


def with_properties(batch: Microstructures, values: Values, names: Sequence[str]) -> Microstructures:
    """Returns the images with an evaluator's values; the message of one that it cannot solve is its `generation`.

    Raises:
        InputError: The values lack one of the properties, and do not determine it.
    """
    errors, dims = [str(message) for message in values["error"]], len(batch.shape)
    given = {name: array for name, array in values.items() if name != "error"}
    _check_complete(list(given), names, dims)
    generation = tuple(error or text for error, text in zip(errors, batch.generation, strict=True))
    return replace(
        batch, generation=generation, properties={name: property_values(given, name, dims) for name in names}
    )


def _check_complete(given: Sequence[str], names: Sequence[str], dims: int) -> None:
    """Refuses given properties that do not determine all of `names`."""
    values = dict.fromkeys(given, np.ones(1))
    for name in names:
        try:
            property_values(values, name, dims)
        except InputError:
            raise InputError(
                f"The evaluator gives no '{name}'; it gives {', '.join(given)}, a data set of these materials needs "
                f"{', '.join(names)}."
            ) from None

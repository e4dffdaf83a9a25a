"""From a data set of images to one that also holds their effective properties, resumable by shard."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from microdesign.config import Config
from microdesign.errors import EvaluationError, InputError
from microdesign.microstructure.container import Microstructures
from microdesign.microstructure.dataset import Dataset, DatasetWriter
from microdesign.physics.evaluator import Evaluator, Values, evaluate_each, load_evaluator
from microdesign.physics.materials import Materials
from microdesign.physics.parallel import evaluate_parallel
from microdesign.physics.properties import PROPERTY_NAMES, property_units

Evaluate = Callable[[Evaluator, np.ndarray, Materials], Values]
"""Evaluates images uint8 `(n, X, Y)`: `evaluate_each` in process, or the same in parallel tasks."""


class LabelConfig(Config):
    """Images, materials, and where the labelled data set goes."""

    source: str = Field(description="folder of a data set")
    out: str = Field(description="folder for the labelled data set")
    materials: Materials
    evaluator: str = Field("fft", description="physics: fft, or module:name")


def label(config: LabelConfig, on_progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Labels a data set in parallel Ray tasks, as `label_dataset`; returns what was made."""
    if Path(config.source).resolve() == Path(config.out).resolve():
        raise InputError(f"{config.out}: is the source itself; expected another folder for the labelled data set.")
    source, evaluator = Dataset.open(config.source), load_evaluator(config.evaluator)
    dataset = label_dataset(source, config.out, config.materials, evaluator, evaluate_parallel, on_progress)
    return {"dataset": str(dataset.folder), "images": len(dataset), "digest": dataset.manifest.digest}


def label_dataset(
    source: Dataset,
    folder: str | Path,
    materials: Materials,
    evaluator: Evaluator,
    evaluate: Evaluate = evaluate_each,
    on_progress: Callable[[int, int], None] | None = None,
) -> Dataset:
    """Writes the images of `source` with their seven properties to another data set.

    Shards that are there already, from the same images, materials and evaluator, are kept. An image that the evaluator
    cannot solve gets NaN, and its message becomes its `generation` text; a shard without any solved image is an error.

    Args:
        source: The images.
        folder: Where the labelled data set goes; not the source's folder.
        materials: The phases.
        evaluator: The physics.
        evaluate: How to run it.
        on_progress: Called with (samples done, samples in all) after each shard.

    Raises:
        EvaluationError: No image of a shard could be solved; carries the first message.
        StorageError: A shard cannot be written.
    """
    settings = {"images": source.manifest.digest, "evaluator": evaluator.fingerprint}
    writer = DatasetWriter(
        folder,
        settings=settings,
        units=property_units(materials),
        materials=materials.model_dump(mode="json"),
        seed=source.manifest.seed,
        split=source.manifest.split,
    )
    done = 0
    for number, shard in enumerate(source.manifest.shards):
        if not writer.has_shard(shard.name):
            batch = source.read_shard(number)
            writer.write_shard(shard.name, _labelled(batch, evaluate(evaluator, batch.labels, materials)))
        done += shard.rows
        if on_progress is not None:
            on_progress(done, len(source))
    return writer.finish([shard.name for shard in source.manifest.shards])


def _labelled(batch: Microstructures, values: Values) -> Microstructures:
    errors = [str(message) for message in values["error"]]
    if all(errors):
        raise EvaluationError(f"No image of a shard could be evaluated; the first says: {errors[0]}")
    generation = tuple(error or text for error, text in zip(errors, batch.generation, strict=True))
    return replace(batch, generation=generation, properties={name: values[name] for name in PROPERTY_NAMES})

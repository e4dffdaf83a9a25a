"""The public function `label`: from images to images with their effective properties, in memory or on disk."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import ArrayLike

from microdesign.core.errors import EvaluationError, InputError
from microdesign.core.progress import Progress, silent
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.physics.effective_properties import Phases, phases_from
from microdesign.physics.evaluators.protocol import Evaluator, evaluate_each, for_images
from microdesign.physics.evaluators.resolver import load_evaluator
from microdesign.physics.execution.labelling import boundary_of, label_dataset, with_properties
from microdesign.physics.execution.store import ResultStore
from microdesign.physics.materials import Materials
from microdesign.physics.properties import property_names, property_units


@overload
def label(
    images: Microstructures | ArrayLike | str | Path,
    phases: Phases,
    *,
    evaluator: str = "fft",
    evaluator_settings: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Microstructures: ...


@overload
def label(
    images: Microstructures | ArrayLike | Dataset | str | Path,
    phases: Phases,
    folder: str | Path,
    *,
    evaluator: str = "fft",
    evaluator_settings: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    parallel: bool = True,
    progress: Progress = silent,
) -> Dataset: ...


def label(
    images: Microstructures | ArrayLike | Dataset | str | Path,
    phases: Phases,
    folder: str | Path | None = None,
    *,
    evaluator: str = "fft",
    evaluator_settings: Mapping[str, Any] | None = None,
    store: str | Path | None = None,
    parallel: bool = True,
    progress: Progress = silent,
) -> Microstructures | Dataset:
    """Computes the effective properties of images: the labels that a model is trained on.

    Without a `folder`, in this process, and the images come back with their properties. With one, the answer is a
    labelled data set there; a data set is labelled shard by shard, on Ray, and a call that was interrupted goes on.

    Example:
        >>> images = np.zeros((2, 8, 8), int)
        >>> images[:, ::2] = 1
        >>> labelled = label(images, [{"E": 1, "nu": 0.3, "k": 1}, {"E": 10, "nu": 0.3, "k": 10}])
        >>> labelled.properties["ky"].round(3).tolist()
        [5.5, 5.5]

    Args:
        images: Phase labels `(n, X, Y)` or `(n, X, Y, Z)`, axis 1 is x; a `Microstructures`; a `Dataset`; or the path
            of a data set or of a file of any known format.
        phases: Phase of label 0, of label 1, ..., as `homogenize` takes them.
        folder: Where the labelled data set goes; None keeps it in memory.
        evaluator: `fft`, `fft: tolerance=1e-5`, `module:name`, or `command: PROGRAM ARGS`. Images that are not periodic
            get mirror boundaries from `fft` unless it says otherwise, `fft: boundary=periodic`.
        evaluator_settings: Settings of the evaluator.
        store: Folder of results of a data set: known ones are taken from it, new ones are added.
        parallel: Whether a data set is labelled on Ray, a local one unless RAY_ADDRESS names a cluster; set it to False
            for a few images, or where Ray must not start.
        progress: Takes the number of images that are done.

    Returns:
        The images with `property_names` of the phases, in units of the phases. An image that the evaluator cannot solve
        has NaN, and the reason as its `generation`. With pores a modulus may be 0, and what then is not defined, such
        as a Poisson's ratio, is NaN alone.

    Raises:
        InputError: The images, the phases or the evaluator cannot be had, or do not fit together.
        EvaluationError: No image could be solved; carries the first reason.
        StorageError: The data set cannot be written.
    """
    materials = phases_from(phases)
    physics = load_evaluator(evaluator, evaluator_settings)
    source = _opened(images) if folder is not None else None
    if source is None or folder is None:
        given = _in_memory(images, len(materials.phases))
        physics = for_images(physics, given.periodic, given.aspect)
        batch = _labelled(given, materials, physics, progress)
        return batch if folder is None else _written(batch, folder, materials, physics)
    if source.folder.resolve() == Path(folder).resolve():
        raise InputError(f"{folder}: is the source itself; expected another folder for the labelled data set.")
    known = None if store is None else ResultStore(Path(store).resolve())
    if not parallel:
        return label_dataset(source, folder, materials, physics, store=known, progress=progress)
    from microdesign.physics.execution.cluster import connected
    from microdesign.physics.execution.parallel import evaluate_shards

    with connected():
        return label_dataset(source, folder, materials, physics, evaluate_shards, store=known, progress=progress)


def _opened(images: Microstructures | ArrayLike | Dataset | str | Path) -> Dataset | None:
    """The data set that is meant; None if it is images."""
    if isinstance(images, Dataset):
        return images
    return Dataset.open(images) if isinstance(images, str | Path) and Path(images).is_dir() else None


def _in_memory(images: Microstructures | ArrayLike | Dataset | str | Path, n_phases: int) -> Microstructures:
    if isinstance(images, Microstructures):
        return images
    if isinstance(images, Dataset):
        return images.load()
    if isinstance(images, str | Path):
        from microdesign.microstructure.io.readers import read

        return read(images)
    return Microstructures(labels=np.asarray(images), n_phases=n_phases)


def _labelled(
    batch: Microstructures, materials: Materials, evaluator: Evaluator, progress: Progress
) -> Microstructures:
    values = evaluate_each(evaluator, batch.labels, materials)
    progress.count(len(batch), len(batch), "images labelled")
    if not (values["error"] == "").any():
        raise EvaluationError(
            f"None of the {len(batch)} images could be evaluated; the first error: {values['error'][0]}"
        )
    return with_properties(batch, values, property_names(materials, len(batch.shape)))


def _written(batch: Microstructures, folder: str | Path, materials: Materials, evaluator: Evaluator) -> Dataset:
    writer = DatasetWriter(
        folder,
        settings={"evaluator": evaluator.fingerprint} | boundary_of(evaluator),
        units=property_units(materials, len(batch.shape)),
        materials=materials.model_dump(mode="json"),
    )
    writer.write_shard("shard-00000", batch)
    return writer.finish()

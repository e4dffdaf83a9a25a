"""The microstructures to export, from files and arrays, each with a name of its own."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from microdesign.core.errors import InputError
from microdesign.core.units import read_pixel_size
from microdesign.export.protocol import Sample
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import as_labels
from microdesign.microstructure.io.dimensions import refuse_open_dimensions
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.readers import read_images
from microdesign.physics.materials import Materials

Candidates = ArrayLike | Microstructures | str | Path | Sequence[str | Path]
"""Microstructures as a user may give them: an array, a `Microstructures`, or the path, or paths, of files."""


def samples_of(
    candidates: Candidates,
    materials: Materials | None = None,
    options: ReadOptions = NO_OPTIONS,
    reader: str | None = None,
) -> list[Sample]:
    """Returns the microstructures.

    Args:
        candidates: An array `(X, Y)`, `(X, Y, Z)`, a stack of one of them, a `Microstructures`, or paths of any format
            that `read` knows. An array of three axes is a stack of images unless `options.dims` is 3.
        materials: The phases.
        options: What the files do not state themselves.
        reader: A name in `READERS`, or `MODULE:CLASS`; None chooses by the path.

    Raises:
        InputError: A path cannot be read, an array is no image, or two files would get one name.
    """
    if isinstance(candidates, str | Path):
        candidates = [candidates]
    if isinstance(candidates, list | tuple) and candidates and isinstance(candidates[0], str | Path):
        samples = [sample for path in candidates for sample in _of_file(str(path), options, reader)]
    else:
        batch = candidates if isinstance(candidates, Microstructures) else _of_array(np.asarray(candidates), options)
        stated: dict[str, Any] = {} if options.pixel_size is None else read_pixel_size(options.pixel_size)
        if options.periodic is not None:
            stated["periodic"] = options.periodic
        samples = list(_of_batches([replace(batch, **stated)], "candidate", "the candidates"))
    if not samples:
        raise InputError("there is nothing to export; expected at least one microstructure.")
    repeated = [name for name, count in Counter(sample.name for sample in samples).items() if count > 1]
    if repeated:
        sources = " and ".join(sample.source for sample in samples if sample.name == repeated[0])
        raise InputError(f"{sources}: would both be exported as '{repeated[0]}'; export them to different folders.")
    return [replace(sample, materials=materials) for sample in samples]


def _of_file(path: str, options: ReadOptions, reader: str | None) -> Iterator[Sample]:
    yield from _of_batches(list(read_images(path, options=options, reader=reader)), Path(path).stem, path)


def _of_batches(batches: Sequence[Microstructures], name: str, source: str) -> Iterator[Sample]:
    count = sum(len(batch) for batch in batches)
    number = 0
    for batch in batches:
        for labels in batch.labels:
            yield Sample(
                name=name if count == 1 else f"{name}-{number:0{len(str(count - 1))}d}",
                source=source if count == 1 else f"{source}[{number}]",
                labels=labels,
                n_phases=batch.n_phases,
                spacing=batch.spacing,
                unit=batch.length_unit,
                periodic=batch.periodic,
            )
            number += 1


def _of_array(array: np.ndarray, options: ReadOptions) -> Microstructures:
    dims = options.dims or (3 if array.ndim == 4 else 2)
    if array.ndim not in (dims, dims + 1):
        raise InputError(f"the candidates have shape {array.shape}; expected (X, Y), or with dims = 3 (X, Y, Z).")
    refuse_open_dimensions(array.shape, options.dims, "the candidates", "dims=2 or dims=3")
    labels = as_labels(array if array.ndim == dims + 1 else array[None], "the candidates")
    return Microstructures(labels=labels, n_phases=options.n_phases or int(labels.max(initial=0)) + 1)

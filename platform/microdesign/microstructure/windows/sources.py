"""Large images of any source, one after the other, each with its name."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.label_arrays import as_labels
from microdesign.microstructure.io.dimensions import refuse_open_dimensions
from microdesign.microstructure.io.options import ReadOptions
from microdesign.microstructure.io.readers import find_reader, read_images

Images = str | Path | Sequence[str | Path] | NDArray | Microstructures
"""Large images as a user may give them; see `sources`."""


def sources(
    images: Images, options: ReadOptions, reader: str | None
) -> Iterator[tuple[str, Iterator[Microstructures]]]:
    """Yields each file, or what was given in memory as `image`, with its images as they are read.

    Args:
        images: Paths of files or folders; labels `(X, Y)`, `(n, X, Y)`, `(n, X, Y, Z)`, or with `dims` 3 `(X, Y, Z)`;
            or a `Microstructures`.
        options: What a file does not state itself.
        reader: A name in `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the path.

    Raises:
        InputError: There are no images, a path does not exist or is of no known format, or an array has another shape
            or three similar axes, which may be images or one volume.
    """
    if isinstance(images, Microstructures):
        yield "image", iter([images])
        return
    if isinstance(images, np.ndarray):
        yield "image", iter([_of_array(images, options)])
        return
    paths = [images] if isinstance(images, str | Path) else list(images)
    if not paths:
        raise InputError("there are no images; expected at least one.")
    for path in paths:
        find_reader(path, reader)  # a missing file is refused before the first one is cut
    for path in paths:
        yield str(path), read_images(path, options=options, reader=reader)


def named(source: str, batches: Iterator[Microstructures]) -> Iterator[tuple[list[str], Microstructures]]:
    """Yields batches with the name of each image: the source's, with a number where it holds several."""
    start, held = 0, next(batches, None)
    while held is not None:
        following = next(batches, None)
        alone = start == 0 and following is None and len(held) == 1
        yield [source] if alone else [f"{source}[{start + i}]" for i in range(len(held))], held
        start, held = start + len(held), following


def _of_array(labels: NDArray, options: ReadOptions) -> Microstructures:
    dims = options.dims or 2
    if labels.ndim not in (dims, dims + 1) and (options.dims is not None or labels.ndim != 4):
        raise InputError(
            f"the images have shape {labels.shape}; expected (X, Y), (n, X, Y) or (n, X, Y, Z), or with dims = 3 "
            "(X, Y, Z)."
        )
    refuse_open_dimensions(labels.shape, options.dims, "the images", "dims=2 or dims=3")
    labels = as_labels(labels[None] if labels.ndim == dims else labels, "the images")
    return Microstructures(labels=labels, n_phases=options.n_phases or int(labels.max(initial=0)) + 1)

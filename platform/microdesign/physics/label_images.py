"""Phase labels to homogenize, from arrays, containers and files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.dimensions import refuse_open_dimensions
from microdesign.microstructure.io.options import NO_OPTIONS, ImagesOrVolumesError, ReadOptions

LabelImages = ArrayLike | Microstructures | str | Path | Sequence[str | Path]
"""Phase labels as a user may give them; see `label_stacks`."""


class NamedImage(NamedTuple):
    """One image with its name.

    Attributes:
        name: Its path, with its number where there are several.
        labels: Phase labels, `(X, Y)` or `(X, Y, Z)`.
        periodic: Whether it repeats; an array that says nothing of it counts as periodic.
        spacing: Edge lengths of a pixel or voxel; None for squares and cubes.
    """

    name: str
    labels: np.ndarray
    periodic: bool = True
    spacing: tuple[float, ...] | None = None


class LabelStack(NamedTuple):
    """Images of one shape with their names.

    Attributes:
        names: Of each image: its path, with its number where there are several, or its number alone.
        labels: Phase labels, `(n, X, Y)` or `(n, X, Y, Z)`; axis 1 is x.
        periodic: Whether they repeat.
        spacing: Edge lengths of a pixel or voxel; None for squares and cubes.
    """

    names: list[str]
    labels: np.ndarray
    periodic: bool = True
    spacing: tuple[float, ...] | None = None

    @property
    def dims(self) -> int:
        """2 of images, 3 of volumes."""
        return self.labels.ndim - 1


def label_stacks(images: LabelImages, dims: int | None = None) -> tuple[list[LabelStack], bool]:
    """Returns the images as stacks of one shape each, and whether they are one image alone.

    Args:
        images: An array `(X, Y)`, `(n, X, Y)`, `(n, X, Y, Z)` or, with `dims` = 3, `(X, Y, Z)`; a `Microstructures`; or
            the path, or paths, of files or folders of any format that `read` knows.
        dims: 2 or 3; None takes three axes of an array, or of a file that does not say, as a stack of images, unless
            they are similar.

    Raises:
        InputError: A path cannot be read, an array has another number of axes, or three similar ones.
    """
    if dims not in (None, 2, 3):
        raise InputError(f"dims = {dims} is out of range; expected 2 or 3.")
    if isinstance(images, str | Path):
        found = read_labels(images, dims)
        stacks = [LabelStack([each.name], each.labels[None], each.periodic, each.spacing) for each in found]
        return _merged(stacks), len(stacks) == 1
    if isinstance(images, list | tuple) and images and isinstance(images[0], str | Path):
        return _merged([stack for path in images for stack in label_stacks(path, dims)[0]]), False
    if isinstance(images, Microstructures):
        names = [str(i) for i in range(len(images))]
        return [LabelStack(names, images.labels, images.periodic, _spacing(images))], False
    labels = np.asarray(images)
    if labels.ndim not in ((2, 3, 4) if dims is None else (dims, dims + 1)):
        expected = "(X, Y), (n, X, Y) or (n, X, Y, Z)" if dims is None else f"{dims} or {dims + 1} axes"
        raise InputError(f"the image has shape {labels.shape}; expected {expected}.")
    refuse_open_dimensions(labels.shape, dims, "the image", "dims=2 or dims=3")
    single = labels.ndim == (dims or 2)
    labels = labels[None] if single else labels
    return [LabelStack([str(i) for i in range(len(labels))], labels)], single


def read_labels(
    path: str | Path, dims: int | None = None, reader: str | None = None, options: ReadOptions = NO_OPTIONS
) -> list[NamedImage]:
    """Reads all images of a file or folder of any known format, each with its name.

    Args:
        path: Phase labels. Where the format does not say whether three axes are a stack of images or one volume, `dims`
            decides.
        dims: 2 or 3; None takes three axes of a file that does not say as a stack of images, unless they are similar.
        reader: Name of the reader, or `MODULE:CLASS` of one of your own; None chooses by the path.
        options: What the file does not state itself, besides `dims`.

    Raises:
        InputError: The path is missing, damaged or holds no images, `dims` is neither 2 nor 3, or three
            similar axes may be either.
    """
    # Arrays do not need the readers.
    from microdesign.microstructure.io.readers import find_reader, read_images

    if dims not in (None, 2, 3):
        raise InputError(f"dims = {dims} is out of range; expected 2 or 3.")
    try:
        batches = list(read_images(path, options=options, reader=reader))
    except ImagesOrVolumesError:
        if dims is None:
            raise
        batches = list(read_images(path, options=replace(options, dims=dims), reader=reader))
    if (
        dims == 3
        and options.section is None
        and len(batches[0].shape) == 2
        and "dims" in find_reader(path, reader).takes
    ):
        batches = list(read_images(path, options=replace(options, dims=3), reader=reader))
    stack = [(labels, batch.periodic, _spacing(batch)) for batch in batches for labels in batch.labels]
    return [NamedImage(str(path) if len(stack) == 1 else f"{path}[{i}]", *each) for i, each in enumerate(stack)]


def _spacing(batch: Microstructures) -> tuple[float, ...] | None:
    return batch.spacing if batch.aspect else None


def _merged(stacks: Sequence[LabelStack]) -> list[LabelStack]:
    """Neighbours of one kind as one stack."""
    groups: list[list[Any]] = []
    for stack in stacks:
        if groups and _kind(groups[-1][-1]) == _kind(stack):
            groups[-1].append(stack)
        else:
            groups.append([stack])
    return [
        LabelStack(
            [name for stack in group for name in stack.names],
            np.concatenate([stack.labels for stack in group]),
            group[0].periodic,
            group[0].spacing,
        )
        for group in groups
    ]


def _kind(stack: LabelStack) -> tuple[Any, ...]:
    return stack.labels.shape[1:], stack.periodic, stack.spacing

"""Plane sections of volumes: the images that a saw would show."""

from dataclasses import dataclass, replace

import numpy as np

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures

_EXPECTED = "expected an axis and the number of its voxel from 0, such as z=100, or several, such as z=50,100,150"


@dataclass(frozen=True)
class Section:
    """Sections across one axis.

    Attributes:
        axis: 0 of x, 1 of y, 2 of z.
        voxels: Which voxels along the axis are taken, from 0.
    """

    axis: int
    voxels: tuple[int, ...]

    @classmethod
    def parse(cls, text: str) -> "Section":
        """Reads `z=100`, or several sections across one axis, `x=50,100`.

        Raises:
            InputError: The text is nothing of the kind.
        """
        name, _, numbers = text.partition("=")
        parts = [number.strip() for number in numbers.split(",")]
        if name.strip() not in ("x", "y", "z") or not all(part.isascii() and part.isdigit() for part in parts):
            raise InputError(f"--section {text}: {_EXPECTED}.")
        return cls("xyz".index(name.strip()), tuple(int(part) for part in parts))

    def __str__(self) -> str:
        return f"{'xyz'[self.axis]}={','.join(map(str, self.voxels))}"


def cut_sections(batch: Microstructures, section: Section, source: str) -> Microstructures:
    """Returns the sections of each volume of a batch, images of the two axes that are left, in their order.

    What is known of volumes as wholes is left out: properties and places. A section repeats where its volume does.

    Example:
        >>> volume = np.arange(8, dtype=np.uint8).reshape(1, 2, 2, 2) % 3
        >>> cut_sections(Microstructures(labels=volume, n_phases=3), Section(2, (1,)), "volume").labels.tolist()
        [[[1, 0], [2, 1]]]

    Args:
        batch: Volumes.
        section: Where to cut.
        source: What messages name.

    Raises:
        InputError: The batch holds images, or volumes with fewer voxels along the axis.
    """
    if len(batch.shape) != 3:
        raise InputError(f"{source}: --section {section} cuts volumes; this holds images.")
    n = batch.shape[section.axis]
    if max(section.voxels) >= n:
        extent = " x ".join(map(str, batch.shape))
        raise InputError(
            f"{source}: --section {section} lies outside a volume of {extent} voxels; expected 0 to {n - 1}."
        )
    cut = np.take(batch.labels, section.voxels, axis=section.axis + 1)
    labels = np.moveaxis(cut, section.axis + 1, 1).reshape(-1, *np.delete(batch.shape, section.axis))
    each = len(section.voxels)
    edges = np.delete(batch.spacing, section.axis)
    return replace(
        batch,
        labels=labels,
        classes=tuple(np.repeat(batch.classes, each).tolist()),
        generation=tuple(np.repeat(batch.generation, each).tolist()),
        properties={},
        places=(),
        pixel_size=float(edges[0]),
        aspect=tuple((edges / edges[0]).tolist()),
    )

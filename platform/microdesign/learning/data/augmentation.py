"""Which turns, flips and shifts of the training images are images of the same material.

Shapes: n images, `*N` two or three spatial axes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.microstructure.data.dataset import Dataset
from microdesign.model.symmetry import Symmetry, symmetries

_SHARDS, _IMAGES = 8, 64
"""How many shards, and images of each, tell whether the images have a direction: some 500 images."""
_SAME = 1.2
"""Largest ratio of the numbers of interfaces along two directions up to which they count as the same: a population of
500 isotropic images is within 1.05, grains twice as long as wide are at 1.5."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to training images.

    Attributes:
        turns: Whether they are turned by quarters.
        flips: Whether they are mirrored along axes.
        shifts: Whether they are shifted, if they are periodic.
        aspect: Edges of their pixels along each axis over that along x; empty for squares and cubes.
    """

    turns: bool = True
    flips: bool = True
    shifts: bool = True
    aspect: tuple[float, ...] = ()

    def symmetries(self, shape: Sequence[int], names: Sequence[str], known: Collection[str]) -> list[Symmetry]:
        """Returns the `symmetries` of the grid among these; the first changes nothing."""
        found = symmetries(shape, names, known, self.aspect)
        return [each for each in found if each.is_among(self.turns, self.flips)]

    def __str__(self) -> str:
        """The names of what is done, `flips and shifts`."""
        names = [name for name in ("turns", "flips", "shifts") if getattr(self, name)]
        return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "none"


ALL = Augmentation()
"""Everything that leaves the properties known."""
NO_AUGMENTATION = Augmentation(turns=False, flips=False, shifts=False)
"""Images as they are."""


def augmentation_of(turns: bool | None, flips: bool | None, shifts: bool, dataset: Dataset) -> Augmentation:
    """Returns the augmentation of a training.

    Args:
        turns: As asked; None turns the images unless they, or their phases, have a direction.
        flips: As asked; None mirrors them unless that turns a slanted direction into another.
        shifts: As asked; only periodic images are shifted.
        dataset: The images.
    """
    if turns is None or flips is None:
        same = (False, False) if _has_tensors(dataset) else _same_after(dataset.folder, dataset.manifest.digest)
        turns, flips = same[0] if turns is None else turns, same[1] if flips is None else flips
    return Augmentation(turns, flips, shifts and dataset.manifest.periodic, dataset.manifest.aspect)


def same_after(images: NDArray[np.uint8], aspect: Sequence[float] = ()) -> tuple[bool, bool]:
    """Tells whether images `(n, *N)` as a population are the same after a turn by a quarter, and after a flip.

    By how many interfaces lie along each axis, on a length of the material, and along the two diagonals of each plane.

    Example:
        >>> layers = np.arange(64, dtype=np.uint8).reshape(1, 8, 8) // 16 % 2
        >>> same_after(layers), same_after(np.concatenate([layers, layers.transpose(0, 2, 1)]))
        ((False, True), (True, True))

    Args:
        images: Phase labels.
        aspect: Edges of a pixel along each axis, or their ratios; empty for squares and cubes.
    """
    dims = images.ndim - 1
    edges = aspect or (1.0,) * dims
    axes = [_interfaces(images, {axis: 1}) / edge for axis, edge in enumerate(edges, start=1)]
    diagonals = [
        (_interfaces(images, {i: 1, j: 1}), _interfaces(images, {i: 1, j: -1}))
        for i, j in combinations(range(1, dims + 1), 2)
    ]
    flips = all(_same(pair) for pair in diagonals)
    # A turn by a quarter exchanges the diagonals too.
    return _same(axes) and flips, flips


def _interfaces(images: NDArray[np.uint8], offset: dict[int, int]) -> float:
    """Share of the pairs of pixels at an offset that are of different phases; none across an edge."""
    here = [slice(None)] * images.ndim
    there = list(here)
    for axis, step in offset.items():
        here[axis], there[axis] = (slice(None, -1), slice(1, None))[::step]
    return float((images[tuple(here)] != images[tuple(there)]).mean())


def _same(values: Sequence[float]) -> bool:
    return max(values) <= _SAME * min(values)


def _has_tensors(dataset: Dataset) -> bool:
    phases = (dataset.manifest.materials or {}).get("phases", ())
    return any("stiffness" in phase or "conductivity" in phase for phase in phases)


@lru_cache(maxsize=8)
def _same_after(folder: Path, digest: str) -> tuple[bool, bool]:
    """Of a data set, once a process; the digest stands for its content."""
    dataset = Dataset.open(folder)
    shards = len(dataset.manifest.shards)
    chosen = np.unique(np.linspace(0, shards - 1, min(shards, _SHARDS)).round().astype(int))
    parts = []
    for number in chosen.tolist():
        labels = dataset.read_shard(number).labels
        parts.append(labels[np.unique(np.linspace(0, len(labels) - 1, min(len(labels), _IMAGES)).round().astype(int))])
    return same_after(np.concatenate(parts), dataset.manifest.aspect)

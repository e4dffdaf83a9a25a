"""Symmetries of a grid, turns and flips, and what they make of effective properties.

A symmetry first permutes the axes of an image, then flips some of them. A tensor's component turns with its indices:
along new axis i stands what was along old axis `axes[i]`, and each index on a flipped axis changes the sign.
"""

import itertools
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from microdesign.core.properties import turned


class Symmetry(NamedTuple):
    """One symmetry of the grid.

    Attributes:
        axes: New axis i is old axis `axes[i]`.
        flipped: New axes that are flipped.
        sources: For each property, the one that it was before.
        signs: For each property, the sign that it takes.
    """

    axes: tuple[int, ...]
    flipped: tuple[int, ...]
    sources: tuple[str, ...]
    signs: tuple[int, ...]

    def is_among(self, turns: bool, flips: bool) -> bool:
        """Whether it is one of turns by quarters, or of flips along axes, or of both together."""
        identity = self.axes == tuple(range(len(self.axes)))
        if (turns and flips) or (identity and not self.flipped):
            return True
        inversions = sum(a > b for a, b in itertools.combinations(self.axes, 2))
        is_proper = (inversions + len(self.flipped)) % 2 == 0  # a determinant of 1: it mirrors nothing
        return (turns and is_proper) or (flips and identity)

    def turned(self, labels: Tensor) -> Tensor:
        """Returns the images after the symmetry, `(B, *N) -> (B, *N)`."""
        labels = labels.permute(0, *(axis + 1 for axis in self.axes))
        return labels.flip([axis + 1 for axis in self.flipped]) if self.flipped else labels


def symmetries(
    shape: Sequence[int], names: Sequence[str], known: Collection[str], aspect: Sequence[float] = ()
) -> list[Symmetry]:
    """Lists the symmetries of a grid after which all the named properties are known; the first changes nothing.

    Args:
        shape: Pixels along each axis; only axes of one length can be exchanged.
        names: The properties. What a turn or a flip makes of one that is not in the catalogue is not known.
        known: The properties that the data have.
        aspect: Edges of a pixel along each axis, or their ratios; empty for squares and cubes. Axes of different edges
            are not exchanged: a turned image would be of a stretched material.
    """
    return list(_all(shape, names, known, aspect))


def _all(
    shape: Sequence[int], names: Sequence[str], known: Collection[str], aspect: Sequence[float]
) -> Iterator[Symmetry]:
    dims = range(len(shape))
    kinds = list(zip(shape, aspect or (1.0,) * len(shape), strict=True))
    for axes in itertools.permutations(dims):
        if any(kinds[axis] != kinds[i] for i, axis in enumerate(axes)):
            continue
        for flips in itertools.product((False, True), repeat=len(shape)):
            flipped = tuple(i for i in dims if flips[i])
            nothing = axes == tuple(dims) and not flipped
            before = [(name, 1) if nothing else turned(name, axes, flipped) for name in names]
            found = [each for each in before if each is not None and (nothing or each[0] in known)]
            if len(found) == len(names):
                yield Symmetry(axes, flipped, tuple(name for name, _ in found), tuple(sign for _, sign in found))

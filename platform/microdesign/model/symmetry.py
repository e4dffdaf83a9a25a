"""Symmetries of a grid, turns and flips, and what they make of effective properties.

A symmetry first permutes the axes of an image, then flips some of them. A tensor's component turns with its indices:
along new axis i stands what was along old axis `axes[i]`, and each index on a flipped axis changes the sign.
"""

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

_VOIGT = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))}
"""Pairs of axes in Voigt's order, by dimensions: `C33` is the shear modulus of an image, and not of a volume."""
_INVARIANT = ("K", "G", "E", "AU")
_NAME = re.compile(r"(?:([EkvG])([xyz]{1,2})|C([1-6])([1-6])|k([1-3])([1-3]))(\.\d+)?")


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

    def turned(self, labels: Tensor) -> Tensor:
        """Returns the images after the symmetry, `(B, *N) -> (B, *N)`."""
        labels = labels.permute(0, *(axis + 1 for axis in self.axes))
        return labels.flip([axis + 1 for axis in self.flipped]) if self.flipped else labels


def symmetries(shape: Sequence[int], names: Sequence[str], known: Collection[str]) -> list[Symmetry]:
    """Lists the symmetries of a grid after which all the named properties are known; the first changes nothing.

    Args:
        shape: Pixels along each axis; only axes of one length can be exchanged.
        names: The properties: `Ex`, `vxy`, `Gxy`, `kx` and the like (also `Ex.0`), components `C11` and `k11`, and the
            invariants `K`, `G`, `E`, `AU`. What a turn or a flip makes of any other is not known.
        known: The properties that the data have.
    """
    return list(_all(shape, names, known))


def _all(shape: Sequence[int], names: Sequence[str], known: Collection[str]) -> Iterator[Symmetry]:
    dims = range(len(shape))
    for axes in itertools.permutations(dims):
        if any(shape[axis] != shape[i] for i, axis in enumerate(axes)):
            continue
        for flips in itertools.product((False, True), repeat=len(shape)):
            flipped = tuple(i for i in dims if flips[i])
            nothing = axes == tuple(dims) and not flipped
            turned = [(name, 1) if nothing else _before(name, axes, flipped) for name in names]
            if nothing or all(source in known for source, _ in turned):
                yield Symmetry(axes, flipped, tuple(name for name, _ in turned), tuple(sign for _, sign in turned))


def _before(name: str, axes: tuple[int, ...], flipped: tuple[int, ...]) -> tuple[str, int]:
    """The property that `name` was before a symmetry, and the sign that it takes; no property if that is not known."""
    if name in _INVARIANT:
        return name, 1
    match = _NAME.fullmatch(name)
    if match is None:
        return "", 1
    # `Ex.1` is Ex for the second pair of materials.
    kind, letters, row, column, *conduction, pair_of_materials = match.groups("")
    dims, voigt = len(axes), _VOIGT[len(axes)]
    largest = max(["xyz".index(letter) + 1 for letter in letters] + [int(i) for i in (row, column, *conduction) if i])
    if largest > (len(voigt) if row else dims):
        return "", 1  # an axis that the image lacks
    if kind:
        # Diagonal components of compliance and resistivity, and ratios of them: no flip changes them.
        old = [axes["xyz".index(letter)] for letter in letters]
        return kind + "".join("xyz"[i] for i in (sorted(old) if kind == "G" else old)) + pair_of_materials, 1
    pairs = [voigt[int(row) - 1], voigt[int(column) - 1]] if row else [tuple(int(i) - 1 for i in conduction)]
    sign = (-1) ** sum(i in flipped for pair in pairs for i in pair)
    before = [tuple(sorted(axes[i] for i in pair)) for pair in pairs]
    numbers = sorted(voigt.index(pair) for pair in before) if row else before[0]
    return ("C" if row else "k") + "".join(str(i + 1) for i in numbers) + pair_of_materials, sign

"""The micrograph, an image or a volume: read and checked, the size of its windows, whether it may be turned."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.sizes import with_unit
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.readers import read_images
from microdesign.microstructure.statistics.population import Population
from microdesign.model.networks.config import LEAST_SIZE, MULTIPLE

USUAL_SIZE: Mapping[int, int] = {2: 64, 3: 32}
"""Pixels along each axis of windows of an image, and of a volume, where it has room for several."""
MOST_VOXELS = 2**24
"""Voxels of a volume that is solved as a whole for its own values: eight times what takes half a minute of a core."""
MOST_PHASES = 9
"""Labels up to which an image counts as one of many phases, and not as a grey one."""
_ISOTROPIC = 0.6
"""Share of turned windows within the population's threshold from which a material counts as isotropic. In mosaics of
256 pixels 0.04 and 0.3 of those of aligned ellipses are, 0.65 to 0.98 of those of discs, cells and turned ellipses."""


@dataclass(frozen=True, eq=False)
class Micrograph:
    """One image, or volume, of two phases or more.

    Attributes:
        path: Its file.
        image: The image, a batch of one.
        size: Pixels along each axis of windows and designs.
    """

    path: Path
    image: Microstructures
    size: int

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Phase labels, uint8 `(*N)`."""
        return self.image.labels[0]

    @property
    def dims(self) -> Literal[2, 3]:
        """2 of an image, 3 of a volume."""
        return 2 if self.labels.ndim == 2 else 3

    @property
    def window(self) -> tuple[int, ...]:
        """Pixels along each axis of windows and designs."""
        return (self.size,) * self.dims


def read_micrograph(
    path: str | Path, size: int | None = None, options: ReadOptions = NO_OPTIONS, reader: str | None = None
) -> Micrograph:
    """Reads a micrograph.

    Args:
        path: A file of any known format.
        size: Pixels of windows; None chooses `window_size`.
        options: What the file does not state itself.
        reader: A name in `READERS`, or `MODULE:CLASS` of a reader of your own; None chooses by the path.

    Raises:
        InputError: It is not one image of two phases or more, or smaller than a window.
    """
    batches = list(read_images(path, options=options, reader=reader))
    n = sum(map(len, batches))
    image = batches[0]
    if n != 1:
        raise InputError(f"{path}: holds {n} {'images' if len(image.shape) == 2 else 'volumes'}; expected one of them.")
    if len(image.shape) == 3 and image.labels.size > MOST_VOXELS:
        raise InputError(
            f"{path}: has {with_unit(image.shape)}; expected at most {MOST_VOXELS}: "
            "a part of it, or a section, such as --section z=0."
        )
    if min(image.shape) < (size or LEAST_SIZE):
        wanted = f"of size {size}" if size else "of the smallest size"
        raise InputError(
            f"{path}: has {with_unit(image.shape)}; expected {size or LEAST_SIZE} or more along each "
            f"axis, a window {wanted}."
        )
    found = np.unique(image.labels)
    if len(found) == 1:
        raise InputError(f"{path}: is of phase {found[0]} alone; expected an image of two phases or more.")
    if len(found) > MOST_PHASES:
        raise InputError(
            f"{path}: holds {len(found)} grey values, and is not segmented (--threshold otsu); expected labels of at "
            f"most {MOST_PHASES} phases."
        )
    if tuple(found) != tuple(range(len(found))):
        raise InputError(f"{path}: holds the labels {', '.join(map(str, found))}; expected 0 to {len(found) - 1}.")
    # Whatever a file says: the program's own formats call images periodic unless told otherwise.
    return Micrograph(Path(path), replace(image, periodic=False), size or window_size(image.shape))


def window_size(shape: tuple[int, ...]) -> int:
    """Pixels of the windows of an image: 64, of volumes 32, of small images about half of the shorter axis.

    Example:
        >>> [window_size(shape) for shape in ((1000, 800), (100, 300), (128, 128), (40, 40), (400, 400, 400))]
        [64, 48, 64, 32, 32]
    """
    half = min(shape) // 2 // MULTIPLE * MULTIPLE
    return max(LEAST_SIZE, min(USUAL_SIZE[len(shape)], half))


def may_be_turned(windows: NDArray[np.uint8], periodic: bool = False, n_phases: int = 2) -> bool:
    """Whether windows `(n, *N)` of a material are as alike to it when they are turned by 90 degrees about any axis.

    The measure is the distance from the windows as a population: 95 % of them are within 1, see `Population`.
    """
    try:
        population = Population.fit(windows, n_phases, periodic=periodic)
    except InputError:  # too few to say
        return False
    turns = (np.ascontiguousarray(np.rot90(windows, axes=plane)) for plane in combinations(range(1, windows.ndim), 2))
    return all((population.distance(turned, periodic) <= 1).mean() >= _ISOTROPIC for turned in turns)

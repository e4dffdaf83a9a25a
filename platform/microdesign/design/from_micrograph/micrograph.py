"""The micrograph: read and checked, the size of its windows, and whether its material may be turned."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.io.options import NO_OPTIONS, ReadOptions
from microdesign.microstructure.io.readers import read_images
from microdesign.microstructure.statistics.population import Population
from microdesign.model.networks.config import LEAST_SIZE, MULTIPLE

USUAL_SIZE = 64
"""Pixels along each axis of windows where the micrograph has room for several."""
MOST_PHASES = 9
"""Labels up to which an image counts as one of many phases, and not as a grey one."""
_ISOTROPIC = 0.6
"""Share of turned windows within the population's threshold from which a material counts as isotropic. In mosaics of
256 pixels 0.04 and 0.3 of those of aligned ellipses are, 0.65 to 0.98 of those of discs, cells and turned ellipses."""


@dataclass(frozen=True, eq=False)
class Micrograph:
    """One image of two phases or more.

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
        """Phase labels, uint8 `(X, Y)`."""
        return self.image.labels[0]


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
    if n != 1 or len(image.shape) != 2:
        kind = "images" if len(image.shape) == 2 else "volume" if n == 1 else "volumes"
        wanted = "one of the stack" if len(image.shape) == 2 else "a section, such as --section z=0"
        raise InputError(f"{path}: holds {n} {kind}; expected one image (X, Y): {wanted}.")
    if min(image.shape) < (size or LEAST_SIZE):
        wanted = f"of size {size}" if size else "of the smallest size"
        raise InputError(
            f"{path}: has {' x '.join(map(str, image.shape))} pixels; expected {size or LEAST_SIZE} or more along each "
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
    """Pixels of the windows of an image: 64, of small images about half of the shorter axis, 32 at least.

    Example:
        >>> [window_size(shape) for shape in ((1000, 800), (100, 300), (128, 128), (40, 40))]
        [64, 48, 64, 32]
    """
    half = min(shape) // 2 // MULTIPLE * MULTIPLE
    return max(LEAST_SIZE, min(USUAL_SIZE, half))


def may_be_turned(windows: NDArray[np.uint8], periodic: bool = False, n_phases: int = 2) -> bool:
    """Whether windows `(n, N, N)` of a material are as alike to it when they are turned by 90 degrees.

    The measure is the distance from the windows as a population: 95 % of them are within 1, see `Population`.
    """
    try:
        population = Population.fit(windows, n_phases, periodic=periodic)
    except InputError:  # too few to say
        return False
    turned = np.ascontiguousarray(np.rot90(windows, axes=(1, 2)))
    return bool((population.distance(turned, periodic) <= 1).mean() >= _ISOTROPIC)

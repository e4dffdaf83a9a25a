"""Images with fewer pixels: each phase averaged by area, then each pixel labelled by the largest."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError
from microdesign.microstructure.data.container import Microstructures

SMALLEST_SIZE = 4
_PART_BYTES = 16 * 2**20


def resize(batch: Microstructures, size: int) -> Microstructures:
    """Returns the images with `size` pixels along each axis; images of that size already come back as they are.

    Each new pixel takes the phase that covers most of it, of equal ones the lowest: with two phases, phase 1 where it
    covers more than half. Properties are dropped, for they are those of the original images; classes and generation
    stay, and `pixel_size` grows so that the images keep their physical size.

    Example:
        >>> batch = Microstructures(labels=np.repeat([0, 1], 8)[None, :, None].repeat(16, 2), n_phases=2)
        >>> resize(batch, 4).labels[0, :, 0].tolist()
        [0, 0, 1, 1]

    Args:
        batch: Square or cubic images, labels `(n, *N)`.
        size: Number of pixels along each axis, 4 to N.

    Raises:
        InputError: The size is outside its range, or the images are not square or cubic.
    """
    refuse_small(size)
    pixels = batch.shape[0]
    if set(batch.shape) != {pixels}:
        raise InputError(
            f"size = {size}: the images have shape {batch.shape}; expected the same number along each axis."
        )
    if size > pixels:
        raise InputError(f"size = {size} is larger than the images, {batch.shape}; expected at most {pixels}.")
    if size == pixels:
        return batch
    labels = np.empty((len(batch), *[size] * len(batch.shape)), dtype=np.uint8)
    # Indicators take four to eight times the memory of labels.
    length = max(1, _PART_BYTES // (4 * pixels ** len(batch.shape)))
    for start in range(0, len(batch), length):
        labels[start : start + length] = _largest_phase(batch.labels[start : start + length], size)
    return replace(batch, labels=labels, properties={}, pixel_size=batch.pixel_size * pixels / size)


def refuse_small(size: int) -> None:
    """Refuses a size that no image can have.

    Raises:
        InputError: The size is below 4.
    """
    if size < SMALLEST_SIZE:
        raise InputError(f"size = {size} is too small; expected at least {SMALLEST_SIZE}.")


def area_average(indicator: NDArray, size: int) -> NDArray[np.float64]:
    """Averages indicators `(n, *N)` over the pixels of a coarser grid `(n, *[size])`, each by the area it covers."""
    return _covered(indicator, size).astype(np.float64) / math.prod(indicator.shape[1:])


def overlaps(pixels: int, size: int) -> NDArray[np.int64]:
    """Returns how much of each old pixel lies in each new one, `(size, pixels)`, in units of 1 / `size` old pixel.

    In this unit old pixels are `size` long and new ones `pixels`, so that all boundaries and overlaps are integers.
    """
    new, old = np.arange(size)[:, None], np.arange(pixels)[None, :]
    upper = np.minimum((new + 1) * pixels, (old + 1) * size)
    return np.maximum(upper - np.maximum(new * pixels, old * size), 0)


def _largest_phase(labels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Returns the phase `(n, *[size])` that covers most of each new pixel, of equal ones the lowest."""
    phases = np.unique(labels)
    resized = np.full((len(labels), *[size] * (labels.ndim - 1)), phases[0], dtype=np.uint8)
    largest = _covered(labels == phases[0], size)
    rest = math.prod(labels.shape[1:]) - largest
    for phase in phases[1:]:
        # What no other phase covers is the last one's.
        covered = rest if phase == phases[-1] else _covered(labels == phase, size)
        resized[covered > largest] = phase
        largest = np.maximum(largest, covered)
        rest = rest - covered
    return resized


def _covered(indicator: NDArray, size: int) -> NDArray:
    """Returns the area `(n, *[size])` of indicators `(n, *N)` in each new pixel, of which a full one has `prod(N)`."""
    covered: NDArray = indicator.astype(np.float32)
    total = 1
    for pixels in indicator.shape[1:]:
        total *= pixels
        # Integers, so that a tie is a tie on every machine; float32 holds them up to 2^24.
        exact = np.dtype(np.float32 if total <= 2**24 else np.float64)
        weights = overlaps(pixels, size).T.astype(exact)
        # The axis that is summed leaves the front and comes back at the end: after all of them the order is the same.
        covered = np.tensordot(covered.astype(exact, copy=False), weights, axes=(1, 0))
    return covered

"""Grey images to phases: thresholds that are given, or found from the histogram by Otsu's method.

Labels count the thresholds that a grey value exceeds: dark pixels are phase 0, the brightest the last phase.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microdesign.core.errors import InputError

OTSU, MULTI_OTSU = "otsu", "multi-otsu"
MOST_PHASES = 5
"""Phases that multi-otsu may find; its time grows with a power of their number."""
_BINS = 256
_EXACT = 2**16
"""Levels of integers that have a bin each."""
_PART = 2**20


@dataclass(frozen=True, eq=False)
class Segmentation:
    """How grey levels were made phases.

    Attributes:
        thresholds: In ascending order; a pixel of phase i exceeds i of them.
        counts: Number of pixels in each bin of the histogram, `(B,)`.
        levels: Grey level of each bin's centre, `(B,)`.
    """

    thresholds: tuple[float, ...]
    counts: NDArray[np.int64]
    levels: NDArray[np.float64]

    def labels(self, grey: NDArray) -> NDArray[np.uint8]:
        """Returns the phase of each pixel, uint8 of the shape of `grey`."""
        labels = np.zeros(grey.shape, dtype=np.uint8)
        for threshold in self.thresholds:
            labels += grey > threshold
        return labels

    @property
    def n_phases(self) -> int:
        """Number of phases."""
        return len(self.thresholds) + 1

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of the pixels of all images that each phase has, `(P,)`."""
        phase = np.searchsorted(self.thresholds, self.levels)
        return np.bincount(phase, weights=self.counts, minlength=self.n_phases) / self.counts.sum()


def check_threshold(text: str) -> None:
    """Refuses what is no way to find thresholds.

    Raises:
        InputError: It is none of `otsu`, `multi-otsu:N` and one or several ascending numbers.
    """
    name, _, number = text.partition(":")
    if name == OTSU and not number:
        return
    if name == MULTI_OTSU:
        if not number.isascii() or not number.isdigit() or not 2 <= int(number) <= MOST_PHASES:
            raise InputError(
                f"--threshold {text}: expected the number of phases, 2 to {MOST_PHASES}, such as {MULTI_OTSU}:3."
            )
        return
    values = _numbers(text)
    if not values or not np.isfinite(values).all() or list(values) != sorted(set(values)):
        raise InputError(
            f"--threshold {text}: expected {OTSU}, {MULTI_OTSU}:3, a grey level such as 128, or several in ascending "
            "order such as 80,160."
        )


def segment(text: str, chunks: Callable[[], Iterator[NDArray]], source: str) -> Segmentation:
    """Finds the thresholds of all images of a source together.

    Otsu's threshold (IEEE Trans. Syst. Man Cybern. 9, 62, 1979) makes the variance between the classes of grey levels
    as large as can be; multi-otsu (Liao et al., J. Inf. Sci. Eng. 17, 713, 2001) does so with several thresholds. Both
    are scikit-image's. Integers of up to 16 bits are counted level by level, others in 256 bins; multi-otsu takes 256
    bins at most.

    Args:
        text: What `check_threshold` lets pass.
        chunks: Returns an iterator over arrays of grey levels; called once or twice.
        source: What messages name.

    Raises:
        InputError: The images have values that are no numbers, one level alone, or fewer levels than phases.
    """
    counts, levels = _histogram(chunks, source)
    present = np.count_nonzero(counts)
    name, _, number = text.partition(":")
    thresholds = _numbers(text)
    needed = int(number) if name == MULTI_OTSU else len(thresholds) + 1 if thresholds else 2
    if present < needed:
        raise InputError(
            f"{source}: holds {present} different grey levels; expected at least {needed} for --threshold {text}."
        )
    if not thresholds:
        from skimage.filters import threshold_multiotsu, threshold_otsu  # half a second to import

        if name == OTSU:
            thresholds = (float(threshold_otsu(hist=(counts, levels))),)
        else:
            few = _rebinned(counts, levels)
            thresholds = tuple(float(level) for level in threshold_multiotsu(hist=few, classes=int(number)))
    low, high = levels[counts > 0][[0, -1]]
    if low > thresholds[0] or high <= thresholds[-1]:
        raise InputError(
            f"{source}: --threshold {text} leaves a phase without pixels; the grey levels are {low:g} to {high:g}."
        )
    return Segmentation(thresholds, counts, levels)


def _histogram(chunks: Callable[[], Iterator[NDArray]], source: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Counts and centres of the bins, between the lowest and the highest level."""
    low, high, exact = np.inf, -np.inf, True
    for part in _parts(chunks()):
        exact = exact and part.dtype.kind in "bui"
        low, high = min(low, float(part.min())), max(high, float(part.max()))
    if not np.isfinite([low, high]).all():
        raise InputError(f"{source}: holds grey levels that are missing or infinite; expected numbers.")
    if exact and high - low < _EXACT:
        counts = np.zeros(int(high - low) + 1, dtype=np.int64)
        for part in _parts(chunks()):
            counts += np.bincount(part.astype(np.int64) - int(low), minlength=len(counts))
        return counts, low + np.arange(len(counts), dtype=np.float64)
    if low == high:
        return np.ones(1, dtype=np.int64), np.array([low])
    counts, edges = np.zeros(_BINS, dtype=np.int64), np.linspace(low, high, _BINS + 1)
    for part in _parts(chunks()):
        counts += np.histogram(part, edges)[0]
    return counts, (edges[1:] + edges[:-1]) / 2


def _parts(chunks: Iterator[NDArray]) -> Iterator[NDArray]:
    """Flat parts of a few MiB: counting takes several times the memory of what it counts."""
    for chunk in chunks:
        for image in chunk:
            for layer in image if image.ndim == 3 else [image]:
                flat = layer.reshape(-1)
                for start in range(0, flat.size, _PART):
                    yield flat[start : start + _PART]


def _rebinned(counts: NDArray[np.int64], levels: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if len(counts) <= _BINS:
        return counts, levels
    fewer, edges = np.histogram(levels, _BINS, weights=counts)
    return fewer, (edges[1:] + edges[:-1]) / 2


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        return ()

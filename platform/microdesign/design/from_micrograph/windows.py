"""The micrograph and its windows on disk, and whether they may be turned."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from microdesign.core.progress import Progress
from microdesign.design.from_micrograph.micrograph import Micrograph, may_be_turned
from microdesign.design.report.export import write_labels
from microdesign.microstructure.data.dataset import DatasetWriter


@dataclass(frozen=True, eq=False)
class Material:
    """A micrograph as what a model learns from.

    Attributes:
        folder: Data set of the image, from which training cuts windows at random places.
        windows: Windows that overlap by half, uint8 `(m, N, N)`.
        size: Pixels N along each axis of a window.
        turns: Whether the material may be turned and mirrored.
    """

    folder: Path
    windows: NDArray[np.uint8]
    size: int
    turns: bool


def write_micrograph(micrograph: Micrograph, folder: Path, turns: bool | None, progress: Progress) -> Material:
    """Writes the micrograph as a data set of one image, cuts its windows, and sees whether they may be turned."""
    writer = DatasetWriter(folder, settings={"micrograph": str(micrograph.path), "size": micrograph.size})
    if not writer.has_shard("micrograph"):
        writer.write_shard("micrograph", micrograph.image)
    writer.finish(["micrograph"])
    write_labels(folder / "micrograph.npy", micrograph.labels)
    windows = cut_windows(micrograph.labels, micrograph.size)
    fractions = windows.mean((1, 2))
    progress(
        f"{len(windows)} windows of {micrograph.size} x {micrograph.size} pixels, phase 1 takes "
        f"{fractions.min():.3g} to {fractions.max():.3g} of one, {fractions.mean():.3g} in the mean"
    )
    turned = may_be_turned(windows) if turns is None else turns
    how = "as asked" if turns is not None else "by the likeness of its turned windows"
    progress(f"the material is {'' if turned else 'not '}turned and mirrored, {how}")
    return Material(folder, windows, micrograph.size, turned)


def cut_windows(labels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Windows `(m, N, N)` of two phases that overlap by half and reach all edges, of an image `(X, Y)`."""
    starts = [np.linspace(0, n - size, max(1, -(-2 * n // size) - 1)).round().astype(int) for n in labels.shape]
    windows = np.stack([labels[x : x + size, y : y + size] for x in starts[0] for y in starts[1]])
    return windows[np.ptp(windows, axis=(1, 2)) > 0]

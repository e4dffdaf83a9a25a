"""The micrograph and its windows on disk, and whether they may be turned."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from microdesign.core.progress import Progress
from microdesign.design.from_micrograph.micrograph import Micrograph, may_be_turned
from microdesign.design.report.export import write_labels
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import DatasetWriter
from microdesign.microstructure.data.sizes import with_unit
from microdesign.microstructure.windows.windows_dataset import windows

MOST_WINDOWS = 1000
"""About as many windows tell the range of a material; training cuts its own, from any place."""


@dataclass(frozen=True, eq=False)
class Material:
    """A micrograph as what a model learns from.

    Attributes:
        folder: Data set of the image, from which training cuts windows at random places.
        windows: Windows that overlap by half, uint8 `(m, *N)`.
        size: Pixels N along each axis of a window.
        dims: 2 of an image, 3 of a volume.
        phases: Number of phases.
        turns: Whether the material may be turned and mirrored.
    """

    folder: Path
    windows: NDArray[np.uint8]
    size: int
    dims: Literal[2, 3]
    phases: int
    turns: bool


def write_micrograph(micrograph: Micrograph, folder: Path, turns: bool | None, progress: Progress) -> Material:
    """Writes the micrograph as a data set of one image, cuts its windows, and sees whether they may be turned."""
    writer = DatasetWriter(folder, settings={"micrograph": str(micrograph.path), "size": micrograph.size})
    if not writer.has_shard("micrograph"):
        writer.write_shard("micrograph", micrograph.image)
    writer.finish(["micrograph"])
    write_labels(folder / "micrograph.npy", micrograph.labels)
    cut = cut_windows(micrograph.image, micrograph.size)
    phases = micrograph.image.n_phases
    fractions = ((phase, (cut == phase).mean(tuple(range(1, cut.ndim)))) for phase in range(1, phases))
    parts = (
        f"phase {n} takes {each.min():.3g} to {each.max():.3g}, {each.mean():.3g} in the mean" for n, each in fractions
    )
    progress(f"{len(cut)} windows of {with_unit(micrograph.window)}, of which {'; '.join(parts)}")
    turned = may_be_turned(cut, n_phases=phases) if turns is None else turns
    how = "as asked" if turns is not None else "by the likeness of its turned windows"
    progress(f"the material is {'' if turned else 'not '}turned and mirrored, {how}")
    return Material(folder, cut, micrograph.size, micrograph.dims, phases, turned)


def cut_windows(image: Microstructures, size: int) -> NDArray[np.uint8]:
    """Windows `(m, *N)` of more than one phase, which overlap by half; of a large image they lie further apart."""
    stride = max(size // 2, math.ceil((math.prod(image.shape) / MOST_WINDOWS) ** (1 / len(image.shape))))
    labels = windows(image, size=size, stride=stride, split_by_region=False).labels
    return labels[np.ptp(labels, axis=tuple(range(1, labels.ndim))) > 0]

"""The data set of draws: periodic images like the micrograph, from latents over the range of its windows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from microdesign.core.errors import MicrodesignError
from microdesign.core.progress import Progress, silent
from microdesign.design.from_micrograph.latents import spread_latents
from microdesign.microstructure.data.container import Microstructures
from microdesign.microstructure.data.dataset import Dataset, DatasetWriter
from microdesign.model.bundle import Bundle
from microdesign.surrogate.drawing import realisations
from microdesign.surrogate.local import LocalSurrogate

SHARD = 60
"""Draws of a shard: what a run that is killed loses."""
_MOST_ATTEMPTS = 20


def draw_dataset(
    bundle: Bundle,
    windows: NDArray[np.uint8],
    folder: Path,
    n: int,
    seed: int,
    progress: Progress = silent,
    physical: Mapping[str, Any] | None = None,
) -> Dataset:
    """Draws periodic images from latents over the range of windows; shards that are there already are kept.

    Args:
        bundle: The model fine-tuned on the windows.
        windows: Windows of the micrograph, uint8 `(m, *N)`, which are not periodic.
        folder: Of the data set.
        n: Number of draws; those of one phase are replaced.
        seed: Of the draws.
        progress: Takes the number of draws.
        physical: The micrograph's pixels, as `Microstructures.physical`.

    Raises:
        MicrodesignError: The model draws images of one phase alone.
    """
    surrogate, phases = LocalSurrogate(bundle), bundle.description.model.network.phases
    writer = DatasetWriter(folder, settings={"model": bundle.digest, "windows": len(windows), "seed": seed}, seed=seed)
    names = [f"draws-{number:04d}" for number in range(-(-n // SHARD))]
    missing = [name for name in names if not writer.has_shard(name)]
    if missing:
        mean, std = encode_windows(surrogate, windows)
    for number, name in enumerate(names):
        if name in missing:
            count = min(SHARD, n - SHARD * number)
            stream = np.random.default_rng([seed, number])
            labels = _of_several_phases(surrogate, mean, std, count, stream)
            writer.write_shard(
                name, Microstructures(labels=labels, n_phases=phases, classes=("draw",) * count, **(physical or {}))
            )
        progress.count(min(n, SHARD * (number + 1)), n, "images drawn")
    return writer.finish(names)


def encode_windows(
    surrogate: LocalSurrogate, windows: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posteriors of windows `(m, *N)`, mean and standard deviation `(m, D)`, without seeing seams."""
    model = surrogate.bundle.model
    model.set_periodic(False)
    try:
        return surrogate.encode(windows)
    finally:
        model.set_periodic(True)


@torch.inference_mode()
def _of_several_phases(
    surrogate: LocalSurrogate,
    mean: NDArray[np.float64],
    std: NDArray[np.float64],
    n: int,
    stream: np.random.Generator,
) -> NDArray[np.uint8]:
    shape = surrogate.bundle.description.model.network.shape
    found = np.empty((0, *shape), np.uint8)
    for _ in range(_MOST_ATTEMPTS):
        z = spread_latents(mean, std, n - len(found), stream)
        # Latents of one material are near each other: with the noise that they select all draws would be alike.
        labels = realisations(surrogate.bundle.model.decode, z[None], shape, int(stream.integers(2**31)), SHARD)[0]
        found = np.concatenate((found, labels[np.ptp(labels, axis=tuple(range(1, labels.ndim))) > 0]))
        if len(found) == n:
            return found
    raise MicrodesignError("The model draws images of one phase alone; the micrograph has too little of the others.")
